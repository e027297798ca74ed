package history

import (
	"context"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// blockSource is a block of a segment.
type blockSource struct {
	service *Service
	segment store.Segment
	object  store.Object
	footer  *segment.Footer
	block   int
	// outlined is shared by the blocks of the segment.
	outlined *outlined
}

// blockKey names what is kept of a segment: the values of a column in a block, or its footer.
type blockKey struct {
	object store.ID
	block  int
	column int
}

// The columns of blockKey that are none.
const (
	keyRows   = -1
	keyFooter = -2
)

// leastAhead and mostAhead are how many bytes of one column are read at once, in the blocks that follow: the more, the longer
// somebody reads on.
const (
	leastAhead = 64 << 10
	mostAhead  = 1 << 20
)

// readAhead is that of one reader of a segment.
type readAhead int64

func (a *readAhead) bytes() int64 { return max(int64(*a), leastAhead) }

func (a *readAhead) grow() { *a = readAhead(min(2*a.bytes(), mostAhead)) }

// footer returns that of a segment, Bare.
func (s *Service) footer(ctx context.Context, g store.Segment) (*segment.Footer, error) {
	key := blockKey{object: g.ObjectID, column: keyFooter}
	if f, ok := s.footers.get(key); ok {
		return f.(*segment.Footer), nil
	}
	f, err := s.wholeFooter(ctx, g)
	if err != nil {
		return nil, err
	}
	f = f.Bare()
	s.footers.put(key, f, f.Size())
	return f, nil
}

func (s *Service) wholeFooter(ctx context.Context, g store.Segment) (*segment.Footer, error) {
	raw, err := s.store.SegmentFooter(ctx, g)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		if raw, err = s.get(ctx, g.Object(), extent{g.FooterAt, g.Size - g.FooterAt}); err != nil {
			return nil, err
		}
	}
	f, err := segment.ParseFooter(raw)
	if err != nil {
		return nil, corrupt(err)
	}
	return f, nil
}

// together returns the statistics of all rows of the segment.
func (b *blockSource) together(ctx context.Context) ([]byte, error) {
	if len(b.footer.Stats) > 0 {
		return b.footer.Stats, nil
	}
	f, err := b.service.wholeFooter(ctx, b.segment)
	if err != nil {
		return nil, err
	}
	return f.Stats, nil
}

// share is that of a block in a column: the one wanted at a place of an answer.
type share struct {
	extent
	at, column, block int
}

// load returns columns of the block, and keeps those of following blocks that are read with them. A column is nil where
// the block does not have it.
func (b *blockSource) load(ctx context.Context, columns []int) ([]*segment.Values, error) {
	out := make([]*segment.Values, len(columns))
	most := b.outlined.columnsAhead.bytes()
	var want []share
	for i, column := range columns {
		if out[i] = b.known(column); out[i] != nil {
			continue
		}
		ahead := int64(0)
		for block := b.block; block < len(b.footer.Blocks); block++ {
			offset, length := b.footer.Range(column, block)
			// A row needs all columns, and their neighbours in other blocks would only fill the memory.
			if ahead += length; block > b.block && (ahead > most || len(columns) > segmentKeysAhead) {
				break
			}
			if length > 0 {
				want = append(want, share{extent{offset, length}, i, column, block})
			}
		}
	}
	if len(want) > 0 {
		b.outlined.columnsAhead.grow()
	}
	slices.SortFunc(want, func(x, y share) int { return compare(x.offset, y.offset) })
	extents := make([]extent, len(want))
	for i, w := range want {
		extents[i] = w.extent
	}
	raw, err := b.service.fetch(ctx, b.object, extents)
	if err != nil {
		return nil, err
	}
	cache := b.service.columns
	if len(columns) > segmentKeysAhead { // for rows
		cache = b.service.lines
	}
	for i, m := range want {
		v, err := segment.DecodeColumn(raw[i], b.footer.Blocks[m.block].Rows)
		if err != nil {
			return nil, corrupt(err)
		}
		cache.put(blockKey{b.object.ID, m.block, m.column}, v, v.Size())
		if m.block == b.block {
			out[m.at] = v
		}
	}
	return out, nil
}

// known is a column that was kept.
func (b *blockSource) known(column int) *segment.Values {
	for _, cache := range []*cache{b.service.columns, b.service.lines} {
		if v, ok := cache.get(blockKey{b.object.ID, b.block, column}); ok {
			return v.(*segment.Values)
		}
	}
	return nil
}

// segmentKeysAhead is how many columns at most are read ahead.
const segmentKeysAhead = 64

