package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
)

// ErrLate tells that a request was not written because it had waited for so long that its sender has given it up. A replica
// that was stopped for a while goes on with what it had in hand: by then the sender has said the same thing, and newer things,
// to another replica, and the old request would undo them.
var ErrLate = errors.New("the request has waited for longer than its sender waits for the answer")

// LateAfter is how long a request may wait before it is written: less than any client waits before it sends it again, which
// is 20 s.
const LateAfter = 15 * time.Second

// Arrival is when a request came in whole. The zero value is that of one that is still coming.
type Arrival struct {
	at atomic.Pointer[time.Time]
	// limit is that of Late.
	limit time.Duration
}

// NewArrival returns the arrival of a request that is late after limit; 0 means LateAfter.
func NewArrival(limit time.Duration) *Arrival {
	if limit == 0 {
		limit = LateAfter
	}
	return &Arrival{limit: limit}
}

// Note says when the last byte came. The first call counts.
func (a *Arrival) Note(at time.Time) { a.at.CompareAndSwap(nil, &at) }

// Late tells whether the request came too long ago. A machine that was suspended has moved on by the wall clock only.
func (a *Arrival) Late() bool {
	if a == nil {
		return false
	}
	at := a.at.Load()
	if at == nil {
		return false
	}
	now := time.Now()
	return max(now.Sub(*at), now.Round(0).Sub(at.Round(0))) > a.limit
}

type arrivalKey struct{}

// WithArrival returns a context whose transactions are undone where the request is late when they would be committed. They
// hold the locks of what they change by then, so that whatever others acknowledge afterwards is newer in the database too.
func WithArrival(ctx context.Context, a *Arrival) context.Context {
	return context.WithValue(ctx, arrivalKey{}, a)
}

// ArrivalOf returns the arrival that WithArrival put into a context; nil for none, which is never late.
func ArrivalOf(ctx context.Context) *Arrival {
	a, _ := ctx.Value(arrivalKey{}).(*Arrival)
	return a
}

// Unhurried returns a context whose transactions may take as long as they need: for work that is long, and changes nothing
// when it is done a second time.
func Unhurried(ctx context.Context) context.Context { return WithArrival(ctx, nil) }

// punctual runs a transaction of a request in time.
func punctual(fn func(ctx context.Context, tx bun.Tx) error) func(ctx context.Context, tx bun.Tx) error {
	return func(ctx context.Context, tx bun.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if ArrivalOf(ctx).Late() {
			return ErrLate
		}
		return nil
	}
}
