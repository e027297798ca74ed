package history

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxTouched runs wait for compaction; what does not fit is found by the next look at the database.
	maxTouched = 1024
	// maxPending runs are counted. Those of others are found by the next look, too.
	maxPending = 1 << 16
	// touchedChunks is how many chunks of a stream are compacted along with one that has reached compactChunks or compactBytes.
	touchedChunks = 8
	// lookPause is between two looks for live runs with many chunks, restPause between those for what ended runs left and
	// for objects that are due.
	lookPause = 10 * time.Second
	restPause = 5 * time.Minute
	// restChunks is how many chunks of a run that has ended are compacted; fewer stay in the database.
	restChunks = 16
	// leaseLife is how long a run is leased: a compaction takes at most writeTimeout, and begins within renewAfter of the lease.
	leaseLife  = writeTimeout + 2*renewAfter
	renewAfter = time.Minute
	// backlogPage is how many runs one look returns.
	backlogPage = 256
	// workerCache holds the lines of one compaction.
	workerCache = 24 << 20
	// dueObjects is how many objects are deleted in a row.
	dueObjects = 256
)

var streams = [...]store.Stream{store.StreamHistory, store.StreamEvents, store.StreamConsole}

// pending counts what was logged into a run since it was last compacted here.
type pending struct{ chunks, bytes int }

// Logged tells that chunks of so many bytes were written. It never waits.
func (s *Service) Logged(run store.ID, chunks, bytes int) {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	p := s.pending[run]
	p.chunks += chunks
	p.bytes += bytes
	if p.chunks < compactChunks && p.bytes < compactBytes {
		if len(s.pending) < maxPending || s.pending[run] != (pending{}) {
			s.pending[run] = p
		}
		return
	}
	delete(s.pending, run)
	select {
	case s.touched <- run:
	default:
	}
}

// Run compacts lines and deletes objects that nothing refers to, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	if s.bucket == nil {
		return
	}
	look, rest := time.NewTimer(jitter(lookPause)), time.NewTimer(jitter(restPause))
	defer look.Stop()
	defer rest.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case run := <-s.touched:
			err = s.CompactRun(ctx, run, touchedChunks)
		case <-look.C:
			err = s.compactBacklog(ctx, true, compactChunks)
			look.Reset(jitter(lookPause))
		case <-rest.C:
			err = errors.Join(s.compactBacklog(ctx, false, restChunks), s.deleteObjects(ctx))
			rest.Reset(jitter(restPause))
		}
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "compaction failed", "error", err)
		}
	}
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// compactBacklog compacts the runs that have at least so many chunks.
func (s *Service) compactBacklog(ctx context.Context, live bool, least int) error {
	var after store.ID
	var errs []error
	for {
		runs, err := s.store.Backlog(ctx, live, least, after, backlogPage)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, run := range runs {
			if err := s.CompactRun(ctx, run, least); err != nil {
				errs = append(errs, err)
			}
			after = run
		}
		if len(runs) < backlogPage || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
}

// CompactRun compacts the streams of a run that have at least so many chunks, unless another replica does so. What changed
// meanwhile is left to the next time.
func (s *Service) CompactRun(ctx context.Context, run store.ID, least int) (err error) {
	now := s.now()
	granted, err := s.store.LeaseRun(ctx, run, s.holder, now, now.Add(leaseLife))
	if err != nil || !granted {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, s.store.ReleaseRun(ctx, run, s.holder))
	}()
	worker := *s
	worker.lines, worker.columns = newCache(workerCache), newCache(workerCache/4)
	leased := now
	renew := func() (granted bool, err error) { // a write for each of many short jobs would cost as much as they do
		now := s.now()
		if now.Sub(leased) < renewAfter {
			return true, nil
		}
		leased = now
		return s.store.LeaseRun(ctx, run, s.holder, now, now.Add(leaseLife))
	}
	for _, stream := range streams {
		if err := worker.compact(ctx, run, stream, least, renew); err != nil && !errors.Is(err, store.ErrMoved) && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

// deleteObjects deletes objects whose time has come.
func (s *Service) deleteObjects(ctx context.Context) error {
	for {
		due, err := s.store.DueObjects(ctx, s.now(), dueObjects)
		if err != nil {
			return err
		}
		for _, object := range due {
			if err := s.bucket.Delete(ctx, objectKey(object)); err != nil {
				return err
			}
			if err := s.store.ForgetObject(ctx, object.ID); err != nil {
				return err
			}
		}
		if len(due) < dueObjects {
			return nil
		}
	}
}
