package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// Separator stands in a path between the names on the way. No name holds it: JSON writes it as an escape.
const Separator = 0

// maxDepth bounds the nesting of a line that is taken apart.
const maxDepth = 64

// errOdd tells that a line cannot be taken apart; it is kept as it is.
var errOdd = errors.New("the line cannot be taken apart")

// Cell is one value of a line: a dict without _type is none, its members are.
type Cell struct {
	// Path holds the names as they are written between their quotes, with Separators.
	Path []byte
	// Token is the text of the value.
	Token []byte
}

// Walker takes lines apart. The zero value is ready for use. Not safe for concurrent use.
type Walker struct {
	line  []byte
	at    int
	cells []Cell
	// dicts are the paths of the dicts whose members are cells.
	dicts [][]byte
	arena []byte
	path  []byte
	// limit, where not 0, is how many cells a line may have that is taken apart.
	limit int
}

// Walk returns the cells of a line that is a JSON object; an error for what it does not understand. They are valid until
// the next call, and as long as the line.
func (w *Walker) Walk(line []byte) ([]Cell, error) {
	w.line, w.at = line, 0
	w.cells, w.dicts, w.arena, w.path = w.cells[:0], w.dicts[:0], w.arena[:0], w.path[:0]
	w.space()
	if w.peek() != '{' {
		return nil, errOdd
	}
	if _, _, err := w.object(0); err != nil {
		return nil, err
	}
	w.space()
	if w.at != len(line) {
		return nil, errOdd
	}
	return w.cells, nil
}

func (w *Walker) peek() byte {
	if w.at < len(w.line) {
		return w.line[w.at]
	}
	return 0
}

func (w *Walker) space() {
	for w.at < len(w.line) && isSpace(w.line[w.at]) {
		w.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// object reads a dict, whose cells are appended. typed: it is one value.
func (w *Walker) object(depth int) (typed bool, count int, err error) {
	if depth > maxDepth {
		return false, 0, errOdd
	}
	w.at++
	w.space()
	if w.peek() == '}' {
		w.at++
		return false, 0, nil
	}
	for {
		name, err := w.name()
		if err != nil {
			return false, 0, err
		}
		count++
		typed = typed || string(name) == "_type"
		if err := w.member(name, depth); err != nil {
			return false, 0, err
		}
		if w.limit > 0 && len(w.cells) > w.limit {
			return false, 0, errOdd
		}
		w.space()
		switch w.peek() {
		case ',':
			w.at++
			w.space()
		case '}':
			w.at++
			return typed, count, nil
		default:
			return false, 0, errOdd
		}
	}
}

func (w *Walker) name() ([]byte, error) {
	start := w.at
	if w.peek() != '"' || !w.text() {
		return nil, errOdd
	}
	name := w.line[start+1 : w.at-1]
	w.space()
	if w.peek() != ':' {
		return nil, errOdd
	}
	w.at++
	w.space()
	return name, nil
}

func (w *Walker) member(name []byte, depth int) error {
	start := w.at
	if w.peek() != '{' {
		if !w.value() {
			return errOdd
		}
		w.cell(name, w.line[start:w.at:w.at])
		return nil
	}
	cells, dicts, path := len(w.cells), len(w.dicts), len(w.path)
	w.dicts = append(w.dicts, w.full(name))
	w.path = append(append(w.path, name...), Separator)
	typed, count, err := w.object(depth + 1)
	if err != nil {
		return err
	}
	w.path = w.path[:path]
	if typed || count == 0 {
		w.cells, w.dicts = w.cells[:cells], w.dicts[:dicts]
		w.cell(name, w.line[start:w.at:w.at])
	}
	return nil
}

func (w *Walker) cell(name, token []byte) {
	w.cells = append(w.cells, Cell{Path: w.full(name), Token: token})
}

// full is the path of a name in the dict that is being read.
func (w *Walker) full(name []byte) []byte {
	if len(w.path) == 0 {
		return name
	}
	from := len(w.arena)
	w.arena = append(append(w.arena, w.path...), name...)
	return w.arena[from:len(w.arena):len(w.arena)]
}

// value reads a value that is no dict.
func (w *Walker) value() bool {
	switch w.peek() {
	case '"':
		return w.text()
	case '[':
		return w.list()
	}
	start := w.at
	for w.at < len(w.line) {
		if c := w.line[w.at]; c == ',' || c == '}' || c == ']' || isSpace(c) {
			break
		}
		w.at++
	}
	return w.at > start
}

// list reads to the bracket that ends a list.
func (w *Walker) list() bool {
	depth := 0
	for w.at < len(w.line) {
		switch w.line[w.at] {
		case '"':
			if !w.text() {
				return false
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		w.at++
		if depth == 0 {
			return true
		}
	}
	return false
}

// text reads a string with its quotes.
func (w *Walker) text() bool {
	w.at++
	for w.at < len(w.line) {
		switch c := w.line[w.at]; {
		case c == '"':
			w.at++
			return true
		case c == '\\':
			w.at += 2
		case c < ' ':
			return false
		default:
			w.at++
		}
	}
	return false
}

// Names returns how clients call a path: the names joined by ".", with a dot in a name as "\.", and the same with that dot
// as it is.
func Names(path []byte) (escaped, plain string) {
	if bytes.IndexByte(path, '\\') < 0 && bytes.IndexByte(path, '.') < 0 {
		name := string(bytes.ReplaceAll(path, []byte{Separator}, []byte{'.'}))
		return name, name
	}
	var a, b strings.Builder
	for i, piece := range bytes.Split(path, []byte{Separator}) {
		if i > 0 {
			a.WriteByte('.')
			b.WriteByte('.')
		}
		name := unquote(piece)
		b.WriteString(name)
		a.WriteString(strings.ReplaceAll(name, ".", `\.`))
	}
	return a.String(), b.String()
}

func unquote(piece []byte) string {
	if bytes.IndexByte(piece, '\\') < 0 {
		return string(piece)
	}
	quoted := append(append([]byte{'"'}, piece...), '"')
	var name string
	if json.Unmarshal(quoted, &name) != nil {
		return string(piece)
	}
	return name
}
