package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// telling counts what stories do.
type telling struct {
	writes, reads, repeats, unanswered, abandoned atomic.Int64
}

// story tells one run through both replicas, and knows what it must show. Its seed makes all its choices.
type story struct {
	*world
	*telling
	random  *rand.Rand
	run, id string
	writers []string
	truth   *model
	// process is that which writes; every one begins with an UpsertBucket of its own.
	process int
	serial  int
	clock   int64
	// heard are requests to file_stream that were acknowledged, called every UpsertBucket, upsert the last of them.
	heard  []*message
	called []call
	upsert fields
	forked int
	log    []string
}

func newStory(w *world, count *telling, seed, number uint64) *story {
	s := &story{
		world: w, telling: count, random: rand.New(rand.NewPCG(seed, number)), truth: newModel(), // repeatable
		run: fmt.Sprintf("h%d-%d", seed, number), writers: []string{""}, clock: 1_700_000_000,
	}
	if s.random.IntN(4) == 0 {
		s.writers = []string{"w1", "w2", "w3"}[:2+s.random.IntN(2)]
	}
	return s
}

// tell lets the run live.
func (s *story) tell(ctx context.Context) error {
	err := s.begin(ctx)
	for range 4 + s.random.IntN(6) {
		if err != nil {
			break
		}
		err = s.step(ctx)
	}
	if err == nil {
		err = s.check(ctx, s.truth)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w\nit did: %s", s.run, err, s.log)
	}
	return nil
}

func (s *story) step(ctx context.Context) error {
	choices := []struct {
		weight int
		name   string
		do     func(context.Context) error
	}{
		{10, "log", s.logs}, {3, "overwrite", s.overwrites}, {6, "repeat", s.repeats}, {2, "configure", s.configures},
		{1, "edit", s.edits}, {2, "end", s.ends}, {2, "begin", s.begin}, {1, "rewind", s.rewinds}, {1, "fork", s.forks}, {1, "stop", s.stops},
	}
	all := 0
	for _, c := range choices {
		all += c.weight
	}
	n := s.random.IntN(all)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			s.log = append(s.log, c.name)
			if err := c.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			break
		}
	}
	if s.random.IntN(2) == 0 {
		return s.check(ctx, s.truth)
	}
	return nil
}

// request is something that is sent until it is acknowledged.
type request struct {
	send func(context.Context, *serverprocess.Process) (reply, error)
	// after is the truth once it has taken effect; also is what may be seen besides until then, nil for nothing.
	after, also *model
	// mayBeLost lets its sender die where no answer comes.
	mayBeLost bool
}

var errGivenUp = errors.New("no replica answers")

// giveUp is how long one request is repeated, on a machine that is busy and a database that starts again.
const giveUp = 3 * time.Minute

// perform sends a request to one of the replicas, and again until it is acknowledged. Until then it may or may not have taken
// effect; after that it has, once.
func (s *story) perform(ctx context.Context, r request) (reply, error) {
	s.writes.Add(1)
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	for try := 0; ; try++ {
		answer, err := s.once(ctx, r)
		if err == nil && answer.status == http.StatusOK && !answer.get("errors").Exists() {
			s.truth = r.after
			return answer, nil
		}
		if err == nil && !again(answer.status) {
			return answer, fmt.Errorf("refused: %d %s", answer.status, answer.body)
		}
		s.unanswered.Add(1)
		if ctx.Err() != nil {
			return reply{}, errGivenUp
		}
		if s.random.IntN(4) == 0 {
			if err := s.checkUnderWay(ctx, r); err != nil {
				return reply{}, err
			}
		}
		if r.mayBeLost && s.random.IntN(4) == 0 {
			return reply{}, s.loses(ctx, r.after)
		}
		s.rest(ctx)
	}
}

// again tells whether the client repeats what is answered with a status.
func again(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= http.StatusInternalServerError
}

// once sends a request to a replica, or to both at the same time.
func (s *story) once(ctx context.Context, r request) (reply, error) {
	if s.random.IntN(8) > 0 {
		return r.send(ctx, s.any())
	}
	s.repeats1()
	var other reply
	var otherErr error
	var group sync.WaitGroup
	group.Go(func() { other, otherErr = r.send(ctx, s.b) })
	answer, err := r.send(ctx, s.a)
	group.Wait()
	if err != nil || answer.status != http.StatusOK {
		return other, otherErr
	}
	return answer, nil
}

func (s *story) any() *serverprocess.Process {
	if s.random.IntN(2) == 0 {
		return s.a
	}
	return s.b
}

