package replicas

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// mark tells a line from all others of the story.
func (s *story) mark() string {
	s.serial++
	return fmt.Sprint("m", s.serial)
}

// speech is a message of a writer with some lines of its history from a line on.
func (s *story) speech(first int64, n int) *message {
	m := &message{writer: s.writers[s.random.IntN(len(s.writers))], historyAt: first}
	if first < 0 {
		m.historyAt = next(s.truth.history[m.writer])
	}
	step := int64(0)
	for _, e := range s.truth.history[m.writer] {
		step = max(step, e.step+1)
	}
	for i := range int64(n) {
		m.history = append(m.history, entry{step + i, s.mark()})
	}
	return m
}

// summarize adds a summary that is newer than all others.
func (s *story) summarize(m *message) {
	s.clock += int64(1 + s.random.IntN(5))
	m.summary = &digest{stamp: s.clock, values: map[string]string{"v": s.mark(), "of" + m.writer: s.mark()}}
}

// logs adds lines to what is there.
func (s *story) logs(ctx context.Context) error {
	m := s.speech(-1, s.random.IntN(5))
	if s.random.IntN(8) == 0 && len(m.history) > 0 {
		m.historyAt += 2 // a gap
	}
	if s.random.IntN(2) == 0 {
		m.eventAt = next(s.truth.events[m.writer])
		m.events = append(m.events, fmt.Sprintf(`{"system.cpu":%q}`, s.mark()))
	}
	if s.random.IntN(2) == 0 {
		s.prints(m)
	}
	if s.random.IntN(2) == 0 || len(m.history)+len(m.events)+len(m.console) == 0 {
		s.summarize(m)
	}
	return s.says(ctx, m)
}

// prints adds lines of the console, which may stand in place of earlier ones.
func (s *story) prints(m *message) {
	have := next(s.truth.console[m.writer])
	m.consoleAt = have - int64(s.random.IntN(int(min(have, 3))+1))
	for range 1 + s.random.IntN(3) {
		m.console = append(m.console, "2026-01-01T00:00:00.000000 "+s.mark())
	}
}

// overwrites writes other lines in place of some, as a process does that was started a second time.
func (s *story) overwrites(ctx context.Context) error {
	m := s.speech(-1, 0)
	have := next(s.truth.history[m.writer])
	if have == 0 {
		return nil
	}
	m.historyAt = s.random.Int64N(have)
	for i := range int64(1 + s.random.IntN(4)) {
		m.history = append(m.history, entry{s.random.Int64N(20) + i, s.mark()})
	}
	return s.says(ctx, m)
}

// onTheirWay is how long copies of an UpsertBucket may still arrive. The server knows them a little longer.
const onTheirWay = time.Minute

// repeats sends again what was acknowledged before: the last thing or an old one.
func (s *story) repeats(ctx context.Context) error {
	s.repeats1()
	send := func(ctx context.Context, to *serverprocess.Process) (reply, error) { return s.calls(ctx, to, s.upsert) }
	switch n := s.random.IntN(8); {
	case n < 6 && len(s.heard) > 0:
		m := s.heard[s.random.IntN(len(s.heard))]
		if !dated(m) {
			return nil
		}
		send = func(ctx context.Context, to *serverprocess.Process) (reply, error) { return s.streams(ctx, to, m) }
	case n == 6:
		old := s.called[s.random.IntN(len(s.called))]
		send = func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			if time.Since(old.at) > onTheirWay {
				return reply{status: http.StatusOK}, nil // it is not sent
			}
			return s.calls(ctx, to, old.variables)
		}
	}
	_, err := s.perform(ctx, request{after: s.truth, send: send})
	return err
}

// dated tells whether anything in a message tells when it was made: lines of the console alone do not, which a program may
// print again.
func dated(m *message) bool { return len(m.history)+len(m.events) > 0 || m.summary != nil }

func (s *story) repeats1() { s.telling.repeats.Add(1) }

// edits replaces the summary, as a person does.
func (s *story) edits(ctx context.Context) error {
	after := s.truth.clone()
	value := s.mark()
	after.edit(map[string]string{"edited": value})
	_, err := s.perform(ctx, request{after: after, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.ada.send(ctx, to.URL+"/graphql", s.ada.query("UpsertBucket", fields{"id": s.id, "summaryMetrics": fmt.Sprintf(`{"edited":%q}`, value)}))
	}})
	return err
}

// ends lets the process say that it is over.
func (s *story) ends(ctx context.Context) error {
	m := s.speech(-1, 1+s.random.IntN(2))
	m.complete = true
	if s.random.IntN(3) == 0 {
		m.exit = 1
	}
	s.summarize(m)
	return s.says(ctx, m)
}

func (s *story) rewinds(ctx context.Context) error {
	after := s.truth.clone()
	step := s.random.Int64N(12)
	after.cut(step)
	_, err := s.perform(ctx, request{after: after, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.ada.send(ctx, to.URL+"/graphql", s.ada.query("RewindRun", fields{
			"runName": s.run, "entity": entity, "project": project, "metricName": "_step", "metricValue": step,
		}))
	}})
	return err
}

// forks makes another run of what is there, and looks at both.
func (s *story) forks(ctx context.Context) error {
	s.forked++
	step := s.random.Int64N(12)
	child := *s
	child.run, child.truth = fmt.Sprintf("%s-f%d", s.run, s.forked), newModel()
	after := newModel()
	after.exists, after.state, after.history = true, "running", s.truth.clone().history
	after.cut(step)
	after.config = fmt.Sprintf(`{"_wandb":{"value":{"branch_point":{"run_id":%q,"step":%d}}}}`, s.run, step)
	begun := after.clone() // a fork is two steps: one that was cut off in between is taken up by the repetition
	begun.history = newModel().history
	_, err := child.perform(ctx, request{after: after, also: begun, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.ada.send(ctx, to.URL+"/graphql", s.ada.query("UpsertBucket", fields{"entity": entity, "project": project, "name": child.run, "config": after.config}))
	}})
	if err != nil {
		return err
	}
	if err := child.check(ctx, after); err != nil {
		return err
	}
	return s.check(ctx, s.truth)
}

// stops asks the process to end, which it hears with its next metrics.
func (s *story) stops(ctx context.Context) error {
	after := s.truth.clone()
	after.stopping = after.stopping || after.state == "running"
	_, err := s.perform(ctx, request{after: after, send: func(ctx context.Context, to *serverprocess.Process) (reply, error) {
		return s.ada.send(ctx, to.URL+"/graphql", s.ada.query("StopRun", fields{"id": s.id}))
	}})
	return err
}
