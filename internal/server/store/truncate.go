package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// ErrMoved tells that a stream has changed since it was read.
var ErrMoved = errors.New("the stream has changed since it was read")

// Truncation is the history of one writer up to a step.
type Truncation struct {
	// Head is what it was made from.
	Head StreamHead
	// Chunks replace those that are there; Segments are those that stay, with what of them counts.
	Chunks   []Chunk
	Segments []Segment
	// NextLine and MaxStep are those of the new head.
	NextLine int64
	MaxStep  int64
}

// Rewind replaces the history of a run, and moves what it consisted of into the archive. ErrMoved tells that the history
// has changed since the truncations were made.
func (s *Store) Rewind(ctx context.Context, run ID, truncations []Truncation, now time.Time) error {
	return s.update(ctx, "rewind the run", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockStreams(ctx, tx, run); err != nil {
			return err
		}
		if err := s.unchanged(ctx, tx, run, truncations); err != nil {
			return err
		}
		for _, t := range truncations {
			if err := archive(ctx, tx, t.Head, now); err != nil {
				return err
			}
			head := t.Head
			head.NextLine, head.MaxStep = t.NextLine, t.MaxStep
			head.BaseLine = min(head.BaseLine, t.NextLine)
			head.LastSeq += int64(len(t.Chunks))
			head.Generation++
			for i := range t.Chunks {
				t.Chunks[i].Seq = t.Head.LastSeq + int64(i) + 1
			}
			if err := insertHistory(ctx, tx, t); err != nil {
				return err
			}
			if _, err := tx.NewUpdate().Model(&head).WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		_, err := tx.NewUpdate().Model((*RunLive)(nil)).Set("rev = rev + 1").Where("run_id = ?", run).Exec(ctx)
		return err
	})
}

// Fork gives a run the history that truncations hold of another. inserted is false where it has a history already.
func (s *Store) Fork(ctx context.Context, child, parent ID, truncations []Truncation) (inserted bool, err error) {
	err = s.update(ctx, "fork the run", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockStreams(ctx, tx, child); err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*StreamHead)(nil)).Where("run_id = ?", child).Where("stream = ?", StreamHistory).Count(ctx)
		if err != nil || n > 0 {
			return err
		}
		if err := s.unchanged(ctx, tx, parent, truncations); err != nil {
			return err
		}
		for _, t := range truncations {
			head := StreamHead{
				RunID: child, Stream: StreamHistory, Writer: t.Head.Writer, NextLine: t.NextLine, BaseLine: t.NextLine,
				LastSeq: int64(len(t.Chunks)), MaxStep: t.MaxStep,
			}
			for i := range t.Chunks {
				t.Chunks[i].RunID, t.Chunks[i].Seq = child, int64(i)+1
			}
			for i := range t.Segments {
				t.Segments[i].RunID = child
			}
			if err := insertHistory(ctx, tx, t); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&head).Exec(ctx); err != nil {
				return err
			}
		}
		inserted = true
		_, err = tx.NewUpdate().Model((*RunLive)(nil)).Set("rev = rev + 1").Where("run_id = ?", child).Exec(ctx)
		return err
	})
	return inserted, err
}

// lockStreams keeps others from changing a run's streams until the transaction ends.
func (s *Store) lockStreams(ctx context.Context, tx bun.Tx, run ID) error {
	var id int64
	err := tx.QueryRowContext(ctx, "SELECT run_id FROM run_live WHERE run_id = ?"+s.locking(), int64(run)).Scan(&id)
	if err != nil {
		return fmt.Errorf("lock the run: %w", err)
	}
	return nil
}

// unchanged checks that heads are those that truncations were made from. A compaction in between changes no line.
func (s *Store) unchanged(ctx context.Context, tx bun.Tx, run ID, truncations []Truncation) error {
	var heads []StreamHead
	err := tx.NewSelect().Model(&heads).Where("run_id = ?", run).Where("stream = ?", StreamHistory).Scan(ctx)
	if err != nil {
		return err
	}
	if len(heads) != len(truncations) {
		return ErrMoved
	}
	now := map[Text]StreamHead{}
	for _, h := range heads {
		now[h.Writer] = h
	}
	for _, t := range truncations {
		if now[t.Head.Writer] != t.Head {
			return ErrMoved
		}
	}
	return nil
}