// rows are kept apart from the columns that they are read from, which are mostly nothing but a count.
func (b *blockSource) rows(ctx context.Context) (*rows, error) {
	if r, ok := b.service.columns.get(blockKey{b.object.ID, b.block, keyRows}); ok {
		return r.(*rows), nil
	}
	var lines, steps []extent
	ahead, most := int64(0), b.outlined.rowsAhead.bytes()
	b.outlined.rowsAhead.grow()
	for block := b.block; block < len(b.footer.Blocks) && ahead < most; block++ {
		offset, length := b.footer.Range(segment.Lines, block)
		lines = append(lines, extent{offset, length})
		ahead += length
		offset, length = b.footer.Range(segment.Steps, block)
		steps = append(steps, extent{offset, length})
		ahead += length
	}
	n := len(lines)
	raw, err := b.service.fetch(ctx, b.object, append(lines, steps...))
	if err != nil {
		return nil, err
	}
	var mine *rows
	for i := range n {
		r, err := decodeRows(raw[i], raw[n+i], b.footer.Blocks[b.block+i].Rows)
		if err != nil {
			return nil, corrupt(err)
		}
		b.service.columns.put(blockKey{b.object.ID, b.block + i, keyRows}, r, r.size())
		if i == 0 {
			mine = r
		}
	}
	return mine, nil
}

func decodeRows(lines, steps []byte, n int) (*rows, error) {
	r := &rows{n: n}
	for _, c := range []struct {
		raw  []byte
		into *sequence
	}{{lines, &r.lines}, {steps, &r.steps}} {
		values, err := segment.DecodeColumn(c.raw, n)
		if err != nil {
			return nil, err
		}
		whole, err := values.Whole()
		if err != nil {
			return nil, err
		}
		*c.into = sequenceOf(whole)
	}
	for row := range n {
		if r.steps.at(row) != segment.Odd {
			continue
		}
		if r.odd == nil {
			r.odd = make([]bool, n)
		}
		r.odd[row] = true
	}
	return r, nil
}

func (b *blockSource) texts(ctx context.Context, which []int32) ([][]byte, error) {
	columns := make([]int, b.footer.All())
	for i := range columns {
		columns[i] = i
	}
	values, err := b.load(ctx, columns)
	if err != nil {
		return nil, err
	}
	writer := b.footer.NewRows(values)
	if which == nil {
		which = make([]int32, b.footer.Blocks[b.block].Rows)
		for i := range which {
			which[i] = int32(i) // few rows
		}
	}
	texts := make([][]byte, len(which))
	var arena []byte
	for i, row := range which {
		start := len(arena)
		arena = writer.Append(arena, int(row))
		texts[i] = arena[start:len(arena):len(arena)]
	}
	return texts, nil
}

func (b *blockSource) all(ctx context.Context) (*rows, [][]byte, error) {
	r, err := b.rows(ctx)
	if err != nil {
		return nil, nil, err
	}
	texts, err := b.texts(ctx, nil)
	return r, texts, err
}

func (b *blockSource) info() *segment.BlockInfo { return &b.footer.Blocks[b.block] }

func (b *blockSource) columns(ctx context.Context, keys []string) (*rows, []*segment.Values, error) {
	r, err := b.rows(ctx)
	if err != nil {
		return nil, nil, err
	}
	values, err := b.values(ctx, keys)
	return r, values, err
}

func (b *blockSource) values(ctx context.Context, keys []string) ([]*segment.Values, error) {
	columns := []int{segment.Raw}
	where := make([][]int, len(keys)) // in columns
	for i, key := range keys {
		for _, column := range b.footer.Columns(key) {
			where[i] = append(where[i], len(columns))
			columns = append(columns, column)
		}
	}
	loaded, err := b.load(ctx, columns)
	if err != nil {
		return nil, err
	}
	rows := b.footer.Blocks[b.block].Rows
	var extracted []*segment.Values
	if raw := loaded[0]; raw != nil {
		extracted = segment.NewExtractor(keys).Extracted(raw)
	}
	out := make([]*segment.Values, len(keys))
	for i := range keys {
		if extracted == nil && len(where[i]) == 1 && loaded[where[i][0]] != nil {
			out[i] = loaded[where[i][0]]
			continue
		}
		var of []*segment.Values
		for _, at := range where[i] {
			of = append(of, loaded[at])
		}
		if extracted != nil {
			of = append(of, extracted[i])
		}
		out[i] = segment.Join(rows, of...)
	}
	return out, nil
}

func (b *blockSource) stats(ctx context.Context) (*chunk.Stats, error) {
	if !b.info().HasStats {
		return nil, nil
	}
	raw, err := b.outlined.blockStats(ctx, b.block)
	if err != nil {
		return nil, err
	}
	s, err := chunk.DecodeStats(raw)
	if err != nil {
		return nil, corrupt(err)
	}
	return s, nil
}
