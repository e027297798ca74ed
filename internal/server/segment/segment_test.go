package segment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// roundTrip writes tokens as a column of every other row and reads them back.
func roundTrip(t *testing.T, tokens []string) *Values {
	t.Helper()
	var c column
	for i, token := range tokens {
		c.add(int32(2*i), []byte(token)) // few rows
	}
	rows := 2*len(tokens) + 1
	v, err := DecodeColumn(c.encode(nil, rows), rows)
	if err != nil {
		t.Fatalf("%q: %v", tokens, err)
	}
	for row := range rows {
		if v.Has(row) != (row%2 == 0 && row/2 < len(tokens)) {
			t.Fatalf("%q: row %d: %v", tokens, row, v.Has(row))
		}
		if v.Has(row) {
			if got := string(v.Append(nil, row)); got != tokens[row/2] {
				t.Fatalf("%q: row %d is %s", tokens, row, got)
			}
		}
	}
	return v
}

func TestTokensComeBackAsTheyWent(t *testing.T) {
	for sentence, c := range map[string]struct {
		tokens []string
		format format
	}{
		"whole numbers":                        {[]string{"0", "1", "-7", "9007199254740993", "-9223372036854775808", "9223372036854775807"}, formatInt},
		"a minus zero is no whole number":      {[]string{"0", "-0"}, formatGo},
		"beyond 64 bits":                       {[]string{"1", "9223372036854775808"}, formatText},
		"an exact number beside a float":       {[]string{"9007199254740993", "0.5"}, formatText},
		"floats as the client sends them":      {[]string{"0.5", "1", "1e+16", "1e-05", "1.234567e+06", "NaN", "Infinity", "-Infinity"}, formatGo},
		"floats of JSON with a large whole":    {[]string{"1234567", "0.5"}, formatPlain},
		"floats of Python":                     {[]string{"1.0", "0.5", "1e+16", "1e-05", "123456789.0"}, formatPython},
		"a float written with zeros":           {[]string{"0.5", "1.50"}, formatText},
		"numbers and words":                    {[]string{"1", `"one"`, "true", "null", `{"_type":"x"}`, "[1, NaN]"}, formatText},
		"whole numbers first, and floats then": {[]string{"1", "2", "3", "0.25"}, formatGo},
		"a capital exponent":                   {[]string{"1E5"}, formatText},
	} {
		t.Run(sentence, func(t *testing.T) {
			if v := roundTrip(t, c.tokens); v.format != c.format {
				t.Errorf("format %d, want %d", v.format, c.format)
			}
		})
	}
}

func TestManyTokensComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, make := range []func(i int) string{
		func(i int) string { return strconv.Itoa(i) },
		func(int) string { return strconv.FormatInt(int64(r.Uint64()), 10) }, // any bits
		func(int) string { return strconv.FormatFloat(r.Float64(), 'g', -1, 64) },
		func(int) string { return strconv.FormatFloat(math.Float64frombits(r.Uint64()&^(1<<62)), 'g', -1, 64) },
		func(int) string {
			return strconv.FormatFloat(math.Round(r.NormFloat64()*1e4)/1e4, 'g', -1, 64)
		},
		func(i int) string { return fmt.Sprintf("%.6f", 1.7e9+float64(i)*0.1) },
		func(int) string { return []string{"0.1", "NaN", "-0", "1e-300"}[r.IntN(4)] },
	} {
		tokens := []string{}
		for i := range 5_000 {
			tokens = append(tokens, make(i))
		}
		roundTrip(t, tokens)
	}
}

// assemble writes blocks of these lines as a segment.
func assemble(t testing.TB, blocks ...[]string) ([]byte, *Footer) {
	t.Helper()
	var parts []Part
	line := int64(0)
	for _, lines := range blocks {
		var b Builder
		for _, text := range lines {
			b.Add(line, line, []byte(text))
			line++
		}
		parts = append(parts, Part{Block: b.Block(nil)})
	}
	return write(t, parts)
}

func write(t testing.TB, parts []Part, sources ...[]byte) ([]byte, *Footer) {
	t.Helper()
	pieces, footer := Assemble(parts, nil)
	var object []byte
	for _, p := range pieces {
		if p.Bytes == nil {
			p.Bytes = sources[p.Source][p.Offset : p.Offset+p.Length]
		}
		object = append(object, p.Bytes...)
	}
	f, err := ParseFooter(footer)
	if err != nil {
		t.Fatal(err)
	}
	if f.End() > int64(len(object)) {
		t.Fatalf("the columns end at %d of %d", f.End(), len(object))
	}
	return object, f
}

// read returns the lines of a segment.
func read(t testing.TB, object []byte, f *Footer) []string {
	t.Helper()
	var lines []string
	for block, info := range f.Blocks {
		columns := make([]*Values, f.All())
		for i := range columns {
			offset, length := f.Range(i, block)
			if length == 0 {
				continue
			}
			v, err := DecodeColumn(object[offset:offset+length], info.Rows)
			if err != nil {
				t.Fatal(err)
			}
			columns[i] = v
		}
		rows := f.NewRows(columns)
		for row := range info.Rows {
			lines = append(lines, string(rows.Append(nil, row)))
		}
	}
	return lines
}

