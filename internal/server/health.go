package server

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/version"
)

const (
	// healthTimeout bounds one look at the database, below the usual timeout of a probe.
	healthTimeout = 900 * time.Millisecond
	// healthAge is how long an answer serves everybody who asks.
	healthAge = time.Second
)

// health answers whether the database can be relied upon, and asks it at most once in healthAge.
type health struct {
	store *store.Store

	mu       sync.Mutex
	at       time.Time
	schema   store.Schema
	err      error
	startErr error // why the database could not be prepared yet
}

// prepared notes how the last attempt to prepare the database ended.
func (h *health) prepared(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startErr, h.at = err, time.Time{}
}

func (h *health) check(ctx context.Context) (store.Schema, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < healthAge {
		return h.schema, h.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	h.schema, h.err = h.store.Health(ctx)
	if fault.Reason(h.err, "") == store.ReasonUnavailable && h.startErr != nil {
		h.err = h.startErr // says more than "not reached yet"
	}
	h.at = time.Now()
	return h.schema, h.err
}

type readiness struct {
	Status   string       `json:"status"`
	Reason   string       `json:"reason,omitempty"`
	Error    string       `json:"error,omitempty"`
	Hint     string       `json:"hint,omitempty"`
	Database string       `json:"database"`
	Schema   store.Schema `json:"schema"`
	Bucket   bucketState  `json:"bucket"`
	Version  string       `json:"version"`
}

// ready tells whether requests can be served, and the version of the database's schema.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	schema, err := s.health.check(r.Context())
	bucket := s.storage.state()
	answer := readiness{Status: "ready", Database: s.store.Engine(), Schema: schema, Bucket: bucket, Version: version.Version}
	status := http.StatusOK
	switch {
	case err != nil:
		status = http.StatusServiceUnavailable
		answer.Status, answer.Reason = "not ready", fault.Reason(err, "DatabaseUnavailable")
		answer.Error, answer.Hint = err.Error(), fault.Hint(err)
	case s.storage.missing():
		status = http.StatusServiceUnavailable
		answer.Status, answer.Reason = "not ready", cmp.Or(bucket.Reason, "BucketNotChecked")
		answer.Error, answer.Hint = bucket.Error, bucket.Hint
	case s.stopping.Load():
		status = http.StatusServiceUnavailable
		answer.Status, answer.Reason = "not ready", "Stopping"
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, answer)
}

// healthz tells that the program is alive, and nothing about what it depends on: restarting it would mend none of that.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}
