package chunk

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// ErrNotObject tells that a line is no JSON object. Such a line is stored like any other and counts nothing.
var ErrNotObject = errors.New("the line is no JSON object")

// maxDepth bounds the nesting of a line that is understood.
const maxDepth = 256

// Scan counts the values of a line in one pass. The tokens NaN, Infinity and -Infinity are numbers. It keeps nothing of
// the line's memory. On ErrNotObject nothing was counted.
func Scan(line []byte, into *Stats) error {
	s := &into.scan
	if err := s.read(line, MaxKeys, into.Wide); err != nil {
		return err
	}
	if s.step != NoStep {
		into.stepRange.add(s.step)
	}
	if into.sketch.on {
		into.sketch.line(s.step)
	}
	if s.wide && !into.Wide {
		into.widen()
	}
	into.add(s.cells)
	return nil
}

// read gathers the cells of a line, which are valid as long as it is; none where wide is true, or becomes true since there are
// more than limit.
func (s *scanner) read(line []byte, limit int, wide bool) error {
	s.line, s.at = line, 0
	s.cells, s.arena, s.path = s.cells[:0], s.arena[:0], s.path[:0]
	s.step, s.wide, s.limit = NoStep, wide, limit
	err := s.document()
	s.line = nil
	return err
}

// Field returns the raw text of a name at the top of a line, the last where it stands there twice; nil where the line is no
// object or has no such name.
func Field(line []byte, name string) []byte {
	s := scanner{line: line, wide: true, wanted: name}
	if s.document() != nil {
		return nil
	}
	return s.found
}

// cell is a value of the line that is being read.
type cell struct {
	name  []byte
	token []byte
	value float64
	kind  Kind
}

type scanner struct {
	line  []byte
	at    int
	cells []cell
	// arena holds the names that do not stand in the line as they are.
	arena []byte
	// path is the name of the dict that is being read, with a dot at its end; empty at the top.
	path  []byte
	limit int
	step  int64
	// wide: cells are no longer gathered.
	wide bool
	// skim: nobody asks for the values of numbers.
	skim bool
	// wanted is a name at the top whose value goes to found.
	wanted string
	found  []byte
}

// trim frees the memory of an unusual line.
func (s *scanner) trim() {
	if cap(s.cells) > 2*MaxKeys {
		s.cells = nil
	}
	if cap(s.arena) > 1<<20 {
		s.arena = nil
	}
}

func (s *scanner) document() error {
	s.space()
	if s.peek() != '{' {
		return ErrNotObject
	}
	if _, _, err := s.object(0); err != nil {
		return err
	}
	s.space()
	if s.at != len(s.line) {
		return ErrNotObject
	}
	return nil
}