// rest waits for a moment, as clients do between two tries.
func (s *story) rest(ctx context.Context) {
	timer := time.NewTimer(time.Duration(20+s.random.IntN(150)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// loses lets the process die without an answer. Another one begins, and what it finds stays: the request that was under way
// has taken effect before, or never does.
func (s *story) loses(ctx context.Context, after *model) error {
	s.abandoned.Add(1)
	s.log = append(s.log, "(lost)")
	before := s.truth
	again := s.upsert
	_, err := s.perform(ctx, request{after: before, also: after, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.calls(ctx, to, again)
	}})
	if err != nil {
		return err
	}
	found, err := s.read(ctx)
	switch {
	case err != nil:
		return err
	case found == before.text():
		s.truth = before
	case found == after.text():
		s.truth = after
	default:
		return fmt.Errorf("after a process has died the run shows\n%swant\n%sor\n%s", found, before.text(), after.text())
	}
	return nil
}

// read asks a replica for everything.
func (s *story) read(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	for ctx.Err() == nil {
		answer, err := s.ada.send(ctx, s.any().URL+"/graphql", s.ada.query(everything, fields{"entity": entity, "project": project, "name": s.run}))
		if err == nil && answer.status == http.StatusOK && !answer.get("errors").Exists() {
			s.reads.Add(1)
			return textOf(answer.get("data.project.run")), nil
		}
		if err == nil && !again(answer.status) {
			return "", fmt.Errorf("a read is refused: %d %s", answer.status, answer.body)
		}
		s.rest(ctx)
	}
	return "", errGivenUp
}

func (s *story) check(ctx context.Context, want *model) error {
	found, err := s.read(ctx)
	if err == nil && found != want.text() {
		return fmt.Errorf("the run shows\n%swant\n%s", found, want.text())
	}
	return err
}

// tornReads is how often a read may meet the very moment in which a request takes effect: what is asked for in one query is
// read part by part.
const tornReads = 3

// checkUnderWay reads while a request may have taken effect.
func (s *story) checkUnderWay(ctx context.Context, r request) error {
	var found string
	for range tornReads {
		var err error
		found, err = s.read(ctx)
		if err != nil || found == s.truth.text() || found == r.after.text() || r.also != nil && found == r.also.text() {
			return err
		}
	}
	return fmt.Errorf("while a request is under way the run shows\n%swant\n%s\nor\n%s", found, s.truth.text(), r.after.text())
}

// begin is a new process that makes the run, or goes on with it.
func (s *story) begin(ctx context.Context) error {
	s.process++
	return s.configures(ctx)
}

func (s *story) configures(ctx context.Context) error {
	s.serial++
	after := s.truth.clone()
	after.config = fmt.Sprintf(`{"n":{"value":%d},"_wandb":{"value":{"t":{"1":[1]},"e":{"p%d":{"startedAt":"%d"}}}}}`, s.serial, s.process, s.process)
	after.notes = fmt.Sprint("notes ", s.serial)
	if ended := after.state == "finished" || after.state == "failed"; ended && s.upsert != nil && s.upsert["process"] == s.process {
		return nil // the process that has ended says no more
	}
	if after.exists = true; after.state != "running" {
		after.state, after.exit, after.stopping = "running", 0, false
	}
	variables := fields{"entity": entity, "project": project, "name": s.run, "config": after.config, "notes": after.notes, "process": s.process}
	made, began := !s.truth.exists, time.Now()
	answer, err := s.perform(ctx, request{after: after, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.calls(ctx, to, variables)
	}})
	if err != nil {
		return err
	}
	s.called = append(s.called, call{variables, began})
	s.upsert, s.id = variables, answer.get("data.upsertBucket.bucket.id").String()
	if len(s.writers) == 1 && answer.get("data.upsertBucket.bucket.historyLineCount").Int() != next(after.history[""]) {
		return fmt.Errorf("told to go on at line %s, want %d", answer.get("data.upsertBucket.bucket.historyLineCount"), next(after.history[""]))
	}
	if !made && answer.get("data.upsertBucket.inserted").Bool() {
		return errors.New("the run was made a second time")
	}
	return nil
}

// call is an UpsertBucket, and when it was sent first.
type call struct {
	variables fields
	at        time.Time
}

// calls sends an UpsertBucket as the client's process does.
func (s *story) calls(ctx context.Context, to *serverprocess.Process, variables fields) (reply, error) {
	return s.ada.send(ctx, to.URL+"/graphql", s.ada.query("UpsertBucket", variables), "User-Agent", "wandb-core")
}

// says sends metrics that nobody has heard before.
func (s *story) says(ctx context.Context, m *message) error {
	after := s.truth.clone()
	after.hear(m)
	stopping := s.truth.stopping
	answer, err := s.perform(ctx, request{after: after, mayBeLost: !m.complete, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.streams(ctx, to, m)
	}})
	if err != nil || answer.status == 0 {
		return err
	}
	s.heard = append(s.heard, m)
	if told := answer.get("stopped"); told.Bool() != stopping || told.Type == gjson.Null {
		return fmt.Errorf("told %s, want stopped to be %t", answer.body, stopping)
	}
	return nil
}

func (s *story) streams(ctx context.Context, to *serverprocess.Process, m *message) (reply, error) {
	body, err := json.Marshal(m.body())
	if err != nil {
		return reply{}, err
	}
	address := streamAddress(to, entity, project, s.run)
	if m.writer == "" {
		return s.ada.send(ctx, address, body)
	}
	return s.ada.send(ctx, address, body, "X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", m.writer)
}
