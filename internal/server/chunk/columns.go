package chunk

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"sync"
)

// A body in columns holds, for lines that are objects without white space: the names that stand in them, the order of the
// names in each line, and for each name its values one after the other. The client writes the names of a line in any order,
// so that in lines as they are every name costs two bytes; and values compress best among their like.

const (
	// maxColumns bounds the names, whose numbers are single bytes. Lines with more are stored as they are.
	maxColumns = 250
	// leastColumnLines is the number of lines from which columns pay.
	leastColumnLines = 4
	// leastMember is the length of the shortest member of an object: "":0,
	leastMember = 5
)

// The forms of a column.
const (
	formText    = 0 // each value, followed by a line feed
	formInteger = 1 // differences of integers
	formSingle  = 2 // float32s by planes of bytes, and the values that are none
)

// table is a chunk as columns.
type table struct {
	// lines is how many there will be, and room for how many values there may be memory that none of them needs: no more than
	// could stand in the lines.
	lines, room int

	index  map[string]int
	names  [][]byte
	counts []byte // of names, by line
	order  []byte // numbers of names, line by line
	values [maxColumns][][]byte
}

var tables = sync.Pool{New: func() any { return &table{index: make(map[string]int)} }}

func (t *table) reset() {
	clear(t.index)
	for i := range t.names {
		clear(t.values[i])
		t.values[i] = t.values[i][:0]
	}
	clear(t.names)
	t.names, t.counts, t.order = t.names[:0], t.counts[:0], t.order[:0]
}

// appendColumns writes lines as columns; ok is false where they are not of the kind, and nothing is written.
func appendColumns(b []byte, lines [][]byte) (out []byte, ok bool) {
	if len(lines) < leastColumnLines {
		return b, false
	}
	t := tables.Get().(*table)
	defer tables.Put(t)
	defer t.reset()
	t.lines, t.room = len(lines), 0
	for _, line := range lines {
		t.room += len(line) / leastMember
	}
	for _, line := range lines {
		if !t.add(line) {
			return b, false
		}
	}
	b = binary.AppendUvarint(b, uint64(len(lines)))
	b = binary.AppendUvarint(b, uint64(len(t.names)))
	for _, name := range t.names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	b = append(b, t.counts...)
	b = append(b, t.order...)
	for i := range t.names {
		b = appendColumn(b, t.values[i])
	}
	return b, true
}

// add takes a line apart.
func (t *table) add(line []byte) bool {
	s := scanner{line: line, wide: true}
	if s.peek() != '{' {
		return false
	}
	s.at++
	count := 0
	for end := byte(0); end != '}'; count++ {
		start := s.at
		if s.peek() != '"' {
			return false
		}
		if _, err := s.text(); err != nil || s.peek() != ':' {
			return false
		}
		name := line[start+1 : s.at-1]
		s.at++
		start = s.at
		if s.skip(1) != nil || !t.note(name, line[start:s.at]) {
			return false
		}
		if end = s.peek(); end != ',' && end != '}' {
			return false
		}
		s.at++
	}
	t.counts = append(t.counts, byte(min(count, math.MaxUint8))) // bounded
	return s.at == len(line) && count < math.MaxUint8
}

func (t *table) note(name, value []byte) bool {
	at, known := t.index[string(name)]
	if !known {
		if at = len(t.names); at == maxColumns {
			return false
		}
		t.index[string(name)] = at
		t.names = append(t.names, name)
		if t.values[at] == nil {
			n := min(t.lines, t.room)
			t.values[at] = make([][]byte, 0, n)
			t.room -= n
		}
	}
	t.order = append(t.order, byte(at)) // below maxColumns
	t.values[at] = append(t.values[at], value)
	return true
}

// appendColumn writes values in the first form that fits.
func appendColumn(b []byte, values [][]byte) []byte {
	start := len(b)
	if b, ok := appendIntegers(append(b, formInteger), values); ok {
		return b
	}
	if b, ok := appendSingles(append(b[:start], formSingle), values); ok {
		return b
	}
	b = append(b[:start], formText)
	for _, v := range values {
		b = append(append(b, v...), '\n')
	}
	return b
}

func appendIntegers(b []byte, values [][]byte) ([]byte, bool) {
	last := int64(0)
	for _, text := range values {
		v, ok := canonicalInteger(text)
		if !ok {
			return b, false
		}
		b = binary.AppendVarint(b, v-last) // wraps around and back
		last = v
	}
	return b, true
}

// canonicalInteger reads an integer that stands as it would be written again.
func canonicalInteger(text []byte) (int64, bool) {
	digits := bytes.TrimPrefix(text, []byte{'-'})
	if len(digits) == 0 || len(digits) > 18 || (digits[0] == '0' && len(text) > 1) {
		return 0, false
	}
	v := int64(0)
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		v = -v
	}
	return v, true
}

// appendSingles writes values that are float32s at heart, as most of what a model computes is. Few others may be among them.
func appendSingles(b []byte, values [][]byte) ([]byte, bool) {
	n, first := len(values), len(b)
	b = append(b, make([]byte, 4*n)...)
	planes := b[first:]
	exceptions := 0
	for i, text := range values {
		bits, ok := single(text)
		if !ok {
			if exceptions++; exceptions > 1+i/4 {
				return b, false
			}
			bits = math.MaxUint32
		}
		planes[i], planes[n+i], planes[2*n+i], planes[3*n+i] = byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits)
	}
	for i, text := range values {
		if planes[i] == math.MaxUint8 && planes[n+i] == math.MaxUint8 && planes[2*n+i] == math.MaxUint8 && planes[3*n+i] == math.MaxUint8 {
			b = append(append(b, text...), '\n')
			planes = b[first : first+4*n]
		}
	}
	return b, true
}

