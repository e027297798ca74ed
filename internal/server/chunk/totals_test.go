package chunk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// describeTotals writes totals as describe writes statistics.
func describeTotals(t *chunk.Totals) string {
	low, high := t.Steps()
	head := fmt.Sprintf("lines=%d steps=%d..%d", t.Lines, low, high)
	if t.Wide {
		head += " wide"
	}
	lines := []string{head}
	last := ""
	for name, k := range t.Keys() {
		if string(name) <= last && len(lines) > 1 {
			return fmt.Sprintf("%q follows %q", name, last)
		}
		last = string(name)
		lines = append(lines, describeKey(last, k))
	}
	if len(lines) != t.Len()+1 {
		return fmt.Sprintf("%d keys of %d", len(lines)-1, t.Len())
	}
	return strings.Join(lines, "\n")
}

// statsOf are the statistics of lines, in one pass.
func statsOf(lines []string) *chunk.Stats {
	var s chunk.Stats
	for _, line := range lines {
		_ = chunk.Scan([]byte(line), &s)
	}
	return &s
}

// waysToAdd are those in which later lines are added to totals.
var waysToAdd = map[string]func(t *chunk.Totals, lines []string, spill int) error{
	"line by line": func(t *chunk.Totals, lines []string, _ int) error { return scanAll(t, lines) },
	"statistics":   func(t *chunk.Totals, lines []string, _ int) error { t.Add(statsOf(lines)); return nil },
	"encoded statistics": func(t *chunk.Totals, lines []string, _ int) error {
		return t.Append(chunk.EncodeStats(statsOf(lines)))
	},
	"totals": func(t *chunk.Totals, lines []string, spill int) error {
		newer := chunk.NewTotals(spill)
		err := scanAll(newer, lines)
		t.Merge(newer)
		return err
	},
	"encoded totals": func(t *chunk.Totals, lines []string, spill int) error {
		newer := chunk.NewTotals(spill)
		return errors.Join(scanAll(newer, lines), t.Append(newer.Encode()))
	},
}

func scanAll(t *chunk.Totals, lines []string) error {
	for _, line := range lines {
		if err := t.Scan([]byte(line)); err != nil && !errors.Is(err, chunk.ErrNotObject) {
			return err
		}
	}
	return nil
}

// checkTotals adds lines in every way, cut in two, and compares with one pass.
func checkTotals(t *testing.T, lines []string, at, spill int) {
	t.Helper()
	want := describe(statsOf(lines))
	for first, add := range waysToAdd {
		for second, addMore := range waysToAdd {
			totals := chunk.NewTotals(spill)
			if err := errors.Join(add(totals, lines[:at], spill), addMore(totals, lines[at:], spill)); err != nil {
				t.Fatal(err)
			}
			recalled, err := chunk.RecallTotals(totals.Encode())
			if err != nil {
				t.Fatal(err)
			}
			for form, got := range map[string]string{"": describeTotals(totals), ", encoded": describeTotals(recalled)} {
				if got != want {
					t.Fatalf("%q, cut at %d, %s and %s, %d at once%s: got\n%s\nwant\n%s", lines, at, first, second, spill, form, got, want)
				}
			}
		}
	}
}

func TestTotalsEqualOnePass(t *testing.T) {
	for name, lines := range map[string][]string{
		"none":                   {},
		"mixed":                  {`{"_step":1,"x":1,"y":"a"}`, `{"_step":2,"x":3}`, `not json`, `{"x":3,"z":{"w":NaN}}`, `{"_step":9,"x":2,"y":2}`, `{"_step":4,"z":{"w":7}}`},
		"names in order":         {`{"a":1,"b":2,"c":3}`, `{"a":2,"b":1,"d":3}`},
		"names at random":        {`{"c":1,"a":2,"b":3,"_step":0}`, `{"b":2,"_step":1,"d":1,"a":3}`, `{"aa":1,"":2}`},
		"a name twice":           {`{"x":5,"a":1,"x":2}`, `{"x":1,"x":"t","x":7}`},
		"long tokens":            {`{"x":"` + strings.Repeat("t", 50) + `"}`, `{"x":` + strings.Repeat("7", 45) + `}`, `{"x":1}`},
		"names that begin alike": {manyNames(2), manyNames(3)},
		"not finite":             {`{"x":-Infinity}`, `{"x":Infinity,"y":NaN}`, `{"x":1e400,"y":-0.0}`},
		"no objects":             {`[]`, ``, `1`},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range len(lines) + 1 {
				for _, spill := range []int{1, 2, 3, 100} {
					checkTotals(t, lines, at, spill)
				}
			}
		})
	}
}

