package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxHost bounds the name of an agent's machine.
	maxHost = 1024
	// maxActive bounds what an agent may say that it runs.
	maxActive = 10_000
)

// CreateAgent notes that a process asks what to run.
func (s *Service) CreateAgent(ctx context.Context, place access.Place, sweep store.Sweep, host string) (store.SweepAgent, error) {
	now := store.At(s.now())
	return s.store.InsertSweepAgent(ctx, store.SweepAgent{
		SweepID: sweep.ID, UserID: place.User.ID, Host: store.Text(host[:min(len(host), maxHost)]), CreatedAt: now, HeartbeatAt: now,
	})
}

// Agent returns an agent and its sweep by the agent's id; ReasonGone where one of them was deleted. The caller finds out
// whether the user may write to the sweep's project.
func (s *Service) Agent(ctx context.Context, id store.ID) (store.SweepAgent, store.Sweep, error) {
	agent, err := s.store.SweepAgent(ctx, id)
	if err != nil {
		return agent, store.Sweep{}, gone(err, "agent")
	}
	sweep, err := s.store.Sweep(ctx, agent.SweepID)
	return agent, sweep, gone(err, "sweep")
}

// Heartbeat hears what an agent runs, and answers with what it does next: a JSON list of at most one command.
func (s *Service) Heartbeat(ctx context.Context, place access.Place, agent store.SweepAgent, sweep store.Sweep, runState string) (string, error) {
	active, err := parseRunState(runState)
	if err != nil {
		return "", refused("read the agent's runState", err)
	}
	cfg, _, err := Parse(sweep.Config)
	if err != nil {
		return "", err
	}
	if len(active) > 0 {
		if err := s.endEarly(ctx, sweep, cfg); err != nil {
			return "", err
		}
	}
	open, err := s.store.OpenSuggestions(ctx, sweep.ID, agent.ID)
	if err != nil {
		return "", err
	}
	p := decide(facts{state: sweep.State, active: active, open: open})
	full := s.room(ctx, place, p)
	if full != nil {
		p.offer = nil
	}
	if err := s.record(ctx, agent, p); err != nil {
		return "", err
	}
	commands, err := s.commands(ctx, place, agent, sweep, cfg, p, full)
	if err != nil {
		if full != nil && errors.Is(err, full) {
			s.runs.Refused(ctx, err)
		}
		return "", err
	}
	text, err := json.Marshal(commands)
	if err != nil {
		return "", fmt.Errorf("encode the agent's commands: %w", err)
	}
	return string(text), nil
}

// room fails where a plan begins a run that the entity has no room for. The agent asks again until there is some, so that
// nothing may be drawn or offered before: what is offered a few times and never starts counts as lost.
func (s *Service) room(ctx context.Context, place access.Place, p plan) error {
	if p.draw || p.offer != nil && p.offer.RunID == 0 {
		return s.runs.Room(ctx, place.Entity.ID)
	}
	return nil
}

// parseRunState reads {"name": true}; entries that are false do not run.
func parseRunState(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var states map[string]bool
	if err := json.Unmarshal([]byte(text), &states); err != nil {
		return nil, errors.New("it is no JSON object of names")
	}
	if len(states) > maxActive {
		return nil, fmt.Errorf("it holds more than %d runs", maxActive)
	}
	maps.DeleteFunc(states, func(_ string, active bool) bool { return !active })
	return slices.Sorted(maps.Keys(states)), nil
}

func (s *Service) record(ctx context.Context, agent store.SweepAgent, p plan) error {
	beat := store.Beat{
		Sweep: agent.SweepID, Agent: agent.ID, At: store.At(s.now()), Seen: p.seen, Settled: p.settled, Offered: -1,
	}
	if p.offer != nil {
		beat.Offered = p.offer.Draw
	}
	if err := s.store.RecordBeat(ctx, beat); err != nil {
		return err
	}
	for _, lost := range p.lost {
		if lost.RunID == 0 {
			continue
		}
		if err := s.runs.Fail(ctx, lost.RunID); err != nil {
			return err
		}
	}
	return nil
}

// commands is what an agent does next. Where full is an error, no new run begins; an agent of which nothing more is wanted
// hears that all the same.
func (s *Service) commands(ctx context.Context, place access.Place, agent store.SweepAgent, sweep store.Sweep, cfg Config, p plan, full error) ([]command, error) {
	switch {
	case p.stop != "":
		return []command{{Type: "stop", RunID: p.stop}}, nil
	case p.exit:
		return []command{{Type: "exit"}}, nil
	case p.offer != nil:
		return s.start(ctx, place, sweep, cfg, p.offer.SweepSuggestion)
	case !p.draw:
		return []command{}, full
	}
	suggestion, err := s.draw(ctx, agent, sweep, cfg, full)
	switch {
	case errors.Is(err, store.ErrExhausted):
		return []command{{Type: "exit"}}, nil
	case errors.Is(err, store.ErrNotRunning), errors.Is(err, store.ErrNothing): // the next heartbeat reads the new state
		return []command{}, nil
	case err != nil:
		return nil, gone(err, "sweep")
	}
	return s.start(ctx, place, sweep, cfg, suggestion)
}

