package chunk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// The first byte of encoded statistics.
const (
	statsPlain  = 1
	statsPacked = 2 // zstd of what follows the first byte of statsPlain
)

const (
	// packFrom is the size from which statistics are compressed; below it there is little to find.
	packFrom = 512
	// minKeySize is the least that a key takes: its name's length, its kinds, its flags and its first token.
	minKeySize = 4
)

// What the flags of an encoded key say. A token that equals an earlier one is not written again.
const (
	flagMonotonic = 1 << iota
	flagRanged
	flagLastIsFirst
	flagMinIsFirst
	flagMinIsLast
	flagMaxIsFirst
	flagMaxIsLast
)

// EncodeStats writes statistics in a few bytes per key.
func EncodeStats(s *Stats) []byte {
	buffer := scratch.Get().(*[]byte)
	raw := append((*buffer)[:0], statsPlain)
	raw = appendHead(raw, s.Lines, s.stepRange, s.Wide)
	if !s.Wide {
		raw = binary.AppendUvarint(raw, uint64(len(s.keys)))
		for i := range s.keys {
			raw = appendKey(raw, []byte(s.keys[i].Name), &s.keys[i])
		}
	}
	out := packStats(raw)
	if cap(raw) <= keepScratch {
		*buffer = raw
		scratch.Put(buffer)
	}
	return out
}

// packStats compresses what begins with statsPlain, or copies it.
func packStats(raw []byte) []byte {
	if len(raw) < packFrom {
		return bytes.Clone(raw)
	}
	return pack(statsPacked, raw[1:])
}

