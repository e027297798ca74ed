package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// runs stands for package run.
type runs struct {
	mu      sync.Mutex
	pending map[string]sweep.Pending
	err     error
	// full is what there is no room with.
	full    error
	refused int
}

func (r *runs) CreatePending(_ context.Context, _ access.Place, p sweep.Pending) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.pending[p.Name] = p
	return nil
}

func (*runs) Observations(context.Context, []store.RunLive, string) ([]sweep.Observation, error) {
	return nil, nil
}

func (*runs) Values(context.Context, store.ID, string) ([]float64, error) { return nil, nil }

func (r *runs) Refused(context.Context, error) { r.refused++ }

func (r *runs) Room(context.Context, store.ID) error { return r.full }

func (*runs) Stop(context.Context, store.ID) error { return nil }

func (*runs) Fail(context.Context, store.ID) error { return nil }

// scene is a project on one database, and a service on it.
type scene struct {
	*sweep.Service
	runs  *runs
	place access.Place
}

func newScene(t *testing.T, s *store.Store) scene {
	t.Helper()
	user, err := account.New(s, account.Config{}).CreateUser(t.Context(), account.NewUser{
		Username: "ada", Email: "ada@example.com", Name: "Ada", Password: "a long pass phrase 7",
	})
	if err != nil {
		t.Fatal(err)
	}
	entity, err := s.EntityByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	project, _, err := s.EnsureProject(t.Context(), store.Project{EntityID: entity.ID, Name: "p", UserID: user.ID, Access: store.AccessPrivate})
	if err != nil {
		t.Fatal(err)
	}
	r := &runs{pending: map[string]sweep.Pending{}}
	return scene{Service: sweep.New(s, r), runs: r, place: access.Place{Entity: entity, Project: project, User: user, Role: access.Administrator}}
}

// beside is a second replica of the server.
func (s scene) beside(other *store.Store) scene {
	return scene{Service: sweep.New(other, s.runs), runs: s.runs, place: s.place}
}

func (s scene) create(t *testing.T, config string) store.Sweep {
	t.Helper()
	created, _, err := s.Create(t.Context(), s.place, sweep.Change{Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// agent is a program that runs what it is told.
type agent struct {
	scene
	id store.ID
}

func (s scene) agent(t *testing.T, of store.Sweep) agent {
	t.Helper()
	a, err := s.CreateAgent(t.Context(), s.place, of, "host")
	if err != nil {
		t.Fatal(err)
	}
	return agent{scene: s, id: a.ID}
}

// command is what an agent reads.
type command struct {
	Type  string
	RunID string `json:"run_id"`
	Args  json.RawMessage
}

func (a agent) beat(ctx context.Context, active ...string) (command, error) {
	row, of, err := a.Agent(ctx, a.id)
	if err != nil {
		return command{}, err
	}
	states := map[string]bool{}
	for _, name := range active {
		states[name] = true
	}
	text, err := json.Marshal(states)
	if err != nil {
		return command{}, err
	}
	answer, err := a.Heartbeat(ctx, a.place, row, of, string(text))
	if err != nil {
		return command{}, err
	}
	var commands []command
	if err := json.Unmarshal([]byte(answer), &commands); err != nil {
		return command{}, fmt.Errorf("%q: %w", answer, err)
	}
	switch len(commands) {
	case 0:
		return command{Type: "wait"}, nil
	case 1:
		return commands[0], nil
	}
	return command{}, fmt.Errorf("more than one command: %s", answer)
}

func (a agent) told(t *testing.T, want string, active ...string) command {
	t.Helper()
	got, err := a.beat(t.Context(), active...)
	if err != nil || got.Type != want {
		t.Fatalf("told %+v, %v, want %s", got, err, want)
	}
	return got
}

const grid = "method: grid\nname: first\nparameters: {a: {values: [1, 2]}, b: {values: [x, z]}}"

func TestAnAgentWalksThroughAGrid(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		created := scene.create(t, grid)
		if created.State != store.SweepPending || created.DisplayName != "first" || created.Method != "grid" || len(created.Name) != 8 {
			t.Errorf("created %+v", created)
		}
		a := scene.agent(t, created)
		var points []string
		for range 4 {
			run := a.told(t, "run")
			if pending := scene.runs.pending[run.RunID]; pending.SweepName != string(created.Name) || string(pending.Config) != string(run.Args) || !strings.Contains(pending.DisplayName, "-sweep-") {
				t.Errorf("the run is %+v", pending)
			}
			points = append(points, string(run.Args))
			a.told(t, "wait", run.RunID)
		}
		want := []string{`{"a":{"value":1},"b":{"value":"x"}}`, `{"a":{"value":1},"b":{"value":"z"}}`, `{"a":{"value":2},"b":{"value":"x"}}`, `{"a":{"value":2},"b":{"value":"z"}}`}
		if !slices.Equal(points, want) {
			t.Errorf("points %v", points)
		}
		a.told(t, "exit")
		if after, err := scene.ByName(t.Context(), scene.place, string(created.Name)); err != nil || after.State != store.SweepFinished || after.Drawn != 4 {
			t.Errorf("afterwards %+v, %v", after, err)
		}
	})
}

func TestAnAnswerThatWasLostIsGivenAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		a := scene.agent(t, scene.create(t, grid))
		first := a.told(t, "run")
		again := a.told(t, "run")
		if first.RunID != again.RunID || string(first.Args) != string(again.Args) {
			t.Errorf("%+v, then %+v", first, again)
		}
		a.told(t, "wait", first.RunID)
		if second := a.told(t, "run"); second.RunID == first.RunID {
			t.Errorf("a run that was heard of is given again: %+v", second)
		}
	})
}