// peek returns the next byte, and 0 at the end, which is no part of JSON either.
func (s *scanner) peek() byte {
	if s.at < len(s.line) {
		return s.line[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.line) {
		switch s.line[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// object reads a dict. typed: it has a member _type, so that it is one value. count is the number of members.
func (s *scanner) object(depth int) (typed bool, count int, err error) {
	if depth >= maxDepth {
		return false, 0, ErrNotObject
	}
	s.at++ // the brace
	s.space()
	if s.peek() == '}' {
		s.at++
		return false, 0, nil
	}
	for {
		name, escaped, err := s.name()
		if err != nil {
			return false, 0, err
		}
		count++
		if len(name) == 5 && string(name) == "_type" {
			typed = true
		}
		if err := s.member(name, escaped, depth); err != nil {
			return false, 0, err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case '}':
			s.at++
			return typed, count, nil
		default:
			return false, 0, ErrNotObject
		}
	}
}

// name reads a member's name and the colon. escaped: the name does not stand in the line as it is.
func (s *scanner) name() (name []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, ErrNotObject
	}
	start := s.at
	escaped, err = s.text()
	if err != nil {
		return nil, false, err
	}
	name = s.line[start+1 : s.at-1]
	if escaped {
		from := len(s.arena)
		s.arena = unescape(s.arena, name)
		name = s.arena[from:len(s.arena):len(s.arena)]
	}
	s.space()
	if s.peek() != ':' {
		return nil, false, ErrNotObject
	}
	s.at++
	s.space()
	return name, escaped, nil
}

// member reads the value of a name and notes it.
func (s *scanner) member(name []byte, escaped bool, depth int) error {
	if s.peek() == '{' {
		return s.nested(name, depth)
	}
	start := s.at
	kind, value, err := s.value(depth)
	if err != nil {
		return err
	}
	token := s.line[start:s.at]
	if depth == 0 {
		s.noteTop(name, token, kind)
	}
	s.note(name, escaped, cell{token: token, value: value, kind: kind})
	return nil
}

// noteTop looks at a member at the top of the line.
func (s *scanner) noteTop(name, token []byte, kind Kind) {
	if len(name) == len(s.wanted) && string(name) == s.wanted {
		s.found = token
	}
	if kind == Number && len(name) == 5 && string(name) == "_step" {
		s.step = stepOf(token)
	}
}

// stepOf reads an integer token; NoStep for any other number, and for a negative one.
func stepOf(token []byte) int64 {
	v, err := strconv.ParseInt(alias(token), 10, 64)
	if err != nil || v < 0 {
		return NoStep
	}
	return v
}

// note appends a cell.
func (s *scanner) note(name []byte, escaped bool, c cell) {
	if s.wide {
		return
	}
	if len(s.cells) >= s.limit || len(name) > MaxKeyLength {
		s.wide = true
		s.cells = s.cells[:0]
		return
	}
	c.name = s.full(name, escaped)
	s.cells = append(s.cells, c)
}

// full is the path of a member. It is copied only where it does not stand in the line.
func (s *scanner) full(name []byte, escaped bool) []byte {
	dotted := bytes.IndexByte(name, '.') >= 0
	if len(s.path) == 0 && !escaped && !dotted {
		return name
	}
	start := len(s.arena)
	s.arena = append(s.arena, s.path...)
	s.arena = appendName(s.arena, name)
	return s.arena[start:len(s.arena):len(s.arena)]
}

// appendName writes a name with its dots escaped.
func appendName(b, name []byte) []byte {
	for {
		at := bytes.IndexByte(name, '.')
		if at < 0 {
			return append(b, name...)
		}
		b = append(b, name[:at]...)
		b = append(b, '\\', '.')
		name = name[at+1:]
	}
}

// nested reads a dict below the top: its members become cells, unless it is a value of its own.
func (s *scanner) nested(name []byte, depth int) error {
	start, cells, path := s.at, len(s.cells), len(s.path)
	if !s.wide {
		s.path = append(appendName(s.path, name), '.')
	}
	if len(s.path) > MaxKeyLength {
		s.wide = true
		s.cells = s.cells[:0]
	}
	typed, count, err := s.object(depth + 1)
	if err != nil {
		return err
	}
	s.path = s.path[:path]
	if depth == 0 {
		s.noteTop(name, s.line[start:s.at], Map)
	}
	if typed || count == 0 {
		s.cells = s.cells[:min(cells, len(s.cells))]
		s.note(name, true, cell{token: s.line[start:s.at], kind: Map})
	}
	return nil
}

// value reads a value that is no dict.
func (s *scanner) value(depth int) (kind Kind, value float64, err error) {
	switch c := s.peek(); c {
	case '"':
		_, err = s.text()
		return String, 0, err
	case '[':
		return List, 0, s.list(depth + 1)
	case 't':
		return Boolean, 0, s.word("true")
	case 'f':
		return Boolean, 0, s.word("false")
	case 'n':
		return Nil, 0, s.word("null")
	default:
		value, err = s.number()
		return Number, value, err
	}
}

// list reads a list without looking at what it holds.
func (s *scanner) list(depth int) error {
	if depth >= maxDepth {
		return ErrNotObject
	}
	s.at++
	s.space()
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.skip(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case ']':
			s.at++
			return nil
		default:
			return ErrNotObject
		}
	}
}

// skip reads any value inside a list.
func (s *scanner) skip(depth int) error {
	if s.peek() != '{' {
		_, _, err := s.value(depth)
		return err
	}
	wide := s.wide
	s.wide = true // what a list holds has no keys
	_, _, err := s.object(depth + 1)
	s.wide = wide
	return err
}

func (s *scanner) word(w string) error {
	if len(s.line)-s.at < len(w) || string(s.line[s.at:s.at+len(w)]) != w {
		return ErrNotObject
	}
	s.at += len(w)
	return nil
}

// text reads a string with its quotes.
func (s *scanner) text() (escaped bool, err error) {
	line, at := s.line, s.at+1
	for at < len(line) {
		switch c := line[at]; {
		case c == '"':
			s.at = at + 1
			return escaped, nil
		case c == '\\':
			escaped = true
			_, n := Escape(line[at:])
			if n == 0 {
				return false, ErrNotObject
			}
			at += n
		case c < ' ':
			return false, ErrNotObject
		default:
			at++
		}
	}
	return false, ErrNotObject
}

// exactDigits is the largest mantissa of which every smaller one is a float64.
const exactDigits = 1 << 53

// number reads a number, as JSON and as Python write it.
func (s *scanner) number() (float64, error) {
	start := s.at
	negative := s.peek() == '-'
	if negative {
		s.at++
	}
	switch s.peek() {
	case 'I':
		if negative {
			return math.Inf(-1), s.word("Infinity")
		}
		return math.Inf(1), s.word("Infinity")
	case 'N':
		if negative {
			return 0, ErrNotObject
		}
		return math.NaN(), s.word("NaN")
	}
	mantissa, digits, exponent, err := s.digits()
	if err != nil {
		return 0, err
	}
	if s.skim {
		return 0, nil
	}
	if digits <= 18 && mantissa < exactDigits && exponent >= -22 && exponent <= 22 {
		return exact(negative, mantissa, exponent), nil
	}
	// Beyond the range the value is an infinity, which is what it compares as.
	v, err := strconv.ParseFloat(alias(s.line[start:s.at]), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, ErrNotObject
	}
	return v, nil
}

// exact computes a number whose mantissa and power of ten are both float64s: one rounding, so the nearest float64.
func exact(negative bool, mantissa uint64, exponent int) float64 {
	v := float64(mantissa)
	if exponent < 0 {
		v /= powers[-exponent]
	} else {
		v *= powers[exponent]
	}
	if negative {
		return -v
	}
	return v
}

var powers = [23]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22,
}

// alias is the text of bytes without a copy, for a function that does not keep it.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// IsObject tells whether a line is a JSON object.
func IsObject(line []byte) bool {
	s := scanner{line: line, wide: true}
	return s.document() == nil
}
