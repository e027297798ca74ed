package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxRemembered bounds each of the two caches: some megabytes.
	maxRemembered = 20_000
	// rememberFor is how long an answer is taken from a cache. Each is checked again by the commit, so that this bounds
	// only how much is read of a request whose key was revoked, and how exact the last use of a key is.
	rememberFor = time.Minute
)

// caller is who sends a request, and with which key; 0 for another proof.
type caller struct {
	user account.User
	key  store.ID
}

// place is what a request names, to a user.
type place struct {
	user                 store.ID
	entity, project, run string
}

// remembered is a bounded map whose entries end.
type remembered[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]entry[V]
	now     func() time.Time
}

type entry[V any] struct {
	value V
	until time.Time
}

func (r *remembered[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[key]
	if ok && r.now().After(e.until) {
		delete(r.entries, key)
		ok = false
	}
	return e.value, ok
}

func (r *remembered[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil || len(r.entries) >= maxRemembered {
		r.entries = make(map[K]entry[V]) // simpler than to find the oldest, and as good: all are asked for again
	}
	r.entries[key] = entry[V]{value, r.now().Add(rememberFor)}
}

func (r *remembered[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, key)
}

// placeOf is what the path of a request names.
func placeOf(r *http.Request, from caller) place {
	return place{user: from.user.ID, entity: r.PathValue("entity"), project: r.PathValue("project"), run: r.PathValue("run")}
}

// credential stands for the proof that a request came with, in a cache that keeps no secret.
type credential [sha256.Size]byte

func credentialOf(r *http.Request) credential {
	return sha256.Sum256([]byte(r.Header.Get("Authorization")))
}

// authenticate returns who sent a request.
func (s *Service) authenticate(w http.ResponseWriter, r *http.Request) (caller, error) {
	remember := r.Header.Get("Authorization") != ""
	key := credentialOf(r)
	if known, ok := s.callers.get(key); ok && remember {
		return known, nil
	}
	user, id, err := s.cfg.Authenticate(w, r)
	if err != nil {
		return caller{}, err
	}
	known := caller{user: user, key: id}
	if remember {
		s.callers.put(key, known)
	}
	return known, nil
}

// permit returns what lets a caller write into a run. Its reason is access.ReasonNotFound where there is no such run.
func (s *Service) permit(ctx context.Context, c caller, p place) (store.Permit, error) {
	permit, ok := s.permits.get(p)
	if !ok {
		var err error
		if permit, err = s.lookUp(ctx, c, p); err != nil {
			return store.Permit{}, err
		}
		s.permits.put(p, permit)
	}
	permit.KeyID, permit.UserID, permit.Admin = c.key, c.user.ID, c.user.Admin
	return permit, nil
}

func (s *Service) lookUp(ctx context.Context, c caller, p place) (store.Permit, error) {
	found, err := s.cfg.Guard.Project(account.WithUser(ctx, c.user), p.entity, p.project, access.Write)
	if err != nil {
		return store.Permit{}, err
	}
	run, err := s.store.RunRecordByName(ctx, found.Project.ID, p.run)
	if errors.Is(err, store.ErrNotFound) {
		return store.Permit{}, &fault.Error{
			Reason: access.ReasonNotFound, Op: "run " + p.run + " not found", Err: err,
			Hint: "It was deleted, or never made.",
		}
	}
	role := int64(0)
	if found.Entity.UserID == 0 && !c.user.Admin { // else the guard has asked no row for it
		role = int64(found.Role)
	}
	return store.Permit{
		Role: role, EntityID: found.Entity.ID, EntityKey: found.Entity.NameKey, OwnerID: found.Entity.UserID,
		ProjectID: found.Project.ID, Project: found.Project.Name, Access: found.Project.Access, RunID: run.ID, Run: run.Name,
	}, err
}
