package segment

import (
	"bytes"
	"strconv"
)

// format is how the numbers of a column are written. Its values are stored.
type format byte

const (
	formatText   format = iota // as they are
	formatInt                  // whole numbers of 64 bits
	formatGo                   // as Go's %g: what the client sends
	formatPlain                // as JavaScript and Go's JSON: exponents from 1e21 and below 1e-6
	formatPython               // as Python's repr: "1.0", exponents from 1e16 and below 1e-4
	formats
)

// append writes a float.
func (f format) append(dst []byte, v float64) []byte {
	switch f {
	case formatPlain:
		return appendPlain(dst, v)
	case formatPython:
		return appendPython(dst, v)
	default:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
}

func appendPlain(dst []byte, v float64) []byte {
	abs := max(v, -v)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
		// e-09 becomes e-9
		if n := len(dst); n-start >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

func appendPython(dst []byte, v float64) []byte {
	abs := max(v, -v)
	if abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}
