package history

import (
	"bytes"
	"context"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// source is where the rows of a part are. What it returns is shared and must not be changed.
type source interface {
	// rows returns where each row stands.
	rows(ctx context.Context) (*rows, error)
	// texts returns the lines of some rows, of all for nil.
	texts(ctx context.Context, which []int32) ([][]byte, error)
	// all returns where each row stands, and its line.
	all(ctx context.Context) (*rows, [][]byte, error)
	// columns returns where each row stands, and the values of keys in every row.
	columns(ctx context.Context, keys []string) (*rows, []*segment.Values, error)
	// curves returns what a chart of many rows needs to know of keys; known is false where only the columns tell, and found is
	// nil where no row has all keys.
	curves(ctx context.Context, keys []string) (found *curves, known bool, err error)
	// outlineLevel is how far curves are thinned out.
	outlineLevel() uint
	// stats returns the statistics of all rows; nil where only the lines can tell.
	stats(ctx context.Context) (*chunk.Stats, error)
}

// rows are the steps and the numbers of lines, in the order in which a source holds them.
type rows struct {
	n            int
	steps, lines sequence
	// odd, where not nil, are the rows that are no JSON objects.
	odd []bool
}

func (r *rows) size() int { return 8*(len(r.steps.values)+len(r.lines.values)) + len(r.odd) + 128 }

// sequence is whole numbers. Most count up evenly, which takes no memory: values is nil then.
type sequence struct {
	from, by int64
	values   []int64
}

func sequenceOf(values []int64) sequence {
	s := sequence{}
	if len(values) > 0 {
		s.from = values[0]
	}
	if len(values) > 1 {
		s.by = values[1] - values[0]
	}
	for i, v := range values {
		if v != s.from+int64(i)*s.by {
			return sequence{values: values}
		}
	}
	return s
}

func (s *sequence) at(i int) int64 {
	if s.values != nil {
		return s.values[i]
	}
	return s.from + int64(i)*s.by
}

// part is lines of one writer that came together.
type part struct {
	source
	writer string
	// rank orders writers; parts of one have the same.
	rank int
	// lines is the range that the part's lines lie in.
	lines            span
	minStep, maxStep int64
	// hidden are lines that no longer count; cut is the highest step that does.
	hidden spans
	cut    int64
	// together is the footer whose statistics are those of this part and all others of its segment; nil for none.
	together *segment.Footer
}

// whole tells that every row counts, none that no row does.
func (p *part) whole() bool { return len(p.hidden) == 0 && p.maxStep <= p.cut }
func (p *part) none() bool  { return p.minStep > p.cut || p.hidden.covers(p.lines) }

// visible tells whether a row counts.
func (p *part) visible(r *rows, row int) bool {
	if r.odd != nil && r.odd[row] {
		return false
	}
	return r.steps.at(row) <= p.cut && (len(p.hidden) == 0 || !p.hidden.has(r.lines.at(row)))
}

// chunkSource is a chunk of the database.
type chunkSource struct {
	service *Service
	chunk   store.Chunk
	// follows are chunks of the same writer that are likely wanted next.
	follows []store.Chunk
	// ahead are bodies that were read with others.
	ahead *bodies
}

// bodies are those of chunks that one reader has fetched and not used yet.
type bodies struct {
	known map[chunkKey][]byte
	// outlines are those of chunks; nil for one that has none.
	outlines map[chunkKey][]byte
	// largest is the length of the largest that was fetched.
	largest int
}

// next is how many chunks are likely to fit into memory at once.
func (b *bodies) next(c *store.Chunk) int {
	switch {
	case b.largest > 0:
		return min(max(prefetchBytes/b.largest, 1), prefetch)
	case c.N == 1:
		return 2 // a lone line may be of any length
	default:
		return likelyRatio * prefetchBytes / chunk.MaxRaw
	}
}

// chunkKey names what is kept of a chunk.
type chunkKey struct {
	run    store.ID
	stream store.Stream
	writer store.Text
	seq    int64
	// what is "" for the lines, "rows", "stats", or "=" and a key for its values.
	what string
}

func keyOf(c *store.Chunk, what string) chunkKey {
	return chunkKey{run: c.RunID, stream: c.Stream, writer: c.Writer, seq: c.Seq, what: what}
}

// decoded are the lines of a chunk.
type decoded struct {
	rows  rows
	texts [][]byte
}

// linesOf finds where lines stand. Only those of the history have steps, and those of the console need not be objects.
func linesOf(c *store.Chunk, lines [][]byte) (d *decoded, size int) {
	d = &decoded{texts: lines, rows: rows{n: len(lines), lines: sequence{from: c.FirstLine, by: 1}}}
	steps := make([]int64, len(lines))
	for i, line := range lines {
		steps[i] = store.NoStep
		size += len(line)
		if c.Stream == store.StreamConsole {
			continue
		}
		step, ok := chunk.Step(line)
		if c.Stream == store.StreamHistory {
			steps[i] = step
		}
		if !ok {
			if d.rows.odd == nil {
				d.rows.odd = make([]bool, len(lines))
			}
			d.rows.odd[i] = true
		}
	}
	d.rows.steps = sequenceOf(steps)
	return d, size + 24*len(lines)
}

// prefetch, prefetchLines and prefetchBytes bound the chunks that are read at once: MySQL answers one query for several much
// sooner than several.
const (
	prefetch      = 64
	prefetchLines = 64 << 10
	prefetchBytes = 4 << 20
)

// body returns the body of the chunk, which is not kept.
func (c *chunkSource) body(ctx context.Context) ([]byte, error) {
	body, err := c.fetched(ctx)
	delete(c.ahead.known, keyOf(&c.chunk, ""))
	return body, err
}

// fetched returns the body of the chunk, and reads those of some that follow with it.
func (c *chunkSource) fetched(ctx context.Context) ([]byte, error) {
	key := keyOf(&c.chunk, "")
	if body, ok := c.ahead.known[key]; ok {
		return body, nil
	}
	seqs, lines, most := []int64{c.chunk.Seq}, int(c.chunk.N), c.ahead.next(&c.chunk)
	for i := range c.follows {
		if lines += int(c.follows[i].N); lines > prefetchLines || len(seqs) == most {
			break
		}
		seqs = append(seqs, c.follows[i].Seq)
	}
	found, err := c.service.store.Chunks(ctx, c.chunk, store.ChunkBody, seqs)
	if err != nil {
		return nil, err
	}
	for i := range found {
		c.ahead.known[keyOfSeq(key, found[i].Seq)] = found[i].Body
		c.ahead.largest = max(c.ahead.largest, len(found[i].Body))
	}
	body, ok := c.ahead.known[key]
	if !ok {
		return nil, errGone
	}
	return body, nil
}

// keptLines is how many bytes of lines are kept for the next reader: few lines that are longer than a chunk would drive out all
// others.
const keptLines = 3 << 19

func (c *chunkSource) decoded(ctx context.Context) (*decoded, error) {
	if d, ok := c.service.lines.get(keyOf(&c.chunk, "")); ok {
		return d.(*decoded), nil
	}
	body, err := c.body(ctx)
	if err != nil {
		return nil, err
	}
	lines, err := chunk.Decode(body)
	if err != nil {
		return nil, corrupt(err)
	}
	d, size := linesOf(&c.chunk, lines)
	if size <= keptLines {
		c.service.lines.put(keyOf(&c.chunk, ""), d, size)
	}
	kept := d.rows // a pointer into d would keep the lines, too
	c.service.columns.put(keyOf(&c.chunk, "rows"), &kept, kept.size())
	return d, nil
}

func (c *chunkSource) rows(ctx context.Context) (*rows, error) {
	if r, ok := c.service.columns.get(keyOf(&c.chunk, "rows")); ok {
		return r.(*rows), nil
	}
	d, err := c.decoded(ctx)
	if err != nil {
		return nil, err
	}
	return &d.rows, nil
}

func (c *chunkSource) texts(ctx context.Context, which []int32) ([][]byte, error) {
	d, err := c.decoded(ctx)
	if err != nil || which == nil {
		return d.lines(), err
	}
	texts := make([][]byte, len(which))
	for i, row := range which {
		texts[i] = d.texts[row]
	}
	return texts, nil
}

func (c *chunkSource) all(ctx context.Context) (*rows, [][]byte, error) {
	d, err := c.decoded(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &d.rows, d.texts, nil
}

func (d *decoded) lines() [][]byte {
	if d == nil {
		return nil
	}
	return d.texts
}

// columns reads no more of the lines than it needs, and keeps nothing: a chart is carried on from where it was.
func (c *chunkSource) columns(ctx context.Context, keys []string) (*rows, []*segment.Values, error) {
	if d, ok := c.service.lines.get(keyOf(&c.chunk, "")); ok {
		found := d.(*decoded)
		return &found.rows, segment.NewExtractor(keys).Extract(found.texts), nil
	}
	body, err := c.body(ctx)
	if err != nil {
		return nil, nil, err
	}
	n, columns, err := chunk.Split(body, namesOf(keys))
	if err != nil {
		return nil, nil, corrupt(err)
	}
	if steps := segment.StepsOf(n, columns); steps != nil && n > 0 {
		return c.taken(keys, steps, columns)
	}
	lines, err := chunk.Select(body, namesOf(keys))
	if err != nil {
		return nil, nil, corrupt(err)
	}
	d, _ := linesOf(&c.chunk, lines)
	return &d.rows, segment.NewExtractor(keys).Extract(lines), nil
}

// taken returns values that were stored by columns.
func (c *chunkSource) taken(keys []string, steps []int64, columns []chunk.Column) (*rows, []*segment.Values, error) {
	r := &rows{n: len(steps), steps: sequenceOf(steps), lines: sequence{from: c.chunk.FirstLine, by: 1}}
	values := make([]*segment.Values, len(keys))
	for i, key := range keys {
		values[i] = segment.ValuesOf(key, r.n, columns)
	}
	return r, values, nil
}

// namesOf tells which names at the top of a line the step and the values of keys may stand under.
func namesOf(keys []string) func(name []byte) bool {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = plain(key)
	}
	return func(name []byte) bool {
		if string(name) == "_step" || bytes.IndexByte(name, '\\') >= 0 { // an escape may stand for anything
			return true
		}
		return slices.ContainsFunc(names, func(key string) bool {
			return len(key) >= len(name) && key[:len(name)] == string(name) && (len(key) == len(name) || key[len(name)] == '.')
		})
	}
}

func (c *chunkSource) stats(ctx context.Context) (*chunk.Stats, error) {
	const what = "stats"
	if s, ok := c.service.columns.get(keyOf(&c.chunk, what)); ok {
		return s.(*chunk.Stats), nil
	}
	seqs := make([]int64, 0, 1+len(c.follows))
	seqs = append(seqs, c.chunk.Seq)
	for i := range c.follows {
		if _, ok := c.service.columns.get(keyOf(&c.follows[i], what)); !ok && len(seqs) < prefetch {
			seqs = append(seqs, c.follows[i].Seq)
		}
	}
	found, err := c.service.store.Chunks(ctx, c.chunk, store.ChunkStats, seqs)
	if err != nil {
		return nil, err
	}
	var mine *chunk.Stats
	for i := range found {
		s, err := chunk.DecodeStats(found[i].Stats)
		if err != nil {
			return nil, corrupt(err)
		}
		if s.Wide {
			s = nil
		}
		c.service.columns.put(keyOfSeq(keyOf(&c.chunk, what), found[i].Seq), s, 64+statsSize(s))
		if found[i].Seq == c.chunk.Seq {
			mine = s
		}
	}
	if len(found) == 0 || found[0].Seq != c.chunk.Seq {
		return nil, errGone
	}
	return mine, nil
}

// statsSize is about what statistics take in memory.
func statsSize(s *chunk.Stats) int {
	if s == nil {
		return 0
	}
	return 400 * len(s.Keys())
}
