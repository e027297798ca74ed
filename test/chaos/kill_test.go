package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

const (
	// maxRevisions is one for the first release, one that the killed process may have begun, and one that the next process
	// made. More would mean that a restart makes revisions that nobody asked for.
	maxRevisions = 3
	// randomPoints are kills at a random write and a random moment after it.
	randomPoints = 20
	// crowd is how many operators run at a time. They wait for a dead process's Lease most of the time.
	crowd = 10
)

// point is one moment in an upgrade at which the operator is killed.
type point struct {
	// write counts from 1.
	write int
	// lost drops the write itself; otherwise it arrives.
	lost bool
	// unanswered kills before the process hears the API server's answer.
	unanswered bool
	// delay is how long the process lives on after the answer.
	delay time.Duration
}

func (p point) String() string {
	switch {
	case p.lost:
		return fmt.Sprintf("before write %02d", p.write)
	case p.unanswered:
		return fmt.Sprintf("at write %02d", p.write)
	default:
		return fmt.Sprintf("%s after write %02d", p.delay, p.write)
	}
}

// seed of the random points: CHAOS_SEED repeats a run.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	chosen := uint64(time.Now().UnixNano())
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		var err error
		chosen, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("CHAOS_SEED=%d repeats this run", chosen)
	return rand.New(rand.NewPCG(chosen, 0))
}

// TestOperatorKilledAtEveryStepOfAnUpgrade kills the operator at each write of an upgrade and at random moments, and
// starts it again under another pod's name, as a Deployment does on another node.
func TestOperatorKilledAtEveryStepOfAnUpgrade(t *testing.T) {
	t.Parallel()
	random := seed(t)
	steps := upgradeWrites(t)
	for n, write := range steps {
		t.Logf("write %02d of an upgrade: %s", n+1, write)
	}
	if len(steps) < 8 || !strings.Contains(strings.Join(steps, "\n"), "POST /api/v1/namespaces/N/secrets") {
		t.Fatalf("an upgrade has only these writes: %v", steps)
	}
	points := []point{{write: 1, lost: true}}
	for n := range steps {
		points = append(points, point{write: n + 1, unanswered: true})
	}
	for range randomPoints {
		points = append(points, point{write: 1 + random.IntN(len(steps)), delay: time.Duration(random.IntN(60)) * time.Millisecond})
	}
	var mu sync.Mutex
	var slowest time.Duration
	parts := map[string]func(*testing.T){}
	for n, each := range points {
		parts[fmt.Sprintf("%02d %s", n, each)] = func(t *testing.T) {
			took := killAndRecover(t, each)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, took)
		}
	}
	together(t, crowd, parts)
	t.Logf("%d points, the slowest recovery took %s", len(points), slowest.Round(time.Second))
}

// upgradeWrites returns what an upgrade that nobody disturbs writes, with N for the namespace.
func upgradeWrites(t *testing.T) []string {
	t.Helper()
	p := newPlace(t, testenv.Start(t))
	through := newProxy(t, p.base)
	p.create()
	operator := p.start("operator-1", through)
	p.awaitRelease("v1", "1", patience)
	through.arm(nil)
	p.vendor.Publish("v2", "2.0.0", map[string]any{"tag": "2"})
	p.awaitRelease("v2", "2", patience)
	operator.end(t)
	written := through.disarm()
	for n := range written {
		written[n] = strings.ReplaceAll(written[n], p.namespace, "N")
	}
	return written
}

// killAndRecover kills the operator at a point of an upgrade, and returns how long its successor took to finish it.
func killAndRecover(t *testing.T, at point) time.Duration {
	t.Helper()
	p := newPlace(t, testenv.Start(t))
	through := newProxy(t, p.base)
	p.create()
	first := p.start("operator-1", through)
	p.awaitRelease("v1", "1", patience)
	before := p.treasure()
	if len(before) != 8 {
		t.Fatalf("before the upgrade there is only %v", before)
	}
	reached := make(chan struct{})
	var once sync.Once
	die := func() {
		once.Do(func() {
			_ = first.command.Process.Kill()
			close(reached)
		})
	}
	through.arm(func(n int, _ string, answered bool) bool {
		select {
		case <-reached:
			return false // the process is dead, and so is what it had not yet sent
		default:
		}
		switch {
		case n != at.write:
		case at.lost, at.unanswered && answered:
			die()
			return false
		case !at.lost && !at.unanswered && answered:
			time.AfterFunc(at.delay, die)
		}
		return true
	})
	p.vendor.Publish("v2", "2.0.0", map[string]any{"tag": "2"})
	awaitPoint(p, reached)
	die()
	<-first.done
	writes := through.disarm()
	t.Logf("killed after %d writes, the last was %s; revisions %v", len(writes), writes[len(writes)-1], p.revisions())

	began := time.Now()
	second := p.start("operator-2", through)
	second.awaitWork(t)
	p.awaitRelease("v2", "2", recovery)
	took := time.Since(began)
	t.Logf("recovered in %s; revisions %v", took.Round(100*time.Millisecond), p.revisions())
	linger(quiet) // nothing more may come
	p.awaitRelease("v2", "2", patience)
	p.assertUpgraded(before)
	second.end(t)
	return took
}

// awaitPoint waits until the point is reached, or the upgrade is over without it: events and Leases are not written in
// the same number each time. The operator is killed at rest, then.
func awaitPoint(p *place, reached <-chan struct{}) {
	p.t.Helper()
	over := 0
	eventually(p.t, "the end of the upgrade", patience, func() bool {
		select {
		case <-reached:
			return true
		default:
		}
		if state := p.resource().Status; state.Release != nil && state.Release.Name == "v2" {
			over++
		}
		return over > 20
	}, func() string { return "neither the point nor the end" })
}

// assertUpgraded holds what has to be true after any upgrade, however it went.
func (p *place) assertUpgraded(before map[string]string) {
	p.t.Helper()
	revisions := p.revisions()
	if len(revisions) > maxRevisions {
		p.t.Errorf("there are %d revisions, want at most %d: %v", len(revisions), maxRevisions, revisions)
	}
	for n, revision := range revisions {
		fields := strings.Fields(revision)
		if fields[0] != "wandb" {
			p.t.Errorf("there is a second release: %v", revisions)
		}
		if last := n == len(revisions)-1; last != (fields[2] == "deployed") {
			p.t.Errorf("the newest revision, and it alone, is deployed; got %v", revisions)
		}
	}
	if diff := cmp.Diff(before, p.treasure()); diff != "" {
		p.t.Errorf("the upgrade lost or replaced something:\n%s", diff)
	}
	config := &corev1.ConfigMap{}
	p.find(config, "wandb-config")
	if diff := cmp.Diff(map[string]string{"tag": "2", "color": "teal"}, config.Data); diff != "" {
		p.t.Errorf("configuration:\n%s", diff)
	}
	if !p.find(&corev1.ServiceAccount{}, "wandb-newer") {
		p.t.Error("what only the new version has is missing")
	}
	if p.find(&corev1.ConfigMap{}, "wandb-former") {
		p.t.Error("what the new version no longer has is still there")
	}
}
