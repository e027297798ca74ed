package ingest

import (
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

var (
	errNotJSON = errors.New("the body is no JSON object")
	errOffset  = errors.New("an offset is no line number")
)

// maxOffset is the first line number that is not believed.
const maxOffset = 1 << 53

// file is one of the files that a request may write to.
type file int

const (
	historyFile file = iota
	eventsFile
	summaryFile
	consoleFile
	files
	unknownFile
)

func fileOf(name []byte) file {
	switch string(name) {
	case "wandb-history.jsonl":
		return historyFile
	case "wandb-events.jsonl":
		return eventsFile
	case "wandb-summary.json":
		return summaryFile
	case "output.log":
		return consoleFile
	}
	return unknownFile
}

// stretch is a run of lines of a file: those from..to of the message.
type stretch struct {
	offset   int64
	from, to int
}

// message is a request's body. Its lines lie in the memory of the body.
type message struct {
	lines    [][]byte
	files    [files][]stretch
	uploaded []string

	preempting, complete bool
	exitCode             int32
	exitCodeSet, failed  bool
}

func (m *message) reset() {
	clear(m.lines)
	m.lines = m.lines[:0]
	for i := range m.files {
		m.files[i] = m.files[i][:0]
	}
	m.uploaded = nil
	m.preempting, m.complete, m.exitCode, m.exitCodeSet, m.failed = false, false, 0, false, false
}

// decode reads a body in one pass, and overwrites it: the text of a string is never longer than its escaped form.
func (m *message) decode(body []byte) error {
	d := decoder{body: body}
	d.space()
	if err := d.object(m.field(&d)); err != nil {
		return err
	}
	d.space()
	if d.at != len(body) {
		return errNotJSON
	}
	if m.failed && !m.exitCodeSet {
		m.exitCode = 1
	}
	return nil
}

// field reads the fields at the top. Those that nobody knows are left alone.
func (m *message) field(d *decoder) func(name []byte) error {
	return func(name []byte) error {
		switch string(name) {
		case "files":
			return d.objectOrSkip(m.file(d))
		case "uploaded":
			return d.listOrSkip(func() error {
				text, isText, err := d.textOrSkip()
				if isText {
					m.uploaded = append(m.uploaded, string(text))
				}
				return err
			})
		case "preempting":
			return d.flag(&m.preempting)
		case "complete":
			return d.flag(&m.complete)
		case "failed":
			return d.flag(&m.failed)
		case "exitcode":
			token, err := d.skip()
			if code, ok := integer(token); ok && code == int64(int32(code)) {
				m.exitCode, m.exitCodeSet = int32(code), true
			}
			return err
		}
		_, err := d.skip()
		return err
	}
}

// file reads one entry of files. Old clients send a list of stretches for the console.
func (m *message) file(d *decoder) func(name []byte) error {
	return func(name []byte) error {
		f := fileOf(name)
		if f == unknownFile {
			_, err := d.skip()
			return err
		}
		one := func() error { return m.stretch(d, f) }
		if d.peek() == '[' {
			return d.listOrSkip(one)
		}
		return one()
	}
}

// stretch reads {"offset": n, "content": [line, ...]}, in any order.
func (m *message) stretch(d *decoder, f file) error {
	s := stretch{from: len(m.lines), to: len(m.lines)}
	err := d.objectOrSkip(func(name []byte) error {
		switch string(name) {
		case "offset":
			token, err := d.skip()
			if err != nil || string(token) == "null" {
				return err
			}
			n, ok := integer(token)
			if !ok || n < 0 || n >= maxOffset {
				return errOffset
			}
			s.offset = n
			return nil
		case "content":
			s.from = len(m.lines)
			err := m.content(d)
			s.to = len(m.lines)
			return err
		}
		_, err := d.skip()
		return err
	})
	if s.to > s.from {
		m.files[f] = append(m.files[f], s)
	}
	return err
}

// content reads lines. A line is a string; anything else stands for its own text.
func (m *message) content(d *decoder) error {
	one := func() error {
		start := d.at
		text, isText, err := d.textOrSkip()
		if !isText {
			text = d.body[start:d.at]
		}
		m.lines = append(m.lines, text)
		return err
	}
	switch d.peek() {
	case '[':
		return d.listOrSkip(one)
	case '"':
		return one()
	}
	_, err := d.skip()
	return err
}

// integer reads a number without a fraction, also where it is written as a float64 or as a string.
func integer(token []byte) (int64, bool) {
	if n := len(token); n >= 2 && token[0] == '"' {
		token = token[1 : n-1]
	}
	if n, err := strconv.ParseInt(string(token), 10, 64); err == nil {
		return n, true
	}
	v, err := strconv.ParseFloat(string(token), 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > maxOffset {
		return 0, false
	}
	return int64(v), true
}

// decoder walks through a body.
type decoder struct {
	body []byte
	at   int
}

func (d *decoder) peek() byte {
	if d.at < len(d.body) {
		return d.body[d.at]
	}
	return 0
}

func (d *decoder) space() {
	for d.at < len(d.body) {
		switch d.body[d.at] {
		case ' ', '\t', '\r', '\n':
			d.at++
		default:
			return
		}
	}
}

// object reads an object; field reads the value of each name, which is gone when it returns.
func (d *decoder) object(field func(name []byte) error) error {
	if d.peek() != '{' {
		return errNotJSON
	}
	return d.sequence('}', func() error {
		if d.peek() != '"' {
			return errNotJSON
		}
		name, err := d.text()
		if err != nil {
			return err
		}
		d.space()
		if d.peek() != ':' {
			return errNotJSON
		}
		d.at++
		d.space()
		return field(name)
	})
}

func (d *decoder) objectOrSkip(field func(name []byte) error) error {
	if d.peek() == '{' {
		return d.object(field)
	}
	_, err := d.skip()
	return err
}

func (d *decoder) listOrSkip(element func() error) error {
	if d.peek() == '[' {
		return d.sequence(']', element)
	}
	_, err := d.skip()
	return err
}

// sequence reads what stands between two brackets, with commas between.
func (d *decoder) sequence(end byte, element func() error) error {
	d.at++
	d.space()
	if d.peek() == end {
		d.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		d.space()
		switch d.peek() {
		case ',':
			d.at++
			d.space()
		case end:
			d.at++
			return nil
		default:
			return errNotJSON
		}
	}
}

// skip passes a value and returns its raw text.
func (d *decoder) skip() ([]byte, error) {
	size := chunk.Skip(d.body[d.at:])
	if size == 0 {
		return nil, errNotJSON
	}
	token := d.body[d.at : d.at+size]
	d.at += size
	return token, nil
}

func (d *decoder) flag(into *bool) error {
	token, err := d.skip()
	*into = string(token) == "true"
	return err
}

func (d *decoder) textOrSkip() (text []byte, isText bool, err error) {
	if d.peek() == '"' {
		text, err = d.text()
		return text, true, err
	}
	_, err = d.skip()
	return nil, false, err
}

// text reads a string, and writes it unescaped over itself.
func (d *decoder) text() ([]byte, error) {
	body, start := d.body, d.at+1
	to := start
	for at := start; at < len(body); {
		switch c := body[at]; {
		case c == '"':
			d.at = at + 1
			return body[start:to:to], nil
		case c == '\\':
			r, size := chunk.Escape(body[at:])
			if size == 0 {
				return nil, errNotJSON
			}
			at += size
			if r < utf8.RuneSelf {
				body[to] = byte(r)
				to++
				continue
			}
			to += utf8.EncodeRune(body[to:to+utf8.UTFMax], r)
		case c < ' ':
			return nil, errNotJSON
		default:
			body[to] = c
			to++
			at++
		}
	}
	return nil, errNotJSON
}
