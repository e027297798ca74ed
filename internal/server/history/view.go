package history

import (
	"context"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// view is a stream as one snapshot shows it.
type view struct {
	service  *Service
	stream   store.Stream
	snapshot store.Snapshot
	// parts that have visible lines, by writer and lines.
	parts []*part
	ahead *bodies
}

func (s *Service) view(ctx context.Context, snapshot store.Snapshot, stream store.Stream) (*view, error) {
	v := &view{service: s, stream: stream, snapshot: snapshot, ahead: &bodies{known: map[chunkKey][]byte{}, outlines: map[chunkKey][]byte{}}}
	v.snapshot.Heads = slices.DeleteFunc(slices.Clone(snapshot.Heads), func(h store.StreamHead) bool { return h.Stream != stream })
	for rank, head := range v.snapshot.Heads {
		parts, err := v.partsOf(ctx, head, rank)
		if err != nil {
			return nil, err
		}
		v.parts = append(v.parts, parts...)
	}
	return v, nil
}

// partsOf returns the visible parts of a writer. A chunk hides the lines of its range in everything older.
func (v *view) partsOf(ctx context.Context, head store.StreamHead, rank int) ([]*part, error) {
	var chunks []store.Chunk
	for _, c := range v.snapshot.Chunks {
		if c.Stream == head.Stream && c.Writer == head.Writer {
			chunks = append(chunks, c)
		}
	}
	var parts []*part
	newer := make([]span, 0, len(chunks))
	for i, c := range slices.Backward(chunks) {
		lines := span{c.FirstLine, c.FirstLine + int64(c.N)}
		parts = append(parts, &part{
			source: &chunkSource{service: v.service, chunk: c, follows: chunks[i+1:], ahead: v.ahead},
			writer: string(c.Writer), rank: rank, lines: lines, minStep: c.MinStep, maxStep: c.MaxStep, cut: store.NoCut,
			hidden: overlap(newer, lines),
		})
		newer = append(newer, lines)
	}
	segments, before := segmentsOf(v.snapshot, head), int64(0)
	for i, g := range segments {
		blocks, err := v.service.blocksOf(ctx, g, rank, newer)
		if err != nil {
			return nil, err
		}
		if before > g.FirstLine || i+1 < len(segments) && segments[i+1].FirstLine < g.NextLine {
			splitStats(blocks)
		}
		before = max(before, g.NextLine)
		parts = append(parts, blocks...)
	}
	parts = slices.DeleteFunc(parts, (*part).none)
	slices.SortStableFunc(parts, func(a, b *part) int { return compare(a.lines.from, b.lines.from) })
	return parts, nil
}

// blocksOf returns the parts of a segment. Segments hide nothing in each other.
func (s *Service) blocksOf(ctx context.Context, g store.Segment, rank int, newer []span) ([]*part, error) {
	if g.MinStep > g.CutStep {
		return nil, nil
	}
	footer, err := s.footer(ctx, g)
	if err != nil {
		return nil, err
	}
	dead, err := decodeSpans(g.Dead)
	if err != nil {
		return nil, corrupt(err)
	}
	hiding := append(slices.Clone(dead), newer...)
	parts := make([]*part, len(footer.Blocks))
	shared := &outlined{service: s, segment: g, footer: footer}
	for i := range footer.Blocks {
		info := &footer.Blocks[i]
		lines := span{info.FirstLine, info.NextLine}
		parts[i] = &part{
			source: &blockSource{service: s, segment: g, object: g.Object(), footer: footer, block: i, outlined: shared},
			writer: string(g.Writer), rank: rank, lines: lines, minStep: info.MinStep, maxStep: info.MaxStep, cut: g.CutStep,
			hidden: overlap(hiding, lines),
		}
	}
	if isTogether(footer, parts) {
		for _, p := range parts {
			p.together = footer
		}
	}
	return parts, nil
}

// segmentsOf are those of a writer, by their lines.
func segmentsOf(snapshot store.Snapshot, head store.StreamHead) []store.Segment {
	var all []store.Segment
	for _, g := range snapshot.Segments {
		if g.Stream == head.Stream && g.Writer == head.Writer {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b store.Segment) int { return compare(a.FirstLine, b.FirstLine) })
	return all
}

// splitStats lets the blocks of a segment between whose lines those of another lie have their own statistics, if they can:
// the last value of a key is that of its last line.
func splitStats(parts []*part) {
	for _, p := range parts {
		if p.together != nil && slices.ContainsFunc(p.together.Blocks, func(b segment.BlockInfo) bool { return !b.HasStats }) {
			return
		}
	}
	for _, p := range parts {
		p.together = nil
	}
}

// isTogether tells whether the parts are all of a segment that has statistics of them together.
func isTogether(footer *segment.Footer, parts []*part) bool {
	return footer.HasStats && len(parts) == len(footer.Blocks) &&
		!slices.ContainsFunc(parts, func(p *part) bool { return !p.whole() })
}

// overlap returns the lines of a range that are in any of these. It is mostly none, and costs no memory then.
func overlap(newer []span, lines span) spans {
	var over []span
	for _, n := range newer {
		if n.from < lines.to && n.to > lines.from {
			over = append(over, span{max(n.from, lines.from), min(n.to, lines.to)})
		}
	}
	return union(over...)
}

// ref is a row: its place in the order of rows, and where it is.
type ref struct {
	step, line int64
	part, row  int32
}

// between are the visible rows with min ≤ step < max, by step, writer and line.
func (v *view) between(ctx context.Context, minStep, maxStep int64) ([]ref, error) {
	var refs []ref
	for at, p := range v.parts {
		if p.maxStep < minStep || p.minStep >= maxStep {
			continue
		}
		r, err := p.rows(ctx)
		if err != nil {
			return nil, err
		}
		refs = slices.Grow(refs, r.n)
		for row := range r.n {
			if step := r.steps.at(row); step >= minStep && step < maxStep && p.visible(r, row) {
				refs = append(refs, ref{step: step, line: r.lines.at(row), part: int32(at), row: int32(row)}) // a part has fewer rows
			}
		}
	}
	v.sort(refs)
	return refs, nil
}

// sort orders rows by step, writer and line, which most are in already.
func (v *view) sort(refs []ref) {
	order := func(a, b ref) int {
		if a.step != b.step {
			return compare(a.step, b.step)
		}
		if a.part != b.part {
			if ra, rb := v.parts[a.part].rank, v.parts[b.part].rank; ra != rb {
				return compare(int64(ra), int64(rb))
			}
		}
		return compare(a.line, b.line)
	}
	if !slices.IsSortedFunc(refs, order) {
		slices.SortFunc(refs, order)
	}
}

// texts calls each with the line of every row, in their order.
func (v *view) texts(ctx context.Context, refs []ref, each func(text []byte) error) error {
	const window = 1 << 10 // rows of a part that are looked up at once
	for start := 0; start < len(refs); start += window {
		batch := refs[start:min(start+window, len(refs))]
		byPart := map[int32][]int32{}
		for _, r := range batch {
			byPart[r.part] = append(byPart[r.part], r.row)
		}
		found := map[int32][][]byte{}
		for at, which := range byPart {
			texts, err := v.parts[at].texts(ctx, which)
			if err != nil {
				return err
			}
			found[at] = texts
		}
		for _, r := range batch {
			texts := found[r.part]
			found[r.part] = texts[1:]
			if err := each(texts[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// piece is a part, or a range of its lines.
type piece struct {
	part  *part
	lines span
	whole bool
}

// pieces cuts the parts up so that the lines of a writer are in order, where newer parts lie over older ones.
func (v *view) pieces() []piece {
	pieces := make([]piece, 0, len(v.parts))
	for _, p := range v.parts {
		if p.whole() {
			pieces = append(pieces, piece{part: p, lines: p.lines, whole: true})
			continue
		}
		from := p.lines.from
		for _, h := range append(slices.Clone(p.hidden), span{p.lines.to, p.lines.to}) {
			if h.from > from {
				pieces = append(pieces, piece{part: p, lines: span{from, h.from}})
			}
			from = max(from, h.to)
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int {
		if a.part.rank != b.part.rank {
			heads := v.snapshot.Heads
			if by := compare(heads[a.part.rank].MaxStep, heads[b.part.rank].MaxStep); by != 0 {
				return by
			}
			return compare(int64(a.part.rank), int64(b.part.rank))
		}
		return compare(a.lines.from, b.lines.from)
	})
	return pieces
}
