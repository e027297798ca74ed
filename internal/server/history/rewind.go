package history

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// objectLife is how long an object stays after nothing refers to it: the longest life of a signed URL.
const objectLife = 24 * time.Hour

// Delete removes what a run has logged. It may be called again.
func (s *Service) Delete(ctx context.Context, run store.ID) error {
	return s.store.DeleteHistory(ctx, run, s.now().Add(objectLife))
}

// Rewind cuts off what a run's history holds beyond a step, and keeps it in an archive. lines is where the history of a
// single process goes on.
func (s *Service) Rewind(ctx context.Context, run store.ID, step int64) (lines int64, err error) {
	err = s.truncated(ctx, run, step, func(truncations []store.Truncation) error {
		lines = 0
		for _, t := range truncations {
			if lines += t.NextLine; t.Head.Writer == "" {
				lines = t.NextLine
				break
			}
		}
		return s.store.Rewind(ctx, run, truncations, s.now())
	})
	return lines, err
}

// Fork gives a run without history that of its parent up to a step, and returns where it goes on. It may be called again.
func (s *Service) Fork(ctx context.Context, child, parent store.ID, step int64) (lines int64, err error) {
	err = s.truncated(ctx, parent, step, func(truncations []store.Truncation) error {
		_, err := s.store.Fork(ctx, child, parent, truncations)
		return err
	})
	if err != nil {
		return 0, err
	}
	counts, err := s.Counts(ctx, []store.ID{child})
	return counts[child].HistoryLines, err
}

// truncated calls write with a run's history up to a step, and again with a newer one where it has changed since.
func (s *Service) truncated(ctx context.Context, run store.ID, step int64, write func([]store.Truncation) error) error {
	for try := 1; ; try++ {
		var truncations []store.Truncation
		err := s.read(ctx, run, store.StreamHistory, func(v *view) error {
			truncations = nil
			for rank := range v.snapshot.Heads {
				t, err := v.truncate(ctx, rank, step)
				if err != nil {
					return err
				}
				truncations = append(truncations, t)
			}
			return nil
		})
		if err == nil {
			err = write(truncations)
		}
		if !errors.Is(err, store.ErrMoved) {
			return err
		}
		if try == snapshotTries {
			return &fault.Error{
				Reason: "RunBusy", Op: "cut off the history of a run that is being logged into", Err: err, Retry: true,
				Hint: "End the process that logs into it first.",
			}
		}
	}
}

// truncate returns a writer's history up to a step: its chunks are made anew, since a newer one may hide lines of an older
// one that would come back; segments only get another row.
func (v *view) truncate(ctx context.Context, rank int, step int64) (store.Truncation, error) {
	head := v.snapshot.Heads[rank]
	t := store.Truncation{Head: head, MaxStep: store.NoStep}
	var kept []line
	for _, p := range v.parts {
		if p.rank != rank {
			continue
		}
		r, err := p.rows(ctx)
		if err != nil {
			return t, err
		}
		var texts [][]byte
		if _, isChunk := p.source.(*chunkSource); isChunk {
			if texts, err = p.texts(ctx, nil); err != nil {
				return t, err
			}
		}
		for row := range r.n {
			at := r.steps.at(row)
			if at > step || !p.visible(r, row) {
				continue
			}
			t.NextLine = max(t.NextLine, r.lines.at(row)+1)
			t.MaxStep = max(t.MaxStep, at)
			if texts != nil {
				kept = append(kept, line{number: r.lines.at(row), text: texts[row]})
			}
		}
	}
	var err error
	if t.Segments, err = v.segmentsUpTo(ctx, head, step); err != nil {
		return t, err
	}
	t.Chunks, err = chunksOf(head, kept)
	return t, err
}

// segmentsUpTo are the rows of a writer's segments that remain, without the lines that chunks hide.
func (v *view) segmentsUpTo(ctx context.Context, head store.StreamHead, step int64) ([]store.Segment, error) {
	newer := v.chunkSpans(head)
	var kept []store.Segment
	for _, g := range v.snapshot.Segments {
		if g.Stream != head.Stream || g.Writer != head.Writer || g.MinStep > step {
			continue
		}
		dead, err := decodeSpans(g.Dead)
		if err != nil {
			return nil, corrupt(err)
		}
		g.CutStep = min(g.CutStep, step)
		g.Dead = union(append(dead, overlap(newer, span{g.FirstLine, g.NextLine})...)...).encode()
		footer, err := v.service.store.SegmentFooter(ctx, g)
		if err != nil {
			return nil, err
		}
		g.Footer = footer
		kept = append(kept, g)
	}
	return kept, nil
}

// chunkSpans are the ranges of lines that a writer's chunks hold.
func (v *view) chunkSpans(head store.StreamHead) []span {
	var spans []span
	for _, c := range v.snapshot.Chunks {
		if c.Stream == head.Stream && c.Writer == head.Writer {
			spans = append(spans, span{c.FirstLine, c.FirstLine + int64(c.N)})
		}
	}
	return spans
}

// line is a line with its number.
type line struct {
	number int64
	text   []byte
}

// chunksOf packs lines into chunks of consecutive ones. Their seqs are set when they are written.
func chunksOf(head store.StreamHead, lines []line) ([]store.Chunk, error) {
	slices.SortFunc(lines, func(a, b line) int { return compare(a.number, b.number) })
	var chunks []store.Chunk
	for len(lines) > 0 {
		n, size := 1, len(lines[0].text)
		for n < len(lines) && lines[n].number == lines[n-1].number+1 && size+len(lines[n].text) <= chunk.MaxRaw {
			size += len(lines[n].text)
			n++
		}
		texts := make([][]byte, n)
		var stats chunk.Stats
		for i := range texts {
			texts[i] = lines[i].text
			if err := chunk.Scan(texts[i], &stats); err != nil && !errors.Is(err, chunk.ErrNotObject) {
				return nil, corrupt(err)
			}
		}
		hash := chunk.Hash(texts)
		minStep, maxStep := stats.Steps()
		chunks = append(chunks, store.Chunk{
			RunID: head.RunID, Stream: head.Stream, Writer: head.Writer, FirstLine: lines[0].number, N: int32(n), // fits a chunk
			MinStep: minStep, MaxStep: maxStep, Hash: hash[:], Stats: chunk.EncodeStats(&stats), Body: chunk.Encode(texts),
		})
		lines = lines[n:]
	}
	return chunks, nil
}
