package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Object names an object of compacted lines: Run is the one that it was written for.
type Object struct {
	ID  ID `bun:"object_id"`
	Run ID `bun:"object_run"`
}

// Object is the one that the segment's lines are in.
func (g *Segment) Object() Object { return Object{ID: g.ObjectID, Run: g.ObjectRun} }

// SegmentFooter returns the footer of a segment; empty where it is only in the object, or the segment is gone.
func (s *Store) SegmentFooter(ctx context.Context, g Segment) ([]byte, error) {
	var footer Blob
	err := s.view(ctx, "read a segment", func(db bun.IDB) error {
		return db.NewSelect().Model((*Segment)(nil)).Column("footer").Where("run_id = ?", g.RunID).Where("stream = ?", g.Stream).
			Where("writer = ?", g.Writer).Where("object_id = ?", g.ObjectID).Scan(ctx, &footer)
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return footer, err
}

// Compaction replaces chunks and segments of a writer by one segment with the same lines.
type Compaction struct {
	Head StreamHead
	// Chunks are the seqs of the replaced chunks, Segments the replaced segments, as they were read.
	Chunks   []int64
	Segments []Segment
	// Dead are segments that stay, with the lines that the replaced chunks hid in them.
	Dead []DeadLines
	// Segment is the new one; its object is in the bucket. It has no ObjectID where no line was left.
	Segment Segment
	// Now is when the chunks retire, Forget the time before which retired ones are no longer remembered, DropAt when the
	// objects of replaced segments may be deleted.
	Now, Forget, DropAt time.Time
}

// DeadLines changes which lines of a segment no longer count.
type DeadLines struct {
	Segment Segment // as it was read
	Dead    Blob
}

// Compact writes a compaction. ErrMoved tells that something of what it replaces has changed since it was read.
func (s *Store) Compact(ctx context.Context, c Compaction) error {
	return s.update(ctx, "compact lines", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockStreams(ctx, tx, c.Head.RunID); err != nil {
			return err
		}
		if len(c.Chunks) > 0 {
			if err := retire(ctx, tx, c.Head, c.Chunks, c.Now); err != nil {
				return err
			}
		}
		for _, g := range c.Segments {
			if err := c.replace(ctx, tx, g); err != nil {
				return err
			}
		}
		for _, d := range c.Dead {
			q := tx.NewUpdate().Model((*Segment)(nil)).Set("dead = ?", d.Dead)
			result, err := asRead(q, d.Segment).Exec(ctx)
			if err := moved(result, err); err != nil {
				return err
			}
		}
		if err := c.insert(ctx, tx); err != nil {
			return err
		}
		return forget(ctx, tx, c.Head, c.Forget)
	})
}

func (c *Compaction) insert(ctx context.Context, tx bun.Tx) error {
	if c.Segment.ObjectID == 0 {
		return nil
	}
	if _, err := tx.NewInsert().Model(&c.Segment).Exec(ctx); err != nil {
		return err
	}
	_, err := tx.NewDelete().Model((*droppedObject)(nil)).Where("object_id = ?", c.Segment.ObjectID).Exec(ctx)
	return err
}

func (c *Compaction) replace(ctx context.Context, tx bun.Tx, g Segment) error {
	result, err := asRead(tx.NewDelete().Model((*Segment)(nil)), g).Exec(ctx)
	if err := moved(result, err); err != nil {
		return err
	}
	return dropObject(ctx, tx, g.Object(), c.DropAt)
}

// whereQuery is an UPDATE or a DELETE.
type whereQuery[Q any] interface {
	Where(query string, args ...any) Q
}

// asRead finds a segment that is as it was read: a rewind changes which of its rows count.
func asRead[Q whereQuery[Q]](q Q, g Segment) Q {
	return q.Where("run_id = ?", g.RunID).Where("stream = ?", g.Stream).Where("writer = ?", g.Writer).
		Where("object_id = ?", g.ObjectID).Where("cut_step = ?", g.CutStep).Where("dead = ?", g.Dead)
}

func moved(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrMoved, err)
	}
	return nil
}

// droppedObject is a row of dropped_objects.
type droppedObject struct {
	bun.BaseModel `bun:"table:dropped_objects"`

	ObjectID  ID     `bun:"object_id,pk"`
	ObjectRun ID     `bun:"object_run"`
	DropAt    Micros `bun:"drop_at"`
}

func dropObject(ctx context.Context, db bun.IDB, o Object, at time.Time) error {
	_, err := db.NewInsert().Model(&droppedObject{ObjectID: o.ID, ObjectRun: o.Run, DropAt: At(at)}).Ignore().Exec(ctx)
	return err
}

// DropObject remembers to delete an object, unless a segment refers to it then.
func (s *Store) DropObject(ctx context.Context, o Object, at time.Time) error {
	return s.update(ctx, "remember an object", func(ctx context.Context, tx bun.Tx) error { return dropObject(ctx, tx, o, at) })
}

