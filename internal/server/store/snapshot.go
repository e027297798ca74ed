package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// Snapshot is what streams of a run consisted of at one moment.
type Snapshot struct {
	// Rev is that of the run; 0 where the run has no row in run_live.
	Rev int64
	// Heads are those of all streams; Segments and Chunks those of the streams that were asked for.
	Heads    []StreamHead
	Segments []Segment // without Footer: see SegmentFooter
	Chunks   []Chunk   // without Stats, Body and Hash: see Chunks
}

// RunSnapshot reads streams' heads, segments and chunks at one moment of the database that is written to. What the chunks hold
// never changes; they vanish when a segment replaces them.
func (s *Store) RunSnapshot(ctx context.Context, run ID, streams ...Stream) (Snapshot, error) {
	snapshot, whole, err := s.snapshotOfOne(ctx, run, streams)
	if err != nil || whole {
		return snapshot, err
	}
	err = s.snapshot(ctx, "read the streams", func(ctx context.Context, tx bun.Tx) error {
		snapshot = Snapshot{}
		err := tx.NewSelect().Model((*RunLive)(nil)).Column("rev").Where("run_id = ?", run).Scan(ctx, &snapshot.Rev)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		heads := tx.NewSelect().Model(&snapshot.Heads).Where("run_id = ?", run).Order("stream", "writer")
		if err := heads.Scan(ctx); err != nil || len(streams) == 0 {
			return err
		}
		of := func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("run_id = ?", run).Where("stream IN (?)", bun.List(streams))
		}
		segments := of(tx.NewSelect().Model(&snapshot.Segments)).ExcludeColumn("footer")
		if err := segments.Order("stream", "writer", "object_id").Scan(ctx); err != nil {
			return err
		}
		return snapshot.readChunks(ctx, tx, streams)
	})
	return snapshot, err
}

// The parts of the one statement that reads a snapshot. Each row begins with the number of its part.
const (
	snapshotRev = iota
	snapshotHead
	snapshotSegment
	snapshotChunk
)

// snapshotOfOne reads a snapshot of streams that one process writes, as most are, in a single statement, which sees the
// database at one moment too: a transaction waits for the database eight times. whole is false where there are other writers.
func (s *Store) snapshotOfOne(ctx context.Context, run ID, streams []Stream) (found Snapshot, whole bool, err error) {
	queries := []string{
		"SELECT 0, 0, X'', rev, 0, 0, 0, 0, 0, 0, 0, 0, 0, X'' FROM run_live WHERE run_id = ?",
		"SELECT 1, stream, writer, next_line, base_line, last_seq, max_step, generation, 0, 0, 0, 0, 0, X'' FROM stream_heads WHERE run_id = ?",
	}
	arguments := []any{run, run}
	for _, stream := range streams {
		queries = append(queries,
			"SELECT 2, stream, writer, object_id, object_run, size, footer_at, first_line, next_line, line_count, min_step, max_step, "+
				"cut_step, dead FROM segments WHERE run_id = ? AND stream = ? AND writer = X''",
			"SELECT 3, stream, writer, seq, first_line, n, min_step, max_step, 0, 0, 0, 0, 0, X'' FROM chunks "+
				"WHERE run_id = ? AND stream = ? AND writer = X'' AND seq > 0")
		arguments = append(arguments, run, stream, run, stream)
	}
	err = s.view(ctx, "read the streams", func(db bun.IDB) error {
		found, whole = Snapshot{}, true
		rows, err := db.QueryContext(ctx, strings.Join(queries, " UNION ALL "), arguments...)
		if err != nil {
			return err
		}
		for err == nil && rows.Next() {
			err = found.scan(rows, run)
		}
		return errors.Join(err, rows.Err(), rows.Close())
	})
	for _, h := range found.Heads {
		whole = whole && (h.Writer == "" || !slices.Contains(streams, h.Stream))
	}
	found.order()
	return found, whole, err
}

// scan takes a row of the one statement.
func (s *Snapshot) scan(rows *sql.Rows, run ID) error {
	var part int
	var stream Stream
	var writer Text
	var n [10]int64
	var dead Blob
	if err := rows.Scan(&part, &stream, &writer, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &dead); err != nil {
		return err
	}
	switch part {
	case snapshotRev:
		s.Rev = n[0]
	case snapshotHead:
		s.Heads = append(s.Heads, StreamHead{
			RunID: run, Stream: stream, Writer: writer, NextLine: n[0], BaseLine: n[1], LastSeq: n[2], MaxStep: n[3], Generation: n[4],
		})
	case snapshotSegment:
		s.Segments = append(s.Segments, Segment{
			RunID: run, Stream: stream, Writer: writer, ObjectID: ID(n[0]), ObjectRun: ID(n[1]), Size: n[2], FooterAt: n[3],
			FirstLine: n[4], NextLine: n[5], Lines: n[6], MinStep: n[7], MaxStep: n[8], CutStep: n[9], Dead: dead,
		})
	case snapshotChunk:
		s.Chunks = append(s.Chunks, Chunk{
			RunID: run, Stream: stream, Writer: writer, Seq: n[0], FirstLine: n[1], N: int32(n[2]), MinStep: n[3], MaxStep: n[4], // as written
		})
	}
	return nil
}

