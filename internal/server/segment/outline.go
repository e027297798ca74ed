package segment

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// The outline of a segment stands between its columns and its footer, where programs that do not know it never look. It holds
// the curves of each key in each block, key by key, and behind them an index:
//
//	curves of the first path: for each block the length of a record and the record, empty for none
//	curves of the second path …
//	index: a version, a section with the shape of each block, and the length of each path's curves
//	the length of the index in four bytes

// OutlineLevel is how far curves are thinned out: of 2^OutlineLevel consecutive lines they have the first value.
const OutlineLevel = 6

const (
	outlineVersion = 1
	outlineTrailer = 4
)

// shape says what is known of where the rows of a block stand.
type shape byte

const (
	shapeNone    shape = iota // there are no curves
	shapeEven                 // lines count up by one, and steps evenly
	shapeOrdered              // lines and steps ascend
)

// Curve is a key in the rows of a block, thinned out.
type Curve struct {
	// Count is the number of values. Keys of the same rows have the same Count and Pattern.
	Count   int
	Pattern uint64
	// Rows are where marks stand: the first value of each 2^OutlineLevel lines, and behind those, in this order, the lowest
	// number, the highest, and the last value. Where no value is a number, those two are any.
	Rows []int32
	// Values are those of the marks.
	Values *Values
}

// Firsts is the number of marks before the lowest, the highest and the last.
func (c *Curve) Firsts() int { return len(c.Rows) - chunk.ExtraMarks }

// outline is what a new block adds to that of its segment.
type outline struct {
	shape  shape
	curves [][]byte // by path
}

// shapeOf looks at rows in their order.
func shapeOf(lines, steps []int64) shape {
	even := true
	for i := range lines {
		switch {
		case steps[i] < 0:
			return shapeNone
		case i == 0:
		case steps[i] <= steps[i-1] || lines[i] <= lines[i-1]:
			return shapeNone
		default:
			even = even && lines[i] == lines[i-1]+1 && steps[i]-steps[i-1] == steps[1]-steps[0]
		}
	}
	if even {
		return shapeEven
	}
	return shapeOrdered
}

// outlineOf makes the curves of columns; columns that hold anything but numbers have none.
func outlineOf(columns []*column, lines, steps []int64) outline {
	o := outline{shape: shapeOf(lines, steps)}
	if o.shape == shapeNone {
		return outline{}
	}
	o.curves = make([][]byte, len(columns))
	for i, c := range columns {
		if c.format != formatText {
			o.curves[i] = c.curve(lines)
		}
	}
	return o
}

// curve encodes the curve of a column of numbers.
func (c *column) curve(lines []int64) []byte {
	var marks []int32 // places among the values
	low, high, bucket := 0, 0, int64(-1)
	for i, row := range c.rows {
		if b := lines[row] >> OutlineLevel; b != bucket {
			bucket, marks = b, append(marks, int32(i)) // a block has few rows
		}
		if v := c.number(i); v < c.number(low) || math.IsNaN(c.number(low)) {
			low = i
		}
		if v := c.number(i); v > c.number(high) || math.IsNaN(c.number(high)) {
			high = i
		}
	}
	firsts := len(marks)
	marks = append(marks, int32(low), int32(high), int32(len(c.rows)-1)) // a block has few rows
	thin := column{format: c.format}
	for _, at := range marks {
		thin.rows = append(thin.rows, c.rows[at])
		if c.format == formatInt {
			thin.ints = append(thin.ints, c.ints[at])
		} else {
			thin.floats = append(thin.floats, c.floats[at])
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(c.rows))) // never negative
	if len(c.rows) < len(lines) {
		b = binary.LittleEndian.AppendUint64(b, pattern(c.rows))
		b = appendRows(b, thin.rows[:firsts])
	}
	for _, row := range thin.rows[firsts:] {
		b = binary.AppendUvarint(b, uint64(row)) // never negative
	}
	return thin.encode(b, len(marks))
}

// number is what a value of a column of numbers compares as.
func (c *column) number(i int) float64 {
	if c.format == formatInt {
		return float64(c.ints[i])
	}
	return c.floats[i]
}

// pattern is the same for the same rows, and almost never for others.
func pattern(rows []int32) uint64 {
	var sum uint64
	for _, row := range rows {
		sum += chunk.Pattern(row)
	}
	return sum
}