// single reads a number that is the text of a float32. All bits set are a NaN, which has no such text.
func single(text []byte) (uint32, bool) {
	if len(text) < 6 || len(text) > 24 { // a short text takes no more
		return 0, false
	}
	v, err := strconv.ParseFloat(alias(text), 64)
	if err != nil || float64(float32(v)) != v {
		return 0, false
	}
	var again [32]byte
	return math.Float32bits(float32(v)), bytes.Equal(appendSingle(again[:0], float32(v)), text)
}

func appendSingle(b []byte, v float32) []byte { return strconv.AppendFloat(b, float64(v), 'f', -1, 64) }

// parsed is a table as it is stored.
type parsed struct {
	counts, order []byte
	names         [][]byte
	values        []column
}

// joinColumns writes lines again, and cuts them.
func joinColumns(raw []byte, keep func(name []byte) bool) ([][]byte, error) {
	t, err := parseTable(raw)
	if err != nil {
		return nil, err
	}
	for i := range t.values {
		t.values[i].unwanted = keep != nil && !keep(t.names[i])
	}
	return assemble(t.counts, t.order, t.names, t.values)
}

func parseTable(raw []byte) (parsed, error) {
	r := reader{rest: raw}
	lines, columns := r.count(), r.count()
	if lines > int64(len(r.rest)) || columns > maxColumns {
		return parsed{}, ErrCorrupt
	}
	t := parsed{names: make([][]byte, columns), values: make([]column, columns)}
	for i := range t.names {
		t.names[i] = r.bytes(r.count())
	}
	t.counts = r.bytes(lines)
	var uses []int
	t.order, uses = r.order(t.counts, int(columns))
	for i := range t.values {
		t.values[i] = r.column(uses[i])
	}
	if r.bad || len(r.rest) > 0 {
		return parsed{}, ErrCorrupt
	}
	return t, nil
}

// order reads the numbers of names, and how often each is used.
func (r *reader) order(counts []byte, columns int) (order []byte, uses []int) {
	total := int64(0)
	for _, c := range counts {
		total += int64(c)
	}
	order, uses = r.bytes(total), make([]int, columns)
	for _, at := range order {
		if int(at) >= columns {
			r.fail()
			return nil, uses
		}
		uses[at]++
	}
	return order, uses
}

// column hands out the values of one name.
type column struct {
	form byte
	rest []byte // text, or what is left of integers
	last int64
	// planes are the four bytes of each float32.
	planes []byte
	at, n  int
	// unwanted: the column is left out of the lines.
	unwanted bool
}

// column finds where a column ends, and checks it.
func (r *reader) column(n int) column {
	c := column{form: r.byte(), n: n}
	switch c.form {
	case formText:
		c.rest = r.texts(n)
	case formInteger:
		start := r.rest
		for range n {
			if _, size := binary.Varint(r.rest); size > 0 {
				r.rest = r.rest[size:]
			} else {
				r.fail()
				return c
			}
		}
		c.rest = start[:len(start)-len(r.rest)]
	case formSingle:
		c.planes = r.bytes(4 * int64(n))
		exceptions := 0
		for i := range len(c.planes) / 4 {
			if c.bits(i) == math.MaxUint32 {
				exceptions++
			}
		}
		c.rest = r.texts(exceptions)
	default:
		r.fail()
	}
	return c
}

// texts reads n texts that end with a line feed each.
func (r *reader) texts(n int) []byte {
	size := 0
	for range n {
		at := bytes.IndexByte(r.rest[size:], '\n')
		if at < 0 {
			r.fail()
			return nil
		}
		size += at + 1
	}
	return r.bytes(int64(size))
}

func (c *column) bits(i int) uint32 {
	return uint32(c.planes[i])<<24 | uint32(c.planes[c.n+i])<<16 | uint32(c.planes[2*c.n+i])<<8 | uint32(c.planes[3*c.n+i])
}

// next appends the next value.
func (c *column) next(b []byte) []byte {
	switch c.form {
	case formInteger:
		d, size := binary.Varint(c.rest)
		c.rest = c.rest[size:]
		c.last += d
		return strconv.AppendInt(b, c.last, 10)
	case formSingle:
		bits := c.bits(c.at)
		c.at++
		if bits != math.MaxUint32 {
			return appendSingle(b, math.Float32frombits(bits))
		}
	}
	return append(b, c.text()...)
}

// text is the next value that is stored as it is.
func (c *column) text() []byte {
	at := bytes.IndexByte(c.rest, '\n')
	text := c.rest[:at:at]
	c.rest = c.rest[at+1:]
	return text
}

// assemble writes the lines. Names that are long and used often could make far more of them than was stored.
func assemble(counts, order []byte, names [][]byte, values []column) ([][]byte, error) {
	var text []byte
	ends := make([]int, len(counts))
	for i, count := range counts {
		text = append(text, '{')
		separated := true
		for _, at := range order[:count] {
			if values[at].unwanted {
				continue
			}
			if !separated {
				text = append(text, ',')
			}
			separated = false
			text = append(append(append(text, '"'), names[at]...), '"', ':')
			if text = values[at].next(text); len(text) > maxDecoded {
				return nil, ErrCorrupt
			}
		}
		order = order[count:]
		text = append(text, '}')
		ends[i] = len(text)
	}
	lines := make([][]byte, len(counts))
	start := 0
	for i, end := range ends {
		lines[i] = text[start:end:end]
		start = end
	}
	return lines, nil
}
