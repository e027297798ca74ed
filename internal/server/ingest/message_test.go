package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// describe writes a message as text.
func describe(m *message) string {
	var b strings.Builder
	for f, name := range []string{"history", "events", "summary", "console"} {
		for _, s := range m.files[f] {
			fmt.Fprintf(&b, "%s %d %q; ", name, s.offset, m.lines[s.from:s.to])
		}
	}
	if len(m.uploaded) > 0 {
		fmt.Fprintf(&b, "uploaded %q; ", m.uploaded)
	}
	if m.preempting {
		b.WriteString("preempting; ")
	}
	if m.complete {
		fmt.Fprintf(&b, "complete %d; ", m.exitCode)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestDecode(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"a heartbeat": {` { } `, ``},
		"everything": {`{"files":{"wandb-history.jsonl":{"offset":3,"content":["{\"a\":1}","x"]},"wandb-events.jsonl":{"content":["e"],"offset":1},` +
			`"wandb-summary.json":{"offset":0,"content":["{}"]},"output.log":{"offset":9,"content":["o"]}},"uploaded":["f","g"],"preempting":true,"complete":true,"exitcode":7}`,
			`history 3 ["{\"a\":1}" "x"]; events 1 ["e"]; summary 0 ["{}"]; console 9 ["o"]; uploaded ["f" "g"]; preempting; complete 7`},
		"the forms of old clients": {`{"files":{"output.log":[{"offset":1,"content":["a"]},{"offset":5,"content":"b"}]},"dropped":3,"complete":true,"failed":true}`,
			`console 1 ["a"]; console 5 ["b"]; complete 1`},
		"an exit code wins over failed": {`{"failed":true,"complete":true,"exitcode":0}`, `complete 0`},
		"nulls":                         {`{"files":null,"uploaded":null,"complete":null,"exitcode":null,"preempting":null}`, ``},
		"nulls inside":                  {`{"files":{"output.log":null,"wandb-history.jsonl":{"offset":null,"content":null}},"uploaded":[null,"a"]}`, `uploaded ["a"]`},
		"numbers in other forms": {`{"files":{"output.log":{"offset":"2","content":["a"]},"wandb-events.jsonl":{"offset":4.0,"content":["b"]}}}`,
			`events 4 ["b"]; console 2 ["a"]`},
		"lines that are no strings": {`{"files":{"wandb-history.jsonl":{"content":[{"_step":1},[2],null]}}}`, `history 0 ["{\"_step\":1}" "[2]" "null"]`},
		"what nobody knows":         {`{"files":{"x.txt":{"offset":-1,"content":[{}]}},"y":{"files":{}},"z":[NaN]}`, ``},
		"escapes":                   {`{"files":{"output.log":{"content":["\u00e4\ud83d\ude00\"\\\/\b\f\n\r\t","\ud83d","a\ude00b","é"]}}}`, `console 0 ["ä😀\"\\/\b\f\n\r\t" "�" "a�b" "é"]`},
		"escaped names":             {`{"\u0066iles":{"output\u002elog":{"content":["a"]}}}`, `console 0 ["a"]`},
		"content twice":             {`{"files":{"output.log":{"content":["a"],"content":["b"]}}}`, `console 0 ["b"]`},
	} {
		var m message
		if err := m.decode([]byte(test.body)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := describe(&m); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	for _, body := range []string{
		``, `[]`, `{`, `{}}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"files":{"output.log":{"content":["a]}}}`, `{"files":{"output.log":{"content":["\x"]}}}`,
		`{"files":{"output.log":{"offset":-1}}}`, `{"files":{"output.log":{"offset":1.5}}}`, `{"files":{"output.log":{"offset":1e300}}}`, `{"a":1,}`, "{\"a\":\"\n\"}",
		strings.Repeat(`{"a":`, 1000) + `1` + strings.Repeat(`}`, 1000),
	} {
		if err := new(message).decode([]byte(body)); err == nil {
			t.Errorf("%.60s: decoded", body)
		}
	}
}

// FuzzDecode compares with the JSON reader of the standard library, for bodies that both understand.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"files":{"wandb-history.jsonl":{"offset":3,"content":["{\"a\":1}","\u00e4\ud83d\ude00\ud83d"]}},"uploaded":["f"],"complete":true,"exitcode":7}`))
	f.Add([]byte(`{"files":{"output.log":[{"offset":1,"content":["a"]}]}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want struct {
			Files map[string]struct {
				Offset  int64
				Content []string
			}
			Uploaded []string
			Complete bool
			ExitCode int32
		}
		simple := json.Unmarshal(body, &want) == nil && bytes.HasPrefix(body, []byte("{")) && bytes.Count(body, []byte("null")) == 0
		var m message
		text := string(body)
		if err := m.decode(body); err != nil {
			for _, file := range want.Files {
				simple = simple && file.Offset >= 0 && file.Offset < maxOffset
			}
			if simple && strings.Count(text, "{")+strings.Count(text, "[") < maxNesting {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// The standard library takes names in any case, and the last of several.
		if !simple || strings.Contains(text, `\`) || repeated(text) {
			return
		}
		if m.complete != want.Complete || fmt.Sprint(m.uploaded) != fmt.Sprint(want.Uploaded) {
			t.Fatalf("%q: got %s, want %+v", text, describe(&m), want)
		}
		for _, s := range m.files[historyFile] {
			file := want.Files["wandb-history.jsonl"]
			if s.offset != file.Offset || fmt.Sprintf("%q", m.lines[s.from:s.to]) != fmt.Sprintf("%q", file.Content) {
				t.Fatalf("%q: got %s, want %+v", text, describe(&m), want)
			}
		}
	})
}

const maxNesting = 200

func repeated(text string) bool {
	lower := strings.ToLower(text)
	for _, name := range []string{`"files"`, `"uploaded"`, `"complete"`, `"exitcode"`, `"offset"`, `"content"`, `"wandb-history.jsonl"`} {
		if strings.Count(lower, name) > 1 || strings.Count(lower, name) != strings.Count(text, name) {
			return true
		}
	}
	return strings.Contains(lower, `"failed"`) || !json.Valid([]byte(text)) || strings.ContainsRune(text, '\uFFFD')
}

func BenchmarkRead(b *testing.B) {
	line := `{\"_step\":12,\"train/loss\":0.6931471805599453,\"train/accuracy\":0.5012345678901234,\"_runtime\":12.25,\"_timestamp\":1700000000.123}`
	body := []byte(`{"files":{"wandb-history.jsonl":{"offset":0,"content":["` + strings.Join(repeat(line, 50), `","`) + `"]}}}`)
	buffer := make([]byte, len(body))
	var m message
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buffer, body)
		m.reset()
		if err := m.decode(buffer); err != nil {
			b.Fatal(err)
		}
	}
}

func repeat(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestWhichChunksHaveAnOutline(t *testing.T) {
	lines := func(n int, format string) [][]byte {
		all := make([][]byte, n)
		for i := range all {
			all[i] = fmt.Appendf(nil, format, i, float64(i*i)/7)
		}
		return all
	}
	for sentence, c := range map[string]struct {
		stream store.Stream
		lines  [][]byte
		want   bool
	}{
		"many lines":                         {store.StreamHistory, lines(chunk.OutlineLines, `{"_step":%d,"loss":%v}`), true},
		"few lines":                          {store.StreamHistory, lines(chunk.OutlineLines-1, `{"_step":%d,"loss":%v}`), false},
		"keys of one line each":              {store.StreamHistory, lines(chunk.OutlineLines, `{"_step":%[1]d,"%[1]d":%[2]v,"a%[1]d":1,"b%[1]d":2}`), false},
		"many lines of another stream":       {store.StreamEvents, lines(chunk.OutlineLines, `{"_step":%d,"cpu":%v}`), false},
		"many lines of which one is no step": {store.StreamHistory, append(lines(chunk.OutlineLines, `{"_step":%d,"loss":%v}`), []byte(`{"loss":1}`)), false},
	} {
		if p := (packer{stats: new(chunk.Stats)}).part(c.stream, 7, c.lines); (len(p.Outline) > 0) != c.want || len(p.Outline) > len(p.Body)/2 {
			t.Errorf("%s: an outline of %d bytes beside %d", sentence, len(p.Outline), len(p.Body))
		}
	}
}

func TestLongBodiesArePackedWithPauses(t *testing.T) {
	var lines [][]byte
	size, pauses := 0, 0
	for n := range 2000 {
		lines = append(lines, fmt.Appendf(nil, `{"_step":%d,"loss":%v,"pad":"%0*d"}`, n, float64(n*n)/7, n%300, n))
		size += len(lines[n])
	}
	busy := packer{stats: new(chunk.Stats), pause: func() { pauses++ }}
	got := busy.part(store.StreamHistory, 7, lines)
	if least := size / (pauseBytes + 512); pauses < least || pauses > size/pauseBytes {
		t.Errorf("%d pauses in %d bytes", pauses, size)
	}
	if want := (packer{stats: new(chunk.Stats)}).part(store.StreamHistory, 7, lines); !reflect.DeepEqual(got, want) {
		t.Error("a part depends on pauses")
	}
}

func TestMemoryOfBodiesFits(t *testing.T) {
	last := 0
	for size := int64(1); size <= maxBody+1; size += 1 + size/100 {
		at, memory := class(size)
		if memory < size || memory > max(size+size/classSteps, minBuffer) {
			t.Fatalf("%d bytes of memory for a body of %d", memory, size)
		}
		if again, same := class(memory); again != at || same != memory {
			t.Fatalf("memory of %d bytes is of class %d, its body of class %d", memory, again, at)
		}
		if at < last || at >= len((&buffers{}).classes) {
			t.Fatalf("class %d of %d bytes follows %d", at, size, last)
		}
		last = at
	}
}
