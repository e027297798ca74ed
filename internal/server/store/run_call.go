package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// RunCall is something that a process of a run asked for: a hash of all of it, and when it was done.
type RunCall struct {
	Hash []byte
	At   Micros
}

// runCall is a row of run_calls.
type runCall struct {
	bun.BaseModel `bun:"table:run_calls"`

	RunID ID     `bun:"run_id,pk"`
	Hash  Blob   `bun:"hash,pk"`
	At    Micros `bun:"at"`
}

// callAge is how long calls are kept: longer than copies of them are still on their way.
const callAge = 10 * time.Minute

// calledAt is when a run was asked for something; 0 for never.
func calledAt(ctx context.Context, db bun.IDB, run ID, hash []byte) (Micros, error) {
	var at Micros
	err := db.NewSelect().Model((*runCall)(nil)).Column("at").Where("run_id = ?", run).Where("hash = ?", Blob(hash)).Scan(ctx, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

// putCall notes what a run was asked for, and forgets what is old.
func putCall(ctx context.Context, tx bun.Tx, run ID, call *RunCall) error {
	if call == nil {
		return nil
	}
	_, err := tx.NewDelete().Model((*runCall)(nil)).Where("run_id = ?", run).
		WhereGroup(" AND ", func(q *bun.DeleteQuery) *bun.DeleteQuery {
			return q.Where("hash = ?", Blob(call.Hash)).WhereOr("at < ?", call.At-Micros(callAge.Microseconds()))
		}).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewInsert().Model(&runCall{RunID: run, Hash: call.Hash, At: call.At}).Exec(ctx)
	return err
}