func appendRows(b []byte, rows []int32) []byte {
	raw := binary.AppendUvarint(make([]byte, 0, 1+2*len(rows)), uint64(len(rows))) // never negative
	last := int32(0)
	for _, row := range rows {
		raw = binary.AppendUvarint(raw, uint64(row-last)) // they ascend
		last = row
	}
	return appendSection(b, raw)
}

// appendOutline writes the outline of blocks; nothing where none has one.
func appendOutline(b []byte, parts []Part, paths []string) []byte {
	shapes := make([]byte, len(parts))
	for i := range parts {
		shapes[i] = byte(parts[i].shape())
	}
	if !slices.ContainsFunc(shapes, func(s byte) bool { return shape(s) != shapeNone }) {
		return b
	}
	index := appendSection([]byte{outlineVersion}, shapes)
	for _, path := range paths {
		start := len(b)
		for i := range parts {
			curve := parts[i].curve(path)
			b = append(binary.AppendUvarint(b, uint64(len(curve))), curve...)
		}
		index = binary.AppendUvarint(index, uint64(len(b)-start)) // never negative
	}
	b = append(b, index...)
	return binary.LittleEndian.AppendUint32(b, uint32(len(index))) // far less than 4 GiB
}

func (p *Part) shape() shape {
	switch {
	case p.Block != nil:
		return p.Block.outline.shape
	case p.Outline != nil:
		return p.Outline.shapes[p.Index]
	}
	return shapeNone
}

func (p *Part) curve(path string) []byte {
	if p.shape() == shapeNone {
		return nil
	}
	at, found := slices.BinarySearch(p.paths(), path)
	switch {
	case !found:
		return nil
	case p.Block != nil:
		return p.Block.outline.curves[at]
	}
	return p.Outline.curves[at][p.Index]
}

// Outline says where the curves of a segment are.
type Outline struct {
	shapes []shape
	// ends are where the curves of each path end in the segment; start is where the first begin.
	start int64
	ends  []int64
	// curves are there where the whole outline was read: by path and block.
	curves [][][]byte
}

// likelyIndex is how many bytes before the footer mostly hold the index.
const likelyIndex = 16 << 10

// ReadOutline reads where curves are, given where the footer begins and how to read a range of the segment; nil where the
// segment has none.
func (f *Footer) ReadOutline(footerAt int64, read func(offset, length int64) ([]byte, error)) (*Outline, error) {
	size := footerAt - f.End()
	if size <= 0 {
		return nil, nil
	}
	have := min(size, likelyIndex)
	b, err := read(footerAt-have, have)
	if err != nil {
		return nil, err
	}
	if have < outlineTrailer {
		return nil, ErrCorrupt
	}
	length := int64(binary.LittleEndian.Uint32(b[have-outlineTrailer:])) + outlineTrailer
	if length > size {
		return nil, ErrCorrupt
	}
	if length > have {
		if b, err = read(footerAt-length, length); err != nil {
			return nil, err
		}
		have = length
	}
	return f.parseOutline(b[have-length:have-outlineTrailer], size-length)
}

