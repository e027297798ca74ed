package sweep

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// ReasonGone: a sweep or an agent was deleted. The client's agents end when they hear it as HTTP status 404, and would ask
	// for ever otherwise.
	ReasonGone = "SweepGone"
	// ReasonRefused: a request about a sweep that makes no sense.
	ReasonRefused = "SweepRefused"

	// nameLength and nameLetters make names that the client takes for those of sweeps and runs.
	nameLength  = 8
	nameLetters = "abcdefghijklmnopqrstuvwxyz0123456789"

	// agentTimeout is how long an agent may be silent until what it was told and never started goes to another: agents ask
	// every five seconds, and runs are long.
	agentTimeout = 10 * time.Minute
	// maxText bounds what is stored of a controller's state.
	maxText = 8 << 20
)

// RunService makes and ends the runs of sweeps; Runs does.
type RunService interface {
	// CreatePending makes a run that waits for its process, and does nothing where it exists.
	CreatePending(ctx context.Context, place access.Place, p Pending) error
	// Room fails where an entity may begin no new run.
	Room(ctx context.Context, entity store.ID) error
	// Refused hears what Room failed with, where an agent was answered with it.
	Refused(ctx context.Context, err error)
	// Fail ends a run that never started.
	Fail(ctx context.Context, run store.ID) error
	// Observations returns runs with what they say about a metric; those that are over without it are left out.
	Observations(ctx context.Context, runs []store.RunLive, metric string) ([]Observation, error)
	// Values returns what a run has logged of a metric, in order. One that does not exist has logged nothing.
	Values(ctx context.Context, run store.ID, metric string) ([]float64, error)
	// Stop asks a run to end; access.ReasonNotFound where there is none.
	Stop(ctx context.Context, run store.ID) error
}

// ErrRunDeleted tells that somebody deleted a run before it started.
var ErrRunDeleted = errors.New("the run was deleted")

// Pending is a run to make.
type Pending struct {
	Name, DisplayName string
	// Config is JSON: {"lr":{"value":0.1}}.
	Config json.RawMessage
	// SweepName is the short name of the sweep that it belongs to.
	SweepName string
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	store *store.Store
	runs  RunService
	judge judge
	// seams for tests
	now func() time.Time
}

// New returns a service on a store.
func New(s *store.Store, runs RunService) *Service {
	return &Service{store: s, runs: runs, now: time.Now}
}

// Change is what somebody says about a sweep; nil leaves it as it is.
type Change struct {
	Config, Description, DisplayName, Controller, Scheduler *string
	State                                                   *string
	// PriorRuns are names of runs that become part of the sweep.
	PriorRuns []string
}

// Create makes a sweep in a place that the user may write to. Warnings tell what of its configuration has no effect.
func (s *Service) Create(ctx context.Context, place access.Place, c Change) (sweep store.Sweep, warnings []string, err error) {
	if c.Config == nil {
		return sweep, nil, refused("create the sweep", errors.New("it has no configuration"))
	}
	sweep = store.Sweep{ProjectID: place.Project.ID, UserID: place.User.ID, CreatedAt: store.At(s.now())}
	if warnings, err = s.apply(&sweep, c); err != nil {
		return sweep, nil, err
	}
	for {
		sweep.Name = store.Text(newName())
		inserted, err := s.store.InsertSweep(ctx, sweep)
		if errors.Is(err, store.ErrDuplicate) {
			continue
		}
		if err != nil {
			return sweep, nil, err
		}
		return inserted, warnings, s.attach(ctx, inserted, c.PriorRuns)
	}
}

// Update changes a sweep of a place that the user may write to.
func (s *Service) Update(ctx context.Context, id store.ID, c Change) (sweep store.Sweep, warnings []string, err error) {
	sweep, err = s.store.ChangeSweep(ctx, id, func(sweep *store.Sweep) (err error) {
		warnings, err = s.apply(sweep, c)
		return err
	})
	if err != nil {
		return sweep, nil, gone(err, "sweep")
	}
	if c.Controller != nil {
		if err := s.stopNamed(ctx, sweep); err != nil {
			return sweep, nil, err
		}
	}
	return sweep, warnings, s.attach(ctx, sweep, c.PriorRuns)
}

func (s *Service) attach(ctx context.Context, sweep store.Sweep, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, err := s.store.AttachRuns(ctx, sweep.ProjectID, sweep.ID, names)
	return err
}

