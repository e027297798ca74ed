package segment

import (
	"math"
	"strconv"
)

// Values are the values of one key in consecutive rows.
type Values struct {
	rows int
	// has says which rows have the key; nil means all.
	has []uint64
	// One of the following holds the values, at the index of their rows.
	format format
	ints   []int64   // nil where they are from, from+by, from+2*by …
	floats []float64 // beside text too: what its tokens compare as, NaN where they do not
	text   []byte
	ends   []uint32 // where the token of each row ends in text

	from, by int64
}

// even drops values that count up evenly.
func (v *Values) even() {
	if v.has != nil || len(v.ints) == 0 {
		return
	}
	v.from, v.by = v.ints[0], 0
	if len(v.ints) > 1 {
		v.by = v.ints[1] - v.ints[0]
	}
	for i, n := range v.ints {
		if n != v.from+int64(i)*v.by {
			return
		}
	}
	v.ints = nil
}

func (v *Values) whole(row int) int64 {
	if v.ints == nil {
		return v.from + int64(row)*v.by
	}
	return v.ints[row]
}

// Rows is the number of rows.
func (v *Values) Rows() int { return v.rows }

// Has tells whether a row has the key.
func (v *Values) Has(row int) bool {
	return v.has == nil || v.has[row>>6]&(1<<(row&63)) != 0
}

// Append appends the token of a row that has the key.
func (v *Values) Append(dst []byte, row int) []byte {
	switch v.format {
	case formatText:
		return append(dst, v.token(row)...)
	case formatInt:
		return strconv.AppendInt(dst, v.whole(row), 10)
	default:
		return v.format.append(dst, v.floats[row])
	}
}

func (v *Values) token(row int) []byte {
	start := uint32(0)
	if row > 0 {
		start = v.ends[row-1]
	}
	return v.text[start:v.ends[row]]
}

// Number is what the value of a row compares as; NaN where it is no number or the row has no value.
func (v *Values) Number(row int) float64 {
	if !v.Has(row) {
		return math.NaN()
	}
	if v.format == formatInt {
		return float64(v.whole(row))
	}
	return v.floats[row]
}

// Size is about how many bytes of memory the values take.
func (v *Values) Size() int {
	return 128 + 8*(len(v.has)+len(v.ints)+len(v.floats)) + len(v.text) + 4*len(v.ends)
}

// absent has no value in any row.
func absent(rows int) *Values {
	return &Values{rows: rows, has: make([]uint64, words(rows)), format: formatText, ends: make([]uint32, rows), floats: make([]float64, rows)}
}

func words(rows int) int { return (rows + 63) / 64 }

// number is what a token compares as; NaN for what is no number.
func number(token []byte) float64 {
	if len(token) == 0 {
		return math.NaN()
	}
	switch c := token[0]; {
	case c == 'N':
		return math.NaN()
	case c == 'I':
		return math.Inf(1)
	case c == '-' && len(token) > 1 && token[1] == 'I':
		return math.Inf(-1)
	case c == '-', c >= '0' && c <= '9':
		if v, err := strconv.ParseFloat(alias(token), 64); err == nil || math.IsInf(v, 0) {
			return v
		}
	}
	return math.NaN()
}
