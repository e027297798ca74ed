package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// ReadySpan is a row of ready_spans: a time in which some replica was ready.
type ReadySpan struct {
	bun.BaseModel `bun:"table:ready_spans,alias:s"`

	StartedAt Micros `bun:"started_at,pk"`
	EndedAt   Micros `bun:"ended_at"`
}

// keptSpans is how long times are kept in which replicas were ready.
const keptSpans = 24 * time.Hour

// NoteReady notes that a replica is ready now. Notes that are no further apart than gap are one span.
func (s *Store) NoteReady(ctx context.Context, now time.Time, gap time.Duration) error {
	err := s.update(ctx, "note that this replica is ready", func(ctx context.Context, tx bun.Tx) error {
		var last ReadySpan
		err := tx.NewSelect().Model(&last).OrderExpr("started_at DESC").Limit(1).Scan(ctx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && At(now) <= last.EndedAt+Micros(gap.Microseconds()) {
			_, err = tx.NewUpdate().Model(&last).Set("ended_at = ?", At(now)).WherePK().Where("ended_at < ?", At(now)).Exec(ctx)
			return err
		}
		if _, err := tx.NewDelete().Model((*ReadySpan)(nil)).Where("ended_at < ?", At(now.Add(-keptSpans))).Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&ReadySpan{StartedAt: At(now), EndedAt: At(now)}).Ignore().Exec(ctx)
		return err
	})
	return err
}

// ReadySpans returns the times in which some replica was ready, those that ended since a time.
func (s *Store) ReadySpans(ctx context.Context, since time.Time) ([]ReadySpan, error) {
	var spans []ReadySpan
	err := s.view(ctx, "read when replicas were ready", func(db bun.IDB) error {
		return db.NewSelect().Model(&spans).Where("ended_at >= ?", At(since)).Order("started_at").Scan(ctx)
	})
	return spans, err
}

// SilentRuns returns runs in one of these states that were last heard of before a time.
func (s *Store) SilentRuns(ctx context.Context, states []RunState, before time.Time) ([]RunLive, error) {
	var runs []RunLive
	err := s.view(ctx, "look for silent runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&runs).Where("state IN (?)", bun.List(states)).Where("heartbeat_at < ?", At(before)).
			Order("run_id").Scan(ctx)
	})
	return runs, err
}

// EndSilentRun changes the state of a run, unless it was heard of since it was read.
func (s *Store) EndSilentRun(ctx context.Context, run RunLive, state RunState) error {
	return s.update(ctx, "write the state of a silent run", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*RunLive)(nil)).Set("state = ?", state).Set("rev = rev + 1").
			Where("run_id = ?", run.RunID).Where("state = ?", run.State).Where("heartbeat_at = ?", run.HeartbeatAt).Exec(ctx)
		return err
	})
}

// duty is a row of run_duties.
type duty struct {
	bun.BaseModel `bun:"table:run_duties"`

	Name      Text   `bun:"name,pk"`
	Holder    Text   `bun:"holder"`
	ExpiresAt Micros `bun:"expires_at"`
}

// TakeDuty makes a holder the one who does some work until a time, unless somebody else is.
func (s *Store) TakeDuty(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	granted := false
	err := s.update(ctx, "take a duty", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*duty)(nil)).Set("holder = ?", Text(holder)).Set("expires_at = ?", At(until)).
			Where("name = ?", Text(name)).Where("holder = ? OR expires_at <= ?", Text(holder), At(now)).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if granted = n > 0; granted || err != nil {
			return err
		}
		exists, err := tx.NewSelect().Model((*duty)(nil)).Where("name = ?", Text(name)).Exists(ctx)
		if err != nil || exists {
			return err
		}
		_, err = tx.NewInsert().Model(&duty{Name: Text(name), Holder: Text(holder), ExpiresAt: At(until)}).Exec(ctx)
		granted = err == nil
		return err
	})
	if errors.Is(err, ErrDuplicate) { // another replica was faster
		return false, nil
	}
	return granted && err == nil, err
}

// RunRemains returns runs that were deleted and have left something behind, with the time of their deletion.
func (s *Store) RunRemains(ctx context.Context, after ID, limit int) (map[ID]time.Time, error) {
	var rows []runRemains
	err := s.view(ctx, "look for what deleted runs left", func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).Where("run_id > ?", after).Order("run_id").Limit(int64(limit)).Scan(ctx)
	})
	remains := make(map[ID]time.Time, len(rows))
	for _, row := range rows {
		remains[row.RunID] = row.DeletedAt.Time()
	}
	return remains, err
}

// ForgetRun removes the rows of a deleted run that nobody sees, and with last also the note that it left something.
func (s *Store) ForgetRun(ctx context.Context, run ID, last bool) error {
	return s.update(ctx, "remove what a deleted run left", func(ctx context.Context, tx bun.Tx) error {
		tables := []any{(*RunFile)(nil), (*RunAlert)(nil)}
		if last {
			tables = append(tables, (*runRemains)(nil))
		}
		for _, table := range tables {
			if _, err := tx.NewDelete().Model(table).Where("run_id = ?", run).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
