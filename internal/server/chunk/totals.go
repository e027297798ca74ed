package chunk

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"sync"
)

// Totals are the statistics of consecutive lines with any number of keys up to MaxTotals. What many keys have in common with
// Stats is too much memory: 100,000 keys take 4 MB here and 35 MB there. So they are kept as they are stored, by name, and
// what is added comes in between; a few keys are gathered in Stats first. The zero value is ready for use. Not safe for
// concurrent use.
type Totals struct {
	// Lines counts the lines that were JSON objects.
	Lines int64
	// Wide: there were more keys than MaxTotals, a name longer than MaxKeyLength, or more than 14 MiB of names and values.
	// Nothing is kept of any of them then.
	Wide bool

	stepRange
	// recent is what came after what sorted holds.
	recent Stats
	sorted sheet
	// spare is memory for the next sheet.
	spare []byte
	// spill is how many keys recent holds at most; 0 means MaxKeys.
	spill int
}

const (
	// MaxTotals is how many keys Totals may have.
	MaxTotals = 1 << 17
	// maxSheet bounds the bytes of their names and values, so that they can be unpacked as well.
	maxSheet = maxDecoded - 2*MaxRaw
	// perKey is about what a key takes beside its name.
	perKey = 24
)

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// sheet is keys by name, each as appendKey writes it.
type sheet struct {
	count int
	keys  []byte
}

// Len is the number of keys.
func (t *Totals) Len() int {
	t.flush()
	return t.sorted.count
}

// Reset empties the totals and keeps a little memory.
func (t *Totals) Reset() {
	t.recent.Reset()
	*t = Totals{recent: t.recent, spill: t.spill}
}

// Scan adds a line, as the function of this name does to Stats.
func (t *Totals) Scan(line []byte) error {
	s := scanners.Get().(*scanner)
	defer func() {
		clear(s.cells) // or the line would be kept
		scanners.Put(s)
	}()
	if cap(s.cells) == 0 && len(line) > MaxRaw { // as many as there may be: they would grow from few
		s.cells = make([]cell, 0, min(bytes.Count(line, []byte{':'}), MaxTotals))
	}
	if err := s.read(line, MaxTotals, t.Wide); err != nil {
		return err
	}
	steps := stepRange{}
	if s.step != NoStep {
		steps.add(s.step)
	}
	t.head(1, steps, s.wide)
	cells := s.cells
	switch {
	case t.Wide:
	case t.room(len(cells)):
		t.recent.add(cells)
	default:
		t.merge(newCellReader(cells))
	}
	return nil
}

// Add adds the statistics of later lines.
func (t *Totals) Add(newer *Stats) {
	t.head(newer.Lines, newer.stepRange, newer.Wide)
	t.addKeys(newer)
}

func (t *Totals) addKeys(newer *Stats) {
	switch {
	case t.Wide:
	case t.room(len(newer.keys)):
		t.recent.Merge(newer)
	default:
		t.merge(newStatsReader(newer))
	}
}

// Merge adds later lines.
func (t *Totals) Merge(newer *Totals) {
	t.head(newer.Lines, newer.stepRange, newer.Wide)
	if newer.sorted.count == 0 {
		t.addKeys(&newer.recent)
		return
	}
	newer.flush()
	keys := newer.sorted.reader()
	switch {
	case t.Wide:
	case t.room(newer.sorted.count):
		t.recent.addAll(keys)
	default:
		t.merge(keys)
	}
}

// Append adds later lines whose statistics were encoded.
func (t *Totals) Append(encoded []byte) error {
	newer, err := DecodeTotals(encoded)
	if err == nil {
		t.Merge(newer)
	}
	return err
}

// Encode writes the totals as EncodeStats writes statistics, with the keys by name.
func (t *Totals) Encode() []byte {
	t.flush()
	t.spare = nil // whoever encodes is done with most
	buffer := scratch.Get().(*[]byte)
	raw := append(slices.Grow((*buffer)[:0], len(t.sorted.keys)+64), statsPlain)
	raw = appendHead(raw, t.Lines, t.stepRange, t.Wide)
	if !t.Wide {
		raw = binary.AppendUvarint(raw, uint64(t.sorted.count)) // never negative
		raw = append(raw, t.sorted.keys...)
	}
	out := packStats(raw)
	if cap(raw) <= keepScratch {
		*buffer = raw
		scratch.Put(buffer)
	}
	return out
}

