package segment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// stripLine is a line of members of all kinds but dicts, most of them in most lines.
func stripLine(r *rand.Rand, step int) []byte {
	single := func(scale float32) string {
		return strconv.FormatFloat(float64(r.Float32()*scale), 'f', -1, 64)
	}
	odd := []string{"NaN", "1e-05", "-Infinity", "0", "-0", "1.50", "12345678901234567890", "null", `"text"`, "[1, 2]"}
	members := []string{fmt.Sprintf(`"_step":%d`, step)}
	for name, value := range map[string]string{
		"small": single(1e-5), "loss": single(1), "large": single(1e8), "count": fmt.Sprint(r.IntN(100) - 50), "time": fmt.Sprint(1.7e9 + r.Float64()),
		"rounded": fmt.Sprint(float64(r.IntN(1000)) / 1000), "flag": "true", "mixed": single(10), "late": fmt.Sprint(step),
	} {
		if name == "mixed" && r.IntN(20) == 0 {
			value = odd[r.IntN(len(odd))]
		}
		if name == "late" && step > 60 {
			value = single(1)
		}
		if r.IntN(10) > 0 {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return []byte("{" + string(bytes.Join(byteSlices(members), []byte(","))) + "}")
}

func byteSlices(texts []string) [][]byte {
	out := make([][]byte, len(texts))
	for i, text := range texts {
		out[i] = []byte(text)
	}
	return out
}

// TestColumnsMakeTheSameBlock compares blocks made from the columns of chunks with those made from their lines.
func TestColumnsMakeTheSameBlock(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 9))
		var fast, slow Builder
		next := 0
		for range 1 + r.IntN(6) {
			lines := make([][]byte, 4+r.IntN(60))
			for i := range lines {
				lines[i] = stripLine(r, next+i)
			}
			n, columns, err := chunk.Split(chunk.Encode(lines), nil)
			if err != nil || columns == nil {
				t.Fatalf("no columns: %v", err)
			}
			if !fast.AddColumns(int64(next), n, columns) {
				t.Fatalf("the columns of %q do not do", lines)
			}
			for i, line := range lines {
				step, _ := chunk.Step(line)
				slow.Add(int64(next+i), step, line)
			}
			next += len(lines)
		}
		got, want := fast.Block(nil), slow.Block(nil)
		if !slices.Equal(got.Paths, want.Paths) || !slices.EqualFunc(got.Columns, want.Columns, bytes.Equal) || fmt.Sprint(got.Info) != fmt.Sprint(want.Info) {
			t.Fatalf("seed %d: the blocks differ: %v and %v", seed, got.Paths, want.Paths)
		}
	}
}

// TestOnlyTheLinesTell shows what is not split into columns.
func TestOnlyTheLinesTell(t *testing.T) {
	for sentence, line := range map[string]string{
		"a name that is there twice": `{"_step":1,"a":1,"a":2}`,
		"a dict":                     `{"_step":1,"a":{"b":2}}`,
		"an escape in a name":        `{"_step":1,"a\u0062":2}`,
		"no step":                    `{"a":2}`,
		"a step that is none":        `{"_step":-1,"a":2}`,
		"a step with a fraction":     `{"_step":1.5,"a":2}`,
		"white space":                `{"_step": 1}`,
		"no object":                  `[1]`,
	} {
		lines := slices.Repeat([][]byte{[]byte(`{"_step":7,"a":0.5}`)}, 8)
		lines[5] = []byte(line)
		var b Builder
		n, columns, err := chunk.Split(chunk.Encode(lines), nil)
		if err != nil || columns != nil && b.AddColumns(0, n, columns) {
			t.Errorf("%s: %d columns, %v", sentence, len(columns), err)
		}
	}
}

// BenchmarkAdd makes blocks of a training loop's lines from columns and from lines, per line.
func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	lines := make([][]byte, 50)
	for i := range lines {
		lines[i] = stripLine(r, i)
	}
	body := chunk.Encode(lines)
	for name, add := range map[string]func(to *Builder) error{
		"columns": func(to *Builder) error {
			n, columns, err := chunk.Split(body, nil)
			if err == nil && !to.AddColumns(0, n, columns) {
				err = ErrCorrupt
			}
			return err
		},
		"lines": func(to *Builder) error {
			texts, err := chunk.Decode(body)
			for i, text := range texts {
				step, _ := chunk.Step(text)
				to.Add(int64(i), step, text)
			}
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var builder Builder
			for b.Loop() {
				if err := add(&builder); err != nil {
					b.Fatal(err)
				}
				if builder.Full() {
					builder = Builder{}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/line")
		})
	}
}

// TestABlockDependsOnItsRowsAlone makes blocks with the memory of others, of more and of fewer columns, in order and not.
func TestABlockDependsOnItsRowsAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	var used Builder
	for n := range 60 {
		var fresh Builder
		start, disorder := r.IntN(100), r.IntN(3) == 0
		for i := range 1 + r.IntN(200) {
			step := start + i
			if disorder {
				step = r.IntN(300)
			}
			line := stripLine(r, step)
			if r.IntN(50) == 0 {
				line = []byte("no object")
			}
			for _, b := range []*Builder{&used, &fresh} {
				b.Add(int64(i), int64(step), line)
			}
		}
		if n%20 == 19 { // more columns than are kept
			var members []string
			for i := range maxSpare + 1 {
				members = append(members, fmt.Sprintf(`"wide%d":%d`, i, i))
			}
			for _, b := range []*Builder{&used, &fresh} {
				b.Add(1000, 1000, []byte("{"+strings.Join(members, ",")+"}"))
			}
		}
		if got, want := used.Block(nil), fresh.Block(nil); !reflect.DeepEqual(got, want) {
			t.Fatalf("block %d, with the memory of those before it, is another one", n)
		}
	}
}
