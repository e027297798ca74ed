package model

import (
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
)

// Sweep is a sweep with its project.
type Sweep struct {
	store.Sweep
	Place access.Place
}

// ID is opaque to clients.
func (s Sweep) ID() string { return ID("Sweep", s.Sweep.ID) }

// Name is the short name.
func (s Sweep) Name() string { return string(s.Sweep.Name) }

// DisplayName is what people call it; nil where it has no name of its own.
func (s Sweep) DisplayName() *string { return textOrNil(s.Sweep.DisplayName) }

// Description is what people wrote about it.
func (s Sweep) Description() *string { return textOrNil(s.Sweep.Description) }

// Project is where it belongs.
func (s Sweep) Project() *Project { return &Project{Place: s.Place} }

// Method is how the next values are found.
func (s Sweep) Method() string { return string(s.Sweep.Method) }

// Config is YAML, as it was sent.
func (s Sweep) Config() string { return string(s.Sweep.Config) }

// Controller is what a program of the user that drives the sweep keeps here.
func (s Sweep) Controller() *string { return textOrNil(s.Sweep.Controller) }

// Scheduler is what a scheduler keeps here.
func (s Sweep) Scheduler() *string { return textOrNil(s.Sweep.Scheduler) }

// ControllerRunName is always null: the server finds the next values itself.
func (Sweep) ControllerRunName() *string { return nil }

// CreatedAt is when it was made.
func (s Sweep) CreatedAt() *time.Time { t := s.Sweep.CreatedAt.Time(); return &t }

// UpdatedAt is when somebody changed it last.
func (s Sweep) UpdatedAt() *time.Time { t := s.Sweep.UpdatedAt.Time(); return &t }

// EarlyStopJobRunning is always false: runs are compared when their agents ask.
func (Sweep) EarlyStopJobRunning() bool { return false }

// RunCountExpected is how many runs there will be; nil where there is no end.
func (s Sweep) RunCountExpected() *int {
	n, ok := sweep.Expected(s.Sweep)
	if !ok {
		return nil
	}
	count := int(n)
	return &count
}

// Agent is a process that asks a sweep what to run.
type Agent struct {
	store.SweepAgent
	Place access.Place
	// Silent is set where it has not been heard of for long.
	Silent bool
}

// ID is opaque to clients.
func (a Agent) ID() string { return ID("Agent", a.SweepAgent.ID) }

// Name is short.
func (a Agent) Name() string { return AgentName(a.SweepAgent.ID) }

// AgentName is how people write an agent's id.
func AgentName(id store.ID) string { return strconv.FormatInt(int64(id), 36) }

// ParseAgent reads the name of an agent, or its id.
func ParseAgent(text string) (store.ID, bool) {
	if id, ok := ParseID(text, "Agent"); ok {
		return id, true
	}
	n, err := strconv.ParseInt(text, 36, 64)
	return store.ID(n), err == nil
}

// Host is the machine that it runs on.
func (a Agent) Host() *string { return text(a.SweepAgent.Host) }

// State tells whether it is heard of.
func (a Agent) State() string {
	if a.Silent {
		return "FINISHED"
	}
	return "RUNNING"
}

// CreatedAt is when it first asked.
func (a Agent) CreatedAt() *time.Time { t := a.SweepAgent.CreatedAt.Time(); return &t }

// HeartbeatAt is when it last asked.
func (a Agent) HeartbeatAt() *time.Time { t := a.SweepAgent.HeartbeatAt.Time(); return &t }

func textOrNil[T ~string | ~[]byte](t T) *string {
	if len(t) == 0 {
		return nil
	}
	return text(t)
}
