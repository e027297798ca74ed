package replicas

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// fewHistories are told where nothing else is asked for.
	fewHistories = 250
	// tellers tell at once.
	tellers = 24
	// maxFailures end the test.
	maxFailures = 3
	// margin is how long before the end of the test's time no further history begins.
	margin = 2 * time.Minute
)

// over tells whether the time of the test is coming to its end: what was told until then counts.
func over(t *testing.T) bool {
	deadline, bounded := t.Deadline()
	return bounded && time.Until(deadline) < margin
}

// asked reads a number from the environment.
func asked(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestRandomHistoriesOnTwoReplicas tells many runs through two replicas, one of which is killed and stopped while MySQL is
// killed as well, and compares what every replica shows with what was acknowledged. REPLICA_HISTORIES says how many there are,
// REPLICA_SEED which ones, REPLICA_PEACE how many seconds pass between two troubles; 0 is peace for ever.
func TestRandomHistoriesOnTwoReplicas(t *testing.T) {
	histories, seed := asked(t, "REPLICA_HISTORIES", fewHistories), asked(t, "REPLICA_SEED", uint64(time.Now().UnixNano()))
	t.Logf("REPLICA_SEED=%d REPLICA_HISTORIES=%d", seed, histories)
	w := newWorld(t, shortly)
	count, began := &telling{}, time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	peace := time.Duration(asked(t, "REPLICA_PEACE", 2)) * time.Second
	trouble := &trouble{world: w, random: rand.New(rand.NewPCG(seed, 0)), peace: peace} // repeatable
	var troubled sync.WaitGroup
	if peace > 0 {
		troubled.Go(func() { trouble.run(ctx, t) })
	}
	var told, failed atomic.Uint64
	var group sync.WaitGroup
	for range tellers {
		group.Go(func() {
			for failed.Load() < maxFailures && !over(t) {
				n := told.Add(1)
				if n > histories {
					return
				}
				if err := newStory(w, count, seed, n).tell(ctx); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	cancel()
	troubled.Wait()
	t.Logf("%d histories in %s: %d writes, %d of them repeated and %d times without an answer, %d processes died of it, %d reads; %s",
		min(told.Load(), histories), time.Since(began).Round(time.Second), count.writes.Load(), count.repeats.Load(), count.unanswered.Load(),
		count.abandoned.Load(), count.reads.Load(), trouble)
}