// Two copies of a heartbeat that two replicas answer at once have both seen nothing open.
func TestCopiesOfAHeartbeatAreToldOfTheSameRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		of := scene.create(t, "method: random\nrun_cap: 1\nparameters: {a: {min: 0.0, max: 1.0}}")
		a := scene.agent(t, of)
		draw := store.Draw{
			Sweep: of.ID, Agent: a.id, At: store.At(time.Now()), Limit: 1, RunName: "first",
			Args: func(int64) ([]byte, error) { return []byte("{}"), nil },
		}
		first, err := s.Draw(t.Context(), draw)
		if err != nil {
			t.Fatal(err)
		}
		draw.RunName = "second"
		if again, err := s.Draw(t.Context(), draw); err != nil || again.RunName != first.RunName || again.Draw != first.Draw {
			t.Errorf("%s with draw %d, then %s with draw %d, %v", first.RunName, first.Draw, again.RunName, again.Draw, err)
		}
		if other := scene.agent(t, of); other.told(t, "exit").RunID != "" {
			t.Error("another agent is told of it as well")
		}
		a.told(t, "run")
	})
}

func TestWhatADeadAgentNeverStartedGoesToAnother(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		created := scene.create(t, "method: grid\nparameters: {a: {values: [1, 2]}}")
		dead, living := scene.agent(t, created), scene.agent(t, created)
		lost := dead.told(t, "run")
		run := living.told(t, "run")
		living.told(t, "wait", run.RunID)
		living.told(t, "exit")
		if state, err := scene.State(t.Context(), created); err != nil || state == store.SweepFinished {
			t.Errorf("state %v, %v while a point was not run", state, err)
		}
		scene.SetNow(func() time.Time { return time.Now().Add(time.Hour) })
		if found := scene.agent(t, created).told(t, "run"); found.RunID != lost.RunID || string(found.Args) != string(lost.Args) {
			t.Errorf("told %+v, want %+v", found, lost)
		}
	})
}

// Eight agents on two replicas share a grid: each point is run once.
// An agent that asks while there is no room asks again, and then gets every point: none counts as lost meanwhile.
func TestAnAgentWaitsForRoom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		full := errors.New("no room")
		a := scene.agent(t, scene.create(t, grid))
		waits := func(active ...string) {
			t.Helper()
			for range 5 {
				if got, err := a.beat(t.Context(), active...); !errors.Is(err, full) {
					t.Fatalf("without room the agent is told %+v, %v", got, err)
				}
			}
		}
		points := map[string]bool{}
		for i := range 4 {
			scene.runs.full = full
			waits()
			scene.runs.full = nil
			run := a.told(t, "run")
			if i == 1 { // its answer was lost
				scene.runs.full = full
				waits()
				scene.runs.full = nil
				if again := a.told(t, "run"); again.RunID != run.RunID {
					t.Errorf("told of %s, then of %s", run.RunID, again.RunID)
				}
			}
			scene.runs.full = full
			a.told(t, "wait", run.RunID) // what it has goes on
			points[string(run.Args)] = true
		}
		if len(points) != 4 || scene.runs.refused != 25 {
			t.Errorf("%d points, %d refusals", len(points), scene.runs.refused)
		}
		a.told(t, "exit") // nothing is left that there could be no room for
	})
}

