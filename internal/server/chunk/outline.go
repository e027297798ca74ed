package chunk

import (
	"encoding/binary"
	"math"
	"slices"
)

const (
	// OutlineLevel is how far an outline is thinned out: of 2^OutlineLevel consecutive lines it has the first value of each key.
	OutlineLevel = 5
	// OutlineLines is how many lines a chunk has whose outline is worth keeping: of fewer the body is as soon read.
	OutlineLines = 128
)

// Outline is what a chart of many rows needs to know of a chunk. Its lines ascend by step.
type Outline struct {
	Lines int
	// Steps are those of the lines.
	Steps []int64
	Keys  []Marks
}

// Marks are the values of one key in an outline.
type Marks struct {
	// Name is the path of the key, as that of Key.
	Name string
	// Count is the number of values; 0 for a key that is no number everywhere, of which only the lines tell.
	Count int
	// Pattern is the same for keys that the same lines have.
	Pattern uint64
	// Values are those that are marked, at Rows of the chunk: the first of each 2^OutlineLevel lines, and behind those, in this
	// order, the lowest number, the highest, and the last value. Where no value is a number, those two are any.
	Values Column
}

// ExtraMarks is the number of marks behind the first values.
const ExtraMarks = 3

// Pattern is what a row adds to the Pattern of a key.
func Pattern(row int32) uint64 {
	x := uint64(row) + 0x9e3779b97f4a7c15 // never negative; the constants are those of splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sketch gathers an outline while lines are scanned.
type sketch struct {
	on    bool
	first int64 // line
	// bucket is that of the line that is being scanned, pattern what it adds.
	bucket  int64
	pattern uint64
	steps   []int64
	marks   []mark
	text    []byte
}

// mark is a value that stands in text.
type mark struct {
	key, row int32
	from, to int
}

// Sketch lets the lines that follow, of which the first has this number, make an outline. It holds until Reset.
func (s *Stats) Sketch(first int64) {
	s.sketch.on, s.sketch.first = true, first
}

func (k *sketch) reset() {
	const most = 1 << 16 // of lines that are no longer than they must be
	if cap(k.steps) > most || cap(k.text) > MaxRaw {
		*k = sketch{}
	}
	k.on = false
	k.steps, k.marks, k.text = k.steps[:0], k.marks[:0], k.text[:0]
}

// line notes the step of a line that is going to be counted. Unless each is higher than the one before, there is no outline.
func (k *sketch) line(step int64) {
	row := int32(len(k.steps)) // a chunk has fewer
	if step < 0 || row > 0 && step <= k.steps[row-1] {
		k.on = false
		return
	}
	k.bucket, k.pattern = (k.first+int64(row))>>OutlineLevel, Pattern(row)
	k.steps = append(k.steps, step)
}

// note marks a value if it is the first of its key in these lines.
func (k *sketch) note(key *Key, at int32, c *cell) {
	if c.kind != Number || len(c.token) > MaxToken {
		key.opaque = true
		return
	}
	key.pattern += k.pattern
	if key.marked && key.bucket == k.bucket {
		return
	}
	key.bucket, key.marked = k.bucket, true
	from := len(k.text)
	k.text = append(k.text, c.token...)
	k.marks = append(k.marks, mark{at, int32(len(k.steps) - 1), from, len(k.text)}) // a chunk has fewer
}

const outlineVersion = 1

// EncodeOutline writes the outline of so many lines, all that were scanned since Sketch; nil where they have none.
func EncodeOutline(s *Stats, lines int) []byte {
	k := &s.sketch
	if !k.on || s.Wide || len(k.steps) != lines || lines == 0 {
		return nil
	}
	buffer := scratch.Get().(*[]byte)
	raw := binary.AppendUvarint((*buffer)[:0], uint64(lines)) // never negative
	last := int64(0)
	for _, step := range k.steps {
		raw = binary.AppendUvarint(raw, uint64(step-last)) // they ascend from 0
		last = step
	}
	raw = binary.AppendUvarint(raw, uint64(len(s.keys)))
	slices.SortStableFunc(k.marks, func(a, b mark) int { return int(a.key) - int(b.key) })
	marks := k.marks
	for i := range s.keys {
		n := 0
		for n < len(marks) && int(marks[n].key) == i {
			n++
		}
		raw = k.append(raw, &s.keys[i], marks[:n])
		marks = marks[n:]
	}
	out := pack(outlineVersion, raw)
	if cap(raw) <= keepScratch {
		*buffer = raw
		scratch.Put(buffer)
	}
	return out
}

// append writes the marks of a key.
func (k *sketch) append(b []byte, key *Key, marks []mark) []byte {
	b = binary.AppendUvarint(b, uint64(len(key.Name)))
	b = append(b, key.Name...)
	count := key.Count()
	if key.opaque {
		return binary.AppendUvarint(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(count)) // never negative
	if count < int64(len(k.steps)) {
		b = binary.LittleEndian.AppendUint64(b, key.pattern)
		b = binary.AppendUvarint(b, uint64(len(marks)))
		last := int32(0)
		for _, m := range marks {
			b = binary.AppendUvarint(b, uint64(m.row-last)) // they ascend
			last = m.row
		}
	}
	values := make([][]byte, 0, len(marks)+ExtraMarks)
	for _, m := range marks {
		values = append(values, k.text[m.from:m.to])
	}
	low, high := key.Min.Bytes(), key.Max.Bytes()
	if !key.Ranged {
		low, high, key.low, key.high = key.Last.Bytes(), key.Last.Bytes(), key.line, key.line
	}
	for _, line := range []int64{key.low, key.high, key.line} {
		b = binary.AppendUvarint(b, uint64(line-1)) // they are counted from 1
	}
	return appendColumn(b, append(values, low, high, key.Last.Bytes()))
}

// DecodeOutline reads what EncodeOutline has written of lines from first on, with the keys that keep wants.
func DecodeOutline(b []byte, first int64, keep func(name []byte) bool) (*Outline, error) {
	if len(b) == 0 || b[0] != outlineVersion {
		return nil, ErrCorrupt
	}
	raw, err := unpack(b[1:])
	if err != nil {
		return nil, err
	}
	r := reader{rest: raw}
	o := &Outline{Lines: r.lengthOf(math.MaxInt32)}
	o.Steps = make([]int64, o.Lines)
	last := int64(0)
	for i := range o.Steps {
		last += r.count()
		o.Steps[i] = last
	}
	var all []int32 // where keys of all lines are marked
	for row := range int32(o.Lines) {
		if at := first + int64(row); row == 0 || at>>OutlineLevel != (at-1)>>OutlineLevel {
			all = append(all, row)
		}
	}
	for range r.lengthOf(MaxKeys) {
		name := r.bytes(r.count())
		m := r.marks(o.Lines, all)
		if r.bad {
			break
		}
		if keep(name) {
			m.Name = string(name)
			o.Keys = append(o.Keys, m)
		}
	}
	return o, r.end()
}

// lengthOf reads a number of things of which each takes a byte at least.
func (r *reader) lengthOf(limit int64) int {
	n := r.count()
	if n > limit || n > int64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

// row reads a row of so many lines.
func (r *reader) row(lines int) int32 {
	n := r.count()
	if n >= int64(lines) {
		r.fail()
		return 0
	}
	return int32(n) // lines are fewer
}

// marks reads what append has written behind the name. all are the rows of keys that every line has.
func (r *reader) marks(lines int, all []int32) Marks {
	count := r.count()
	if count > int64(lines) {
		r.fail()
	}
	m := Marks{Count: int(count)} // at most lines
	if m.Count == 0 || r.bad {
		return m
	}
	rows := all
	if m.Count < lines {
		if sum := r.bytes(8); sum != nil {
			m.Pattern = binary.LittleEndian.Uint64(sum)
		}
		rows = make([]int32, r.lengthOf(int64(m.Count)))
		last := int32(0)
		for i := range rows {
			last += r.row(lines)
			rows[i] = last
			if last >= int32(lines) || i > 0 && last == rows[i-1] { // lines are fewer
				r.fail()
				return m
			}
		}
	}
	m.Values.Rows = append(make([]int32, 0, len(rows)+ExtraMarks), rows...)
	for range ExtraMarks {
		m.Values.Rows = append(m.Values.Rows, r.row(lines))
	}
	c := r.column(len(m.Values.Rows))
	if r.bad || len(rows) == 0 || !c.into(&m.Values) {
		r.fail()
	}
	return m
}