// DueObjects returns objects whose time has come and to which no segment refers, at most limit of them. Those that are
// referred to are forgotten.
func (s *Store) DueObjects(ctx context.Context, now time.Time, limit int64) ([]Object, error) {
	var due []Object
	err := s.update(ctx, "look for objects to delete", func(ctx context.Context, tx bun.Tx) error {
		due = nil
		var rows []droppedObject
		if err := tx.NewSelect().Model(&rows).Where("drop_at < ?", At(now)).Order("drop_at", "object_id").Limit(limit).Scan(ctx); err != nil {
			return err
		}
		for _, row := range rows {
			used, err := tx.NewSelect().Model((*Segment)(nil)).Where("object_id = ?", row.ObjectID).Exists(ctx)
			if err != nil {
				return err
			}
			if !used {
				due = append(due, Object{ID: row.ObjectID, Run: row.ObjectRun})
				continue
			}
			if _, err := tx.NewDelete().Model((*droppedObject)(nil)).Where("object_id = ?", row.ObjectID).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return due, err
}

// ForgetObject tells that an object was deleted.
func (s *Store) ForgetObject(ctx context.Context, id ID) error {
	return s.update(ctx, "forget an object", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*droppedObject)(nil)).Where("object_id = ?", id).Exec(ctx)
		return err
	})
}

// Backlog returns runs of which a writer has at least so many chunks in a stream: of those whose process may live, or of
// all others. At most limit of them, by id, behind after.
func (s *Store) Backlog(ctx context.Context, live bool, chunks int, after ID, limit int) ([]ID, error) {
	not := " NOT"
	if live {
		not = ""
	}
	query := "SELECT DISTINCT h.run_id FROM run_live l JOIN stream_heads h ON h.run_id = l.run_id WHERE l.state" + not +
		" IN (?, ?) AND l.run_id > ? AND h.stream < ? AND (SELECT COUNT(*) FROM chunks c WHERE c.run_id = h.run_id AND c.stream = h.stream " +
		"AND c.writer = h.writer AND c.seq > 0) >= ? ORDER BY h.run_id LIMIT ?"
	var runs []ID
	err := s.view(ctx, "look for lines to compact", func(db bun.IDB) error {
		runs = nil
		return db.NewRaw(query, RunRunning, RunPreempting, after, StreamArchive, chunks, limit).Scan(ctx, &runs)
	})
	return runs, err
}

// lease is a row of compaction_leases.
type lease struct {
	bun.BaseModel `bun:"table:compaction_leases"`

	RunID     ID     `bun:"run_id,pk"`
	Holder    ID     `bun:"holder"`
	ExpiresAt Micros `bun:"expires_at"`
}

// LeaseRun lets a holder compact a run until a time. It is false where another one may.
func (s *Store) LeaseRun(ctx context.Context, run, holder ID, now, until time.Time) (bool, error) {
	granted := false
	err := s.update(ctx, "lease the run", func(ctx context.Context, tx bun.Tx) error {
		granted = false
		row := lease{RunID: run, Holder: holder, ExpiresAt: At(until)}
		var current lease
		err := tx.QueryRowContext(ctx, "SELECT holder, expires_at FROM compaction_leases WHERE run_id = ?"+s.locking(), int64(run)).
			Scan(&current.Holder, &current.ExpiresAt)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			_, err = tx.NewInsert().Model(&row).Exec(ctx)
		case err != nil:
			return fmt.Errorf("read the lease: %w", err)
		case current.Holder != holder && current.ExpiresAt > At(now):
			return nil
		default:
			_, err = tx.NewUpdate().Model(&row).WherePK().Exec(ctx)
		}
		granted = err == nil
		return err
	})
	if errors.Is(err, ErrDuplicate) {
		return false, nil
	}
	return granted && err == nil, err
}

// ReleaseRun ends a holder's lease.
func (s *Store) ReleaseRun(ctx context.Context, run, holder ID) error {
	return s.update(ctx, "end the lease", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*lease)(nil)).Where("run_id = ?", run).Where("holder = ?", holder).Exec(ctx)
		return err
	})
}

// deletedAtOnce is how many chunks one transaction deletes, so that it stays short.
const deletedAtOnce = 500

// DeleteHistory deletes the rows of a run's streams. Its objects are deleted after dropAt, unless a fork needs them.
func (s *Store) DeleteHistory(ctx context.Context, run ID, dropAt time.Time) error {
	for {
		n, err := s.deleteChunks(ctx, run)
		if err != nil {
			return err
		}
		if n < deletedAtOnce {
			break
		}
	}
	return s.update(ctx, "delete the history", func(ctx context.Context, tx bun.Tx) error {
		var segments []Segment
		if err := tx.NewSelect().Model(&segments).Column("object_id", "object_run").Where("run_id = ?", run).Scan(ctx); err != nil {
			return err
		}
		for i := range segments {
			if err := dropObject(ctx, tx, segments[i].Object(), dropAt); err != nil {
				return err
			}
		}
		for _, table := range []any{(*Segment)(nil), (*ChunkOutline)(nil), (*StreamHead)(nil), (*lease)(nil)} {
			if _, err := tx.NewDelete().Model(table).Where("run_id = ?", run).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) deleteChunks(ctx context.Context, run ID) (n int, err error) {
	err = s.update(ctx, "delete lines", func(ctx context.Context, tx bun.Tx) error {
		var chunks []Chunk
		err := tx.NewSelect().Model(&chunks).Column("run_id", "stream", "writer", "seq").Where("run_id = ?", run).Limit(deletedAtOnce).Scan(ctx)
		if n = len(chunks); err != nil || n == 0 {
			return err
		}
		_, err = tx.NewDelete().Model(&chunks).WherePK().Exec(ctx)
		return err
	})
	return n, err
}
