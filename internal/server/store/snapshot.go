package store

import (
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

// RunSnapshot reads streams' heads, segments and chunks in one transaction of the database that is written to. What the
// chunks hold never changes; they vanish when a segment replaces them.
func (s *Store) RunSnapshot(ctx context.Context, run ID, streams ...Stream) (Snapshot, error) {
	var snapshot Snapshot
	err := s.snapshot(ctx, "read the streams", func(ctx context.Context, tx bun.Tx) error {
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

// snapshot runs queries that see the database as it is at the first of them.
func (s *Store) snapshot(ctx context.Context, op string, fn func(ctx context.Context, tx bun.Tx) error) error {
	p := s.pools.Load()
	if p == nil {
		return classify(op, errNotPrepared)
	}
	return classify(op, p.read.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn))
}
