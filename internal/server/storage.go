package server

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/blob"
)

const (
	minBucketPause = 250 * time.Millisecond
	maxBucketPause = 10 * time.Second
	// bucketInterval is how often a bucket that works is looked at again.
	bucketInterval = time.Minute
)

// bucketConfig completes what flags say of the bucket.
func (c Config) bucketConfig() blob.Config {
	cfg := c.Bucket
	cfg.DataDir, cfg.ExternalURL, cfg.Logger = c.DataDir, strings.TrimRight(c.Host, "/"), c.Logger
	return cfg
}

// storage is the bucket, and how it was found last.
type storage struct {
	bucket *blob.Bucket

	mu     sync.Mutex
	worked bool // at least once
	err    error
}

// bucketState is what /ready tells of the bucket.
type bucketState struct {
	Kind   string `json:"kind"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

const (
	bucketWorks   = "ready"
	bucketFails   = "failing"
	bucketUnknown = "not checked yet"
)

func (b *storage) state() bucketState {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := bucketState{Kind: b.bucket.Kind(), Status: bucketUnknown}
	switch {
	case b.err != nil:
		state.Status, state.Reason = bucketFails, fault.Reason(b.err, blob.ReasonFailed)
		state.Error, state.Hint = b.err.Error(), fault.Hint(b.err)
	case b.worked:
		state.Status = bucketWorks
	}
	return state
}

// missing tells that the bucket never worked. One that stops working leaves the server ready: metrics and logs of runs do
// not need it, and taking every replica out of service would lose those as well.
func (b *storage) missing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.worked
}

// note returns whether the bucket works now and did not before.
func (b *storage) note(err error) (recovered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	recovered = err == nil && (!b.worked || b.err != nil)
	b.worked, b.err = b.worked || err == nil, err
	return recovered
}

// watchBucket looks at the bucket until ctx ends. Browsers are let in once it works.
func (s *Server) watchBucket(ctx context.Context) {
	pause, asked := minBucketPause, false
	for ctx.Err() == nil {
		err := s.storage.bucket.Check(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.storage.note(err) {
			s.logger.InfoContext(ctx, "bucket ready", "bucket", s.storage.bucket.String())
		}
		if err == nil && !asked {
			asked = s.letBrowsersIn(ctx)
		}
		pause = min(2*pause, maxBucketPause)
		if err == nil {
			pause = bucketInterval
		} else {
			s.logger.WarnContext(ctx, "bucket does not work", "error", err, "hint", fault.Hint(err), "retry", pause.String())
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// letBrowsersIn sets CORS of the bucket; false means that it has to be asked again.
func (s *Server) letBrowsersIn(ctx context.Context) bool {
	found, err := s.storage.bucket.EnsureCORS(ctx, []string{s.host.String()})
	switch {
	case err != nil:
		s.logger.WarnContext(ctx, "CORS of the bucket not known", "error", err)
		return false
	case found.Allowed:
		s.logger.InfoContext(ctx, "browsers may use the bucket", "changed", found.Changed)
		return true
	}
	s.logger.WarnContext(ctx, "browsers may not use the bucket", "error", found.Refusal, "hint", found.Hint)
	return !found.Changed
}

// objects serves the signed URLs of a local folder. The signature says all: neither who asks nor from where is looked at.
func (s *Server) objects() http.Handler {
	if handler := s.storage.bucket.Handler(); handler != nil {
		return handler
	}
	return http.HandlerFunc(notFound)
}
