package ingest

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// maxWaiting is how many bytes of bodies may wait for memory before others are sent away.
const maxWaiting = 64 << 20

// errBusy tells that so much waits already that another request had better come later.
var errBusy = errors.New("too many requests wait to be written")

// errLimited tells that a user sends more requests than the operator allows.
var errLimited = errors.New("too many requests of this user")

// budget bounds the bytes of bodies in memory.
type budget struct {
	memory  *semaphore.Weighted
	waiting atomic.Int64
	observe func(waiting int64)
}

// take waits for memory; errBusy where too much waits already.
func (b *budget) take(ctx context.Context, size int64) error {
	if b.memory.TryAcquire(size) {
		return nil
	}
	waiting := b.waiting.Add(size)
	defer func() { b.observe(b.waiting.Add(-size)) }()
	b.observe(waiting)
	if waiting > maxWaiting {
		return errBusy
	}
	return b.memory.Acquire(ctx, size)
}

// allowance is what one request holds of the budget.
type allowance struct {
	budget *budget
	size   int64
}

// shrink gives back what is more than size.
func (a *allowance) shrink(size int64) {
	if size < a.size {
		a.budget.memory.Release(a.size - size)
		a.size = size
	}
}
