package segment

import (
	"bytes"
	"math"
)

// Lines and Steps are the columns that say where rows stand, Raw the one of rows that are kept as they are.
const (
	Lines = columnLines
	Steps = columnSteps
	Raw   = columnRaw
)

// Whole returns the values of a column of whole numbers that every row has, such as Lines and Steps.
func (v *Values) Whole() ([]int64, error) {
	if v.format != formatInt || v.has != nil {
		return nil, ErrCorrupt
	}
	if v.ints != nil {
		return v.ints, nil
	}
	all := make([]int64, v.rows)
	for row := range all {
		all[row] = v.whole(row)
	}
	return all, nil
}

// Rows writes rows as lines.
type Rows struct {
	raw   *Values
	names [][][]byte
	keys  []*Values
	// open are the dicts around what was written last.
	open [][]byte
}

// NewRows returns the rows of a block, given the values of all its columns.
func (f *Footer) NewRows(columns []*Values) *Rows {
	r := &Rows{raw: columns[columnRaw]}
	for i, path := range f.paths {
		if v := columns[keyColumns+i]; v != nil {
			r.keys = append(r.keys, v)
			r.names = append(r.names, bytes.Split([]byte(path), []byte{Separator}))
		}
	}
	return r
}

// Append appends the line of a row.
func (r *Rows) Append(dst []byte, row int) []byte {
	if r.raw != nil && r.raw.Has(row) {
		return r.raw.Append(dst, row)
	}
	r.open = r.open[:0]
	dst = append(dst, '{')
	for i, v := range r.keys {
		if !v.Has(row) {
			continue
		}
		dst = r.enter(dst, r.names[i])
		dst = appendName(dst, r.names[i][len(r.names[i])-1])
		dst = v.Append(dst, row)
	}
	for range r.open {
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// enter closes and opens dicts until a name belongs where it is written next.
func (r *Rows) enter(dst []byte, names [][]byte) []byte {
	dicts := names[:len(names)-1]
	shared := 0
	for shared < len(r.open) && shared < len(dicts) && bytes.Equal(r.open[shared], dicts[shared]) {
		shared++
	}
	for range len(r.open) - shared {
		dst = append(dst, '}')
	}
	r.open = r.open[:shared]
	for _, name := range dicts[shared:] {
		dst = append(appendName(dst, name), '{')
		r.open = append(r.open, name)
	}
	return dst
}

// appendName writes a name and what stands around it.
func appendName(dst, name []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, '"'), name...), '"')
	return append(dst, ':')
}

// Join returns the values of one key that several columns hold, and rows that are kept as they are: of each row the last
// of these that has it. Nil values have nothing.
func Join(rows int, values ...*Values) *Values {
	out := absent(rows)
	for row := range rows {
		out.floats[row] = math.NaN()
		for i := len(values) - 1; i >= 0; i-- {
			if v := values[i]; v != nil && v.Has(row) {
				out.has[row>>6] |= 1 << (row & 63)
				out.text = v.Append(out.text, row)
				out.floats[row] = v.Number(row)
				break
			}
		}
		out.ends[row] = uint32(len(out.text)) // a block is far shorter
	}
	return out
}

// Extracted returns the values of keys in the rows of a block that are kept as they are.
func (e *Extractor) Extracted(raw *Values) []*Values {
	lines := make([][]byte, raw.rows)
	for row := range lines {
		if raw.Has(row) {
			lines[row] = raw.token(row)
		}
	}
	return e.Extract(lines)
}
