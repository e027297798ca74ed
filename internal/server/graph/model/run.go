package model

import (
	"encoding/json"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Run is a run with its project.
type Run struct {
	store.RunRecord
	Place access.Place
	// Batch reads what its row does not hold, for all runs of the answer at once.
	Batch *Batch
	// HistoryLines is how many lines the history has, where that was read in one snapshot with the run; else nil.
	HistoryLines *int64
}

// NewRun is a run that is answered alone.
func NewRun(place access.Place, record store.RunRecord) *Run {
	return &Run{RunRecord: record, Place: place, Batch: NewBatch([]store.ID{record.ID})}
}

// NewRuns are runs of one project that are answered together.
func NewRuns(place access.Place, records []store.RunRecord) []*Run {
	ids := make([]store.ID, len(records))
	for i, record := range records {
		ids[i] = record.ID
	}
	batch := NewBatch(ids)
	runs := make([]*Run, len(records))
	for i, record := range records {
		runs[i] = &Run{RunRecord: record, Place: place, Batch: batch}
	}
	return runs
}

// ID is opaque to clients.
func (r Run) ID() string { return ID("Run", r.Run.ID) }

// Name is what the client calls it.
func (r Run) Name() string { return string(r.Run.Name) }

// DisplayName is what people call it.
func (r Run) DisplayName() *string { return text(r.Run.DisplayName) }

// Description is null where nobody wrote one.
func (r Run) Description() *string { return textOrNull(r.Run.Description) }

// Notes are null where nobody wrote any.
func (r Run) Notes() *string { return textOrNull(r.Run.Notes) }

// Group is what the run is grouped under.
func (r Run) Group() *string { return textOrNull(r.GroupName) }

// JobType is the kind of work.
func (r Run) JobType() *string { return textOrNull(r.Run.JobType) }

// Commit is the one of the program's repository.
func (r Run) Commit() *string { return textOrNull(r.CommitHash) }

// Host is the machine's name.
func (r Run) Host() *string { return textOrNull(r.Run.Host) }

// Tags are never null.
func (r Run) Tags() []string {
	tags := []string{}
	if len(r.Run.Tags) > 0 {
		_ = json.Unmarshal(r.Run.Tags, &tags) // written by package run
	}
	return tags
}

// State is in lower case.
func (r Run) State() string { return run.StateName(r.Live.State) }

// Exitcode is null while the process lives.
func (r Run) Exitcode() *int {
	if !run.Ended(r.Live.State) {
		return nil
	}
	code := int(r.Live.ExitCode)
	return &code
}

// Stopped tells whether the process was asked to end.
func (r Run) Stopped() bool { return r.Live.Stopping }

// ShouldStop is an older name of Stopped.
func (r Run) ShouldStop() bool { return r.Live.Stopping }

// Running tells whether the process lives.
func (r Run) Running() bool { return r.Live.State == store.RunRunning }

// Failed tells whether the process ended badly.
func (r Run) Failed() bool {
	return r.Live.State == store.RunFailed || r.Live.State == store.RunCrashed || r.Live.State == store.RunKilled
}

// CreatedAt is when it was made.
func (r Run) CreatedAt() *time.Time { t := r.Run.CreatedAt.Time(); return &t }

// HeartbeatAt is when the process was last heard of.
func (r Run) HeartbeatAt() *time.Time { t := r.Live.HeartbeatAt.Time(); return &t }

// ReadOnly tells whether the user may only look.
func (r Run) ReadOnly() bool { return !r.Place.May(access.Write) }

// Project is where it belongs.
func (r Run) Project() *Project { return &Project{Place: r.Place} }

// ProjectID is a plain number, which the client reads with int().
func (r Run) ProjectID() *int { n := int(r.Run.ProjectID); return &n }

func textOrNull[T ~string | ~[]byte](t T) *string {
	if len(t) == 0 {
		return nil
	}
	return text(t)
}
