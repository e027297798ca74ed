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

// Split returns the members of lines without writing the lines first: those at the top whose names keep wants, all for nil. It
// is nil where they were not stored by columns, a line has such a name twice, or a name has an escape or a dict as a value:
// then only the lines tell.
func Split(body []byte, keep func(name []byte) bool) (lines int, columns []Column, err error) {
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
	columns = make([]Column, 0, len(t.names))
	var places [maxColumns]*Column
	for i, name := range t.names {
		if bytes.IndexByte(name, '\\') >= 0 {
			return 0, nil, nil
		}
		if t.values[i].unwanted = keep != nil && !keep(name); t.values[i].unwanted {
			continue
		}
		columns = append(columns, Column{Name: name, Rows: make([]int32, 0, t.values[i].n)})
		places[i] = &columns[len(columns)-1] // there is room for all
	}
	if !t.place(&places) {
		return 0, nil, nil
	}
	for i := range t.values {
		if places[i] != nil && !t.values[i].into(places[i]) {
			return 0, nil, nil
		}
	}
	return len(t.counts), columns, nil
}

// place finds the rows of columns; it is false where one has two values in a row.
func (t *parsed) place(columns *[maxColumns]*Column) bool {
	order := t.order
	for line, count := range t.counts {
		for _, at := range order[:count] {
			c := columns[at]
			if c == nil {
				continue
			}
			if n := len(c.Rows); n > 0 && c.Rows[n-1] == int32(line) { // a chunk has fewer
				return false
			}
			c.Rows = append(c.Rows, int32(line)) // a chunk has fewer
		}
		order = order[count:]
	}
	return true
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
