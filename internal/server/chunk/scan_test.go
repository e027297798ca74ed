package chunk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// describe writes statistics as text, one key a line.
func describe(s *chunk.Stats) string {
	low, high := s.Steps()
	lines := []string{}
	keys := slices.Clone(s.Keys())
	slices.SortFunc(keys, func(a, b chunk.Key) int { return strings.Compare(a.Name, b.Name) })
	for i := range keys {
		lines = append(lines, describeKey(keys[i].Name, &keys[i]))
	}
	head := fmt.Sprintf("lines=%d steps=%d..%d", s.Lines, low, high)
	if s.Wide {
		head += " wide"
	}
	return strings.Join(append([]string{head}, lines...), "\n")
}

func describeKey(name string, k *chunk.Key) string {
	text := name
	for kind, n := range k.Counts {
		if n > 0 {
			text += fmt.Sprintf(" %s:%d", chunk.Kind(kind), n)
		}
	}
	text += fmt.Sprintf(" first=%s last=%s", k.First.Bytes(), k.Last.Bytes())
	if k.Ranged {
		text += fmt.Sprintf(" min=%s max=%s", k.Min.Bytes(), k.Max.Bytes())
	}
	if k.Monotonic {
		text += " monotonic"
	}
	return text
}

func TestScan(t *testing.T) {
	long := strings.Repeat("7", chunk.MaxToken+1)
	deep := strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300)
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"the step is found wherever it stands": {
			[]string{`{"loss":0.5,"_step":3}`, `{"_step":7,"loss":0.25}`},
			"lines=2 steps=3..7\n_step number:2 first=3 last=7 min=3 max=7 monotonic\nloss number:2 first=0.5 last=0.25 min=0.25 max=0.5"},
		"a nested step is none": {
			[]string{`{"a":{"_step":9}}`}, "lines=1 steps=-1..-1\na._step number:1 first=9 last=9 min=9 max=9 monotonic"},
		"a step that is no integer token is none": {
			[]string{`{"_step":1.0}`, `{"_step":"4"}`, `{"_step":-2}`},
			"lines=3 steps=-1..-1\n_step number:2 string:1 first=1.0 last=-2 min=-2 max=1.0"},
		"numbers keep their text": {
			[]string{`{"x":9007199254740993,"y":1e+16,"z":1.0,"u":-0.0}`},
			"lines=1 steps=-1..-1\nu number:1 first=-0.0 last=-0.0 min=-0.0 max=-0.0 monotonic\n" +
				"x number:1 first=9007199254740993 last=9007199254740993 min=9007199254740993 max=9007199254740993 monotonic\n" +
				"y number:1 first=1e+16 last=1e+16 min=1e+16 max=1e+16 monotonic\nz number:1 first=1.0 last=1.0 min=1.0 max=1.0 monotonic"},
		"a long number is kept as what it compares as": {
			[]string{`{"x":` + long + `}`}, "lines=1 steps=-1..-1\nx number:1 first= last= min=7.777777777777778e+40 max=7.777777777777778e+40"},
		"dicts are flattened and dots escaped": {
			[]string{`{"a.b":{"c":1,"d":{"e.f":true}},"g":null}`},
			"lines=1 steps=-1..-1\na\\.b.c number:1 first=1 last=1 min=1 max=1 monotonic\na\\.b.d.e\\.f boolean:1 first=true last=true\ng nil:1 first=null last=null"},
		"a dict with _type is one value, wherever that stands": {
			[]string{`{"m":{"path":"p","n":{"x":1},"_type":"image-file"}}`, `{"m":{"_type":"x","path":"p"}}`},
			"lines=2 steps=-1..-1\nm map:2 first= last={\"_type\":\"x\",\"path\":\"p\"}"},
		"an empty dict is one value": {
			[]string{`{"m":{},"n":{ }}`}, "lines=1 steps=-1..-1\nm map:1 first={} last={}\nn map:1 first={ } last={ }"},
		"a list is one value": {
			[]string{`{"l":[1,{"_step":4,"_type":"x"},[[]],"]"]}`}, "lines=1 steps=-1..-1\nl list:1 first=[1,{\"_step\":4,\"_type\":\"x\"},[[]],\"]\"] last=[1,{\"_step\":4,\"_type\":\"x\"},[[]],\"]\"]"},
		"escaped names are decoded": {
			[]string{`{"\u00e4\ud83d\ude00\"\\\/":1,"\ud83d":{"\u002e":2}}`},
			"lines=1 steps=-1..-1\nä😀\"\\/ number:1 first=1 last=1 min=1 max=1 monotonic\n\ufffd.\\. number:1 first=2 last=2 min=2 max=2 monotonic"},
		"what is not finite is legal": {
			[]string{`{"x":NaN,"y":-Infinity}`, `{"x":2,"y":Infinity}`, `{"x":1,"y":0}`},
			"lines=3 steps=-1..-1\nx number:3 first=NaN last=1 min=1 max=2\ny number:3 first=-Infinity last=0 min=-Infinity max=Infinity"},
		"of a name that stands twice the last counts": {
			[]string{`{"x":5,"_step":1,"x":2,"_step":3}`},
			"lines=1 steps=3..3\n_step number:1 first=3 last=3 min=3 max=3 monotonic\nx number:1 first=2 last=2 min=2 max=2 monotonic"},
		"beyond the range of float64": {
			[]string{`{"x":1e400}`, `{"x":-1e400,"y":1e-400}`},
			"lines=2 steps=-1..-1\nx number:2 first=1e400 last=-1e400 min=-1e400 max=1e400\ny number:1 first=1e-400 last=1e-400 min=1e-400 max=1e-400 monotonic"},
		"white space": {
			[]string{" {\t\"x\" : 1 ,\r\"y\" : { \"z\" : [ ] } }\n"},
			"lines=1 steps=-1..-1\nx number:1 first=1 last=1 min=1 max=1 monotonic\ny.z list:1 first=[ ] last=[ ]"},
		"what is no object counts nothing": {
			[]string{``, `[]`, `1`, `{"x":01}`, `{"x":1`, `{"x":1}}`, `{"x":1,}`, `{"x":+1}`, `{"x":.5}`, `{"x":1.}`, `{"x":1e}`, `{"x":nan}`,
				`{"x":-NaN}`, `{"x":"\x"}`, `{"x":"\ud8"}`, "{\"x\":\"\n\"}", `{x:1}`, `{"x"}`, `{"x":tru}`, `{"x":[1,]}`, `{"_step":4,"x":}`, deep},
			"lines=0 steps=-1..-1"},
	} {
		t.Run(name, func(t *testing.T) {
			var s chunk.Stats
			for _, line := range test.lines {
				_ = chunk.Scan([]byte(line), &s)
			}
			if got := describe(&s); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWideLinesAreMarked(t *testing.T) {
	line := []byte(`{"_step":5`)
	for i := range chunk.MaxKeys {
		line = fmt.Appendf(line, `,"k%d":%d`, i, i)
	}
	line = append(line, '}')
	var s chunk.Stats
	for range 2 {
		if err := chunk.Scan(line, &s); err != nil {
			t.Fatal(err)
		}
	}
	if got := describe(&s); got != "lines=2 steps=5..5 wide" {
		t.Errorf("one key too many: got %s", got[:min(len(got), 100)])
	}
	s = chunk.Stats{}
	if err := chunk.Scan([]byte(`{"a":1,"`+strings.Repeat("k", chunk.MaxKeyLength+1)+`":1}`), &s); err != nil || !s.Wide {
		t.Errorf("a name that is too long: %v, wide %t", err, s.Wide)
	}
	s = chunk.Stats{}
	nested := strings.Repeat(`{"`+strings.Repeat("k", 100)+`":`, 12) + "1" + strings.Repeat("}", 12)
	if err := chunk.Scan([]byte(nested), &s); err != nil || !s.Wide {
		t.Errorf("a path that is too long: %v, wide %t", err, s.Wide)
	}
}

func TestMergeEqualsOnePass(t *testing.T) {
	lines := []string{
		`{"_step":1,"x":1,"y":"a"}`, `{"_step":2,"x":3}`, `not json`, `{"x":3,"z":{"w":NaN}}`, `{"_step":9,"x":2,"y":2}`, `{"_step":4,"z":{"w":7}}`,
	}
	for at := range len(lines) + 1 {
		var whole, first, second chunk.Stats
		for i, line := range lines {
			_ = chunk.Scan([]byte(line), &whole)
			into := &first
			if i >= at {
				into = &second
			}
			_ = chunk.Scan([]byte(line), into)
		}
		first.Merge(&second)
		if got, want := describe(&first), describe(&whole); got != want {
			t.Errorf("cut at %d: got\n%s\nwant\n%s", at, got, want)
		}
	}
}

func TestField(t *testing.T) {
	line := []byte(`{"a":{"_timestamp":1},"b":[{"_timestamp":2}],"_timestamp":1.7e9,"_wandb":{"runtime":3}}`)
	for name, want := range map[string]string{"_timestamp": "1.7e9", "_wandb": `{"runtime":3}`, "none": ""} {
		if got := string(chunk.Field(line, name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := chunk.Field([]byte(`{"_timestamp":1`), "_timestamp"); got != nil {
		t.Errorf("a broken line: got %q", got)
	}
}
