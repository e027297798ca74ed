package replicas

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// trouble is what happens to one replica and to the database.
type trouble struct {
	*world
	random *rand.Rand
	// peace is how long nothing happens, on average.
	peace                   time.Duration
	kills, pauses, restarts int
}

func (b *trouble) String() string {
	return fmt.Sprintf("one replica was killed %d times and stopped %d times, MySQL killed %d times", b.kills, b.pauses, b.restarts)
}

// run makes trouble until ctx ends, and leaves everything running.
func (b *trouble) run(ctx context.Context, t *testing.T) {
	for n := b.random.IntN(3); b.wait(ctx, b.peace/2+time.Duration(b.random.Int64N(int64(b.peace)))); n++ {
		switch n % 3 {
		case 0:
			b.kills++
			b.a.Kill(t)
			b.wait(ctx, time.Duration(b.random.IntN(500))*time.Millisecond)
			b.a.Run(t)
			b.a.Await(t)
		case 1:
			b.pauses++
			b.a.Stop(t)
			b.wait(ctx, time.Duration(500+b.random.IntN(4000))*time.Millisecond)
			b.a.Continue(t)
		default:
			b.restarts++
			if err := b.database.Restart(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

// wait tells whether to go on.
func (b *trouble) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
