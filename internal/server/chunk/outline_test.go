package chunk

import (
	"fmt"
	"strings"
	"testing"
)

func everyName([]byte) bool { return true }

// sketched scans lines from a first one on and returns their outline.
func sketched(first int64, lines []string) []byte {
	var stats Stats
	stats.Sketch(first)
	for _, line := range lines {
		_ = Scan([]byte(line), &stats)
	}
	return EncodeOutline(&stats, len(lines))
}

func TestLinesThatHaveNoOutline(t *testing.T) {
	var wide strings.Builder
	for i := range MaxKeys + 1 {
		fmt.Fprintf(&wide, `,"k%d":1`, i)
	}
	for sentence, lines := range map[string][]string{
		"steps that fall":           {`{"_step":1}`, `{"_step":0}`},
		"a step that comes again":   {`{"_step":1}`, `{"_step":1}`},
		"a line without a step":     {`{"_step":1}`, `{"x":1}`},
		"a step that is no integer": {`{"_step":1}`, `{"_step":2.0}`},
		"a line that is no object":  {`{"_step":1}`, `[]`, `{"_step":2}`},
		"too many keys":             {`{"_step":1` + wide.String() + `}`},
		"no lines":                  nil,
	} {
		if b := sketched(0, lines); b != nil {
			t.Errorf("%s: there is an outline", sentence)
		}
	}
	var stats Stats
	if err := Scan([]byte(`{"_step":1}`), &stats); err != nil || EncodeOutline(&stats, 1) != nil {
		t.Errorf("statistics make an outline that nobody asked for, %v", err)
	}
}

func TestOutlineNamesWhatItCannotMark(t *testing.T) {
	lines := []string{
		`{"_step":1,"n":1,"mixed":1,"text":"t","a":{"b":2},"dict":{"_type":"x"},"a.b":3,"long":0.` + strings.Repeat("1", MaxToken) + `}`,
		`{"_step":5,"mixed":true,"twice":1,"twice":2}`,
	}
	o, err := DecodeOutline(sketched(7, lines), 7, everyName)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range o.Keys {
		got[m.Name] = m.Count
	}
	want := map[string]int{"_step": 2, "n": 1, "mixed": 0, "text": 0, "a.b": 1, "dict": 0, `a\.b`: 1, "long": 0, "twice": 1}
	if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(o.Steps) != "[1 5]" {
		t.Errorf("got %v at %v, want %v", got, o.Steps, want)
	}
	some, err := DecodeOutline(sketched(7, lines), 7, func(name []byte) bool { return string(name) == "n" })
	if err != nil || len(some.Keys) != 1 || fmt.Sprint(some.Keys[0].Values.Integers, some.Keys[0].Values.Rows) != "[1 1 1 1] [0 0 0 0]" {
		t.Errorf("%+v, %v", some, err)
	}
}

func FuzzOutline(f *testing.F) {
	f.Add(`{"_step":0,"x":1.5}`+"\n"+`{"_step":1,"x":-2,"y":NaN}`, int64(31))
	f.Add("\x01\x28\xb5\x2f\xfd", int64(0))
	f.Fuzz(func(t *testing.T, text string, first int64) {
		if first < 0 || first > 1<<40 {
			return
		}
		_, _ = DecodeOutline([]byte(text), first, everyName)
		_, _ = DecodeOutline(pack(outlineVersion, []byte(text)), first, everyName)
		lines := strings.Split(text, "\n")
		b := sketched(first, lines)
		if b == nil {
			return
		}
		o, err := DecodeOutline(b, first, everyName)
		if err != nil || o.Lines != len(lines) {
			t.Fatalf("%+v, %v", o, err)
		}
		for i := range o.Keys {
			m := &o.Keys[i]
			if m.Count > 0 && (len(m.Values.Rows) <= ExtraMarks || int(m.Values.Rows[len(m.Values.Rows)-1]) >= len(lines)) {
				t.Errorf("%s is marked at %v of %d", m.Name, m.Values.Rows, len(lines))
			}
		}
	})
}