func TestNoPointIsGivenTwiceAndNoneIsSkipped(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		one := newScene(t, storetest.Open(t, cfg))
		two := one.beside(storetest.Open(t, cfg))
		created := one.create(t, "method: grid\nparameters: {a: {min: 1, max: 8}, b: {min: 1, max: 8}}")
		var mu sync.Mutex
		points := map[string]int{}
		var group sync.WaitGroup
		for i := range 8 {
			a := []scene{one, two}[i%2].agent(t, created)
			group.Go(func() {
				var active []string
				for {
					told, err := a.beat(t.Context(), active...)
					if err != nil {
						t.Error(err)
						return
					}
					active = nil
					switch told.Type {
					case "run":
						mu.Lock()
						points[string(told.Args)]++
						mu.Unlock()
						active = []string{told.RunID}
					case "exit":
						return
					}
				}
			})
		}
		group.Wait()
		if len(points) != 64 {
			t.Errorf("%d of 64 points", len(points))
		}
		for point, times := range points {
			if times != 1 {
				t.Errorf("%s was given %d times", point, times)
			}
		}
	})
}

func TestStatesOfASweep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		created := scene.create(t, "method: random\nparameters: {a: {values: [1, 2]}}")
		set := func(state string) error {
			_, _, err := scene.Update(t.Context(), created.ID, sweep.Change{State: &state})
			return err
		}
		must := func(state string) {
			t.Helper()
			if err := set(state); err != nil {
				t.Fatal(err)
			}
		}
		a := scene.agent(t, created)
		run := a.told(t, "run")
		must("PAUSED")
		a.told(t, "wait")
		must("RUNNING")
		a.told(t, "run")
		must("FINISHED")
		a.told(t, "wait", run.RunID)
		a.told(t, "exit")
		if err := set("PAUSED"); fault.Reason(err, "") != sweep.ReasonRefused {
			t.Errorf("pausing a finished sweep: %v", err)
		}
		if err := set("asleep"); fault.Reason(err, "") != sweep.ReasonRefused {
			t.Errorf("an unknown state: %v", err)
		}
		must("RUNNING")
		must("CANCELED")
		if stop := a.told(t, "stop", run.RunID); stop.RunID != run.RunID {
			t.Errorf("stopped %+v", stop)
		}
		a.told(t, "exit")
	})
}

func TestASweepThatWasDeletedEndsItsAgents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		created := scene.create(t, grid)
		a := scene.agent(t, created)
		if err := scene.Delete(t.Context(), created); err != nil {
			t.Fatal(err)
		}
		if _, err := a.beat(t.Context()); fault.Reason(err, "") != sweep.ReasonGone {
			t.Errorf("heartbeat: %v", err)
		}
		if _, err := scene.ByName(t.Context(), scene.place, string(created.Name)); !access.IsNotFound(err) {
			t.Errorf("by name: %v", err)
		}
	})
}

func TestARunCapEndsARandomSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		created := scene.create(t, "method: random\nrun_cap: 2\nparameters: {a: {min: 0.0, max: 1.0}}")
		a := scene.agent(t, created)
		for range 2 {
			run := a.told(t, "run")
			a.told(t, "wait", run.RunID)
		}
		a.told(t, "exit")
		if n, ok := sweep.Expected(created); n != 2 || !ok {
			t.Errorf("expects %d, %v", n, ok)
		}
	})
}

func TestSweepsAreListedNewestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		scene := newScene(t, s)
		var names []string
		for range 3 {
			names = append(names, string(scene.create(t, grid).Name))
		}
		page, err := scene.List(t.Context(), scene.place, 0, 2)
		if err != nil || len(page) != 2 || string(page[0].Name) != names[2] || string(page[1].Name) != names[1] {
			t.Errorf("%v, %v", page, err)
		}
		rest, err := scene.List(t.Context(), scene.place, page[1].ID, 2)
		if err != nil || len(rest) != 1 || string(rest[0].Name) != names[0] {
			t.Errorf("%v, %v", rest, err)
		}
		if n, err := scene.Count(t.Context(), scene.place); err != nil || n != 3 {
			t.Errorf("%d, %v", n, err)
		}
		found, err := sweep.NewDirectory(s).Names(t.Context(), []store.ID{page[0].ID, 1})
		if err != nil || len(found) != 1 || found[page[0].ID] != names[2] {
			t.Errorf("%v, %v", found, err)
		}
	})
}