func TestRowsComeBackWithTheirNames(t *testing.T) {
	lines := []string{
		`{"a":1,"b":{"c":2.50,"d":{"e":"x"}},"z":null}`,
		`{"a":2,"b":{"c":3,"d":{"e":"y","f":[1,{"q":2}]}},"bb":{"c":1}}`,
		`{}`,
		`{"b":{}}`,
		`{"":0,"a.b":{"c":1},"a\".b":1,"ü":{"":{"":1}}}`,
		`{"m":{"_type":"image-file","path":"p"},"n":{"o":{"_type":"t"}}}`,
		`{"a":1,"a":2}`,
		`{"a":{"b":1},"a":{"c":2}}`,
		`{"a":{"b":1},"a":3}`,
	}
	object, f := assemble(t, lines[:4], lines[4:])
	got := read(t, object, f)
	if !slices.Equal(got, lines) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
	// A segment of another's blocks and a new one.
	var b Builder
	b.Add(20, 20, []byte(`{"a":5,"new":6}`))
	merged, mf := write(t, []Part{{Footer: f, Index: 0}, {Footer: f, Index: 1}, {Block: b.Block(nil)}}, object)
	if got, want := read(t, merged, mf), append(slices.Clone(lines), `{"a":5,"new":6}`); !slices.Equal(got, want) {
		t.Errorf("merged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, columns := range map[string]int{"a": 1, "b.c": 1, `a\.b.c`: 1, "a.b.c": 1, "b": 1, "none": 0, "bb.c": 1, "m": 1, "n.o": 1} {
		if got := len(f.Columns(name)); got != columns {
			t.Errorf("%s is %d columns, want %d", name, got, columns)
		}
	}
}

func TestRowsAreSortedByStepAndLine(t *testing.T) {
	var b Builder
	for i, step := range []int64{5, 6, 0, 5, 1} {
		b.Add(int64(i), step, fmt.Appendf(nil, `{"_step":%d,"only%d":%d}`, step, i, i))
	}
	object, f := write(t, []Part{{Block: b.Block(nil)}})
	want := []string{`{"_step":0,"only2":2}`, `{"_step":1,"only4":4}`, `{"_step":5,"only0":0}`, `{"_step":5,"only3":3}`, `{"_step":6,"only1":1}`}
	if got := read(t, object, f); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if info := f.Blocks[0]; info.MinStep != 0 || info.MaxStep != 6 || info.FirstLine != 0 || info.NextLine != 5 {
		t.Errorf("block %+v", info)
	}
}

func TestMoreKeysThanColumns(t *testing.T) {
	var lines []string
	for i := range 3 {
		var b strings.Builder
		for key := range MaxColumns/2 + 1 {
			fmt.Fprintf(&b, `,"key%d-%05d":%d`, i, key, key)
		}
		lines = append(lines, "{"+b.String()[1:]+"}")
	}
	object, f := assemble(t, lines)
	if got := read(t, object, f); !slices.Equal(got, lines) {
		t.Error("the lines came back changed")
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}` + "\n" + `{"a":1.0,"b":{"c":NaN}}`, `{"a" : [1 , 2] }`, `{"a":{"_type":"x"}}`, `{"a":"\"\u00e9"}`, `{"a":1,"a":2}`, `x`, `{"a":-0}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b Builder
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			b.Add(int64(i), int64(i), []byte(line))
		}
		object, footer := write(t, []Part{{Block: b.Block(nil)}})
		for i, got := range read(t, object, footer) {
			if got != lines[i] && !sameJSON(got, lines[i]) {
				t.Fatalf("%q came back as %q", lines[i], got)
			}
		}
	})
}

// sameJSON compares values, numbers by their text. What is no JSON must be the same.
func sameJSON(a, b string) bool {
	var values [2]any
	for i, text := range []string{a, b} {
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		if d.Decode(&values[i]) != nil {
			return !json.Valid([]byte(a)) == !json.Valid([]byte(b)) // not understood by this decoder: NaN, or no JSON
		}
	}
	return fmt.Sprint(values[0]) == fmt.Sprint(values[1])
}

func FuzzRead(f *testing.F) {
	_, footer := assemble(f, []string{`{"a":1,"b":"x"}`, `{"a":0.5}`})
	_, raw := Assemble([]Part{{Footer: footer}}, nil)
	f.Add(raw, 2)
	var c column
	c.add(0, []byte("1.5"))
	f.Add(c.encode(nil, 3), 3)
	f.Fuzz(func(t *testing.T, b []byte, rows int) {
		if footer, err := ParseFooter(b); err == nil && footer.End() < 0 {
			t.Error("an end below zero")
		}
		if rows < 1 || rows > 1000 {
			return
		}
		v, err := DecodeColumn(b, rows)
		if err != nil {
			return
		}
		for row := range rows {
			if v.Has(row) {
				v.Append(nil, row)
				v.Number(row)
			}
		}
	})
}
