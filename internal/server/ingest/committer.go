package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxWait is how long a request waits for others to share its transaction.
	maxWait = 5 * time.Millisecond
	// maxGroup and maxGroupBytes bound one transaction, which takes at least one request.
	maxGroup      = 256
	maxGroupBytes = 4 << 20
	// commitTimeout bounds one transaction, with its repetitions.
	commitTimeout = 30 * time.Second
	// heldPause is after what a request to a run that another replica holds is tried again: a transaction takes that long.
	// heldTime is how long it is tried; then the client is asked to come later.
	heldPause = 5 * time.Millisecond
	heldTime  = 3 * time.Second
)

// errStopped tells that the server is shutting down.
var errStopped = errors.New("the server is shutting down")

// database is where groups are written.
type database interface {
	CommitFree(ctx context.Context, group []*store.Append) error
}

// Where a ticket is. Whoever moves it decides: a request that was given up before its group was taken is not written.
const (
	ticketQueued int32 = iota
	ticketTaken
	ticketLeft
)

// ticket is a request that waits to be written.
type ticket struct {
	append *store.Append
	size   int
	since  time.Time
	state  atomic.Int32
	err    error
	done   chan struct{}
}

// committer writes requests in groups, one transaction at a time.
type committer struct {
	database database
	logger   *slog.Logger
	observe  func(requests int, took time.Duration)

	mu      sync.Mutex
	queue   []*ticket
	stopped bool
	// wake holds a token where the queue may have changed.
	wake chan struct{}
	// crowd is how many requests are known to come at once, slowly forgotten.
	crowd int
}

func newCommitter(db database, logger *slog.Logger, observe func(int, time.Duration)) *committer {
	return &committer{database: db, logger: logger, observe: observe, wake: make(chan struct{}, 1)}
}

// commit returns once the request is on stable storage, or will not be written.
func (c *committer) commit(ctx context.Context, a *store.Append) error {
	t := &ticket{append: a, size: sizeOf(a), since: time.Now(), done: make(chan struct{})}
	if !c.enqueue(t) {
		return errStopped
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		if t.state.CompareAndSwap(ticketQueued, ticketLeft) {
			return ctx.Err()
		}
		<-t.done // bounded by commitTimeout
		return t.err
	}
}

func (c *committer) enqueue(tickets ...*ticket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.queue = append(c.queue, tickets...)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

func sizeOf(a *store.Append) int {
	size := 0
	for i := range a.Parts {
		size += len(a.Parts[i].Body) + len(a.Parts[i].Stats)
	}
	if a.Summary != nil {
		size += len(a.Summary.Body)
	}
	return size
}

// run writes until ctx ends, and then what waits.
func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-c.wake:
			c.gather(ctx)
			c.writeAll(ctx)
		case <-ctx.Done():
			c.mu.Lock()
			c.stopped = true
			c.mu.Unlock()
			c.writeAll(ctx)
			return
		}
	}
}

// gather waits until as many requests are there as came at once lately: a lone one waits for nobody.
func (c *committer) gather(ctx context.Context) {
	var timer *time.Timer
	for {
		c.mu.Lock()
		waiting := len(c.queue)
		c.mu.Unlock()
		if waiting >= c.crowd || waiting >= maxGroup {
			break
		}
		if timer == nil {
			timer = time.NewTimer(maxWait)
			defer timer.Stop()
		}
		select {
		case <-c.wake:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
}

// writeAll writes the queue in groups.
func (c *committer) writeAll(ctx context.Context) {
	largest := 0
	for {
		group := c.take()
		if len(group) == 0 {
			break
		}
		largest = max(largest, len(group))
		c.write(context.WithoutCancel(ctx), group)
	}
	c.crowd = max(largest, c.crowd-1-c.crowd/8)
}

// take removes the next group from the queue, without the requests that were given up.
func (c *committer) take() []*ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	var group []*ticket
	size, n := 0, 0
	for _, t := range c.queue {
		if len(group) > 0 && (len(group) == maxGroup || size+t.size > maxGroupBytes) {
			break
		}
		n++
		if t.state.CompareAndSwap(ticketQueued, ticketTaken) {
			group = append(group, t)
			size += t.size
		}
	}
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	return group
}

// write writes a group; where one request makes the database refuse it, each alone.
func (c *committer) write(ctx context.Context, group []*ticket) {
	err := c.transact(ctx, group)
	if err != nil && len(group) > 1 && store.IsRefusal(err) {
		c.logger.WarnContext(ctx, "group of requests refused, each is written alone", "requests", len(group), "error", err)
		for _, t := range group {
			c.settle([]*ticket{t}, c.transact(ctx, []*ticket{t}))
		}
		return
	}
	c.settle(group, err)
}

// settle tells requests how their transaction has ended. Those whose runs were held by others come again.
func (c *committer) settle(group []*ticket, err error) {
	var held []*ticket
	for _, t := range group {
		if err == nil && errors.Is(t.append.Err, store.ErrBusy) && time.Since(t.since) < heldTime {
			t.state.Store(ticketQueued) // it may be given up again
			held = append(held, t)
			continue
		}
		t.err = err
		close(t.done)
	}
	if len(held) > 0 {
		time.AfterFunc(heldPause, func() { c.comeAgain(held) })
	}
}

func (c *committer) comeAgain(tickets []*ticket) {
	if c.enqueue(tickets...) {
		return
	}
	for _, t := range tickets {
		if t.state.CompareAndSwap(ticketQueued, ticketTaken) {
			t.err = errStopped
			close(t.done)
		}
	}
}

func (c *committer) transact(ctx context.Context, group []*ticket) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	appends := make([]*store.Append, len(group))
	for i, t := range group {
		appends[i] = t.append
	}
	start := time.Now()
	err := c.database.CommitFree(ctx, appends)
	c.observe(len(group), time.Since(start))
	return err
}
