package segment

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// readFrom reads ranges of an object.
func readFrom(object []byte) func(offset, length int64) ([]byte, error) {
	return func(offset, length int64) ([]byte, error) {
		if offset < 0 || length < 0 || offset+length > int64(len(object)) {
			return nil, fmt.Errorf("%d bytes at %d of %d", length, offset, len(object))
		}
		return object[offset : offset+length], nil
	}
}

// curves returns those of a key in all blocks; nil for a block without one.
func curves(t *testing.T, object []byte, f *Footer, key string) []*Curve {
	t.Helper()
	o, err := f.ReadOutline(int64(len(object)), readFrom(object))
	if err != nil || o == nil {
		t.Fatalf("read the outline: %v, %v", o, err)
	}
	offset, length := o.Range(f.Columns(key)[0])
	raw, err := o.Curves(object[offset : offset+length])
	if err != nil {
		t.Fatal(err)
	}
	found := make([]*Curve, len(raw))
	for block, b := range raw {
		if len(b) == 0 {
			continue
		}
		info := f.Blocks[block]
		line := func(row int) int64 { return info.FirstLine + int64(row) }
		if found[block], err = DecodeCurve(b, info.Rows, Firsts(info.Rows, line)); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func text(c *Curve) []string {
	var marks []string
	for i, row := range c.Rows {
		marks = append(marks, strconv.Itoa(int(row))+":"+string(c.Values.Append(nil, i)))
	}
	return marks
}

func TestCurvesAreThinnedOut(t *testing.T) {
	lines := make([]string, 200)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"_step":%d,"x":%d`, i, (i*37)%200-100)
		if i%3 == 1 {
			lines[i] += fmt.Sprintf(`,"y":%v`, float64(i)/4)
		}
		if i > 150 {
			lines[i] += `,"z":NaN`
		}
		if i == 7 {
			lines[i] += `,"text":"t"`
		}
		lines[i] += "}"
	}
	object, f := assemble(t, lines[:100], lines[100:])
	// Lines 64, 128 and 192 begin new stretches; the second block begins at line 100.
	want := map[string][][]string{
		"x":    {{"0:-100", "64:68", "0:-100", "27:99", "99:-37"}, {"0:0", "28:36", "92:4", "73:-99", "8:96", "99:63"}},
		"y":    {{"1:0.25", "64:16", "1:0.25", "97:24.25", "97:24.25"}, {"0:25", "30:32.5", "93:48.25", "0:25", "99:49.75", "99:49.75"}},
		"z":    {nil, {"51:NaN", "92:NaN", "99:NaN", "99:NaN", "99:NaN"}},
		"text": {nil, nil},
	}
	check := func(object []byte, f *Footer) {
		t.Helper()
		for key, blocks := range want {
			for block, c := range curves(t, object, f, key) {
				var got []string
				if c != nil {
					got = text(c)
				}
				if !slices.Equal(got, blocks[block]) {
					t.Errorf("%s in block %d is %v, want %v", key, block, got, blocks[block])
				}
			}
		}
	}
	check(object, f)
	// Copied blocks take their curves along; those of a segment without any stay without.
	whole, err := f.WholeOutline(int64(len(object)), readFrom(object))
	if err != nil {
		t.Fatal(err)
	}
	merged, mf := write(t, []Part{{Footer: f, Index: 0, Outline: whole}, {Footer: f, Index: 1, Outline: whole}}, object)
	check(merged, mf)
	bare, bf := write(t, []Part{{Footer: f, Index: 0}}, object)
	if o, err := bf.ReadOutline(int64(len(bare)), readFrom(bare)); o != nil || err != nil {
		t.Errorf("a segment of old blocks has the outline %v, %v", o, err)
	}
	mixed, xf := write(t, []Part{{Footer: f, Index: 0}, {Footer: f, Index: 1, Outline: whole}}, object)
	if got := curves(t, mixed, xf, "x"); got[0] != nil || got[1] == nil {
		t.Errorf("of an old and a new block the curves are %v", got)
	}
}

func TestBlocksOutOfOrderHaveNoCurves(t *testing.T) {
	for sentence, add := range map[string]func(b *Builder){
		"steps that fall":         func(b *Builder) { b.Add(0, 1, []byte(`{"_step":1,"x":1}`)); b.Add(1, 0, []byte(`{"_step":0,"x":1}`)) },
		"a step that comes again": func(b *Builder) { b.Add(0, 1, []byte(`{"_step":1,"x":1}`)); b.Add(1, 1, []byte(`{"_step":1,"x":1}`)) },
		"a line without a step":   func(b *Builder) { b.Add(0, -1, []byte(`{"x":1}`)); b.Add(1, 1, []byte(`{"_step":1,"x":1}`)) },
		"a line that is kept as it is": func(b *Builder) {
			b.Add(0, 0, []byte(`{"_step":0,"x":1}`))
			b.Add(1, 1, []byte(`{"_step":1,"x":1,"x":2}`))
		},
	} {
		var b Builder
		add(&b)
		object, f := write(t, []Part{{Block: b.Block(nil)}})
		if o, err := f.ReadOutline(int64(len(object)), readFrom(object)); o != nil || err != nil {
			t.Errorf("%s: %v, %v", sentence, o, err)
		}
	}
}

func FuzzOutline(f *testing.F) {
	seed := &testing.T{}
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf(`{"_step":%d,"x":%v,"y%d":1}`, 2*i, math.Sqrt(float64(i)), i%2))
	}
	object, footer := assemble(seed, lines)
	f.Add(object[footer.End():], 200)
	f.Fuzz(func(t *testing.T, b []byte, rows int) {
		read := func(offset, length int64) ([]byte, error) { return readFrom(b)(offset-footer.End(), length) }
		if o, err := footer.WholeOutline(footer.End()+int64(len(b)), read); err == nil && o != nil {
			for column := keyColumns; column < footer.All(); column++ {
				if offset, length := o.Range(column); offset < footer.End() || length < 0 || offset+length > footer.End()+int64(len(b)) {
					t.Errorf("column %d has %d bytes at %d", column, length, offset)
				}
			}
		}
		if rows < 1 || rows > BlockRows {
			return
		}
		c, err := DecodeCurve(b, rows, Firsts(rows, func(row int) int64 { return int64(row) }))
		if err != nil {
			return
		}
		for i, row := range c.Rows {
			if row < 0 || int(row) >= rows {
				t.Errorf("mark %d is in row %d of %d", i, row, rows)
			}
			c.Values.Append(nil, i)
		}
	})
}

func TestCurvesOfAChunk(t *testing.T) {
	var stats chunk.Stats
	stats.Sketch(1000)
	for i := range 40 {
		if err := chunk.Scan(fmt.Appendf(nil, `{"_step":%d,"x":%v,"s":"t"}`, 3*i, float64(i*i)/8), &stats); err != nil {
			t.Fatal(err)
		}
	}
	o, err := chunk.DecodeOutline(chunk.EncodeOutline(&stats, 40), 1000, func([]byte) bool { return true })
	if err != nil || o.Lines != 40 || o.Steps[39] != 117 {
		t.Fatalf("%+v, %v", o, err)
	}
	for i := range o.Keys {
		m := &o.Keys[i]
		want := map[string][]string{
			"_step": {"0:0", "24:72", "0:0", "39:117", "39:117"}, // line 1024 begins a new stretch
			"x":     {"0:0", "24:72", "0:0", "39:190.125", "39:190.125"},
		}[m.Name]
		if m.Count == 0 {
			if want != nil {
				t.Errorf("%s has no marks", m.Name)
			}
			continue
		}
		if got := text(CurveOf(m)); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", m.Name, got, want)
		}
	}
}
