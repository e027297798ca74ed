package limit

import (
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestAUserIsHeldBackAloneAndMetricsFirst(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := New(2)
	l.now = func() time.Time { return now }
	const ada, grace = 1, 2

	passed := func(user store.ID, kind Kind, tries int) (n int) {
		for range tries {
			if l.Take(user, kind) == 0 {
				n++
			}
		}
		return n
	}
	if got := passed(ada, Metrics, 100); got != 20 {
		t.Errorf("a burst lets %d of 100 batches through, want 20", got)
	}
	if got := passed(ada, Graph, 60); got != 60 {
		t.Errorf("GraphQL of a user whose metrics are refused: %d of 60 let through, want all", got)
	}
	if l.Take(grace, Metrics) != 0 {
		t.Error("another user is held back")
	}
	now = now.Add(3 * time.Second)
	if got := passed(ada, Metrics, 100); got != 6 {
		t.Errorf("3 s later %d batches are let through, want 6", got)
	}
}

func TestHowLongAClientStaysAway(t *testing.T) {
	for _, c := range []struct {
		jitter float64
		want   time.Duration
	}{{0, 5 * time.Second}, {0.5, 17500 * time.Millisecond}, {1, 30 * time.Second}} {
		l := New(1)
		l.jitter = func() float64 { return c.jitter }
		l.now = func() time.Time { return time.Unix(1_800_000_000, 0) }
		for l.Take(1, Metrics) == 0 {
			continue
		}
		if got := l.Take(1, Metrics); got != c.want {
			t.Errorf("jitter %v: told to wait %s, want %s", c.jitter, got, c.want)
		}
	}
}

func TestWithoutALimitEverythingPasses(t *testing.T) {
	l := New(0)
	for range 10_000 {
		if wait := l.Take(1, Metrics); wait != 0 {
			t.Fatalf("refused for %s", wait)
		}
	}
}
