package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// search is a sweep that agents work on.
type search struct {
	*world
	name string

	mu sync.Mutex
	// points are the arguments of each run that was begun, by its name.
	points map[string]string
	// begun hears of each.
	begun chan int
}

// agent asks what to run through one replica, and through the other where that does not answer.
type agent struct {
	*search
	id      string
	random  *rand.Rand
	replica []*serverprocess.Process
}

// TestAgentsOnTwoReplicasShareASweep lets agents on two replicas work, while one replica is killed twice: no point is run
// twice, none is left out.
func TestAgentsOnTwoReplicasShareASweep(t *testing.T) {
	w := newWorld(t, shortly)
	for name, test := range map[string]struct {
		config string
		runs   int
	}{
		"grid":   {"method: grid\nparameters: {a: {min: 1, max: 6}, b: {values: [u, v, w, x, y, z]}}", 36},
		"random": {"method: random\nrun_cap: 30\nparameters: {a: {min: 0.0, max: 1.0}}", 30},
	} {
		t.Run(name, func(t *testing.T) {
			made := w.ada.ask(t, w.a, "UpsertSweep", fields{
				"entityName": entity, "projectName": project, "config": test.config, "templateVariableValues": "null",
			})
			s := &search{
				world: w, name: made.get("data.upsertSweep.sweep.name").String(), points: map[string]string{}, begun: make(chan int, 2*test.runs),
			}
			s.work(t, test.runs)
			s.account(t, test.runs)
		})
	}
}

// work lets four agents work until they are told to end.
func (s *search) work(t *testing.T, runs int) {
	var group sync.WaitGroup
	for i := range uint64(4) {
		replica := []*serverprocess.Process{s.a, s.b}
		if i%2 == 1 {
			slices.Reverse(replica)
		}
		made := s.ada.ask(t, replica[0], "CreateAgent", fields{"entityName": entity, "projectName": project, "sweep": s.name, "host": fmt.Sprint("host ", i)})
		a := agent{search: s, id: made.get("data.createAgent.agent.id").String(), random: rand.New(rand.NewPCG(i, 5)), replica: replica} // repeatable
		group.Go(func() {
			if err := a.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	for kills := []int{runs / 4, runs / 2}; ; {
		select {
		case <-done:
			return
		case n := <-s.begun:
			if len(kills) > 0 && n >= kills[0] {
				kills = kills[1:]
				s.a.Kill(t)
				s.a.Run(t)
				s.a.Await(t)
			}
		}
	}
}

// account compares what was run with what there was to run.
func (s *search) account(t *testing.T, runs int) {
	if len(s.points) != runs {
		t.Errorf("%d runs were begun, want %d", len(s.points), runs)
	}
	times := map[string]int{}
	for _, point := range s.points {
		times[point]++
	}
	for point, n := range times {
		if n != 1 {
			t.Errorf("%s was run %d times", point, n)
		}
	}
	sweep := s.ada.ask(t, s.b, "GetSweep", fields{"entity": entity, "project": project, "name": s.name}).get("data.project.sweep")
	expect(t, "state", sweep.Get("state").String(), "FINISHED")
	expect(t, "runs", sweep.Get("runCount").Raw, fmt.Sprint(runs))
	for name := range s.points {
		expect(t, "state of "+name, s.ada.ask(t, s.a, "Run", fields{"entity": entity, "project": project, "name": name}).get("data.project.run.state").String(), "finished")
	}
}

// run does what it is told until that is to end.
func (a *agent) run(ctx context.Context) error {
	active := "{}"
	for {
		var answer reply
		err := a.insist(ctx, func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			got, err := a.beat(ctx, to, active)
			answer = got
			return got, err
		})
		if err != nil {
			return err
		}
		var told []struct {
			Type  string
			RunID string `json:"run_id"`
			Args  json.RawMessage
		}
		text := answer.get("data.agentHeartbeat.commands").String()
		if err := json.Unmarshal([]byte(text), &told); err != nil || len(told) > 1 {
			return fmt.Errorf("told %s: %w", answer.body, err)
		}
		active = "{}"
		switch {
		case len(told) == 0:
			if err := pause(ctx); err != nil {
				return err
			}
		case told[0].Type == "exit":
			return nil
		case told[0].Type == "run":
			if active, err = a.execute(ctx, told[0].RunID, string(told[0].Args)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("told %s", text)
		}
	}
}

// beat sends a heartbeat, and sometimes to both replicas at once, as a client does whose first one seems to be lost.
func (a *agent) beat(ctx context.Context, to *serverprocess.Process, active string) (reply, error) {
	body := a.ada.query("Heartbeat", fields{"id": a.id, "metrics": "{}", "runState": active})
	if a.random.IntN(4) > 0 {
		return a.ada.send(ctx, to.URL+"/graphql", body)
	}
	var group sync.WaitGroup
	for _, replica := range a.replica {
		if replica != to {
			group.Go(func() { _, _ = a.ada.send(ctx, replica.URL+"/graphql", body) }) // the answer is lost
		}
	}
	answer, err := a.ada.send(ctx, to.URL+"/graphql", body)
	group.Wait()
	return answer, err
}

// execute begins a run and ends it, or lets the next heartbeat speak of it, which ends it later.
func (a *agent) execute(ctx context.Context, run, args string) (active string, err error) {
	err = a.insist(ctx, func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return a.ada.send(ctx, to.URL+"/graphql", a.ada.query("UpsertBucket", fields{"entity": entity, "project": project, "name": run, "sweep": a.name}))
	})
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	if a.points[run] != "" {
		args = "a run that was begun before: " + args
	}
	a.points[run] = args
	n := len(a.points)
	a.mu.Unlock()
	a.begun <- n
	err = a.insist(ctx, func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return a.ada.tell(ctx, to, run, fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}, "complete": true, "exitcode": 0})
	})
	if a.random.IntN(2) == 0 {
		return fmt.Sprintf("{%q:true}", run), err
	}
	return "{}", err
}

// insist sends until it is answered, to one replica and then to the other.
func (a *agent) insist(ctx context.Context, send func(context.Context, *serverprocess.Process) (reply, error)) error {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	for try := 0; ctx.Err() == nil; try++ {
		answer, err := send(ctx, a.replica[try%len(a.replica)])
		if err == nil && answer.status == http.StatusOK && !answer.get("errors").Exists() {
			return nil
		}
		if err == nil && !again(answer.status) {
			return fmt.Errorf("refused: %d %s", answer.status, answer.body)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return errGivenUp
}

// pause is the moment between two heartbeats.
func pause(ctx context.Context) error {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
