package history

import (
	"context"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// tally is the statistics of a run so far, encoded: 100,000 keys take 2 MB. Like a trace it is carried on with the lines that
// came since.
type tally struct {
	// Lines below next are in it, as they were at this generation of the stream.
	generation, next int64
	encoded          []byte
}

// tallyKey names the tally of a run.
type tallyKey struct{ run store.ID }

// carriedTotals are the totals, of which those of earlier lines may be known. Of several writers nobody knows which line is
// the last before all have been read.
func (v *view) carriedTotals(ctx context.Context) (*chunk.Totals, error) {
	if len(v.snapshot.Heads) != 1 {
		return v.totals(ctx, &chunk.Totals{}, 0)
	}
	head, key := v.snapshot.Heads[0], tallyKey{v.snapshot.Heads[0].RunID}
	all, next := &chunk.Totals{}, int64(0)
	if known, ok := v.service.traces.get(key); ok {
		t := known.(*tally)
		if t.generation == head.Generation && !v.cutsThrough(t.next) {
			var err error
			if all, err = chunk.RecallTotals(t.encoded); err != nil {
				return nil, err
			}
			next = t.next
		}
	}
	if next >= head.NextLine && next > 0 {
		return all, nil
	}
	if _, err := v.totals(ctx, all, next); err != nil {
		return nil, err
	}
	t := &tally{head.Generation, head.NextLine, all.Encode()}
	v.service.traces.put(key, t, len(t.encoded))
	return all, nil
}

// cutsThrough tells whether lines before and after this one are in a part whose statistics are kept: that is read sooner than
// the lines.
func (v *view) cutsThrough(line int64) bool {
	return slices.ContainsFunc(v.parts, func(p *part) bool {
		block, ok := p.source.(*blockSource)
		return p.lines.from < line && line < p.lines.to && !(ok && !block.info().HasStats)
	})
}

// totals adds the statistics of the visible rows from a line on; the writer that has come furthest counts as the last.
func (v *view) totals(ctx context.Context, all *chunk.Totals, from int64) (*chunk.Totals, error) {
	merged := map[*segment.Footer]bool{}
	for _, p := range v.pieces() {
		together := p.part.together
		switch {
		case p.lines.to <= from || p.whole && merged[together]:
		case p.whole && together != nil && firstLine(together) >= from:
			merged[together] = true
			if err := p.part.countTogether(ctx, all); err != nil {
				return nil, err
			}
		default:
			if p.lines.from < from {
				p.lines.from, p.whole = from, false
			}
			if err := p.count(ctx, all); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func firstLine(f *segment.Footer) int64 {
	first := f.Blocks[0].FirstLine
	for i := range f.Blocks {
		first = min(first, f.Blocks[i].FirstLine)
	}
	return first
}

// countTogether adds the statistics of this part and all others of its segment.
func (p *part) countTogether(ctx context.Context, into *chunk.Totals) error {
	stats, err := p.source.(*blockSource).together(ctx)
	if err != nil {
		return err
	}
	if err := into.Append(stats); err != nil {
		return corrupt(err)
	}
	return nil
}

// count adds the statistics of a piece: those that are kept, or where only the lines can tell, theirs.
func (p *piece) count(ctx context.Context, into *chunk.Totals) error {
	if p.whole {
		stats, err := p.part.stats(ctx)
		if err != nil {
			return err
		}
		if stats != nil {
			into.Add(stats)
			return nil
		}
	}
	r, texts, err := p.part.all(ctx)
	if err != nil {
		return err
	}
	return p.fold(r, texts, into)
}

// fold adds the visible rows of a piece, in the order of lines.
func (p *piece) fold(r *rows, texts [][]byte, into *chunk.Totals) error {
	order := make([]int, 0, len(texts))
	for row := range texts {
		if at := r.lines.at(row); at >= p.lines.from && at < p.lines.to && p.part.visible(r, row) {
			order = append(order, row)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compare(r.lines.at(a), r.lines.at(b)) })
	for _, row := range order {
		if err := into.Scan(texts[row]); err != nil {
			return corrupt(err)
		}
	}
	return nil
}
