package history

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// compactChunks and compactBytes are from where on a writer's chunks are compacted.
	compactChunks = 64
	compactBytes  = 4 << 20
	// jobRaw bounds the lines that one compaction reads out of chunks, and with them the memory that it needs; jobChunks
	// bounds the rows that it replaces.
	jobRaw    = 16 << 20
	jobChunks = 512
	// maxSegment is where segments grow no further.
	maxSegment = 128 << 20
	// mergeRun is how many segments of about one size become one of the next, four times as large.
	mergeRun = 3
	// wholeBlock is the share of segment.BlockRows, and the bytes, from which a block is copied instead of made anew.
	wholeBlockShare = 2
	wholeBlockBytes = 1 << 20
	// maxFooterRow is how large a footer may be to stand in its row too.
	maxFooterRow = 1 << 20
	// remembered is how long a chunk that has become part of a segment is known when its request comes again.
	remembered = 10 * time.Minute
	// writeTimeout bounds one compaction.
	writeTimeout = 5 * time.Minute
)

// compaction is the work on one writer of a stream.
type compaction struct {
	*view
	head store.StreamHead
	// chunks are those that become part of the segment: a stretch of seqs from the oldest on.
	chunks []store.Chunk
	// absorbed are the segments that it replaces, by their lines.
	absorbed []store.Segment
	// dead are the lines that the chunks hide in segments which stay.
	dead []store.DeadLines

	builder segment.Builder
	// stats are those of the block that is being made, whole those of all blocks that are done.
	stats, whole chunk.Totals
	parts        []segment.Part
	// copies are the blocks of older segments that stay as they are.
	copies map[*part]segment.Part
	// sources are the objects of the absorbed segments, by the numbers in parts.
	sources []store.Object
}

// compact moves the chunks of a stream into segments, a job at a time, until fewer than least are left of each writer or
// the lease is not renewed.
func (s *Service) compact(ctx context.Context, run store.ID, stream store.Stream, least int, renew func() (bool, error)) error {
	for {
		if granted, err := renew(); err != nil || !granted {
			return err
		}
		if more, err := s.compactOnce(ctx, run, stream, least); err != nil || !more {
			return err
		}
	}
}

// compactOnce does one job for each writer that has enough chunks.
func (s *Service) compactOnce(ctx context.Context, run store.ID, stream store.Stream, least int) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	snapshot, err := s.store.RunSnapshot(ctx, run, stream)
	if err != nil {
		return false, err
	}
	v, err := s.view(ctx, snapshot, stream)
	if err != nil {
		return false, err
	}
	for _, head := range v.snapshot.Heads {
		c := &compaction{view: v, head: head, copies: map[*part]segment.Part{}}
		if !c.choose(least) {
			continue
		}
		if err := c.do(ctx); err != nil {
			return false, fmt.Errorf("compact stream %d of run %d: %w", stream, run, err)
		}
		more = true
	}
	return more, nil
}

// choose decides what is compacted. It is false where there are fewer than least chunks.
func (c *compaction) choose(least int) bool {
	var all []store.Chunk
	for _, k := range c.snapshot.Chunks {
		if k.Stream == c.head.Stream && k.Writer == c.head.Writer {
			all = append(all, k)
		}
	}
	if len(all) < max(least, 1) {
		return false
	}
	c.chunks = all[:min(len(all), jobChunks)]
	return true
}

