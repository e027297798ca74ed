package account

import (
	"context"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// usageInterval is how exact the last use of a key is: it is written at most once in this time.
	usageInterval = time.Minute
	// usageFlush is how soon a noted use is written.
	usageFlush = 5 * time.Second
	// maxUsage bounds what waits to be written; a use beyond it is noted by one of the next requests.
	maxUsage = 4096
	// housekeeping is how often ended sessions are removed.
	housekeeping = time.Hour
	// writeTimeout bounds one write of background work.
	writeTimeout = 10 * time.Second
)

// usage collects when keys were used, so that a request does not wait for a write.
type usage struct {
	mu      sync.Mutex
	pending map[store.ID]time.Time
}

func newUsage() *usage { return &usage{pending: map[store.ID]time.Time{}} }

func (u *usage) note(key store.ID, known, now time.Time) {
	if now.Sub(known) < usageInterval {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, noted := u.pending[key]; !noted && len(u.pending) < maxUsage {
		u.pending[key] = now
	}
}

func (u *usage) take() map[store.ID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.pending
	u.pending = map[store.ID]time.Time{}
	return taken
}

// Run writes the last use of keys and removes ended sessions until ctx ends, and then what is left. What cannot be written
// is logged and dropped: it is noted again with the next use.
func (s *Service) Run(ctx context.Context) {
	flush, clean := time.NewTicker(usageFlush), time.NewTicker(housekeeping)
	defer flush.Stop()
	defer clean.Stop()
	for {
		select {
		case <-ctx.Done():
			s.FlushUsage(context.WithoutCancel(ctx))
			return
		case <-flush.C:
			s.FlushUsage(ctx)
		case <-clean.C:
			s.removeSessions(ctx)
		}
	}
}

// FlushUsage writes the uses of keys that were noted so far.
func (s *Service) FlushUsage(ctx context.Context) {
	used := s.usage.take()
	if len(used) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := s.store.TouchKeys(ctx, used); err != nil {
		s.logger.WarnContext(ctx, "use of API keys not noted", "keys", len(used), "error", err)
	}
}

func (s *Service) removeSessions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := s.store.DeleteExpiredSessions(ctx, s.now()); err != nil {
		s.logger.WarnContext(ctx, "ended sessions not removed", "error", err)
	}
}
