// Package limit bounds how many requests of one user are let through, so that one user's loop does not slow everybody.
//
// Nothing is lost by it: a client keeps what is refused, and sends it again. It repeats metrics for days but GraphQL only
// some twenty times, and a run that has begun cannot go on without its GraphQL; so a user's metrics are refused long before
// the user's GraphQL is.
package limit

import (
	"math/rand/v2"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Kind is what a request asks for.
type Kind int

const (
	// Metrics: a batch of lines of a run.
	Metrics Kind = iota
	// Graph: a GraphQL operation.
	Graph
	kinds
)

const (
	// graphShare is how much more GraphQL than metrics a user may ask for.
	graphShare = 4
	// burstSeconds is how long a user may exceed the rate after a pause: clients that start together do.
	burstSeconds = 10
	// maxUsers bounds the memory to a few megabytes. Whoever was idle longest begins anew.
	maxUsers = 16_384

	minWait = 5 * time.Second
	maxWait = 30 * time.Second
)

// Limiter counts the requests of users. Its methods may be called from any goroutine. The nil Limiter lets everything
// through.
type Limiter struct {
	perSecond float64
	users     *lru.Cache[store.ID, *[kinds]*rate.Limiter]

	// seams for tests
	now    func() time.Time
	jitter func() float64
}

// New returns a limiter that lets a user send perSecond batches of metrics per second in the long run, and four times as many
// GraphQL operations; nil, which lets everything through, where perSecond is 0.
func New(perSecond float64) *Limiter {
	if perSecond <= 0 {
		return nil
	}
	users, err := lru.New[store.ID, *[kinds]*rate.Limiter](maxUsers)
	if err != nil { // only for a size that is not positive
		return nil
	}
	return &Limiter{perSecond: perSecond, users: users, now: time.Now, jitter: rand.Float64}
}

// Take counts one request of a user. A positive wait means that it is refused, and for how long the client should stay
// away: 5 to 30 s, never the same for two clients, so that they do not come back together.
func (l *Limiter) Take(user store.ID, kind Kind) (wait time.Duration) {
	if l == nil {
		return 0
	}
	if l.limits(user)[kind].AllowN(l.now(), 1) {
		return 0
	}
	return minWait + time.Duration(l.jitter()*float64(maxWait-minWait))
}

func (l *Limiter) limits(user store.ID) *[kinds]*rate.Limiter {
	if limits, ok := l.users.Get(user); ok {
		return limits
	}
	fresh := &[kinds]*rate.Limiter{Metrics: newRate(l.perSecond), Graph: newRate(l.perSecond * graphShare)}
	if earlier, ok, _ := l.users.PeekOrAdd(user, fresh); ok {
		return earlier
	}
	return fresh
}

func newRate(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burstSeconds)))
}
