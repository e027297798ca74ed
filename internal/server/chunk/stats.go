package chunk

import (
	"bytes"
	"math"
	"slices"
)

// Kind is the type of a value, as historyKeys names it.
type Kind uint8

// The kinds of values. Their numbers are stored.
const (
	Number Kind = iota
	String
	Map
	List
	Boolean
	Nil
	kinds
)

// String is the name that the client knows.
func (k Kind) String() string {
	return [kinds]string{"number", "string", "map", "list", "boolean", "nil"}[k]
}

const (
	// MaxKeys is how many keys a chunk has statistics of.
	MaxKeys = 4096
	// MaxToken is how many bytes a token may have to be kept. Every float64 and every int64 fits.
	MaxToken = 40
	// MaxKeyLength is how many bytes a key may have; a line with a longer one makes the statistics wide.
	MaxKeyLength = 1024
	// NoStep is the step of lines that have none.
	NoStep int64 = -1
)

// Token is the text of a value as it stood in its line; empty where it was longer than MaxToken.
type Token struct {
	size uint8
	text [MaxToken]byte
}

// Bytes is the text; it is valid as long as the token.
func (t *Token) Bytes() []byte { return t.text[:t.size] }

func (t *Token) set(b []byte) {
	if len(b) > MaxToken {
		t.size = 0
		return
	}
	t.size = uint8(copy(t.text[:], b)) // at most MaxToken
}

// number is the value of a token that is a number.
func (t *Token) number() (v float64, ok bool) {
	if t.size == 0 {
		return 0, false
	}
	s := scanner{line: t.Bytes()}
	v, err := s.number()
	return v, err == nil && s.at == len(s.line)
}

// Key is what is known of the values of one key.
type Key struct {
	// Name is the path of the key: the names on the way joined by ".", a literal dot in a name written as "\.".
	Name string
	// Counts says how many values of each kind there are.
	Counts [kinds]int64
	// First and Last are the values of the first and the last line that has the key.
	First, Last Token
	// Min and Max are the extremes of the numbers that are not NaN. They are set where Ranged is.
	Min, Max Token
	Ranged   bool
	// Monotonic: every value is a number of at most MaxToken bytes, and none is smaller than the one before.
	Monotonic bool

	min, max, last float64
	line           int64 // the last line that had the key, counted from 1
	low, high      int64 // those with Min and Max

	// While an outline is made: whether a value was marked, in which lines last, and what the lines with the key add up to.
	// opaque: it has a value that cannot be marked.
	marked, opaque bool
	bucket         int64
	pattern        uint64
}

// Count is the number of values.
func (k *Key) Count() int64 {
	var n int64
	for _, c := range k.Counts {
		n += c
	}
	return n
}

// Stats are the statistics of consecutive lines. The zero value is ready for use. Not safe for concurrent use.
type Stats struct {
	// Lines counts the lines that were JSON objects.
	Lines int64
	// Wide: there were more keys than MaxKeys, or one longer than MaxKeyLength. Nothing is kept of any of them then, and
	// who wants to know folds the lines.
	Wide bool

	stepRange
	keys   []Key
	index  map[string]int32
	scan   scanner
	sketch sketch
}

// stepRange is the lowest and the highest of some steps.
type stepRange struct{ steps, minStep, maxStep int64 }

// Steps returns the lowest and the highest step of the lines; NoStep for none.
func (r *stepRange) Steps() (lowest, highest int64) {
	if r.steps == 0 {
		return NoStep, NoStep
	}
	return r.minStep, r.maxStep
}

// add notes the step of a line.
func (r *stepRange) add(v int64) { r.join(stepRange{1, v, v}) }

func (r *stepRange) join(other stepRange) {
	switch {
	case other.steps == 0:
	case r.steps == 0:
		*r = other
	default:
		r.steps += other.steps
		r.minStep, r.maxStep = min(r.minStep, other.minStep), max(r.maxStep, other.maxStep)
	}
}

// Keys returns the keys in no order that means anything; nil where the statistics are wide. Valid until the next change.
func (s *Stats) Keys() []Key { return s.keys }

// Key returns one key by its path; nil where there is none.
func (s *Stats) Key(name string) *Key {
	at, ok := s.index[name]
	if !ok {
		return nil
	}
	return &s.keys[at]
}

// Reset empties the statistics and keeps their memory, but for that of unusual lines.
func (s *Stats) Reset() {
	s.Lines, s.Wide, s.stepRange = 0, false, stepRange{}
	s.forget()
	s.scan.trim()
	s.sketch.reset()
}

