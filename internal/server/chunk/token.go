package chunk

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// digits reads the digits, the fraction and the exponent of a number. The mantissa is meaningful up to 18 digits.
func (s *scanner) digits() (mantissa uint64, count, exponent int, err error) {
	first := s.at
	mantissa = s.run(0)
	count = s.at - first
	if count == 0 || (count > 1 && s.line[first] == '0') {
		return 0, 0, 0, ErrNotObject
	}
	if s.peek() == '.' {
		s.at++
		fraction := s.at
		mantissa = s.run(mantissa)
		if s.at == fraction {
			return 0, 0, 0, ErrNotObject
		}
		exponent = fraction - s.at
		count += s.at - fraction
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		power, err := s.power()
		if err != nil {
			return 0, 0, 0, err
		}
		exponent += power
	}
	return mantissa, count, exponent, nil
}

// run reads digits.
func (s *scanner) run(mantissa uint64) uint64 {
	line, at := s.line, s.at
	for at < len(line) && line[at]-'0' <= 9 {
		mantissa = mantissa*10 + uint64(line[at]-'0')
		at++
	}
	s.at = at
	return mantissa
}

// farPower is beyond every power of ten that matters.
const farPower = 1 << 20

// power reads the exponent of a number.
func (s *scanner) power() (int, error) {
	s.at++
	sign := 1
	switch s.peek() {
	case '-':
		sign = -1
		s.at++
	case '+':
		s.at++
	}
	first, v := s.at, 0
	for s.at < len(s.line) && s.line[s.at]-'0' <= 9 {
		v = min(v*10+int(s.line[s.at]-'0'), farPower)
		s.at++
	}
	if s.at == first {
		return 0, ErrNotObject
	}
	return sign * v, nil
}

// setNumber keeps a number; one with too many digits as the float64 that it compares as.
func (t *Token) setNumber(b []byte, v float64) {
	if len(b) > MaxToken {
		b = strconv.AppendFloat(make([]byte, 0, MaxToken), v, 'g', -1, 64)
	}
	t.set(b)
}

// Escape decodes the escape that b begins with, backslash included, and tells how many bytes it has: 0 where it is none of
// JSON's. Half of a surrogate pair is U+FFFD.
func Escape(b []byte) (r rune, size int) {
	if len(b) < 2 || b[0] != '\\' {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	r, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(b[6:])
	if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
		return r, 12
	}
	return utf8.RuneError, 6
}

// Skip returns the length of the JSON value that b begins with; 0 where there is none.
func Skip(b []byte) int {
	s := scanner{line: b, wide: true}
	if s.skip(0) != nil {
		return 0
	}
	return s.at
}

// hex4 reads the four digits after \u.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unescape appends the text of a string whose escapes are valid.
func unescape(dst, b []byte) []byte {
	for len(b) > 0 {
		if b[0] != '\\' {
			dst = append(dst, b[0])
			b = b[1:]
			continue
		}
		r, size := Escape(b)
		dst = utf8.AppendRune(dst, r)
		b = b[size:]
	}
	return dst
}
