package sweep

import (
	"encoding/json"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxOffers is how often an agent is told of a run that never starts: the answer may be lost once or twice, but what fails
// before it reaches the server would be tried for ever.
const maxOffers = 3

// facts are what a heartbeat's answer depends on.
type facts struct {
	state store.SweepState
	// active are the runs that the agent says it has, queued ones among them.
	active []string
	// open is what the agent was told and has not settled, in the order of the draws.
	open []store.OpenSuggestion
}

// plan is what to write down, and what to tell the agent. At most one of stop, exit, offer and draw is set: an agent
// written in Python looks at the first command only.
type plan struct {
	seen, settled []int64
	// lost are the runs that are over without having said so.
	lost []store.OpenSuggestion
	// stop names a run to stop.
	stop  string
	exit  bool
	offer *store.OpenSuggestion
	draw  bool
}

// decide says what a heartbeat changes, and what the agent does next. It gives out a run only to an agent that has none.
func decide(f facts) plan {
	var p plan
	active := make(map[string]bool, len(f.active))
	for _, name := range f.active {
		active[name] = true
	}
	var unheard *store.OpenSuggestion
	for i := range f.open {
		o := &f.open[i]
		name := string(o.RunName)
		switch {
		case active[name]:
			if !o.Seen {
				p.seen = append(p.seen, o.Draw)
			}
			if o.Stopping && p.stop == "" {
				p.stop = name
			}
		case o.Started():
			p.settled = append(p.settled, o.Draw)
			if o.Alive() && (o.Stopping || f.state == store.SweepCanceled) { // it was killed before it could say so
				p.lost = append(p.lost, *o)
			}
		case o.Seen || o.Offers >= maxOffers:
			p.settled = append(p.settled, o.Draw)
			p.lost = append(p.lost, *o)
		case unheard == nil:
			unheard = o
		}
	}
	p.next(f, unheard)
	return p
}

func (p *plan) next(f facts, unheard *store.OpenSuggestion) {
	switch {
	case f.state == store.SweepCanceled && len(f.active) > 0:
		p.stop = f.active[0]
	case p.stop != "" || len(f.active) > 0:
	case f.state == store.SweepCanceled || f.state == store.SweepFinished:
		p.exit = true
	case f.state != store.SweepRunning:
	case unheard != nil:
		p.offer = unheard
	default:
		p.draw = true
	}
}

// command is one thing that an agent is told.
type command struct {
	Type    string          `json:"type"`
	RunID   string          `json:"run_id,omitempty"`
	Args    json.RawMessage `json:"args,omitempty"`
	Program string          `json:"program,omitempty"`
}

func runCommand(cfg Config, s store.SweepSuggestion) command {
	return command{Type: "run", RunID: string(s.RunName), Args: json.RawMessage(s.Args), Program: cfg.Program}
}

// transition tells whether people may bring a sweep from one state to another.
func transition(from, to store.SweepState) error {
	if from == to || to == store.SweepRunning {
		return nil
	}
	switch {
	case to == store.SweepPending,
		to == store.SweepPaused && from != store.SweepRunning && from != store.SweepPending,
		to == store.SweepFinished && from == store.SweepCanceled,
		to == store.SweepCanceled && from == store.SweepFinished:
		return fmt.Errorf("a sweep that is %s cannot become %s", StateName(from), StateName(to))
	}
	return nil
}

// stateNames are as clients know them.
var stateNames = map[store.SweepState]string{
	store.SweepPending: "PENDING", store.SweepRunning: "RUNNING", store.SweepPaused: "PAUSED",
	store.SweepFinished: "FINISHED", store.SweepCanceled: "CANCELED",
}

// StateName is a state as clients know it.
func StateName(s store.SweepState) string { return stateNames[s] }

// ParseState reads a state as clients write it.
func ParseState(name string) (store.SweepState, bool) {
	for state, known := range stateNames {
		if known == name {
			return state, true
		}
	}
	return 0, false
}
