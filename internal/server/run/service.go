package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Reasons of the faults that this package returns. Others come from access and the store.
const (
	// ReasonInvalid: a value breaks a rule.
	ReasonInvalid = "Invalid"
	// ReasonDeleted: a run of this name was deleted.
	ReasonDeleted = "RunDeleted"
	// ReasonTaken: something else has that name.
	ReasonTaken = "Taken"
	// ReasonUnsupported: this installation lacks what was asked for.
	ReasonUnsupported = "Unsupported"
)

// Histories copies the lines of runs.
type Histories interface {
	// Fork gives a run without lines those of its parent up to a step, and returns how many. It may be called again.
	Fork(ctx context.Context, child, parent store.ID, step int64) (lines int64, err error)
	// Delete removes every line of a run that was deleted. It may be called again.
	Delete(ctx context.Context, run store.ID) error
}

// Sweeps knows the sweeps of projects.
type Sweeps interface {
	// Find returns a sweep of a project by its short name.
	Find(ctx context.Context, place access.Place, name string) (store.ID, error)
	// Names returns the short names of sweeps.
	Names(ctx context.Context, ids []store.ID) (map[store.ID]string, error)
}

// Config says what a Service works with.
type Config struct {
	// Guard finds projects.
	Guard *access.Guard
	// Histories and Sweeps may be nil, where nothing is forked and there are no sweeps.
	Histories Histories
	Sweeps    Sweeps
	// Artifacts may be nil where there are none.
	Artifacts Artifacts
	// Quotas may be nil, where an entity may store any number of bytes.
	Quotas *quota.Service
	// Bucket keeps the bytes of files.
	Bucket Bucket
	// ExternalURL is where clients reach this server.
	ExternalURL string
	// IndexBytes bounds the memory for questions about many runs; 0 means DefaultIndexBytes.
	IndexBytes int64
	// Logger hears of failures of background work; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	Config
	store   *store.Store
	indexes indexes
	watcher watcher
}

// New returns a service on a store.
func New(s *store.Store, cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.IndexBytes <= 0 {
		cfg.IndexBytes = DefaultIndexBytes
	}
	if cfg.Bucket == nil {
		cfg.Bucket = noBucket{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{
		Config: cfg, store: s, watcher: watcher{holder: rand.Text(), cleaned: map[store.ID]bool{}, next: map[store.ID]time.Time{}},
	}
}

// ByName returns a run of a project; access.ReasonNotFound where there is none.
func (s *Service) ByName(ctx context.Context, place access.Place, name string) (store.RunRecord, error) {
	record, err := s.store.RunRecordByName(ctx, place.Project.ID, name)
	return record, missing(err, "run "+name)
}

// ByID returns a run with its project, where the user in ctx may do something to it; access.ReasonNotFound where there is
// none that the user may see.
func (s *Service) ByID(ctx context.Context, id store.ID, action access.Action) (access.Place, store.RunRecord, error) {
	record, err := s.store.RunRecordByID(ctx, id)
	if err != nil {
		return access.Place{}, record, missing(err, "run")
	}
	place, err := s.Guard.ProjectByID(ctx, record.ProjectID, action)
	return place, record, err
}

func missing(err error, what string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &fault.Error{
		Reason: access.ReasonNotFound, Op: what + " not found", Err: fmt.Errorf("%s: %w", what, err),
		Hint: "Check the name; it may have been deleted.",
	}
}