// archive moves the chunks and segments of a writer's history out of it.
func archive(ctx context.Context, tx bun.Tx, head StreamHead, now time.Time) error {
	of := []any{StreamArchive, head.RunID, head.Stream, head.Writer}
	const chunks = "INSERT INTO chunks (run_id, stream, writer, seq, first_line, n, min_step, max_step, hash, stats, body) " +
		"SELECT run_id, ?, writer, seq, first_line, n, min_step, max_step, hash, stats, body FROM chunks " +
		"WHERE run_id = ? AND stream = ? AND writer = ? AND seq > 0"
	if _, err := tx.ExecContext(ctx, chunks, of...); err != nil {
		return fmt.Errorf("archive lines: %w", err)
	}
	if err := retire(ctx, tx, head, nil, now); err != nil {
		return err
	}
	// Of a segment that was cut before, the archive holds more already.
	const segments = "INSERT INTO segments (run_id, stream, writer, object_id, object_run, size, footer_at, first_line, next_line, line_count, " +
		"min_step, max_step, cut_step, dead, footer) SELECT run_id, ?, writer, object_id, object_run, size, footer_at, first_line, next_line, " +
		"line_count, min_step, max_step, cut_step, dead, footer FROM segments g WHERE run_id = ? AND stream = ? AND writer = ? AND NOT EXISTS " +
		"(SELECT 1 FROM segments a WHERE a.run_id = g.run_id AND a.stream = ? AND a.writer = g.writer AND a.object_id = g.object_id)"
	if _, err := tx.ExecContext(ctx, segments, append(of, StreamArchive)...); err != nil {
		return fmt.Errorf("archive segments: %w", err)
	}
	_, err := tx.NewDelete().Model((*Segment)(nil)).Where("run_id = ?", head.RunID).Where("stream = ?", head.Stream).
		Where("writer = ?", head.Writer).Exec(ctx)
	return err
}

// retire takes lines out of chunks that hold them no longer: of all chunks of a writer, or of those with these seqs. What is
// left of each is a new row, with many others on one page: a row that only shrank would keep its page to itself.
func retire(ctx context.Context, tx bun.Tx, head StreamHead, seqs []int64, now time.Time) error {
	where := " FROM chunks WHERE run_id = ? AND stream = ? AND writer = ? AND seq > 0"
	of := []any{head.RunID, head.Stream, head.Writer}
	if seqs != nil {
		where, of = where+" AND seq IN (?)", append(of, bun.List(seqs))
	}
	remember := "INSERT INTO chunks (run_id, stream, writer, seq, first_line, n, min_step, max_step, hash, stats, body) " +
		"SELECT run_id, stream, writer, -seq, first_line, n, ?, max_step, hash, ?, ?" + where
	if _, err := tx.NewRaw(remember, append([]any{At(now), Blob(nil), Blob(nil)}, of...)...).Exec(ctx); err != nil {
		return fmt.Errorf("remember lines: %w", err)
	}
	result, err := tx.NewRaw("DELETE"+where, of...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("delete lines: %w", err)
	}
	if err := dropOutlines(ctx, tx, head, seqs); err != nil {
		return err
	}
	if seqs == nil {
		return nil
	}
	n, err := result.RowsAffected()
	if err == nil && n != int64(len(seqs)) {
		return ErrMoved
	}
	return err
}

// dropOutlines deletes the outlines of retired chunks, and of older ones: programs that know no outlines leave theirs behind.
func dropOutlines(ctx context.Context, tx bun.Tx, head StreamHead, seqs []int64) error {
	q := tx.NewDelete().Model((*ChunkOutline)(nil)).Where("run_id = ?", head.RunID).Where("stream = ?", head.Stream).Where("writer = ?", head.Writer)
	if seqs != nil {
		q = q.Where("seq <= ?", slices.Max(seqs)) // chunks retire in the order of their seqs
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("delete outlines: %w", err)
	}
	return nil
}

// forgottenAtOnce is how many retired chunks one compaction forgets; it retires fewer.
const forgottenAtOnce = 1024

// forget deletes what is left of chunks that retired before a time. They retire in the order of their seqs.
func forget(ctx context.Context, tx bun.Tx, head StreamHead, before time.Time) error {
	var retired []Chunk
	err := tx.NewSelect().Model(&retired).Column("seq", "min_step").Where("run_id = ?", head.RunID).Where("stream = ?", head.Stream).
		Where("writer = ?", head.Writer).Where("seq < 0").Order("seq DESC").Limit(forgottenAtOnce).Scan(ctx)
	if err != nil {
		return err
	}
	n := 0
	for n < len(retired) && retired[n].MinStep < int64(At(before)) {
		n++
	}
	if n == 0 {
		return nil
	}
	_, err = tx.NewDelete().Model((*Chunk)(nil)).Where("run_id = ?", head.RunID).Where("stream = ?", head.Stream).
		Where("writer = ?", head.Writer).Where("seq < 0").Where("seq >= ?", retired[n-1].Seq).Exec(ctx)
	return err
}

func insertHistory(ctx context.Context, tx bun.Tx, t Truncation) error {
	for i := range t.Chunks {
		if _, err := tx.NewInsert().Model(&t.Chunks[i]).Exec(ctx); err != nil {
			return err
		}
	}
	for i := range t.Segments {
		if _, err := tx.NewInsert().Model(&t.Segments[i]).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
