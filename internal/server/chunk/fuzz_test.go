package chunk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// reference gathers what Scan must have seen of a line, with the JSON reader of the standard library.
type reference struct {
	decoder *json.Decoder
	kinds   map[string]string
	numbers map[string]string
}

func (r *reference) object(path string) (typed bool, count int) {
	for r.decoder.More() {
		token, _ := r.decoder.Token()
		name := token.(string)
		count++
		typed = typed || name == "_type"
		full := path + strings.ReplaceAll(name, ".", `\.`)
		r.value(full)
	}
	_, _ = r.decoder.Token()
	return typed, count
}

func (r *reference) value(full string) {
	token, _ := r.decoder.Token()
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			for r.decoder.More() {
				var skipped json.RawMessage
				_ = r.decoder.Decode(&skipped)
			}
			_, _ = r.decoder.Token()
			r.kinds[full] = "list"
			return
		}
		inner := reference{r.decoder, map[string]string{}, map[string]string{}}
		if typed, count := inner.object(full + "."); typed || count == 0 {
			r.kinds[full] = "map"
			return
		}
		for k, kind := range inner.kinds {
			r.kinds[k] = kind
		}
		for k, number := range inner.numbers {
			r.numbers[k] = number
		}
	case json.Number:
		r.kinds[full], r.numbers[full] = "number", string(v)
	case string:
		r.kinds[full] = "string"
	case bool:
		r.kinds[full] = "boolean"
	default:
		r.kinds[full] = "nil"
	}
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"_step":1,"loss":0.1,"a":{"b":1e-7,"c.d":[1,2]},"m":{"_type":"x"}}`, `{"a":{},"b":null,"c":true,"d":"x\u00e4\n"}`,
		`{"a":12345678901234567890,"b":0.30000000000000004,"c":1E400,"d":-0}`, `{"\ud83d\ude00":1,"\ud83d":2}`, `{"a":NaN}`, `{"a":1}x`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if !utf8.Valid(line) || bytes.Count(line, []byte("{"))+bytes.Count(line, []byte("[")) > 200 {
			return
		}
		var s chunk.Stats
		err := chunk.Scan(line, &s)
		valid := json.Valid(line) && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))
		if valid != (err == nil) && !bytes.Contains(line, []byte("NaN")) && !bytes.Contains(line, []byte("Infinity")) {
			t.Fatalf("%q: valid %t, got %v", line, valid, err)
		}
		if !valid || s.Wide {
			return
		}
		compare(t, line, &s)
	})
}

func compare(t *testing.T, line []byte, s *chunk.Stats) {
	t.Helper()
	r := reference{json.NewDecoder(bytes.NewReader(line)), map[string]string{}, map[string]string{}}
	r.decoder.UseNumber()
	_, _ = r.decoder.Token()
	r.object("")
	if bytes.Contains(line, []byte("_type")) && len(s.Keys()) != len(r.kinds) {
		return // a name that stands twice, once of them with _type: which counts is of no matter
	}
	if len(s.Keys()) != len(r.kinds) {
		t.Fatalf("%q: got %s, want %v", line, describe(s), r.kinds)
	}
	for name, kind := range r.kinds {
		k := s.Key(name)
		if k == nil || k.Count() != 1 {
			t.Fatalf("%q: key %q is missing in %s", line, name, describe(s))
		}
		for i, n := range k.Counts {
			if n == 1 && chunk.Kind(i).String() != kind {
				t.Fatalf("%q: key %q is %s, want %s", line, name, chunk.Kind(i), kind)
			}
		}
		if text, ok := r.numbers[name]; ok && len(text) <= chunk.MaxToken && string(k.Last.Bytes()) != text {
			t.Fatalf("%q: key %q is %q, want %q", line, name, k.Last.Bytes(), text)
		}
	}
}

// FuzzOrder compares two numbers as strconv reads them.
func FuzzOrder(f *testing.F) {
	f.Add("1", "2")
	f.Add("0.1", "1e-1")
	f.Add("9007199254740993", "9007199254740992")
	f.Add("123456789012345678e-18", "1e22")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX != nil || errY != nil || !json.Valid([]byte(a)) || !json.Valid([]byte(b)) || len(a) > 40 || len(b) > 40 {
			return
		}
		var s chunk.Stats
		_ = chunk.Scan([]byte(`{"x":`+a+`}`), &s)
		_ = chunk.Scan([]byte(`{"x":`+b+`}`), &s)
		k := s.Key("x")
		low, _ := strconv.ParseFloat(string(k.Min.Bytes()), 64)
		high, _ := strconv.ParseFloat(string(k.Max.Bytes()), 64)
		if low != math.Min(x, y) || high != math.Max(x, y) || k.Monotonic != (y >= x) {
			t.Fatalf("%s, %s: got %s", a, b, describe(&s))
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(chunk.Encode([][]byte{[]byte("a"), []byte("b")}))
	f.Add(chunk.Encode([][]byte{[]byte("a\nb"), {}}))
	f.Add([]byte{2, 0})
	f.Add(chunk.Encode(training(5)))
	f.Add(chunk.Encode(mixed()))
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, err := chunk.Decode(body)
		if err != nil {
			return
		}
		again, err := chunk.Decode(chunk.Encode(lines))
		if err != nil || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", lines) {
			t.Fatalf("got %q, %v; want %q", again, err, lines)
		}
		some, err := chunk.Select(body, func(name []byte) bool { return len(name)%2 == 0 })
		if err != nil || len(some) != len(lines) {
			t.Fatalf("selected %q of %q, %v", some, lines, err)
		}
	})
}

// TestSelectedMembersStay compares what is selected of lines with their members.
func TestSelectedMembersStay(t *testing.T) {
	for name, lines := range map[string][][]byte{
		"columns":          mixed(),
		"a training loop":  training(100),
		"too few to split": mixed()[6:8],
		"with line feeds":  {[]byte("{\n\"a\":1}"), []byte(`{"b":2}`), []byte(`{"a":3}`), []byte(`{"c":4}`)},
	} {
		got, err := chunk.Select(chunk.Encode(lines), func(name []byte) bool { return string(name) == "a" || string(name) == "train/loss" })
		if err != nil || len(got) != len(lines) {
			t.Fatalf("%s: %d lines, %v, want %d", name, len(got), err, len(lines))
		}
		for i, line := range lines {
			for _, member := range []string{"a", "train/loss"} {
				if g, w := chunk.Field(got[i], member), chunk.Field(line, member); !bytes.Equal(g, w) {
					t.Errorf("%s: %s of line %d is %s, want %s", name, member, i, g, w)
				}
			}
			if columns := name == "columns" || name == "a training loop"; columns && chunk.Field(got[i], "c") != nil {
				t.Errorf("%s: line %d is %s", name, i, got[i])
			}
		}
	}
}

func FuzzDecodeStats(f *testing.F) {
	var s chunk.Stats
	_ = chunk.Scan([]byte(`{"_step":1,"loss":0.1,"a":{"b":"x"},"m":null,"i":-Infinity}`), &s)
	f.Add(chunk.EncodeStats(&s))
	_ = chunk.Scan([]byte(`{"_step":2,"loss":0.3,"a":{"b":7},"m":[],"i":4}`), &s)
	f.Add(chunk.EncodeStats(&s))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := chunk.DecodeStats(b)
		if err != nil {
			return
		}
		again, err := chunk.DecodeStats(chunk.EncodeStats(s))
		if err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		if describe(again) != describe(s) {
			t.Fatalf("got\n%s\nwant\n%s", describe(again), describe(s))
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("{}"), []byte("a\n"), 3)
	f.Add([]byte{}, []byte{}, 0)
	f.Add([]byte(`{"_step":-1,"x":0.10000000149011612,"y":[1, 2],"x":"\u00e4"}`), []byte(`{"_step":00,"x":1e-05,"z":{}}`), 3)
	f.Add([]byte(`{"_step":999999999999999999,"x":0.5000000}`), []byte(`{"_step":-9223372036854775808,"x":340282346638528860000000000000000000000}`), 3)
	f.Fuzz(func(t *testing.T, a, b []byte, n int) {
		var lines [][]byte
		for range max(0, min(n, 100)) {
			lines = append(lines, a, b)
		}
		got, err := chunk.Decode(chunk.Encode(lines))
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", lines) {
			t.Fatalf("got %q, %v; want %q", got, err, lines)
		}
	})
}

// mixed are lines of which each column is a case of its own.
func mixed() [][]byte {
	lines := make([][]byte, 20)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, `{"a":%d,"b":%v,"c":"x%d","a":-%d}`, i, float64(float32(i)/3), i, i)
	}
	lines[7] = []byte(`{"b":NaN}`)
	lines[8] = []byte(`{"b":1e-05,"d":{"e":[ 1 ]}}`)
	return lines
}

func TestBodiesKeepTheirLines(t *testing.T) {
	for name, lines := range map[string][][]byte{
		"none": nil, "one": {[]byte("x")}, "empty ones": {{}, {}, {}, {}, {}}, "a training loop": training(200), "mixed": mixed(),
		"white space":   {[]byte(`{"a": 1}`), []byte(`{"a":1}`), []byte(`{"a":1}`), []byte(`{"a":1}`)},
		"line feeds":    {[]byte("a\n"), []byte(`{"a":1}`), []byte(`{"a":1}`), []byte("\n\n")},
		"empty objects": {[]byte(`{}`), []byte(`{}`), []byte(`{}`), []byte(`{}`)},
	} {
		got, err := chunk.Decode(chunk.Encode(lines))
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", lines) {
			t.Errorf("%s: got %.200q, %v", name, got, err)
		}
	}
}
