package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// fakeDatabase refuses groups that hold the poisonous run, and waits where it is told to.
type fakeDatabase struct {
	mu     sync.Mutex
	groups [][]store.ID
	gate   chan struct{}
	fail   error
	// begun counts transactions that have come.
	begun atomic.Int32
}

const poisonous store.ID = 666

func (d *fakeDatabase) CommitFree(_ context.Context, group []*store.Append) error {
	d.begun.Add(1)
	<-d.gate
	d.mu.Lock()
	defer d.mu.Unlock()
	var runs []store.ID
	for _, a := range group {
		runs = append(runs, a.Permit.RunID)
		if a.Permit.RunID == poisonous {
			return d.fail
		}
	}
	d.groups = append(d.groups, runs)
	return nil
}

func startCommitter(t *testing.T, d *fakeDatabase) *committer {
	t.Helper()
	c := newCommitter(d, slog.New(slog.DiscardHandler), func(int, time.Duration) {})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { c.run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

func commitAll(t *testing.T, c *committer, runs ...store.ID) map[store.ID]error {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	errs := map[store.ID]error{}
	for _, run := range runs {
		group.Go(func() {
			err := c.commit(t.Context(), &store.Append{Permit: store.Permit{RunID: run}})
			mu.Lock()
			defer mu.Unlock()
			errs[run] = err
		})
	}
	group.Wait()
	return errs
}

func TestOnePoisonousRequestSpoilsNoOther(t *testing.T) {
	d := &fakeDatabase{fail: &mysql.MySQLError{Number: 1406, Message: "Data too long"}, gate: make(chan struct{})}
	c := startCommitter(t, d)
	go func() {
		for range 20 {
			select {
			case d.gate <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for run, err := range commitAll(t, c, 1, 2, poisonous, 3, 4) {
		if failed := err != nil; failed != (run == poisonous) {
			t.Errorf("run %d: %v", run, err)
		}
	}
}

func TestRequestsThatComeTogetherShareATransaction(t *testing.T) {
	d := &fakeDatabase{gate: make(chan struct{})}
	c := startCommitter(t, d)
	first := make(chan error, 1)
	go func() { first <- c.commit(t.Context(), &store.Append{Permit: store.Permit{RunID: 1}}) }()
	d.gate <- struct{}{} // the first transaction runs alone: nobody else was there
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	others := make(chan map[store.ID]error, 1)
	blocker := make(chan error, 1)
	go func() { blocker <- c.commit(t.Context(), &store.Append{Permit: store.Permit{RunID: 2}}) }()
	waitFor(t, func() bool { return d.begun.Load() == 2 })
	go func() { others <- commitAll(t, c, 3, 4, 5) }()
	waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 3 })
	close(d.gate)
	<-others
	<-blocker
	if n := len(d.groups); n != 3 || len(d.groups[2]) != 3 {
		t.Errorf("transactions were %v, want the last three requests in one", d.groups)
	}
}

func TestARequestThatWasGivenUpIsNotWritten(t *testing.T) {
	d := &fakeDatabase{gate: make(chan struct{})}
	c := startCommitter(t, d)
	blocker := make(chan error, 1)
	go func() { blocker <- c.commit(t.Context(), &store.Append{Permit: store.Permit{RunID: 1}}) }()
	waitFor(t, func() bool { return d.begun.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	givenUp := make(chan error, 1)
	go func() { givenUp <- c.commit(ctx, &store.Append{Permit: store.Permit{RunID: 2}}) }()
	waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 1 })
	cancel()
	if err := <-givenUp; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(d.gate)
	if err := <-blocker; err != nil {
		t.Fatal(err)
	}
	if err := commitAll(t, c, 3)[3]; err != nil {
		t.Fatal(err)
	}
	for _, group := range d.groups {
		for _, run := range group {
			if run == 2 {
				t.Errorf("it was written: %v", d.groups)
			}
		}
	}
}

func TestWhatWaitsIsWrittenAtTheEnd(t *testing.T) {
	d := &fakeDatabase{gate: make(chan struct{})}
	c := newCommitter(d, slog.New(slog.DiscardHandler), func(int, time.Duration) {})
	results := make(chan map[store.ID]error, 1)
	go func() { results <- commitAll(t, c, 1, 2, 3) }()
	waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 3 })
	close(d.gate)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.run(ctx)
	for run, err := range <-results {
		if err != nil {
			t.Errorf("run %d: %v", run, err)
		}
	}
	if err := c.commit(t.Context(), &store.Append{}); !errors.Is(err, errStopped) {
		t.Errorf("after the end: got %v", err)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it does not happen")
		}
	}
}