// appendHead writes what is not of keys.
func appendHead(b []byte, lines int64, steps stepRange, wide bool) []byte {
	b = binary.AppendUvarint(b, uint64(lines))
	b = binary.AppendUvarint(b, uint64(steps.steps))
	if steps.steps > 0 {
		b = binary.AppendUvarint(b, uint64(steps.minStep))
		b = binary.AppendUvarint(b, uint64(steps.maxStep-steps.minStep))
	}
	if wide {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendKey(b, name []byte, k *Key) []byte {
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	var present byte
	for kind, n := range k.Counts {
		if n > 0 {
			present |= 1 << kind
		}
	}
	b = append(b, present)
	for _, n := range k.Counts {
		if n > 0 {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	flags := k.flags()
	b = append(b, flags)
	b = k.First.append(b)
	if flags&flagLastIsFirst == 0 {
		b = k.Last.append(b)
	}
	if flags&flagRanged == 0 {
		return b
	}
	if flags&(flagMinIsFirst|flagMinIsLast) == 0 {
		b = k.Min.append(b)
	}
	if flags&(flagMaxIsFirst|flagMaxIsLast) == 0 {
		b = k.Max.append(b)
	}
	return b
}

func (k *Key) flags() (flags byte) {
	for _, f := range []struct {
		bit byte
		set bool
	}{
		{flagMonotonic, k.Monotonic},
		{flagRanged, k.Ranged},
		{flagLastIsFirst, k.Last.Equal(&k.First)},
		{flagMinIsFirst, k.Min.Equal(&k.First)},
		{flagMinIsLast, k.Min.Equal(&k.Last)},
		{flagMaxIsFirst, k.Max.Equal(&k.First)},
		{flagMaxIsLast, k.Max.Equal(&k.Last)},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	return flags
}

// numerals are the characters of numbers: such a token takes half a byte per character.
const numerals = "0123456789+-.eE"

// append writes the token: twice its length, plus one where it is packed, and its text.
func (t *Token) append(b []byte) []byte {
	text := t.Bytes()
	start := len(b)
	b = append(b, t.size<<1|1)
	var pending byte
	for i, c := range text {
		code, ok := numeral(c)
		if !ok {
			b = append(b[:start], t.size<<1)
			return append(b, text...)
		}
		if i%2 == 0 {
			pending = code << 4
			continue
		}
		b = append(b, pending|code)
	}
	if len(text)%2 == 1 {
		b = append(b, pending)
	}
	return b
}

func numeral(c byte) (code byte, ok bool) {
	switch c {
	case '+':
		return 10, true
	case '-':
		return 11, true
	case '.':
		return 12, true
	case 'e':
		return 13, true
	case 'E':
		return 14, true
	}
	return c - '0', c-'0' <= 9
}

// DecodeStats reads what EncodeStats has written.
func DecodeStats(b []byte) (*Stats, error) {
	raw, err := unpackStats(b)
	if err != nil {
		return nil, err
	}
	r := reader{rest: raw}
	s := r.stats()
	if err := r.end(); err != nil {
		return nil, err
	}
	return s, nil
}

// unpackStats returns what follows the first byte of statsPlain.
func unpackStats(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, ErrCorrupt
	}
	switch b[0] {
	case statsPlain:
		return b[1:], nil
	case statsPacked:
		return unpack(b[1:])
	default:
		return nil, fmt.Errorf("%w: statistics of version %d", ErrCorrupt, b[0])
	}
}

// reader reads encoded values; once something is wrong, everything that follows is zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, nil
}

func (r *reader) count() int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt64 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// end fails where something was wrong, or is left.
func (r *reader) end() error {
	if r.bad || len(r.rest) > 0 {
		return ErrCorrupt
	}
	return nil
}

// head reads what appendHead has written.
func (r *reader) head() (lines int64, steps stepRange, wide bool) {
	lines, steps.steps = r.count(), r.count()
	if steps.steps > 0 {
		steps.minStep = r.count()
		steps.maxStep = steps.minStep + r.count()
		if steps.maxStep < steps.minStep {
			r.fail()
		}
	}
	mark := r.byte()
	if mark > 1 {
		r.fail()
	}
	return lines, steps, mark == 1
}

// keyCount reads how many keys follow.
func (r *reader) keyCount() int {
	count := r.count()
	if count > MaxTotals || count > int64(len(r.rest)/minKeySize) {
		r.fail()
		return 0
	}
	return int(count)
}

func (r *reader) stats() *Stats {
	s := &Stats{}
	s.Lines, s.stepRange, s.Wide = r.head()
	if s.Wide {
		return s
	}
	count := r.keyCount()
	s.keys, s.index = make([]Key, count), make(map[string]int32, count)
	for i := range s.keys {
		s.keys[i].Name = string(r.key(&s.keys[i]))
		s.index[s.keys[i].Name] = int32(i) // at most MaxTotals
	}
	if len(s.index) != len(s.keys) {
		r.fail()
	}
	return s
}

// key reads a key into an empty one, but for its name, which is returned.
func (r *reader) key(k *Key) (name []byte) {
	size := r.count()
	if size > MaxKeyLength {
		r.fail()
	}
	name = r.bytes(size)
	present := r.byte()
	if present == 0 || present >= 1<<kinds {
		r.fail()
	}
	for kind := range k.Counts {
		if present&(1<<kind) != 0 {
			k.Counts[kind] = r.count()
			if k.Counts[kind] == 0 {
				r.fail()
			}
		}
	}
	flags := r.byte()
	k.Monotonic, k.Ranged = flags&flagMonotonic != 0, flags&flagRanged != 0
	r.token(&k.First)
	k.Last = k.First
	if flags&flagLastIsFirst == 0 {
		r.token(&k.Last)
	}
	if k.Ranged {
		r.extreme(k, &k.Min, flags&flagMinIsFirst != 0, flags&flagMinIsLast != 0)
		r.extreme(k, &k.Max, flags&flagMaxIsFirst != 0, flags&flagMaxIsLast != 0)
		r.numbers(k)
	}
	return name
}

func (r *reader) extreme(k *Key, t *Token, isFirst, isLast bool) {
	switch {
	case isFirst:
		*t = k.First
	case isLast:
		*t = k.Last
	default:
		r.token(t)
	}
}

// numbers restores what tokens compare as.
func (r *reader) numbers(k *Key) {
	var lowOK, highOK bool
	k.min, lowOK = k.Min.number()
	k.max, highOK = k.Max.number()
	if !lowOK || !highOK {
		r.fail()
	}
	var ok bool
	if k.last, ok = k.Last.number(); k.Monotonic && !ok {
		r.fail()
	}
}

func (r *reader) token(t *Token) {
	head := r.byte()
	size := int64(head >> 1)
	if size > MaxToken {
		r.fail()
		return
	}
	if head&1 == 0 {
		t.set(r.bytes(size))
		return
	}
	packed := r.bytes((size + 1) / 2)
	if r.bad {
		return
	}
	for i := range size {
		code := packed[i/2] >> 4
		if i%2 == 1 {
			code = packed[i/2] & 15
		}
		if int(code) >= len(numerals) {
			r.fail()
			return
		}
		t.text[i] = numerals[code]
	}
	t.size = uint8(size) // at most MaxToken
}