func (s *Service) apply(sweep *store.Sweep, c Change) (warnings []string, err error) {
	if c.Config != nil {
		cfg, found, err := Parse([]byte(*c.Config))
		if err != nil {
			return nil, err
		}
		warnings, sweep.Config, sweep.Method = found, store.Blob(*c.Config), store.Text(cfg.Method)
		if cfg.Local {
			sweep.Method = "custom"
		}
		sweep.DisplayName, sweep.Description = store.Text(cfg.Name), store.Blob(cfg.Description)
	}
	for _, field := range []struct {
		from *string
		to   *store.Blob
	}{{c.Description, &sweep.Description}, {c.Controller, &sweep.Controller}, {c.Scheduler, &sweep.Scheduler}} {
		if field.from == nil {
			continue
		}
		if len(*field.from) > maxText {
			return nil, refused("change the sweep", fmt.Errorf("a text is longer than %d bytes", maxText))
		}
		*field.to = store.Blob(*field.from)
	}
	if c.DisplayName != nil {
		sweep.DisplayName = store.Text(*c.DisplayName)
	}
	if len(sweep.DisplayName) > 1024 {
		return nil, refused("change the sweep", errors.New("the name is longer than 1024 bytes"))
	}
	sweep.UpdatedAt = store.At(s.now())
	return warnings, changeState(sweep, c.State)
}

func changeState(sweep *store.Sweep, name *string) error {
	if name == nil {
		return nil
	}
	state, ok := ParseState(*name)
	if !ok {
		return refused("change the sweep", fmt.Errorf("%.40q is no state of a sweep", *name))
	}
	if err := transition(sweep.State, state); err != nil {
		return refused("change the sweep", err)
	}
	sweep.State = state
	return nil
}

// ByName returns a sweep of a place; access.ReasonNotFound where there is none.
func (s *Service) ByName(ctx context.Context, place access.Place, name string) (store.Sweep, error) {
	sweep, err := s.store.SweepByName(ctx, place.Project.ID, name)
	return sweep, notFound(err, "sweep "+name)
}

// ByID returns a sweep by its id; the caller finds out whether the user may see its project.
func (s *Service) ByID(ctx context.Context, id store.ID) (store.Sweep, error) {
	sweep, err := s.store.Sweep(ctx, id)
	return sweep, notFound(err, "sweep")
}

// List returns up to n sweeps of a place, newest first, that were made before one with this id; 0 begins.
func (s *Service) List(ctx context.Context, place access.Place, before store.ID, n int64) ([]store.Sweep, error) {
	return s.store.Sweeps(ctx, place.Project.ID, before, n)
}

// Count counts the sweeps of a place.
func (s *Service) Count(ctx context.Context, place access.Place) (int64, error) {
	return s.store.CountSweeps(ctx, place.Project.ID)
}

// Delete removes a sweep of a place that the user may write to; its runs stay.
func (s *Service) Delete(ctx context.Context, sweep store.Sweep) error {
	return notFound(s.store.DeleteSweep(ctx, sweep.ID), "sweep "+string(sweep.Name))
}

// State is what a sweep does. One of which everything was drawn is finished when its runs are, whether or not an agent
// asked again.
func (s *Service) State(ctx context.Context, sweep store.Sweep) (store.SweepState, error) {
	limit := expected(sweep)
	if sweep.State != store.SweepRunning || limit < 0 || sweep.Drawn < limit {
		return sweep.State, nil
	}
	open, err := s.store.OpenSuggestions(ctx, sweep.ID, 0)
	if err != nil {
		return 0, err
	}
	for _, o := range open {
		if o.Alive() {
			return sweep.State, nil
		}
	}
	return store.SweepFinished, nil
}

// Expected is how many runs a sweep will have; ok is false where there is no end.
func Expected(sweep store.Sweep) (n int64, ok bool) {
	n = expected(sweep)
	return n, n >= 0
}

func expected(sweep store.Sweep) int64 {
	cfg, _, err := Parse(sweep.Config)
	if err != nil {
		return -1
	}
	return cfg.Limit()
}

func newName() string {
	random := make([]byte, nameLength)
	_, _ = rand.Read(random) // never fails
	for i, b := range random {
		random[i] = nameLetters[int(b)%len(nameLetters)]
	}
	return string(random)
}

func refused(op string, err error) error {
	return &fault.Error{Reason: ReasonRefused, Op: op, Err: err}
}

func notFound(err error, what string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &fault.Error{
		Reason: access.ReasonNotFound, Op: what + " not found", Err: err, Hint: "Check the name; it may have been deleted.",
	}
}

func gone(err error, what string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &fault.Error{Reason: ReasonGone, Op: "the " + what + " was deleted", Err: err, Hint: "Create a sweep with `wandb sweep`."}
}

// Directory knows the sweeps of projects by their names, for whoever makes runs.
type Directory struct{ store *store.Store }

// NewDirectory returns a directory of what is in a store.
func NewDirectory(s *store.Store) Directory { return Directory{store: s} }

// Find returns a sweep of a project by its short name; access.ReasonNotFound where there is none.
func (d Directory) Find(ctx context.Context, place access.Place, name string) (store.ID, error) {
	sweep, err := d.store.SweepByName(ctx, place.Project.ID, name)
	return sweep.ID, notFound(err, "sweep "+name)
}

// Names returns the short names of sweeps; those that were deleted are absent.
func (d Directory) Names(ctx context.Context, ids []store.ID) (map[store.ID]string, error) {
	return d.store.SweepNames(ctx, ids)
}