// WholeOutline is ReadOutline for who needs all curves.
func (f *Footer) WholeOutline(footerAt int64, read func(offset, length int64) ([]byte, error)) (*Outline, error) {
	size := footerAt - f.End()
	if size <= 0 {
		return nil, nil
	}
	all, err := read(f.End(), size)
	if err != nil {
		return nil, err
	}
	o, err := f.ReadOutline(footerAt, func(offset, length int64) ([]byte, error) {
		from := offset - f.End()
		return all[from : from+length], nil
	})
	if err != nil {
		return nil, err
	}
	o.curves = make([][][]byte, len(o.ends))
	for i := range o.curves {
		offset, length := o.Range(keyColumns + i)
		from := offset - f.End()
		if o.curves[i], err = o.Curves(all[from : from+length]); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// parseOutline reads an index. The curves before it have so many bytes.
func (f *Footer) parseOutline(index []byte, size int64) (*Outline, error) {
	r := &reader{rest: index}
	if r.byte() != outlineVersion {
		return nil, ErrCorrupt
	}
	shapes := r.section()
	if len(shapes) != len(f.Blocks) {
		return nil, ErrCorrupt
	}
	o := &Outline{shapes: make([]shape, len(shapes)), start: f.End(), ends: make([]int64, len(f.paths))}
	for i, s := range shapes {
		if o.shapes[i] = shape(s); o.shapes[i] > shapeOrdered {
			r.fail()
		}
	}
	end := o.start
	for i := range o.ends {
		end += int64(r.count(maxSection))
		o.ends[i] = end
	}
	if end != o.start+size {
		r.fail()
	}
	return o, r.err("an outline")
}

// Size is about how many bytes of memory the outline takes, without curves.
func (o *Outline) Size() int { return 64 + len(o.shapes) + 8*len(o.ends) }

// Has tells whether the rows of a block ascend by step and line, so that it has curves.
func (o *Outline) Has(block int) bool { return o.shapes[block] != shapeNone }

// Range is where the curves of a column lie.
func (o *Outline) Range(column int) (offset, length int64) {
	offset = o.start
	if i := column - keyColumns; i > 0 {
		offset = o.ends[i-1]
	}
	return offset, o.ends[column-keyColumns] - offset
}

// Curves takes the curves of a column apart, by block.
func (o *Outline) Curves(b []byte) ([][]byte, error) {
	r := &reader{rest: b}
	curves := make([][]byte, len(o.shapes))
	for i := range curves {
		curves[i] = r.bytes(r.count(len(r.rest)))
	}
	return curves, r.err("the curves of a column")
}

// Even tells how the lines and the steps of a block count up. It is false where only its columns tell.
func (o *Outline) Even(block int, info BlockInfo) (by int64, even bool) {
	if o.shapes[block] != shapeEven {
		return 0, false
	}
	if info.Rows > 1 {
		by = (info.MaxStep - info.MinStep) / int64(info.Rows-1)
	}
	return by, true
}

// DecodeCurve reads the curve of a column in a block with so many rows. firsts are the first rows of each 2^OutlineLevel lines.
func DecodeCurve(b []byte, rows int, firsts []int32) (*Curve, error) {
	r := &reader{rest: b}
	c := &Curve{Count: r.count(rows)}
	if c.Count == rows {
		c.Rows = append(make([]int32, 0, len(firsts)+chunk.ExtraMarks), firsts...)
	} else {
		if sum := r.bytes(8); sum != nil {
			c.Pattern = binary.LittleEndian.Uint64(sum)
		}
		c.Rows = r.rows(rows)
	}
	for range chunk.ExtraMarks {
		c.Rows = append(c.Rows, int32(r.count(rows-1))) // few rows
	}
	if r.bad || c.Count == 0 || c.Firsts() == 0 {
		return nil, ErrCorrupt
	}
	var err error
	c.Values, err = DecodeColumn(r.rest, len(c.Rows))
	if err == nil && (c.Values.format == formatText || c.Values.has != nil) {
		err = ErrCorrupt
	}
	return c, err
}

// rows reads what appendRows wrote.
func (r *reader) rows(limit int) []int32 {
	in := &reader{rest: r.section()}
	rows := make([]int32, in.count(limit), limit+chunk.ExtraMarks)
	last := 0
	for i := range rows {
		last += in.count(limit - 1 - last)
		rows[i] = int32(last) // few rows
	}
	if in.bad || len(in.rest) > 0 {
		r.fail()
	}
	return rows
}

// Firsts are the first rows of each 2^OutlineLevel lines, given the line of each row.
func Firsts(rows int, line func(row int) int64) []int32 {
	var firsts []int32
	bucket := int64(-1)
	for row := range rows {
		if b := line(row) >> OutlineLevel; b != bucket {
			bucket, firsts = b, append(firsts, int32(row)) // few rows
		}
	}
	return firsts
}

// IsWhole tells that every value is a whole number, written as strconv writes it.
func (v *Values) IsWhole() bool { return v.format == formatInt }

// CurveOf returns the curve of a key of a chunk.
func CurveOf(m *chunk.Marks) *Curve {
	return &Curve{Count: m.Count, Pattern: m.Pattern, Rows: m.Values.Rows, Values: valuesOf(len(m.Values.Rows), &m.Values)}
}
