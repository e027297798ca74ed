package segment

import "math"

// maxKnown bounds the paths whose names an Extractor remembers.
const maxKnown = 1 << 14

// Extractor reads the values of some keys out of lines. Not safe for concurrent use.
type Extractor struct {
	walker Walker
	keys   map[string]int
	known  map[string]int // by path; -1 for one that is not wanted
	out    []*Values
	tokens [][]byte
	row    int
}

// NewExtractor returns an extractor of different keys, by either of their Names.
func NewExtractor(keys []string) *Extractor {
	e := &Extractor{keys: make(map[string]int, len(keys)), known: map[string]int{}, tokens: make([][]byte, len(keys))}
	for i, key := range keys {
		e.keys[key] = i
	}
	return e
}

// Extract returns the values of each key in these lines. A line that is no JSON object has none.
func (e *Extractor) Extract(lines [][]byte) []*Values {
	e.out = make([]*Values, len(e.tokens))
	for i := range e.out {
		e.out[i] = absent(len(lines))
	}
	for row, line := range lines {
		e.row = row
		e.line(line)
	}
	return e.out
}

func (e *Extractor) line(line []byte) {
	clear(e.tokens)
	if cells, err := e.walker.Walk(line); err == nil {
		for _, cell := range cells {
			if key := e.key(cell.Path); key >= 0 {
				e.tokens[key] = cell.Token
			}
		}
	}
	for key, token := range e.tokens {
		v := e.out[key]
		v.floats[e.row] = math.NaN()
		if token != nil {
			v.has[e.row>>6] |= 1 << (e.row & 63)
			v.text = append(v.text, token...)
			v.floats[e.row] = number(token)
		}
		v.ends[e.row] = uint32(len(v.text)) // the lines of a chunk are far shorter
	}
}

func (e *Extractor) key(path []byte) int {
	if key, ok := e.known[string(path)]; ok {
		return key
	}
	key := wanted(path, e.keys)
	if len(e.known) < maxKnown {
		e.known[string(path)] = key
	}
	return key
}

// wanted returns the number of the key that a path is called by; -1 for none.
func wanted(path []byte, keys map[string]int) int {
	escaped, plain := Names(path)
	if key, ok := keys[escaped]; ok {
		return key
	}
	if key, ok := keys[plain]; ok {
		return key
	}
	return -1
}
