package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
)

// ErrRunDeleted tells that a run of this name was deleted: its name is not free again.
var ErrRunDeleted = errors.New("a run of this name was deleted")

// errRaced tells that another program made the run between two looks.
var errRaced = errors.New("another program made the run")

// RunKey names a run: by its id, or by its project and name.
type RunKey struct {
	ID        ID
	ProjectID ID
	Name      Text
}

// RunRecord is a run with what changes while it lives.
type RunRecord struct {
	Run  `bun:",extend"`
	Live RunLive `bun:"embed:live__"`
}

// RunBefore is what a change finds; the row is empty where there is no run yet.
type RunBefore struct {
	RunRecord
	// Exists tells whether the run was there.
	Exists bool
	// DiedAt is when a run of this name went with a project of this name, where it does not exist yet; 0 for never.
	DiedAt Micros
	// Number is how many runs were ever made in the project, this one counted where it does not exist yet.
	Number int64
	// Config reads the stored config; nil for none.
	Config func() ([]byte, error)
	// Storage reads what the entity of a run that does not exist yet stores and may store; nil where the run exists.
	Storage func() (EntityStorage, error)
	// Called reads when the run was asked for the same before, by its hash; 0 for never, or too long ago.
	Called func(hash []byte) (Micros, error)
}

// RunAfter is what a change writes.
type RunAfter struct {
	Run
	State    RunState
	ExitCode int32
	Stopping bool
	// Heartbeat counts the change as a sign of life.
	Heartbeat Micros
	// Config and Summary replace what is stored; nil leaves it.
	Config, Summary []byte
	// Call is noted beside the change, so that a copy of it is known; nil for nothing.
	Call *RunCall
	// Skip leaves everything as it is.
	Skip bool
}

// ChangedRun is a run after a change.
type ChangedRun struct {
	RunRecord
	Inserted bool
	// NextLine is where the named writer's history continues, read in the same transaction.
	NextLine int64
	// Config is what is stored now.
	Config []byte
}

// ChangeRun makes a run or changes it in one transaction. plan is given what is there, decides, and must have no other
// effect: it is called again where the database undid the transaction. writer names the history whose end is returned.
func (s *Store) ChangeRun(ctx context.Context, key RunKey, writer Text, plan func(RunBefore) (RunAfter, error)) (ChangedRun, error) {
	for try := 1; ; try++ {
		var changed ChangedRun
		err := s.update(ctx, "write the run", func(ctx context.Context, tx bun.Tx) (err error) {
			changed, err = s.changeRun(ctx, tx, key, writer, plan)
			return err
		})
		if raced := errors.Is(err, errRaced) || errors.Is(err, ErrDuplicate); !raced || try == transactionTries {
			return changed, err
		}
	}
}

func (s *Store) changeRun(ctx context.Context, tx bun.Tx, key RunKey, writer Text, plan func(RunBefore) (RunAfter, error)) (ChangedRun, error) {
	id, err := findRun(ctx, tx, key)
	if errors.Is(err, sql.ErrNoRows) && key.ID == 0 {
		return s.insertRun(ctx, tx, key, plan)
	}
	if err != nil {
		return ChangedRun{}, err
	}
	before := RunBefore{
		Exists: true, Config: func() ([]byte, error) { return readConfig(ctx, tx, id) },
		Called: func(hash []byte) (Micros, error) { return calledAt(ctx, tx, id, hash) },
	}
	if before.RunRecord, err = lockRun(ctx, tx, id); err != nil {
		return ChangedRun{}, err
	}
	after, err := plan(before)
	if err != nil {
		return ChangedRun{}, err
	}
	changed := ChangedRun{RunRecord: before.RunRecord}
	if !after.Skip {
		if changed.RunRecord, err = writeRun(ctx, tx, before.RunRecord, after); err != nil {
			return ChangedRun{}, err
		}
	}
	if changed.Config, err = before.Config(); err != nil {
		return ChangedRun{}, err
	}
	err = tx.NewSelect().Model((*StreamHead)(nil)).Column("next_line").
		Where("run_id = ?", id).Where("stream = ?", StreamHistory).Where("writer = ?", writer).Scan(ctx, &changed.NextLine)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return changed, err
}

