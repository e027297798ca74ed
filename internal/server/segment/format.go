package segment

import (
	"bytes"
	"math"
	"strconv"
)

// format is how the values of a column are written. Its numbers are stored.
type format byte

const (
	formatText   format = iota // as they are
	formatInt                  // whole numbers of 64 bits
	formatGo                   // as Go's %g: what the client sends
	formatPlain                // as JavaScript and Go's JSON: exponents from 1e21 and below 1e-6
	formatPython               // as Python's repr: "1.0", exponents from 1e16 and below 1e-4
	formats
	// formatShort is only in memory: as strconv's 'f' with the shortest fraction.
	formatShort
)

// append writes a float. What is not finite is written as Python does.
func (f format) append(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	case f == formatShort:
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	case f == formatPlain:
		return appendPlain(dst, v)
	case f == formatPython:
		return appendPython(dst, v)
	default:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
}

func appendPlain(dst []byte, v float64) []byte {
	if abs := math.Abs(v); abs == 0 || (abs >= 1e-6 && abs < 1e21) {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); n-start >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 becomes e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

func appendPython(dst []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}
