package release

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// DefaultWorkers is how many releases are worked on at a time: Helm holds a chart and its manifests in memory, and each
	// worker adds that to the process.
	DefaultWorkers = 2
	// DefaultGrace is how long a step may go on after the process was asked to end. It stays below the termination grace
	// period of the operator's pod.
	DefaultGrace = 25 * time.Second
)

// Job is one step on its way.
type Job struct {
	Key    types.NamespacedName
	Action Action
	// Do applies the step. It returns when nothing of the step is at work any more.
	Do func(ctx context.Context)
}

// Runner applies jobs beside the caller's work queue: at most one for each release and Workers in all. Its zero value
// needs Wake; it works while Start runs.
type Runner struct {
	// Wake is called after a job has ended.
	Wake func(types.NamespacedName)
	// Workers defaults to DefaultWorkers.
	Workers int
	// Grace defaults to DefaultGrace.
	Grace time.Duration

	mu      sync.Mutex
	running map[types.NamespacedName]Running
	queue   []Job
	closed  bool
	signal  chan struct{}
}

// Submit hands over a job, and returns false where a job for the same release is queued or at work, or the runner has
// ended.
func (r *Runner) Submit(job Job, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prepare()
	if _, busy := r.running[job.Key]; busy || r.closed {
		return false
	}
	r.running[job.Key] = Running{Action: job.Action, Since: now}
	r.queue = append(r.queue, job)
	r.ring()
	return true
}

// Running returns the step that is queued or at work for a release, or nil.
func (r *Runner) Running(key types.NamespacedName) *Running {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running, ok := r.running[key]; ok {
		return &running
	}
	return nil
}

// NeedLeaderElection tells the controller manager to start the runner on the leader only.
func (r *Runner) NeedLeaderElection() bool { return true }

// Start works until ctx ends, and then gives jobs at work the grace to finish before it cancels them. It returns only
// when every job has returned, because a job that was cancelled may still be writing.
func (r *Runner) Start(ctx context.Context) error {
	workers, grace := r.Workers, r.Grace
	if workers == 0 {
		workers = DefaultWorkers
	}
	if grace == 0 {
		grace = DefaultGrace
	}
	r.mu.Lock()
	r.prepare()
	r.mu.Unlock()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { r.work(ctx, work) })
	}
	<-ctx.Done()
	r.mu.Lock()
	r.closed = true
	for _, job := range r.queue {
		delete(r.running, job.Key)
	}
	r.queue = nil
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		cancel()
		<-ended
	}
	return nil
}

// work takes jobs until open ends, and runs each with the context work.
func (r *Runner) work(open, work context.Context) {
	for {
		select {
		case <-open.Done():
			return
		case <-r.signal:
		}
		job, ok := r.take()
		if !ok {
			continue
		}
		job.Do(work)
		r.mu.Lock()
		delete(r.running, job.Key)
		r.mu.Unlock()
		if r.Wake != nil {
			r.Wake(job.Key)
		}
	}
}

func (r *Runner) take() (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return Job{}, false
	}
	job := r.queue[0]
	r.queue = r.queue[1:]
	if len(r.queue) > 0 {
		r.ring()
	}
	return job, true
}

// prepare makes the zero value usable. The caller holds mu.
func (r *Runner) prepare() {
	if r.running == nil {
		r.running = map[types.NamespacedName]Running{}
		r.signal = make(chan struct{}, 1)
	}
}

// ring wakes one worker. The caller holds mu.
func (r *Runner) ring() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}
