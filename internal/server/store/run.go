package store

import (
	"context"

	"github.com/uptrace/bun"
)

// RunState is what a run is doing, as numbers that never change their meaning.
type RunState int16

// The states of a run.
const (
	// RunPending: made ahead of its process, by a sweep or a person.
	RunPending RunState = iota
	// RunRunning: its process has said so, and is heard of.
	RunRunning
	// RunFinished: its process ended with exit code 0.
	RunFinished
	// RunFailed: its process ended with another exit code.
	RunFailed
	// RunCrashed: its process has not been heard of for too long.
	RunCrashed
	// RunKilled: somebody ended it from outside.
	RunKilled
	// RunPreempting: its process has said that it is being suspended.
	RunPreempting
	// RunPreempted: a preempting run that has gone silent.
	RunPreempted
)

// Run is a row of runs.
type Run struct {
	bun.BaseModel `bun:"table:runs,alias:r"`

	ID          ID   `bun:"id,pk"`
	ProjectID   ID   `bun:"project_id"`
	Name        Text `bun:"name"`
	UserID      ID   `bun:"user_id"`
	SweepID     ID   `bun:"sweep_id"`
	DisplayName Text `bun:"display_name"`
	GroupName   Text `bun:"group_name"`
	JobType     Text `bun:"job_type"`
	CommitHash  Text `bun:"commit_hash"`
	Host        Text `bun:"host"`
	Program     Text `bun:"program"`
	Repo        Text `bun:"repo"`
	Description Blob `bun:"description"`
	Notes       Blob `bun:"notes"`
	// Tags is a JSON list of strings; empty means none.
	Tags Blob `bun:"tags"`
	// ParentID is the run that this one was forked from, after step ParentStep; 0 for none.
	ParentID   ID     `bun:"parent_id"`
	ParentStep int64  `bun:"parent_step"`
	CreatedAt  Micros `bun:"created_at"`
}

// RunLive is a row of run_live. Rev grows by one with each change that a reader could see; a heartbeat is none.
type RunLive struct {
	bun.BaseModel `bun:"table:run_live,alias:l"`

	RunID       ID       `bun:"run_id,pk"`
	ProjectID   ID       `bun:"project_id"`
	State       RunState `bun:"state"`
	ExitCode    int32    `bun:"exit_code"`
	Stopping    bool     `bun:"stopping"`
	HeartbeatAt Micros   `bun:"heartbeat_at"`
	Rev         int64    `bun:"rev"`
}

// RunConfig is a row of run_config: the JSON text as the client sent it.
type RunConfig struct {
	bun.BaseModel `bun:"table:run_config,alias:rc"`

	RunID ID     `bun:"run_id,pk"`
	Body  Packed `bun:"body"`
}

// RunSummary is a row of run_summary: the newest summary that one process of a run sent.
type RunSummary struct {
	bun.BaseModel `bun:"table:run_summary,alias:rs"`

	RunID  ID     `bun:"run_id,pk"`
	Writer Text   `bun:"writer,pk"`
	Stamp  Micros `bun:"stamp"`
	Body   Packed `bun:"body"`
}

// RunRecordByName returns a project's run. Names differ where their bytes differ.
func (s *Store) RunRecordByName(ctx context.Context, project ID, name string) (RunRecord, error) {
	return s.runRecord(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("r.project_id = ?", project).Where("r.name = ?", Text(name))
	})
}

// RunRecordByID returns a run by its id.
func (s *Store) RunRecordByID(ctx context.Context, id ID) (RunRecord, error) {
	return s.runRecord(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("r.id = ?", id) })
}

func (s *Store) runRecord(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery) (RunRecord, error) {
	var record RunRecord
	err := s.view(ctx, "read the run", func(db bun.IDB) error {
		return where(selectRecords(db, &record)).Scan(ctx)
	})
	return record, err
}

// RunRecords returns those of the given runs that exist, in no order.
func (s *Store) RunRecords(ctx context.Context, ids []ID) ([]RunRecord, error) {
	var records []RunRecord
	if len(ids) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read the runs", func(db bun.IDB) error {
		return selectRecords(db, &records).Where("r.id IN (?)", bun.List(ids)).Scan(ctx)
	})
	return records, err
}

// selectRecords reads runs beside what changes while they live, in one query and thus one snapshot.
func selectRecords(db bun.IDB, into any) *bun.SelectQuery {
	q := db.NewSelect().Model(into).ColumnExpr("r.*")
	for _, column := range []string{"run_id", "project_id", "state", "exit_code", "stopping", "heartbeat_at", "rev"} {
		q = q.ColumnExpr("l.? AS ?", bun.Ident(column), bun.Ident("live__"+column))
	}
	return q.Join("JOIN run_live AS l ON l.run_id = r.id")
}

// RunConfigs returns the configs of those of the given runs that have one.
func (s *Store) RunConfigs(ctx context.Context, runs []ID) ([]RunConfig, error) {
	var configs []RunConfig
	err := s.view(ctx, "read the configs", func(db bun.IDB) error {
		return db.NewSelect().Model(&configs).Where("run_id IN (?)", bun.List(runs)).Scan(ctx)
	})
	return configs, err
}

// RunSummaries returns the summaries of all writers of the given runs.
func (s *Store) RunSummaries(ctx context.Context, runs []ID) ([]RunSummary, error) {
	var summaries []RunSummary
	err := s.view(ctx, "read the summaries", func(db bun.IDB) error {
		return db.NewSelect().Model(&summaries).Where("run_id IN (?)", bun.List(runs)).Scan(ctx)
	})
	return summaries, err
}

// RunUsers returns who made each of the given runs.
func (s *Store) RunUsers(ctx context.Context, runs []ID) (map[ID]User, error) {
	var rows []struct {
		User  `bun:",extend"`
		RunID ID `bun:"run_id"`
	}
	err := s.view(ctx, "read the users of runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).ColumnExpr("u.*").ColumnExpr("r.id AS run_id").
			Join("JOIN runs AS r ON r.user_id = u.id").Where("r.id IN (?)", bun.List(runs)).Scan(ctx)
	})
	users := make(map[ID]User, len(rows))
	for _, row := range rows {
		users[row.RunID] = row.User
	}
	return users, err
}

// RunSweeps returns the sweeps of those of the given runs that belong to one.
func (s *Store) RunSweeps(ctx context.Context, runs []ID) (map[ID]ID, error) {
	var rows []Run
	err := s.view(ctx, "read the sweeps of runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).Column("id", "sweep_id").Where("id IN (?)", bun.List(runs)).Where("sweep_id <> 0").Scan(ctx)
	})
	sweeps := make(map[ID]ID, len(rows))
	for _, row := range rows {
		sweeps[row.ID] = row.SweepID
	}
	return sweeps, err
}
