package store

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// SweepState is what a sweep is doing, as numbers that never change their meaning.
type SweepState int16

// The states of a sweep.
const (
	// SweepPending: no agent has come yet.
	SweepPending SweepState = iota
	// SweepRunning: agents are told what to run.
	SweepRunning
	// SweepPaused: agents wait.
	SweepPaused
	// SweepFinished: there is nothing more to run, or somebody said so; active runs end on their own.
	SweepFinished
	// SweepCanceled: active runs are stopped too.
	SweepCanceled
)

// Sweep is a row of sweeps.
type Sweep struct {
	bun.BaseModel `bun:"table:sweeps,alias:sw"`

	ID          ID         `bun:"id,pk"`
	ProjectID   ID         `bun:"project_id"`
	Name        Text       `bun:"name"`
	UserID      ID         `bun:"user_id"`
	State       SweepState `bun:"state"`
	Method      Text       `bun:"method"`
	DisplayName Text       `bun:"display_name"`
	Description Blob       `bun:"description"`
	// Config is YAML, as the client sent it; Controller and Scheduler are JSON texts that only clients read.
	Config     Blob `bun:"config"`
	Controller Blob `bun:"controller"`
	Scheduler  Blob `bun:"scheduler"`
	// Drawn counts the suggestions that were ever made.
	Drawn     int64  `bun:"drawn"`
	CreatedAt Micros `bun:"created_at"`
	UpdatedAt Micros `bun:"updated_at"`
}

// InsertSweep writes a sweep and returns it with its id. It fails with ErrDuplicate where the project has one of this name.
func (s *Store) InsertSweep(ctx context.Context, sweep Sweep) (Sweep, error) {
	sweep.ID = s.ids.next()
	err := s.update(ctx, "write the sweep", func(ctx context.Context, tx bun.Tx) error {
		if err := s.holdProject(ctx, tx, sweep.ProjectID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&sweep).Exec(ctx)
		return err
	})
	return sweep, err
}

// Sweep returns a sweep by its id.
func (s *Store) Sweep(ctx context.Context, id ID) (Sweep, error) {
	var sweep Sweep
	err := s.view(ctx, "read the sweep", func(db bun.IDB) error {
		return db.NewSelect().Model(&sweep).Where("id = ?", id).Scan(ctx)
	})
	return sweep, err
}

// SweepByName returns a project's sweep.
func (s *Store) SweepByName(ctx context.Context, project ID, name string) (Sweep, error) {
	var sweep Sweep
	err := s.view(ctx, "read the sweep", func(db bun.IDB) error {
		return db.NewSelect().Model(&sweep).Where("project_id = ?", project).Where("name = ?", Text(name)).Scan(ctx)
	})
	return sweep, err
}

// Sweeps returns up to limit sweeps of a project, newest first, with an id below before; 0 begins.
func (s *Store) Sweeps(ctx context.Context, project, before ID, limit int64) ([]Sweep, error) {
	var sweeps []Sweep
	err := s.view(ctx, "list sweeps", func(db bun.IDB) error {
		q := db.NewSelect().Model(&sweeps).Where("project_id = ?", project).OrderExpr("id DESC").Limit(limit)
		if before != 0 {
			q = q.Where("id < ?", before)
		}
		return q.Scan(ctx)
	})
	return sweeps, err
}

// CountSweeps counts a project's sweeps.
func (s *Store) CountSweeps(ctx context.Context, project ID) (n int64, err error) {
	err = s.view(ctx, "count sweeps", func(db bun.IDB) (err error) {
		n, err = db.NewSelect().Model((*Sweep)(nil)).Where("project_id = ?", project).Count(ctx)
		return err
	})
	return n, err
}

// ChangeSweep reads a sweep for change, has it changed, and writes it. What is drawn meanwhile is
// kept.
func (s *Store) ChangeSweep(ctx context.Context, id ID, change func(*Sweep) error) (Sweep, error) {
	var sweep Sweep
	err := s.update(ctx, "change the sweep", func(ctx context.Context, tx bun.Tx) error {
		if err := lockSweep(ctx, tx, id); err != nil {
			return err
		}
		sweep = Sweep{}
		if err := tx.NewSelect().Model(&sweep).Where("id = ?", id).Scan(ctx); err != nil {
			return err
		}
		if err := change(&sweep); err != nil {
			return refusal{err}
		}
		_, err := tx.NewUpdate().Model(&sweep).ExcludeColumn("drawn").WherePK().Exec(ctx)
		return err
	})
	return sweep, unwrapRefusal(err)
}