// start makes the run and tells the agent of it. A server that ends in between leaves a suggestion that is offered again.
func (s *Service) start(ctx context.Context, place access.Place, sweep store.Sweep, cfg Config, suggestion store.SweepSuggestion) ([]command, error) {
	err := s.runs.CreatePending(ctx, place, Pending{
		Name: string(suggestion.RunName), DisplayName: displayName(sweep.ID, suggestion.Draw),
		Config: json.RawMessage(suggestion.Args), SweepName: string(sweep.Name),
	})
	if errors.Is(err, ErrRunDeleted) {
		return []command{}, s.store.RecordBeat(ctx, store.Beat{
			Sweep: sweep.ID, Agent: suggestion.AgentID, At: store.At(s.now()), Settled: []int64{suggestion.Draw}, Offered: -1,
		})
	}
	if err != nil {
		return nil, err
	}
	return []command{runCommand(cfg, suggestion)}, nil
}

// draw gives the agent something to run. It fails with full, where that is an error, in place of making something new.
func (s *Service) draw(ctx context.Context, agent store.SweepAgent, sweep store.Sweep, cfg Config, full error) (store.SweepSuggestion, error) {
	var promising []float64
	if cfg.Method == Bayes {
		observations, err := s.observations(ctx, sweep, cfg.Metric)
		if err != nil {
			return store.SweepSuggestion{}, err
		}
		promising = cfg.Space.Promising(observations, cfg.Metric, source(sweep.ID, sweep.Drawn))
	}
	name := newName()
	d := store.Draw{
		Sweep: sweep.ID, Agent: agent.ID, At: store.At(s.now()), Limit: cfg.Limit(),
		Stale: store.At(s.now().Add(-agentTimeout)), RunName: name,
		Args: func(draw int64) ([]byte, error) { return next(cfg, sweep.ID, draw, promising), full },
	}
	if cfg.Local {
		d.Schedule = func(sweep store.Sweep) (store.Scheduled, error) {
			wanted, err := takeScheduled(sweep, name)
			if err == nil && wanted.Args != nil {
				err = full
			}
			return wanted, err
		}
	}
	return s.store.Draw(ctx, d)
}

// next is what a draw is started with; promising is nil where no results say more than chance.
func next(cfg Config, sweep store.ID, draw int64, promising []float64) json.RawMessage {
	switch {
	case cfg.Method == Grid:
		return cfg.Space.Point(draw)
	case promising != nil:
		return cfg.Space.At(promising)
	}
	return cfg.Space.At(cfg.Space.Cube(sweep, draw))
}

// moods begin the names of a sweep's runs.
var moods = []string{
	"amber", "bold", "bright", "calm", "clear", "cool", "crisp", "deep", "eager", "fair", "firm", "fresh", "gentle", "glad",
	"golden", "grand", "keen", "kind", "light", "lively", "lucky", "mild", "neat", "noble", "proud", "quick", "quiet", "rapid",
	"sharp", "silent", "smooth", "solid", "still", "sunny", "swift", "vivid", "warm", "wild", "wise", "young",
}

// displayName is the name of a sweep's run for people: "calm-sweep-7".
func displayName(sweep store.ID, draw int64) string {
	mood := moods[source(sweep, -1-draw).IntN(len(moods))]
	return fmt.Sprintf("%s-sweep-%d", mood, draw+1)
}

// silence is after which an agent is shown as one that is over.
const silence = time.Minute

// Silent tells whether an agent has not been heard of for long.
func (s *Service) Silent(agent store.SweepAgent) bool {
	return s.now().Sub(agent.HeartbeatAt.Time()) > silence
}

// Agents returns up to n agents of a sweep, oldest first.
func (s *Service) Agents(ctx context.Context, sweep store.Sweep, n int64) ([]store.SweepAgent, error) {
	return s.store.SweepAgents(ctx, sweep.ID, n)
}

// CountRuns counts the runs that an agent was told to make.
func (s *Service) CountRuns(ctx context.Context, agent store.SweepAgent) (int64, error) {
	return s.store.CountSuggestions(ctx, agent.ID)
}

// maxRunNames bounds how many runs of one agent are listed.
const maxRunNames = 10_000

// RunNames returns the names of the runs that an agent was told to make, oldest first.
func (s *Service) RunNames(ctx context.Context, agent store.SweepAgent) ([]string, error) {
	suggestions, err := s.store.AgentRuns(ctx, agent.ID, maxRunNames)
	names := make([]string, len(suggestions))
	for i, suggestion := range suggestions {
		names[i] = string(suggestion.RunName)
	}
	return names, err
}

// HeartbeatAt is when any agent of a sweep was heard of last; the zero time for never.
func (s *Service) HeartbeatAt(ctx context.Context, sweep store.Sweep) (time.Time, error) {
	at, err := s.store.SweepHeartbeat(ctx, sweep.ID)
	return at.Time(), err
}
