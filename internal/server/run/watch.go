package run

import (
	"context"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// silence is how long a run may say nothing before its process counts as dead. Clients send something every 30 s.
	silence = 5 * time.Minute
	// pulse is how often a replica notes that it is ready, and pulseGap how far apart notes may be that are one time.
	pulse    = 15 * time.Second
	pulseGap = 45 * time.Second
	// watchLease is how long one replica watches for all.
	watchLease = time.Minute
	// remainsAge is when nobody can send files of a deleted run any more: the longest life of a signed URL, and some.
	remainsAge = 25 * time.Hour
	// remainsPage is how many deleted runs are looked at in one go.
	remainsPage = 1000

	watchDuty = "watch runs"
)

// silentStates are what becomes of a run whose process is not heard of any more.
var silentStates = map[store.RunState]store.RunState{
	store.RunRunning:    store.RunCrashed,
	store.RunPreempting: store.RunPreempted,
}

// Run watches for runs whose processes have died, and removes what deleted runs and projects left, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	timer := time.NewTimer(mathrand.N(pulse))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.Watch(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "watching runs failed", "error", err)
		}
		timer.Reset(pulse/2 + mathrand.N(pulse))
	}
}

// watcher is what one replica remembers between two looks.
type watcher struct {
	mu sync.Mutex
	// holder names this replica.
	holder string
	// cleaned are deleted runs whose remains were removed.
	cleaned map[store.ID]bool
	// next is when a deleted project is looked at again of which everything was removed that this package can remove.
	next map[store.ID]time.Time
}

// Watch looks once for runs whose processes have died, and at what deleted runs and projects left, unless another replica does so.
func (s *Service) Watch(ctx context.Context) error {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, watchLease)
	defer cancel()
	now := s.Now()
	if err := s.store.NoteReady(ctx, now, pulseGap); err != nil {
		return err
	}
	mine, err := s.store.TakeDuty(ctx, watchDuty, s.watcher.holder, now, now.Add(watchLease))
	if err != nil || !mine {
		return err
	}
	return errors.Join(s.endSilent(ctx, now), s.removeProjects(ctx, now), s.removeRemains(ctx, now))
}

func (s *Service) endSilent(ctx context.Context, now time.Time) error {
	states := slices.Sorted(maps.Keys(silentStates))
	runs, err := s.store.SilentRuns(ctx, states, now.Add(-silence))
	if err != nil || len(runs) == 0 {
		return err
	}
	spans, err := s.store.ReadySpans(ctx, now.Add(-2*remainsAge))
	if err != nil {
		return err
	}
	for _, run := range runs {
		if ready(spans, run.HeartbeatAt.Time(), now) < silence {
			continue
		}
		if err := s.store.EndSilentRun(ctx, run, silentStates[run.State]); err != nil {
			return err
		}
	}
	return nil
}

// ready is how much of the time between two moments some replica was ready, so that a run could have been heard of.
func ready(spans []store.ReadySpan, from, to time.Time) time.Duration {
	var total time.Duration
	for _, span := range spans {
		start, end := span.StartedAt.Time(), span.EndedAt.Time()
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		total += max(0, end.Sub(start))
	}
	return total
}

// removeRemains removes what deleted runs left, and once more when nobody can add to it.
func (s *Service) removeRemains(ctx context.Context, now time.Time) error {
	remains, err := s.store.RunRemains(ctx, 0, remainsPage)
	for err == nil && len(remains) > 0 {
		ids := slices.Sorted(maps.Keys(remains))
		for _, id := range ids {
			if err := s.removeRemain(ctx, id, now.Sub(remains[id]) > remainsAge); err != nil {
				return err
			}
		}
		if len(ids) < remainsPage {
			break
		}
		remains, err = s.store.RunRemains(ctx, ids[len(ids)-1], remainsPage)
	}
	return err
}

func (s *Service) removeRemain(ctx context.Context, id store.ID, last bool) error {
	if s.watcher.cleaned[id] && !last {
		return nil
	}
	if err := s.Bucket.DeletePrefix(ctx, filePrefix(id)); err != nil {
		return err
	}
	if s.Histories != nil {
		if err := s.Histories.Delete(ctx, id); err != nil {
			return err
		}
	}
	if err := s.store.ForgetRun(ctx, id, last); err != nil {
		return err
	}
	s.watcher.cleaned[id] = true
	if last {
		delete(s.watcher.cleaned, id)
	}
	return nil
}