func findRun(ctx context.Context, db bun.IDB, key RunKey) (ID, error) {
	if key.ID != 0 {
		return key.ID, nil
	}
	var id ID
	err := db.NewSelect().Model((*Run)(nil)).Column("id").
		Where("project_id = ?", key.ProjectID).Where("name = ?", key.Name).Scan(ctx, &id)
	return id, err
}

// lockRun makes other changes of the run wait, and counts this one. The narrow row is the lock: what logs metrics takes it
// as well.
func lockRun(ctx context.Context, tx bun.Tx, id ID) (RunRecord, error) {
	var record RunRecord
	result, err := tx.NewUpdate().Model((*RunLive)(nil)).Set("rev = rev + 1").Where("run_id = ?", id).Exec(ctx)
	if err := affectedOne(result, err); err != nil {
		return record, err
	}
	if err := tx.NewSelect().Model(&record.Live).Where("run_id = ?", id).Scan(ctx); err != nil {
		return record, err
	}
	return record, tx.NewSelect().Model(&record.Run).Where("id = ?", id).Scan(ctx)
}

func readConfig(ctx context.Context, db bun.IDB, id ID) ([]byte, error) {
	var config RunConfig
	err := db.NewSelect().Model(&config).Where("run_id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return config.Body, err
}

func (s *Store) insertRun(ctx context.Context, tx bun.Tx, key RunKey, plan func(RunBefore) (RunAfter, error)) (ChangedRun, error) {
	before, err := newRun(ctx, tx, key)
	if err != nil {
		return ChangedRun{}, err
	}
	after, err := plan(before)
	if err != nil {
		return ChangedRun{}, err
	}
	run := after.Run
	run.ID, run.ProjectID, run.Name = s.ids.next(), key.ProjectID, key.Name
	live := RunLive{RunID: run.ID, ProjectID: key.ProjectID, State: after.State, HeartbeatAt: after.Heartbeat, Rev: 1}
	if _, err := tx.NewInsert().Model(&run).Exec(ctx); err != nil {
		return ChangedRun{}, err
	}
	if _, err := tx.NewInsert().Model(&live).Exec(ctx); err != nil {
		return ChangedRun{}, err
	}
	if err := putCall(ctx, tx, run.ID, after.Call); err != nil {
		return ChangedRun{}, err
	}
	if after.Config != nil {
		if _, err := tx.NewInsert().Model(&RunConfig{RunID: run.ID, Body: after.Config}).Exec(ctx); err != nil {
			return ChangedRun{}, err
		}
	}
	if after.Summary != nil {
		if _, err := tx.NewInsert().Model(&RunSummary{RunID: run.ID, Stamp: 1, Body: after.Summary}).Exec(ctx); err != nil {
			return ChangedRun{}, err
		}
	}
	return ChangedRun{RunRecord: RunRecord{Run: run, Live: live}, Inserted: true, Config: after.Config}, nil
}

// newRun is what a new run finds, and gives it its number. The project's row makes others that make runs in it wait, so that what is found
// afterwards stays true until the end of the transaction.
func newRun(ctx context.Context, tx bun.Tx, key RunKey) (RunBefore, error) {
	result, err := tx.NewUpdate().Model((*Project)(nil)).Set("run_count = run_count + 1").Where("id = ?", key.ProjectID).
		Where("access <> ?", AccessDeleted).Exec(ctx)
	if err := affectedOne(result, err); err != nil {
		return RunBefore{}, err
	}
	if _, err := findRun(ctx, tx, key); err == nil {
		return RunBefore{}, errRaced
	} else if !errors.Is(err, sql.ErrNoRows) {
		return RunBefore{}, err
	}
	deleted, err := tx.NewSelect().Model((*runGrave)(nil)).
		Where("project_id = ?", key.ProjectID).Where("name = ?", key.Name).Exists(ctx)
	if err != nil {
		return RunBefore{}, err
	}
	if deleted {
		return RunBefore{}, ErrRunDeleted
	}
	var project Project
	err = tx.NewSelect().Model(&project).Column("entity_id", "name", "run_count").Where("id = ?", key.ProjectID).Scan(ctx)
	if err != nil {
		return RunBefore{}, err
	}
	died, err := runDied(ctx, tx, project.EntityID, project.Name, key.Name)
	return RunBefore{
		Number: project.RunCount, DiedAt: died,
		Storage: func() (EntityStorage, error) { return entityStorage(ctx, tx, project.EntityID) },
		Config:  func() ([]byte, error) { return nil, nil }, Called: func([]byte) (Micros, error) { return 0, nil },
	}, err
}

// writeRun writes what differs. The run's row is wide, so it is left alone where it stays the same.
func writeRun(ctx context.Context, tx bun.Tx, before RunRecord, after RunAfter) (RunRecord, error) {
	record := RunRecord{Run: after.Run, Live: before.Live}
	live := &record.Live
	live.State, live.ExitCode, live.Stopping = after.State, after.ExitCode, after.Stopping
	live.HeartbeatAt = max(live.HeartbeatAt, after.Heartbeat)
	if *live != before.Live {
		if _, err := tx.NewUpdate().Model(live).WherePK().Exec(ctx); err != nil {
			return record, err
		}
	}
	if err := putCall(ctx, tx, before.ID, after.Call); err != nil {
		return record, err
	}
	if !sameRun(before.Run, after.Run) {
		if _, err := tx.NewUpdate().Model(&record.Run).WherePK().Exec(ctx); err != nil {
			return record, err
		}
	}
	if after.Config != nil {
		if err := putConfig(ctx, tx, RunConfig{RunID: before.ID, Body: after.Config}); err != nil {
			return record, err
		}
	}
	if after.Summary != nil {
		return record, replaceSummary(ctx, tx, before.ID, after.Summary)
	}
	return record, nil
}

func sameRun(a, b Run) bool {
	same := string(a.Description) == string(b.Description) && string(a.Notes) == string(b.Notes) && string(a.Tags) == string(b.Tags)
	a.Description, a.Notes, a.Tags = nil, nil, nil
	b.Description, b.Notes, b.Tags = nil, nil, nil
	return same && a.ID == b.ID && a.SweepID == b.SweepID && a.DisplayName == b.DisplayName && a.GroupName == b.GroupName &&
		a.JobType == b.JobType && a.CommitHash == b.CommitHash && a.Host == b.Host && a.Program == b.Program && a.Repo == b.Repo &&
		a.ParentID == b.ParentID && a.ParentStep == b.ParentStep && a.UserID == b.UserID
}

func putConfig(ctx context.Context, tx bun.Tx, config RunConfig) error {
	result, err := tx.NewUpdate().Model(&config).WherePK().Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.NewInsert().Model(&config).Exec(ctx)
	return err
}

// emptySummary stands where a writer's summary was.
const emptySummary = "{}"

// replaceSummary puts one summary in place of those of all writers. It is newer than what any of them has sent, and older
// than what they will send. Of the others stays how old they were: what is sent a second time does not come back.
func replaceSummary(ctx context.Context, tx bun.Tx, run ID, summary []byte) error {
	var newest sql.NullInt64
	err := tx.NewSelect().Model((*RunSummary)(nil)).ColumnExpr("MAX(stamp)").Where("run_id = ?", run).Scan(ctx, &newest)
	if err != nil {
		return err
	}
	if _, err := tx.NewDelete().Model((*RunSummary)(nil)).Where("run_id = ?", run).Where("writer = ?", Text("")).Exec(ctx); err != nil {
		return err
	}
	_, err = tx.NewUpdate().Model((*RunSummary)(nil)).Set("body = ?", Packed(emptySummary)).
		Set("stamp = CASE WHEN stamp > ? THEN stamp + 1 ELSE stamp END", Untimed).Where("run_id = ?", run).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewInsert().Model(&RunSummary{RunID: run, Stamp: Micros(newest.Int64) + 1, Body: summary}).Exec(ctx)
	return err
}

// runGrave is a row of run_graves.
type runGrave struct {
	bun.BaseModel `bun:"table:run_graves"`

	ProjectID ID     `bun:"project_id,pk"`
	Name      Text   `bun:"name,pk"`
	RunID     ID     `bun:"run_id"`
	DeletedAt Micros `bun:"deleted_at"`
}
