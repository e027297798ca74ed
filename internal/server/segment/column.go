package segment

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"
)

// column is a key's values while a block is made.
type column struct {
	rows   []int32 // in ascending order
	format format
	ints   []int64
	floats []float64
	text   []byte
	ends   []uint32
	// scratch is where a number is written to compare it with its token.
	scratch []byte
}

// add appends the token of a row. The column is of the first format that gives back the text of every token.
func (c *column) add(row int32, token []byte) {
	if len(c.rows) == 0 {
		c.format = formatInt
	}
	c.rows = append(c.rows, row)
	switch c.format {
	case formatText:
		c.addText(token)
		return
	case formatInt:
		if v, ok := wholeToken(token); ok {
			c.ints = append(c.ints, v)
			return
		}
	default:
		v := number(token)
		if c.writes(c.format, v, token) {
			c.floats = append(c.floats, v)
			return
		}
	}
	c.change(token)
}

// clear removes all values and keeps their memory.
func (c *column) clear() {
	*c = column{
		rows: c.rows[:0], ints: c.ints[:0], floats: c.floats[:0], text: c.text[:0], ends: c.ends[:0], scratch: c.scratch,
	}
}

// wholeToken reads a number of 64 bits that is written as strconv writes it.
func wholeToken(token []byte) (int64, bool) {
	if len(token) == 0 || len(token) > 20 || (token[0] == '-' && len(token) > 1 && token[1] == '0') {
		return 0, false
	}
	v, err := strconv.ParseInt(alias(token), 10, 64)
	return v, err == nil && token[0] != '+' && (token[0] != '0' || len(token) == 1)
}

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// writes tells whether a format writes a value with this very text.
func (c *column) writes(f format, v float64, token []byte) bool {
	c.scratch = f.append(c.scratch[:0], v)
	return string(c.scratch) == string(token)
}

// change finds a format for the values so far and one more token.
func (c *column) change(token []byte) {
	v := number(token)
	for f := c.format + 1; f < formats; f++ {
		if c.writes(f, v, token) && c.all(f) {
			c.toFloats()
			c.format = f
			c.floats = append(c.floats, v)
			return
		}
	}
	c.toText()
	c.addText(token)
}

// all tells whether a format writes all values so far with their text.
func (c *column) all(f format) bool {
	const exact = 1 << 53
	var b []byte
	for _, v := range c.ints {
		if v > exact || v < -exact {
			return false
		}
		if b = strconv.AppendInt(b[:0], v, 10); !c.writes(f, float64(v), b) {
			return false
		}
	}
	for _, v := range c.floats {
		if b = c.format.append(b[:0], v); !c.writes(f, v, b) {
			return false
		}
	}
	return true
}

func (c *column) toFloats() {
	for _, v := range c.ints {
		c.floats = append(c.floats, float64(v))
	}
	c.ints = c.ints[:0]
}

func (c *column) toText() {
	for _, v := range c.ints {
		c.text = strconv.AppendInt(c.text, v, 10)
		c.ends = append(c.ends, uint32(len(c.text))) // a block is far shorter
	}
	for _, v := range c.floats {
		c.text = c.format.append(c.text, v)
		c.ends = append(c.ends, uint32(len(c.text))) // a block is far shorter
	}
	c.ints, c.floats, c.format = c.ints[:0], c.floats[:0], formatText
}

func (c *column) addText(token []byte) {
	c.text = append(c.text, token...)
	c.ends = append(c.ends, uint32(len(c.text))) // a block is far shorter
}

func (c *column) token(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}

// reorder moves every row to its rank.
func (c *column) reorder(rank []int32) {
	order := make([]int, len(c.rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(rank[c.rows[a]]) - int(rank[c.rows[b]]) })
	moved := column{format: c.format}
	for _, i := range order {
		moved.rows = append(moved.rows, rank[c.rows[i]])
		switch c.format {
		case formatText:
			moved.addText(c.token(i))
		case formatInt:
			moved.ints = append(moved.ints, c.ints[i])
		default:
			moved.floats = append(moved.floats, c.floats[i])
		}
	}
	*c = moved
}

// sparse marks a column that some rows of its block lack.
const sparse = 0x80

// encode appends the column of a block with so many rows.
func (c *column) encode(dst []byte, rows int) []byte {
	head := byte(c.format)
	if len(c.rows) < rows {
		head |= sparse
	}
	dst = append(dst, head)
	if head&sparse != 0 {
		has := make([]byte, (rows+7)/8)
		for _, row := range c.rows {
			has[row>>3] |= 1 << (row & 7)
		}
		dst = appendSection(dst, has)
	}
	switch c.format {
	case formatText:
		lengths := make([]byte, 0, len(c.ends)*2)
		last := uint32(0)
		for _, end := range c.ends {
			lengths = binary.AppendUvarint(lengths, uint64(end-last))
			last = end
		}
		return appendSection(appendSection(dst, lengths), c.text)
	case formatInt:
		return appendInts(dst, c.ints)
	default:
		return appendFloats(dst, c.floats)
	}
}

// appendInts writes differences, which are small for what counts up.
func appendInts(dst []byte, values []int64) []byte {
	raw := make([]byte, 0, 2*len(values))
	last := int64(0)
	for _, v := range values {
		raw = binary.AppendVarint(raw, v-last) // wraps around, and back when it is read
		last = v
	}
	return appendSection(dst, raw)
}

// How floats are stored: as whole numbers of 10^-scale where that is exact, which is scaleBase + scale, else by the eight
// bytes of each, all first ones before all second ones.
const (
	floatPlanes = 0
	scaleBase   = 1
	maxScale    = 15
)

func appendFloats(dst []byte, values []float64) []byte {
	if scale, ok := scaleOf(values); ok {
		scaled := make([]int64, len(values))
		for i, v := range values {
			scaled[i] = int64(math.Round(v * tens[scale]))
		}
		return appendInts(append(dst, byte(scaleBase+scale)), scaled)
	}
	dst = append(dst, floatPlanes)
	plane := make([]byte, len(values))
	for shift := 0; shift < 64; shift += 8 {
		for i, v := range values {
			plane[i] = byte(math.Float64bits(v) >> shift)
		}
		dst = appendSection(dst, plane)
	}
	return dst
}

var tens = [maxScale + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// scaleOf returns the least scale with which every value is exactly a whole number of 10^-scale.
func scaleOf(values []float64) (scale int, ok bool) {
	for _, v := range values {
		for !isScaled(v, scale) {
			if scale++; scale > maxScale {
				return 0, false
			}
		}
	}
	for _, v := range values { // a larger scale may not be exact for an earlier value
		if !isScaled(v, scale) {
			return 0, false
		}
	}
	return scale, true
}

func isScaled(v float64, scale int) bool {
	const exact = 1 << 53
	m := math.Round(v * tens[scale])
	if !(m < exact && m > -exact) {
		return false
	}
	return math.Float64bits(m/tens[scale]) == math.Float64bits(v) && (m != 0 || !math.Signbit(v))
}
