package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// runRemains is a row of run_remains.
type runRemains struct {
	bun.BaseModel `bun:"table:run_remains"`

	RunID     ID     `bun:"run_id,pk"`
	DeletedAt Micros `bun:"deleted_at"`
}

// DeleteRun makes a run disappear: what it has beside its rows is left to Remains. Its name stays taken.
func (s *Store) DeleteRun(ctx context.Context, run Run, now time.Time) error {
	return s.update(ctx, "delete the run", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewDelete().Model((*RunLive)(nil)).Where("run_id = ?", run.ID).Exec(ctx)
		if err := affectedOne(result, err); err != nil {
			return err
		}
		for _, table := range []any{(*RunConfig)(nil), (*RunSummary)(nil), (*runCall)(nil)} {
			if _, err := tx.NewDelete().Model(table).Where("run_id = ?", run.ID).Exec(ctx); err != nil {
				return err
			}
		}
		if _, err := tx.NewDelete().Model((*Run)(nil)).Where("id = ?", run.ID).Exec(ctx); err != nil {
			return err
		}
		grave := runGrave{ProjectID: run.ProjectID, Name: run.Name, RunID: run.ID, DeletedAt: At(now)}
		if _, err := tx.NewInsert().Model(&grave).Ignore().Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&runRemains{RunID: run.ID, DeletedAt: At(now)}).Ignore().Exec(ctx)
		return err
	})
}