func (s *Stats) forget() {
	clear(s.index)
	clear(s.keys) // the names are freed
	s.keys = s.keys[:0]
}

func (s *Stats) widen() {
	s.Wide = true
	s.forget()
}

// find returns a key, made where it is new; nil where that made the statistics wide.
func (s *Stats) find(name []byte) *Key {
	if at := s.at(name); at >= 0 {
		return &s.keys[at]
	}
	return nil
}

// at returns the number of a key, made where it is new; -1 where that made the statistics wide.
func (s *Stats) at(name []byte) int32 {
	if at, ok := s.index[string(name)]; ok {
		return at
	}
	if len(s.keys) >= MaxKeys || len(name) > MaxKeyLength {
		s.widen()
		return -1
	}
	if s.index == nil {
		s.index = make(map[string]int32)
	}
	text, at := string(name), int32(len(s.keys)) // at most MaxKeys
	s.index[text] = at
	s.keys = append(s.keys, Key{Name: text, Monotonic: true})
	return at
}

// add counts the values of a line. Of a name that stands in it twice the last value counts, as for other readers of JSON.
func (s *Stats) add(cells []cell) {
	s.Lines++
	if len(s.keys) == 0 && !s.Wide { // later lines have about the same
		s.keys = slices.Grow(s.keys, len(cells))
		if s.index == nil {
			s.index = make(map[string]int32, len(cells))
		}
	}
	for i := len(cells) - 1; i >= 0 && !s.Wide; i-- {
		c := &cells[i]
		at := s.at(c.name)
		if at < 0 || s.keys[at].line == s.Lines {
			continue
		}
		k := &s.keys[at]
		k.line = s.Lines
		k.add(c)
		if s.sketch.on {
			s.sketch.note(k, at, c)
		}
	}
}

func (k *Key) add(c *cell) {
	first := k.First.size == 0 && k.Count() == 0 // a first token that was too long is not kept
	k.Counts[c.kind]++
	k.Last.set(c.token)
	if first {
		k.First = k.Last
	}
	if len(c.token) > MaxToken {
		k.Monotonic = false // later lines could not be compared with it once it is stored
	}
	if c.kind != Number || math.IsNaN(c.value) {
		k.Monotonic = false
		return
	}
	k.Monotonic = k.Monotonic && (first || c.value >= k.last)
	k.last = c.value
	if !k.Ranged || c.value < k.min {
		k.min, k.low = c.value, k.line
		k.Min.setNumber(c.token, c.value)
	}
	if !k.Ranged || c.value > k.max {
		k.max, k.high = c.value, k.line
		k.Max.setNumber(c.token, c.value)
	}
	k.Ranged = true
}

// Merge adds the statistics of later lines.
func (s *Stats) Merge(newer *Stats) {
	s.Lines += newer.Lines
	s.join(newer.stepRange)
	if newer.Wide && !s.Wide {
		s.widen()
	}
	for i := 0; i < len(newer.keys) && !s.Wide; i++ {
		n := &newer.keys[i]
		if k := s.find([]byte(n.Name)); k != nil {
			k.merge(n)
		}
	}
}

// addAll adds keys of later lines.
func (s *Stats) addAll(newer keyReader) {
	var n Key
	for name, ok := newer.next(&n); ok && !s.Wide; name, ok = newer.next(&n) {
		if k := s.find(name); k != nil {
			k.merge(&n)
		}
	}
}

func (k *Key) merge(n *Key) {
	before, added := k.Count(), n.Count()
	if added == 0 {
		return
	}
	if before == 0 {
		name, line := k.Name, k.line
		*k = *n
		k.Name, k.line = name, line
		return
	}
	k.Monotonic = k.Monotonic && n.Monotonic && startsAt(n, k.last)
	for i := range n.Counts {
		k.Counts[i] += n.Counts[i]
	}
	k.Last, k.last = n.Last, n.last
	if !n.Ranged {
		return
	}
	if !k.Ranged || n.min < k.min {
		k.Min, k.min = n.Min, n.min
	}
	if !k.Ranged || n.max > k.max {
		k.Max, k.max = n.Max, n.max
	}
	k.Ranged = true
}

// startsAt tells whether the first value of a key is known to be v or more.
func startsAt(k *Key, v float64) bool {
	first, ok := k.First.number()
	return ok && first >= v
}

// Equal tells whether two tokens hold the same text.
func (t *Token) Equal(other *Token) bool { return bytes.Equal(t.Bytes(), other.Bytes()) }