// DecodeTotals reads what Encode or EncodeStats has written.
func DecodeTotals(b []byte) (*Totals, error) {
	t, err := RecallTotals(b)
	if err != nil {
		return nil, err
	}
	if inOrder, err := t.sorted.check(); err != nil || inOrder {
		return t, err
	}
	stats, err := DecodeStats(b)
	if err != nil {
		return nil, err
	}
	t = &Totals{}
	t.head(stats.Lines, stats.stepRange, stats.Wide)
	t.merge(newStatsReader(stats))
	return t, nil
}

// RecallTotals reads what Encode has written, and takes its word for it: for bytes that were never out of this program.
func RecallTotals(b []byte) (*Totals, error) {
	raw, err := unpackStats(b)
	if err != nil {
		return nil, err
	}
	r := reader{rest: raw}
	t := &Totals{}
	t.Lines, t.stepRange, t.Wide = r.head()
	if t.Wide {
		return t, r.end()
	}
	if t.sorted.count = r.keyCount(); r.bad {
		return nil, ErrCorrupt
	}
	t.sorted.keys = r.rest
	return t, nil
}

// check reads all keys, and tells whether they are in order.
func (s *sheet) check() (inOrder bool, err error) {
	all := s.reader()
	var key Key
	var last []byte
	inOrder = true
	for n := 0; ; n++ {
		name, ok := all.next(&key)
		if !ok {
			break
		}
		inOrder = inOrder && (n == 0 || bytes.Compare(last, name) < 0)
		last = name
	}
	return inOrder, all.end()
}

// Keys are the keys by name. A key is valid until the next, and its Name is empty.
func (t *Totals) Keys() iter.Seq2[[]byte, *Key] {
	t.flush()
	return func(yield func([]byte, *Key) bool) {
		all := t.sorted.reader()
		var key Key
		for {
			name, ok := all.next(&key)
			if !ok || !yield(name, &key) {
				return
			}
		}
	}
}

func (t *Totals) head(lines int64, steps stepRange, wide bool) {
	t.Lines += lines
	t.join(steps)
	if wide && !t.Wide {
		t.widen()
	}
}

func (t *Totals) widen() {
	t.Wide = true
	t.recent.Reset()
	t.sorted, t.spare = sheet{}, nil
}

// room tells whether so many keys are few enough to be gathered. Where they are not, nothing is.
func (t *Totals) room(keys int) bool {
	most := MaxKeys
	if t.spill > 0 {
		most = t.spill
	}
	if len(t.recent.keys)+keys > most {
		t.flush()
	}
	return keys <= most
}

// flush moves what is recent to the sheet.
func (t *Totals) flush() {
	if len(t.recent.keys) > 0 {
		t.merge(newStatsReader(&t.recent))
	}
	t.recent.Reset()
}

// merge adds keys of later lines to the sheet.
func (t *Totals) merge(newer keyReader) {
	older := t.sorted.reader()
	out := sheet{keys: slices.Grow(t.spare[:0], len(t.sorted.keys)+len(t.sorted.keys)/64+newer.size(t.sorted.count))}
	var a, b Key
	nameA, okA := older.next(&a)
	nameB, okB := newer.next(&b)
	for okA || okB {
		order := 0
		switch {
		case !okB:
			order = -1
		case !okA:
			order = 1
		default:
			order = bytes.Compare(nameA, nameB)
		}
		if out.count == MaxTotals || len(out.keys) > maxSheet || len(nameB) > MaxKeyLength {
			t.widen()
			return
		}
		out.count++
		switch {
		case order > 0:
			out.keys = appendKey(out.keys, nameB, &b)
		case order == 0:
			a.merge(&b)
			fallthrough
		default:
			out.keys = appendKey(out.keys, nameA, &a)
		}
		if order <= 0 {
			nameA, okA = older.next(&a)
		}
		if order >= 0 {
			nameB, okB = newer.next(&b)
		}
	}
	t.sorted, t.spare = out, t.sorted.keys
}
