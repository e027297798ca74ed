package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
)

// RunAlert is a row of run_alerts: what a run told people.
type RunAlert struct {
	bun.BaseModel `bun:"table:run_alerts,alias:a"`

	RunID     ID     `bun:"run_id,pk"`
	ID        ID     `bun:"id,pk"`
	Title     Text   `bun:"title"`
	Body      Blob   `bun:"body"`
	Severity  Text   `bun:"severity"`
	WaitMs    int64  `bun:"wait_ms"`
	CreatedAt Micros `bun:"created_at"`
}

// AddRunAlert writes an alert, unless the run's last one of this title is not older than since. It keeps the newest keep of
// a run.
func (s *Store) AddRunAlert(ctx context.Context, alert RunAlert, since Micros, keep int) (added bool, err error) {
	alert.ID = s.ids.next()
	err = s.update(ctx, "write the alert", func(ctx context.Context, tx bun.Tx) error {
		if err := touchRun(ctx, tx, alert.RunID); err != nil {
			return err
		}
		recent, err := tx.NewSelect().Model((*RunAlert)(nil)).Where("run_id = ?", alert.RunID).
			Where("title = ?", alert.Title).Where("created_at > ?", since).Exists(ctx)
		if added = !recent; err != nil || recent {
			return err
		}
		if _, err := tx.NewInsert().Model(&alert).Exec(ctx); err != nil {
			return err
		}
		var oldest ID
		err = tx.NewSelect().Model((*RunAlert)(nil)).Column("id").Where("run_id = ?", alert.RunID).
			OrderExpr("id DESC").Offset(int64(keep)).Limit(1).Scan(ctx, &oldest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*RunAlert)(nil)).Where("run_id = ?", alert.RunID).Where("id <= ?", oldest).Exec(ctx)
		return err
	})
	return added, err
}

// RunAlerts returns the newest alerts of a run, the newest first.
func (s *Store) RunAlerts(ctx context.Context, run ID, limit int) ([]RunAlert, error) {
	var alerts []RunAlert
	err := s.view(ctx, "read the alerts", func(db bun.IDB) error {
		return db.NewSelect().Model(&alerts).Where("run_id = ?", run).OrderExpr("id DESC").Limit(int64(limit)).Scan(ctx)
	})
	return alerts, err
}
