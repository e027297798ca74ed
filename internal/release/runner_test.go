package release

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func TestRunnerTakesOneStepOfAReleaseAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var woken atomic.Int32
		runner := &Runner{Wake: func(types.NamespacedName) { woken.Add(1) }}
		ended := make(chan error, 1)
		go func() { ended <- runner.Start(ctx) }()

		release := make(chan struct{})
		job := Job{Key: key("a"), Action: Upgrade, Do: func(context.Context) { <-release }}
		if !runner.Submit(job, noon) {
			t.Fatal("the first step was refused")
		}
		synctest.Wait()
		if runner.Submit(job, noon) {
			t.Error("a second step of the same release was taken")
		}
		if running := runner.Running(key("a")); running == nil || running.Action != Upgrade {
			t.Errorf("Running = %+v", running)
		}
		close(release)
		synctest.Wait()
		if runner.Running(key("a")) != nil || woken.Load() != 1 {
			t.Errorf("after the step: running %+v, woken %d times", runner.Running(key("a")), woken.Load())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestRunnerBoundsItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		runner := &Runner{Workers: 2}
		go func() { _ = runner.Start(ctx) }()
		var mu sync.Mutex
		now, most, done := 0, 0, 0
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			runner.Submit(Job{Key: key(name), Do: func(context.Context) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				now--
				done++
				mu.Unlock()
			}}, noon)
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 2 || done != 5 {
			t.Errorf("%d steps ran at once and %d in all, want 2 and 5", most, done)
		}
		stop()
		synctest.Wait()
	})
}

func TestRunnerLetsAStepFinishWhenItsProcessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		runner := &Runner{}
		ended := make(chan error, 1)
		go func() { ended <- runner.Start(ctx) }()
		cancelled := false
		runner.Submit(Job{Key: key("a"), Do: func(ctx context.Context) {
			select {
			case <-time.After(DefaultGrace / 2):
			case <-ctx.Done():
				cancelled = true
			}
		}}, noon)
		synctest.Wait()
		stop()
		<-ended
		if cancelled {
			t.Error("a step was cancelled within its grace")
		}
	})
}

func TestRunnerCancelsAndWaitsForAStepThatOutlivesItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		runner := &Runner{}
		ended := make(chan error, 1)
		go func() { ended <- runner.Start(ctx) }()
		returned := atomic.Bool{}
		runner.Submit(Job{Key: key("a"), Do: func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Minute) // what is under way when the cancellation arrives
			returned.Store(true)
		}}, noon)
		synctest.Wait()
		stop()
		<-ended
		if !returned.Load() {
			t.Error("the runner ended while a step was still at work")
		}
		if runner.Submit(Job{Key: key("b"), Do: func(context.Context) {}}, noon) {
			t.Error("a step was taken after the end")
		}
	})
}
