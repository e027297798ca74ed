package history

import (
	"encoding/binary"
	"errors"
	"slices"
)

// span is a range of lines: from, but not including to.
type span struct{ from, to int64 }

// spans are sorted, and neither touch nor overlap.
type spans []span

// union returns the lines of any of these, in any order.
func union(all ...span) spans {
	all = slices.DeleteFunc(all, func(s span) bool { return s.from >= s.to })
	slices.SortFunc(all, func(a, b span) int {
		if a.from != b.from {
			return compare(a.from, b.from)
		}
		return compare(a.to, b.to)
	})
	var out spans
	for _, s := range all {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// has tells whether a line is among them.
func (s spans) has(line int64) bool {
	at, found := slices.BinarySearchFunc(s, line, func(e span, line int64) int { return compare(e.from, line) })
	return found || at > 0 && line < s[at-1].to
}

// within returns the lines that also lie in a range.
func (s spans) within(r span) spans {
	var out spans
	for _, e := range s {
		if c := (span{max(e.from, r.from), min(e.to, r.to)}); c.from < c.to {
			out = append(out, c)
		}
	}
	return out
}

// covers tells whether every line of a range is among them.
func (s spans) covers(r span) bool {
	inside := s.within(r)
	return r.from >= r.to || len(inside) == 1 && inside[0] == r
}

// encode writes them for a row of segments.
func (s spans) encode() []byte {
	var b []byte
	var last int64
	for _, e := range s {
		b = binary.AppendUvarint(b, uint64(e.from-last)) // they ascend from 0
		b = binary.AppendUvarint(b, uint64(e.to-e.from)) // from is below to
		last = e.to
	}
	return b
}

var errSpans = errors.New("the lines that were cut off cannot be read")

func decodeSpans(b []byte) (spans, error) {
	var out spans
	var last int64
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errSpans
		}
		b = b[n:]
		length, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errSpans
		}
		b = b[n:]
		s := span{from: last + int64(gap)} // checked below
		s.to = s.from + int64(length)      // checked below
		if s.from < last || s.to <= s.from {
			return nil, errSpans
		}
		out, last = append(out, s), s.to
	}
	return out, nil
}
