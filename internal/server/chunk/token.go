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

// escapeLength is the length of the escape at the begin of b; 0 where it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
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

// unescape appends the text of a string whose escapes are valid. Half of a surrogate pair becomes U+FFFD.
func unescape(dst, b []byte) []byte {
	for len(b) > 0 {
		if b[0] != '\\' {
			dst = append(dst, b[0])
			b = b[1:]
			continue
		}
		if b[1] != 'u' {
			dst = append(dst, plainEscape(b[1]))
			b = b[2:]
			continue
		}
		r, _ := hex4(b)
		b = b[6:]
		if utf16.IsSurrogate(r) {
			low, ok := hex4(b)
			if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
				b = b[6:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // itself
		return c
	}
}
