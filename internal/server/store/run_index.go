package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
)

// LiveRun is what changes while a run lives, as lists of many runs need it.
type LiveRun struct {
	RunID       ID
	State       RunState
	HeartbeatAt Micros
	Rev         int64
}

// LiveRuns reads what changes of every run of a project, by ascending id, into a list that may be given for use again.
func (s *Store) LiveRuns(ctx context.Context, project ID, into []LiveRun) ([]LiveRun, error) {
	into = into[:0]
	err := s.each(ctx, "read the runs", func(db bun.IDB) *bun.SelectQuery {
		return db.NewSelect().Model((*RunLive)(nil)).Column("run_id", "state", "heartbeat_at", "rev").Where("project_id = ?", project)
	}, func(rows *sql.Rows) error {
		var run, state, heartbeat, rev int64 // what drivers return: database/sql takes other types through their text
		if err := rows.Scan(&run, &state, &heartbeat, &rev); err != nil {
			return err
		}
		into = append(into, LiveRun{RunID: ID(run), State: RunState(state), HeartbeatAt: Micros(heartbeat), Rev: rev})
		return nil
	})
	slices.SortFunc(into, func(a, b LiveRun) int { return cmp.Compare(a.RunID, b.RunID) })
	return into, err
}

// indexBatch is how many runs one query of an index asks for.
const indexBatch = 500

// each visits the rows of a query without holding them all.
func (s *Store) each(ctx context.Context, op string, query func(db bun.IDB) *bun.SelectQuery, visit func(*sql.Rows) error) error {
	return s.view(ctx, op, func(db bun.IDB) (err error) {
		rows, err := query(db).Rows(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			if err := visit(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// EachRun visits the rows of runs, in no order. The row is used again.
func (s *Store) EachRun(ctx context.Context, runs []ID, visit func(r *Run, username Text)) error {
	for batch := range slices.Chunk(runs, indexBatch) {
		var rows []struct {
			Run      `bun:",extend"`
			Username Text `bun:"username"`
		}
		err := s.view(ctx, "read the runs", func(db bun.IDB) error {
			return db.NewSelect().Model(&rows).ColumnExpr("r.*").ColumnExpr("COALESCE(u.username, ?) AS username", Text("")).
				Join("LEFT JOIN users AS u ON u.id = r.user_id").Where("r.id IN (?)", bun.List(batch)).Scan(ctx)
		})
		if err != nil {
			return err
		}
		for i := range rows {
			visit(&rows[i].Run, rows[i].Username)
		}
	}
	return nil
}

// EachConfig visits the configs of runs, in no order. The text is valid until visit returns.
func (s *Store) EachConfig(ctx context.Context, runs []ID, visit func(run ID, config []byte)) error {
	return s.eachBody(ctx, (*RunConfig)(nil), runs, visit)
}

// EachSummary visits the summary of each writer of runs, those of one run after another. The text is valid until visit
// returns.
func (s *Store) EachSummary(ctx context.Context, runs []ID, visit func(run ID, writer Text, stamp Micros, summary []byte)) error {
	var text []byte
	for batch := range slices.Chunk(runs, indexBatch) {
		err := s.each(ctx, "read the summaries", func(db bun.IDB) *bun.SelectQuery {
			return db.NewSelect().Model((*RunSummary)(nil)).Column("run_id", "writer", "stamp", "body").
				Where("run_id IN (?)", bun.List(batch)).Order("run_id")
		}, func(rows *sql.Rows) (err error) {
			var run ID
			var writer Text
			var stamp Micros
			var packed sql.RawBytes
			if err := rows.Scan(&run, &writer, &stamp, &packed); err != nil {
				return err
			}
			if text, err = unpack(packed, text); err != nil {
				return err
			}
			visit(run, writer, stamp, text)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachBody(ctx context.Context, model any, runs []ID, visit func(run ID, body []byte)) error {
	var text []byte
	for batch := range slices.Chunk(runs, indexBatch) {
		err := s.each(ctx, "read the configs", func(db bun.IDB) *bun.SelectQuery {
			return db.NewSelect().Model(model).Column("run_id", "body").Where("run_id IN (?)", bun.List(batch))
		}, func(rows *sql.Rows) (err error) {
			var run ID
			var packed sql.RawBytes
			if err := rows.Scan(&run, &packed); err != nil {
				return err
			}
			if text, err = unpack(packed, text); err != nil {
				return err
			}
			visit(run, text)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func unpack(packed, into []byte) ([]byte, error) {
	text, err := unpacker.DecodeAll(packed, into[:0])
	if err != nil {
		return nil, fmt.Errorf("read a packed column: %w", err)
	}
	return text, nil
}

// HistoryLines returns how many lines the histories of runs have, those of all writers together; those without are absent.
func (s *Store) HistoryLines(ctx context.Context, runs []ID) (map[ID]int64, error) {
	lines := map[ID]int64{}
	for batch := range slices.Chunk(runs, indexBatch) {
		err := s.each(ctx, "read the ends of histories", func(db bun.IDB) *bun.SelectQuery {
			return db.NewSelect().Model((*StreamHead)(nil)).Column("run_id", "next_line").
				Where("run_id IN (?)", bun.List(batch)).Where("stream = ?", StreamHistory)
		}, func(rows *sql.Rows) error {
			var run ID
			var next int64
			if err := rows.Scan(&run, &next); err != nil {
				return err
			}
			lines[run] += next
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return lines, nil
}