// lockSweep makes transactions about one sweep follow each other. A row is locked by writing to it, which both databases
// understand.
func lockSweep(ctx context.Context, tx bun.Tx, id ID) error {
	_, err := tx.NewUpdate().Model((*Sweep)(nil)).Set("drawn = drawn").Where("id = ?", id).Exec(ctx)
	return err
}

// refusal carries a caller's own error out of a transaction, unclassified.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }

func unwrapRefusal(err error) error {
	var r refusal
	if errors.As(err, &r) {
		return r.err
	}
	return err
}

// DeleteSweep removes a sweep with its agents and suggestions. Its runs stay, and belong to no sweep from then on.
func (s *Store) DeleteSweep(ctx context.Context, id ID) error {
	return s.update(ctx, "delete the sweep", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewDelete().Model((*Sweep)(nil)).Where("id = ?", id).Exec(ctx)
		if err := affectedOne(result, err); err != nil {
			return err
		}
		if err := deleteSweepRows(ctx, tx, id); err != nil {
			return err
		}
		var runs []ID
		if err := tx.NewSelect().Model((*Run)(nil)).Column("id").Where("sweep_id = ?", id).Order("id").Scan(ctx, &runs); err != nil {
			return err
		}
		return moveRuns(ctx, tx, runs, 0)
	})
}

func deleteSweepRows(ctx context.Context, tx bun.Tx, id ID) error {
	for _, model := range []any{(*SweepAgent)(nil), (*SweepSuggestion)(nil)} {
		if _, err := tx.NewDelete().Model(model).Where("sweep_id = ?", id).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// moveRuns attaches runs to a sweep, 0 for none, which their readers see.
func moveRuns(ctx context.Context, tx bun.Tx, runs []ID, sweep ID) error {
	if len(runs) == 0 {
		return nil
	}
	if _, err := tx.NewUpdate().Model((*Run)(nil)).Set("sweep_id = ?", sweep).Where("id IN (?)", bun.List(runs)).Exec(ctx); err != nil {
		return err
	}
	_, err := tx.NewUpdate().Model((*RunLive)(nil)).Set("rev = rev + 1").Where("run_id IN (?)", bun.List(runs)).Exec(ctx)
	return err
}

// AttachRuns makes a project's runs of these names part of a sweep, and returns how many there were.
func (s *Store) AttachRuns(ctx context.Context, project, sweep ID, names []string) (n int, err error) {
	keys := make([]Text, len(names))
	for i, name := range names {
		keys[i] = Text(name)
	}
	err = s.update(ctx, "attach runs to the sweep", func(ctx context.Context, tx bun.Tx) error {
		var runs []ID
		err := tx.NewSelect().Model((*Run)(nil)).Column("id").Where("project_id = ?", project).Where("name IN (?)", bun.List(keys)).
			Order("id").Scan(ctx, &runs)
		if err != nil {
			return err
		}
		n = len(runs)
		return moveRuns(ctx, tx, runs, sweep)
	})
	return n, err
}

// SweepNames returns the names of sweeps; those that do not exist are absent.
func (s *Store) SweepNames(ctx context.Context, ids []ID) (map[ID]string, error) {
	names := make(map[ID]string, len(ids))
	if len(ids) == 0 {
		return names, nil
	}
	var sweeps []Sweep
	err := s.view(ctx, "read the names of sweeps", func(db bun.IDB) error {
		return db.NewSelect().Model(&sweeps).Column("id", "name").Where("id IN (?)", bun.List(ids)).Scan(ctx)
	})
	for _, sweep := range sweeps {
		names[sweep.ID] = string(sweep.Name)
	}
	return names, err
}

// CountSweepRuns counts the runs of a sweep.
func (s *Store) CountSweepRuns(ctx context.Context, sweep ID) (n int64, err error) {
	err = s.view(ctx, "count the sweep's runs", func(db bun.IDB) (err error) {
		n, err = db.NewSelect().Model((*Run)(nil)).Where("sweep_id = ?", sweep).Count(ctx)
		return err
	})
	return n, err
}

// SweepRuns returns what a sweep's runs do, oldest first.
func (s *Store) SweepRuns(ctx context.Context, sweep ID) ([]RunLive, error) {
	var runs []RunLive
	err := s.view(ctx, "list the sweep's runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&runs).Join("JOIN runs AS r ON r.id = l.run_id").Where("r.sweep_id = ?", sweep).OrderExpr("l.run_id").Scan(ctx)
	})
	return runs, err
}
