package chunk

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Column is a member of lines, without the text of what is a number anyway.
type Column struct {
	Name []byte
	// Rows are the lines that have it, in ascending order.
	Rows []int32
	// Integers are its values, or else Singles, written as strconv's 'f' with the shortest fraction does, but for those of
	// which there is one of Texts.
	Integers []int64
	Singles  []float32
	Texts    [][]byte
}

// Split returns the members of lines without writing the lines first. It is nil where they were not stored by columns, a line
// has a name twice, or a name has an escape or a dict as a value: then only the lines tell.
func Split(body []byte) (lines int, columns []Column, err error) {
	if len(body) == 0 || body[0] != bodyTable {
		return 0, nil, nil
	}
	raw, err := unpack(body[1:])
	if err != nil {
		return 0, nil, err
	}
	t, err := parseTable(raw)
	if err != nil {
		return 0, nil, err
	}
	columns = make([]Column, len(t.names))
	for i, name := range t.names {
		if bytes.IndexByte(name, '\\') >= 0 {
			return 0, nil, nil
		}
		columns[i] = Column{Name: name, Rows: make([]int32, 0, t.values[i].n)}
	}
	order := t.order
	for line, count := range t.counts {
		for _, at := range order[:count] {
			rows := columns[at].Rows
			if n := len(rows); n > 0 && rows[n-1] == int32(line) { // a chunk has fewer
				return 0, nil, nil
			}
			columns[at].Rows = append(rows, int32(line)) // a chunk has fewer
		}
		order = order[count:]
	}
	for i := range columns {
		if !t.values[i].into(&columns[i]) {
			return 0, nil, nil
		}
	}
	return len(t.counts), columns, nil
}

// into hands all values over; it is false for a dict.
func (c *column) into(to *Column) bool {
	switch c.form {
	case formInteger:
		to.Integers = make([]int64, c.n)
		last := int64(0)
		for i := range to.Integers {
			d, size := binary.Varint(c.rest)
			c.rest = c.rest[size:]
			last += d
			to.Integers[i] = last
		}
		return true
	case formSingle:
		to.Singles = make([]float32, c.n)
		for i := range to.Singles {
			bits := c.bits(i)
			if to.Singles[i] = math.Float32frombits(bits); bits != math.MaxUint32 {
				continue
			}
			if to.Texts == nil {
				to.Texts = make([][]byte, c.n)
			}
			if to.Texts[i] = c.text(); to.Texts[i][0] == '{' {
				return false
			}
		}
		return true
	}
	to.Texts = make([][]byte, c.n)
	for i := range to.Texts {
		if to.Texts[i] = c.text(); len(to.Texts[i]) == 0 || to.Texts[i][0] == '{' {
			return false
		}
	}
	return true
}