// order sorts what came in any order.
func (s *Snapshot) order() {
	slices.SortFunc(s.Heads, func(a, b StreamHead) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Writer, b.Writer))
	})
	slices.SortFunc(s.Segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ObjectID, b.ObjectID))
	})
	slices.SortFunc(s.Chunks, func(a, b Chunk) int { return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Seq, b.Seq)) })
}

// headsAtOnce bounds the parts of one query.
const headsAtOnce = 100

// readChunks reads the chunks of some streams, each stretch of the key alone: what is left of retired chunks lies between
// those of two writers, thousands of rows in a long run.
func (s *Snapshot) readChunks(ctx context.Context, tx bun.Tx, streams []Stream) error {
	heads := slices.DeleteFunc(slices.Clone(s.Heads), func(h StreamHead) bool { return !slices.Contains(streams, h.Stream) })
	for some := range slices.Chunk(heads, headsAtOnce) {
		var queries []string
		var arguments []any
		for _, h := range some {
			queries = append(queries, "SELECT run_id, stream, writer, seq, first_line, n, min_step, max_step FROM chunks "+
				"WHERE run_id = ? AND stream = ? AND writer = ? AND seq > 0")
			arguments = append(arguments, h.RunID, h.Stream, h.Writer)
		}
		var chunks []Chunk
		query := strings.Join(queries, " UNION ALL ") + " ORDER BY stream, writer, seq"
		if err := tx.NewRaw(query, arguments...).Scan(ctx, &chunks); err != nil {
			return err
		}
		s.Chunks = append(s.Chunks, chunks...)
	}
	return nil
}

// StreamHeads returns the heads of all streams of runs, by run.
func (s *Store) StreamHeads(ctx context.Context, runs []ID) ([]StreamHead, error) {
	var heads []StreamHead
	if len(runs) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read the streams", func(db bun.IDB) error {
		heads = nil
		return db.NewSelect().Model(&heads).Where("run_id IN (?)", bun.List(runs)).Order("run_id", "stream", "writer").Scan(ctx)
	})
	return heads, err
}

// RunRev returns a run's rev; 0 where it has none.
func (s *Store) RunRev(ctx context.Context, run ID) (int64, error) {
	var rev int64
	err := s.view(ctx, "read the run's revision", func(db bun.IDB) error {
		return db.NewSelect().Model((*RunLive)(nil)).Column("rev").Where("run_id = ?", run).Scan(ctx, &rev)
	})
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return rev, err
}

// ChunkField is what Chunks reads.
type ChunkField string

// The large columns of a chunk.
const (
	ChunkBody  ChunkField = "body"
	ChunkStats ChunkField = "stats"
)

// Chunks reads one of the large columns of some chunks of a writer, in the order of seq. Those that no longer exist are
// missing from the answer.
func (s *Store) Chunks(ctx context.Context, of Chunk, field ChunkField, seqs []int64) ([]Chunk, error) {
	var chunks []Chunk
	if len(seqs) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read chunks", func(db bun.IDB) error {
		chunks = nil
		return db.NewSelect().Model(&chunks).Column("seq", string(field)).
			Where("run_id = ?", of.RunID).Where("stream = ?", of.Stream).Where("writer = ?", of.Writer).
			Where("seq IN (?)", bun.List(seqs)).Order("seq").Scan(ctx)
	})
	return chunks, err
}

// Outlines reads the outlines of some chunks of a writer, in the order of seq. Those that have none are missing.
func (s *Store) Outlines(ctx context.Context, of Chunk, seqs []int64) ([]ChunkOutline, error) {
	var outlines []ChunkOutline
	if len(seqs) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read outlines", func(db bun.IDB) error {
		outlines = nil
		return db.NewSelect().Model(&outlines).Column("seq", "outline").
			Where("run_id = ?", of.RunID).Where("stream = ?", of.Stream).Where("writer = ?", of.Writer).
			Where("seq IN (?)", bun.List(seqs)).Order("seq").Scan(ctx)
	})
	return outlines, err
}

// snapshot runs queries that see the database as it is at the first of them.
func (s *Store) snapshot(ctx context.Context, op string, fn func(ctx context.Context, tx bun.Tx) error) error {
	p := s.pools.Load()
	if p == nil {
		return classify(op, errNotPrepared)
	}
	return classify(op, p.read.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn))
}