// manyNames is a line with names that are alike for eight bytes and more, and end where others go on.
func manyNames(value int) string {
	line := "{"
	for i := range 40 {
		for _, name := range []string{"layer/%d", "layer/%d/norm", "layer/%d/norm/of/the/weights", strings.Repeat("long/", 30) + "%d", "%d"} {
			line += fmt.Sprintf(`"`+name+`":%d,`, 39-i, value)
		}
	}
	return line + `"layer/1":7,"_step":1,"layer\u0000":3,"layer":4,"":5}`
}

func FuzzTotals(f *testing.F) {
	f.Add("{\"b\":1,\"a\":2}\n{\"a\":3}\n{\"c\":{\"d\":4},\"b\":0.5}", 1, 1)
	f.Add("{\"a\":1,\"_step\":3}\n{\"a\":NaN}\n{\"a\":\"x\",\"a\":2}", 2, 2)
	f.Fuzz(func(t *testing.T, text string, at, spill int) {
		lines := strings.Split(text, "\n")
		if len(lines) > 50 || at < 0 || at > len(lines) || spill < 1 {
			return
		}
		checkTotals(t, lines, at, spill)
	})
}

func FuzzDecodeTotals(f *testing.F) {
	s := statsOf([]string{`{"_step":1,"loss":0.1,"a":{"b":"x"},"m":null,"i":-Infinity}`, `{"_step":2,"loss":0.3,"a":{"b":7},"i":4}`})
	f.Add(chunk.EncodeStats(s))
	sorted := chunk.NewTotals(1)
	sorted.Add(s)
	f.Add(sorted.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		totals, err := chunk.DecodeTotals(b)
		stats, statsErr := chunk.DecodeStats(b)
		if (err == nil) != (statsErr == nil) {
			t.Fatalf("as totals %v, as statistics %v", err, statsErr)
		}
		if err == nil && describeTotals(totals) != describe(stats) {
			t.Fatalf("got\n%s\nwant\n%s", describeTotals(totals), describe(stats))
		}
	})
}

// wideLine has so many keys at random places, each with the same value.
func wideLine(random *rand.Rand, keys int, prefix string, value int) []byte {
	line := []byte("{")
	for _, key := range random.Perm(keys) {
		line = fmt.Appendf(line, `"%s%06d":%d,`, prefix, key, value)
	}
	return fmt.Appendf(line, `"_step":%d}`, value)
}

func TestTotalsOfWideLines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	const keys, lines = 20_000, 3
	var totals chunk.Totals
	for value := range lines {
		if err := totals.Scan(wideLine(random, keys, "layer/", value)); err != nil {
			t.Fatal(err)
		}
	}
	if totals.Len() != keys+1 || totals.Wide || totals.Lines != lines {
		t.Fatalf("%d keys of %d lines, wide %t", totals.Len(), totals.Lines, totals.Wide)
	}
	at := -1
	for name, k := range totals.Keys() {
		want := fmt.Sprintf("layer/%06d", at)
		if at < 0 {
			want = "_step"
		}
		if got := describeKey(string(name), k); got != want+" number:3 first=0 last=2 min=0 max=2 monotonic" {
			t.Fatalf("got %s, want %s", got, want)
		}
		at++
	}
}

func TestTotalsAreBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	for name, test := range map[string]struct {
		lines [][]byte
		wide  bool
	}{
		"as many keys as there may be":  {[][]byte{wideLine(random, chunk.MaxTotals-1, "k", 1)}, false},
		"one more":                      {[][]byte{wideLine(random, chunk.MaxTotals, "k", 1)}, true},
		"one more in another line":      {[][]byte{wideLine(random, chunk.MaxTotals-1, "k", 1), []byte(`{"z":1}`)}, true},
		"a long name":                   {[][]byte{[]byte(`{"` + strings.Repeat("k", chunk.MaxKeyLength+1) + `":1}`)}, true},
		"names of 16 MB in three lines": {[][]byte{wideLine(random, 6000, "a"+strings.Repeat("k", 900), 1), wideLine(random, 6000, "b"+strings.Repeat("k", 900), 2), wideLine(random, 6000, "c"+strings.Repeat("k", 900), 3)}, true},
		"names of 11 MB":                {[][]byte{wideLine(random, 6000, "a"+strings.Repeat("k", 900), 1), wideLine(random, 6000, "b"+strings.Repeat("k", 900), 2)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var totals chunk.Totals
			for _, line := range test.lines {
				if err := totals.Scan(line); err != nil {
					t.Fatal(err)
				}
			}
			keys := totals.Len()
			again, err := chunk.DecodeTotals(totals.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if totals.Wide != test.wide || again.Wide != test.wide || again.Len() != keys || (keys == 0) != test.wide || again.Lines != int64(len(test.lines)) {
				t.Errorf("wide %t, with %d keys; read again %t, %d keys and %d lines; want %t", totals.Wide, keys, again.Wide, again.Len(), again.Lines, test.wide)
			}
		})
	}
}
