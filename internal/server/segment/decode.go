package segment

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// DecodeColumn reads the values of one column of a block with so many rows; no bytes are a column without values.
func DecodeColumn(b []byte, rows int) (*Values, error) {
	if len(b) == 0 {
		return absent(rows), nil
	}
	r := &reader{rest: b}
	head := r.byte()
	v := &Values{rows: rows, format: format(head &^ sparse)}
	if v.format >= formats {
		r.fail()
	}
	present := rows
	if head&sparse != 0 {
		present = v.readHas(r)
	}
	switch v.format {
	case formatText:
		v.readText(r, present)
	case formatInt:
		v.ints = spreadOut(r.ints(present), v)
		v.even()
	default:
		v.floats = spreadOut(r.floats(present), v)
	}
	return v, r.err("a column")
}

// readHas reads which rows have a value, and returns how many.
func (v *Values) readHas(r *reader) (present int) {
	has := r.section()
	if len(has) != (v.rows+7)/8 {
		r.fail()
		return 0
	}
	v.has = make([]uint64, words(v.rows))
	for i, b := range has {
		v.has[i/8] |= uint64(b) << (8 * (i % 8))
	}
	for _, w := range v.has {
		present += bits.OnesCount64(w)
	}
	if v.rows%64 != 0 && v.has[len(v.has)-1]>>(v.rows%64) != 0 {
		r.fail()
	}
	return present
}

// spreadOut puts values at the index of their rows.
func spreadOut[T int64 | float64](values []T, v *Values) []T {
	if v.has == nil || values == nil {
		return values
	}
	out := make([]T, v.rows)
	next := 0
	for row := range out {
		if v.Has(row) {
			out[row] = values[next]
			next++
		}
	}
	return out
}

func (v *Values) readText(r *reader, present int) {
	lengths := r.section()
	v.text = r.section()
	if r.bad {
		return
	}
	in := &reader{rest: lengths}
	v.ends, v.floats = make([]uint32, v.rows), make([]float64, v.rows)
	end := 0
	for row := range v.ends {
		v.floats[row] = math.NaN()
		if v.Has(row) {
			start := end
			end += in.count(len(v.text) - end)
			v.floats[row] = number(v.text[start:end])
			present--
		}
		v.ends[row] = uint32(end) // at most maxSection
	}
	if in.bad || len(in.rest) > 0 || end != len(v.text) || present != 0 {
		r.fail()
	}
}

// ints reads n values; nil where there are not so many.
func (r *reader) ints(n int) []int64 {
	raw := r.section()
	if r.bad || n > len(raw) { // each takes a byte at least
		r.fail()
		return nil
	}
	out := make([]int64, n)
	last := int64(0)
	for i := range out {
		d, size := binary.Varint(raw)
		if size <= 0 {
			r.fail()
			return nil
		}
		raw = raw[size:]
		last += d
		out[i] = last
	}
	if len(raw) > 0 {
		r.fail()
		return nil
	}
	return out
}

func (r *reader) floats(n int) []float64 {
	mode := int(r.byte())
	if mode > scaleBase+maxScale {
		r.fail()
		return nil
	}
	if mode >= scaleBase {
		scaled := r.ints(n)
		if r.bad {
			return nil
		}
		out := make([]float64, n)
		for i, v := range scaled {
			out[i] = float64(v) / tens[mode-scaleBase]
		}
		return out
	}
	var planes [8][]byte
	for i := range planes {
		if planes[i] = r.section(); len(planes[i]) != n {
			r.fail()
			return nil
		}
	}
	out := make([]float64, n)
	for i := range out {
		var b uint64
		for p := range planes {
			b |= uint64(planes[p][i]) << (8 * p)
		}
		out[i] = math.Float64frombits(b)
	}
	return out
}
