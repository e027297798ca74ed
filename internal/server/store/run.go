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

// RunByName returns a project's run. Names differ where their bytes differ.
func (s *Store) RunByName(ctx context.Context, project ID, name string) (Run, error) {
	var r Run
	err := s.view(ctx, "read the run", func(db bun.IDB) error {
		return db.NewSelect().Model(&r).Where("project_id = ?", project).Where("name = ?", Text(name)).Scan(ctx)
	})
	return r, err
}
