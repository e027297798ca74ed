package console

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// probeMemory is how long one answer about the Kubernetes API serves everybody who asks: the address is open to all.
	probeMemory   = 2 * time.Second
	probeDeadline = 2 * time.Second
)

// probe asks whether the Kubernetes API answers, once for all who want to know within probeMemory.
type probe struct {
	ask func(context.Context) error
	now func() time.Time

	mu    sync.Mutex
	err   error
	until time.Time
}

func (p *probe) check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Before(p.until) {
		return p.err
	}
	// The answer is for others too, so that it does not depend on the patience of whoever came first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeDeadline)
	defer cancel()
	p.err = p.ask(ctx)
	p.until = p.now().Add(probeMemory)
	return p.err
}

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// getReady tells whether the console can do its job, which is whether the Kubernetes API answers it.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) {
	if err := s.ready.check(r.Context()); err != nil {
		refuse(w, s.describe(err))
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