func (c *compaction) do(ctx context.Context) error {
	taken, raw, err := c.take(ctx)
	if err != nil {
		return err
	}
	if err := c.hide(); err != nil {
		return err
	}
	all := segmentsOf(c.snapshot, c.head)
	sizes := make([]int64, len(all))
	for i := range all {
		sizes[i] = all[i].Size
	}
	c.absorbed = all[len(all)-toAbsorb(sizes, raw/likelyRatio):]
	work := (&view{snapshot: c.snapshot, parts: taken}).pieces()
	for _, g := range c.absorbed {
		pieces, err := c.absorb(ctx, g)
		if err != nil {
			return err
		}
		work = append(work, pieces...)
	}
	// Blocks hold ranges of lines that do not overlap: the statistics of a key depend on the order of its values.
	slices.SortStableFunc(work, func(a, b piece) int { return compare(a.lines.from, b.lines.from) })
	var staying []span
	for _, g := range all[:len(all)-len(c.absorbed)] {
		staying = append(staying, span{g.FirstLine, g.NextLine})
	}
	pace := c.service.reading.Work()
	for i, p := range work {
		if i > 0 && len(overlap(staying, span{work[i-1].lines.to, p.lines.from})) > 0 {
			if err := c.flush(); err != nil { // the lines between are in a segment that stays
				return err
			}
		}
		pace.GiveWay(ctx)
		if err := c.put(ctx, p); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.write(ctx)
}

// likelyRatio is about how many times shorter lines are in a chunk, and in a segment.
const likelyRatio = 3

// take returns the parts of chunks whose lines the job moves, and about how many bytes these have: a stretch of seqs as long as
// jobRaw allows. Further chunks are left for the next job.
func (c *compaction) take(ctx context.Context) (taken []*part, raw int64, err error) {
	last := c.chunks[len(c.chunks)-1].Seq
	for _, p := range c.view.parts {
		if source, ok := p.source.(*chunkSource); ok && source.chunk.Writer == c.head.Writer && source.chunk.Seq <= last {
			taken = append(taken, p)
		}
	}
	seq := func(p *part) int64 { return p.source.(*chunkSource).chunk.Seq }
	slices.SortFunc(taken, func(a, b *part) int { return compare(seq(a), seq(b)) })
	for i, p := range taken {
		body, err := p.source.(*chunkSource).fetched(ctx)
		if err != nil {
			return nil, 0, err
		}
		raw += int64(len(body)) * likelyRatio
		if raw >= jobRaw && i < len(taken)-1 {
			last, taken = seq(p), taken[:i+1]
			break
		}
	}
	c.chunks = slices.DeleteFunc(c.chunks, func(k store.Chunk) bool { return k.Seq > last })
	slices.SortStableFunc(taken, func(a, b *part) int { return compare(a.lines.from, b.lines.from) })
	return taken, raw, nil
}

// put adds a piece: as a block that is copied, or as rows.
func (c *compaction) put(ctx context.Context, p piece) error {
	copied, ok := c.copies[p.part]
	if !ok {
		return c.add(ctx, p)
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.parts = append(c.parts, copied)
	footer := copied.Footer
	if !c.needsTogether(p.part) {
		return c.count(footer.Blocks[copied.Index].Stats)
	}
	if copied.Index == 0 {
		return p.part.countTogether(ctx, &c.whole)
	}
	return nil
}

// count adds the statistics of blocks that are copied.
func (c *compaction) count(raw []byte) error {
	if c.stream != store.StreamHistory {
		return nil
	}
	if err := c.whole.Append(raw); err != nil {
		return corrupt(err)
	}
	return nil
}

// needsTogether tells whether a block is of a segment that has statistics of all blocks together, and not of each.
func (c *compaction) needsTogether(p *part) bool {
	return p.together != nil && slices.ContainsFunc(p.together.Blocks, func(b segment.BlockInfo) bool { return !b.HasStats })
}

// add adds the rows of a piece to the block that is being made, and its statistics.
func (c *compaction) add(ctx context.Context, p piece) error {
	if added, err := c.addColumns(ctx, p); err != nil || added {
		return err
	}
	found, texts, err := p.part.all(ctx)
	if err != nil {
		return err
	}
	if err := c.countRows(ctx, p, found, texts); err != nil {
		return err
	}
	for row := range found.n {
		at := found.lines.at(row)
		if at < p.lines.from || at >= p.lines.to {
			continue
		}
		odd := found.odd != nil && found.odd[row]
		switch {
		case odd && !p.part.hidden.has(at): // no reader sees it, but it was logged
			c.builder.AddRaw(at, segment.Odd, texts[row])
		case odd || !p.part.visible(found, row):
		case c.stream == store.StreamConsole:
			c.builder.AddRaw(at, store.NoStep, texts[row])
		default:
			c.builder.Add(at, found.steps.at(row), texts[row])
		}
	}
	return c.added()
}

// added ends a block that is full.
func (c *compaction) added() error {
	if c.builder.Full() {
		return c.flush()
	}
	return nil
}

// addColumns adds a whole chunk of the history without writing its lines first. added is false where that does not do.
func (c *compaction) addColumns(ctx context.Context, p piece) (added bool, err error) {
	source, ok := p.part.source.(*chunkSource)
	if !ok || !p.whole || c.stream != store.StreamHistory {
		return false, nil
	}
	body, err := source.fetched(ctx)
	if err != nil {
		return false, err
	}
	lines, columns, err := chunk.Split(body, nil)
	if err != nil {
		return false, corrupt(err)
	}
	if columns == nil {
		return false, nil
	}
	stats, err := source.stats(ctx)
	if err != nil || stats == nil || !c.builder.AddColumns(source.chunk.FirstLine, lines, columns) {
		return false, err
	}
	delete(source.ahead.known, keyOf(&source.chunk, ""))
	c.stats.Add(stats)
	return true, c.added()
}

// countRows adds the statistics of a piece of the history to those of the block.
func (c *compaction) countRows(ctx context.Context, p piece, found *rows, texts [][]byte) error {
	if c.stream != store.StreamHistory {
		return nil
	}
	if p.whole {
		stats, err := p.part.stats(ctx)
		if err != nil {
			return err
		}
		if stats != nil {
			c.stats.Add(stats)
			return nil
		}
	}
	return p.fold(found, texts, &c.stats)
}

// flush ends the block that is being made.
func (c *compaction) flush() error {
	if c.builder.Rows() == 0 {
		return nil
	}
	var encoded []byte
	if c.stream == store.StreamHistory {
		c.whole.Merge(&c.stats)
		if c.stats.Len() <= segment.MaxColumns && !c.stats.Wide {
			encoded = c.stats.Encode()
		}
	}
	c.stats.Reset()
	c.parts = append(c.parts, segment.Part{Block: c.builder.Block(encoded)})
	return nil
}

// hide finds the segments in which the chunks hide lines.
func (c *compaction) hide() error {
	lines := make([]span, len(c.chunks))
	for i, k := range c.chunks {
		lines[i] = span{k.FirstLine, k.FirstLine + int64(k.N)}
	}
	for _, g := range segmentsOf(c.snapshot, c.head) {
		over := overlap(lines, span{g.FirstLine, g.NextLine})
		if len(over) == 0 {
			continue
		}
		dead, err := decodeSpans(g.Dead)
		if err != nil {
			return corrupt(err)
		}
		c.dead = append(c.dead, store.DeadLines{Segment: g, Dead: union(append(dead, over...)...).encode()})
	}
	return nil
}

// tier groups segments of about one size: each is four times as large as the one before.
func tier(size int64) int {
	const least = 64 << 10
	return int(math.Log2(float64(max(size, least))/least) / 2)
}

// toAbsorb chooses how many of the last segments become part of one of so many bytes. All have to be of its tier or below,
// and at least mergeRun, so that each line is written anew only as often as there are tiers.
func toAbsorb(sizes []int64, size int64) int {
	absorbed := 0
	for {
		run, grown := 0, size
		for i := len(sizes) - absorbed - 1; i >= 0 && tier(sizes[i]) <= tier(size) && grown+sizes[i] <= maxSegment; i-- {
			grown += sizes[i]
			run++
		}
		if run < mergeRun {
			return absorbed
		}
		absorbed, size = absorbed+run, grown
	}
}

// absorb takes the blocks of an older segment in: large ones as they are, others as rows of new ones.
func (c *compaction) absorb(ctx context.Context, g store.Segment) ([]piece, error) {
	footer, err := c.service.wholeFooter(ctx, g)
	if err != nil {
		return nil, err
	}
	footer = footer.Lean()
	outline, err := footer.WholeOutline(g.FooterAt, c.service.ranges(ctx, g))
	if err != nil {
		return nil, outlineFailed(err)
	}
	source := len(c.sources)
	c.sources = append(c.sources, g.Object())
	c.dead = slices.DeleteFunc(c.dead, func(d store.DeadLines) bool { return d.Segment.ObjectID == g.ObjectID })
	var parts []*part
	for _, p := range c.view.parts {
		block, ok := p.source.(*blockSource)
		if !ok || block.object != g.Object() {
			continue
		}
		parts = append(parts, p)
		known := c.stream != store.StreamHistory || footer.Blocks[block.block].HasStats
		if p.whole() && (c.needsTogether(p) || known && isLarge(footer, block.block)) {
			c.copies[p] = segment.Part{Source: source, Footer: footer, Index: block.block, Outline: outline}
		}
	}
	return (&view{snapshot: c.snapshot, parts: parts}).pieces(), nil
}

// isLarge tells whether a block is worth keeping as it is.
func isLarge(f *segment.Footer, block int) bool {
	if f.Blocks[block].Rows >= segment.BlockRows/wholeBlockShare {
		return true
	}
	total := int64(0)
	for column := range f.All() {
		_, length := f.Range(column, block)
		total += length
	}
	return total >= wholeBlockBytes
}

// write writes the segment and lets it take the place of what it was made from.
func (c *compaction) write(ctx context.Context) error {
	parts := c.parts
	now := c.service.now()
	change := store.Compaction{
		Head: c.head, Segments: c.absorbed, Dead: c.dead, Now: now, Forget: now.Add(-remembered), DropAt: now.Add(objectLife),
	}
	for _, k := range c.chunks {
		change.Chunks = append(change.Chunks, k.Seq)
	}
	g := store.Segment{
		RunID: c.head.RunID, Stream: c.head.Stream, Writer: c.head.Writer, ObjectID: c.service.store.NewID(), ObjectRun: c.head.RunID,
		FirstLine: math.MaxInt64, MinStep: math.MaxInt64, MaxStep: segment.Odd, CutStep: store.NoCut,
	}
	if len(parts) == 0 { // every line was hidden by newer chunks
		return c.service.store.Compact(ctx, change)
	}
	for i := range parts {
		info := parts[i].Info()
		g.FirstLine, g.NextLine = min(g.FirstLine, info.FirstLine), max(g.NextLine, info.NextLine)
		g.MinStep, g.MaxStep = min(g.MinStep, info.MinStep), max(g.MaxStep, info.MaxStep)
		g.Lines += int64(info.Rows)
	}
	stats := c.segmentStats()
	pieces, footer := segment.Assemble(parts, stats)
	for _, p := range pieces {
		g.FooterAt += p.Length
	}
	g.Size = g.FooterAt + int64(len(footer))
	if len(footer) <= maxFooterRow {
		g.Footer = footer
	}
	// Should this program die before the segment is written, the object is deleted then.
	if err := c.service.store.DropObject(ctx, g.Object(), now.Add(objectLife)); err != nil {
		return err
	}
	if err := c.service.upload(ctx, g, pieces, footer, c.sources); err != nil {
		return err
	}
	change.Segment = g
	return c.service.store.Compact(ctx, change)
}

// segmentStats are the statistics of all rows: who asks for the keys of a long run reads fewer of them, and blocks that are
// too wide have none of their own.
func (c *compaction) segmentStats() []byte {
	if c.stream != store.StreamHistory {
		return nil
	}
	return c.whole.Encode()
}
