package quota

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Config says how a Service works.
type Config struct {
	// Default is the quota of entities without one of their own, in bytes; 0 for none.
	Default int64
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Logger hears of refusals and of measurements that failed; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
}

// Service knows what entities store and may store. Its methods may be called from any goroutine. The nil Service has room
// for everything.
type Service struct {
	cfg   Config
	store *store.Store
	// holder names this replica.
	holder   string
	refusals prometheus.Counter

	// mu keeps two measurements of this replica apart.
	mu    sync.Mutex
	seed  maphash.Seed
	pages map[uint64]pageBytes
}

// New returns a service on a store.
func New(s *store.Store, cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	q := &Service{
		cfg: cfg, store: s, holder: rand.Text(), seed: maphash.MakeSeed(), pages: map[uint64]pageBytes{},
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wandb_quota_refusals_total", Help: "Runs that were not begun because the storage quota of their entity was used up.",
		}),
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(q.refusals)
	}
	return q
}

// Check fails with an ExceededError where an entity has no room for another run. It has no other effect: whoever refuses the
// run calls Refused.
func (s *Service) Check(e store.EntityStorage) error {
	if s == nil {
		return nil
	}
	return check(e, s.cfg.Default)
}

// Refused counts and logs an error that was the answer to somebody who wanted to begin a run, where it is an ExceededError.
func (s *Service) Refused(ctx context.Context, err error) {
	var e *ExceededError
	if s == nil || !errors.As(err, &e) {
		return
	}
	s.refusals.Inc()
	s.cfg.Logger.WarnContext(ctx, "new run refused: the storage quota is used up", "entity", e.Entity, "used", e.Used, "quota", e.Quota)
}

// Room is Check of what is known of an entity now.
func (s *Service) Room(ctx context.Context, entity store.ID) error {
	if s == nil {
		return nil
	}
	e, err := s.store.EntityStorage(ctx, entity)
	if err != nil {
		return err
	}
	return s.Check(e)
}

// Usage is what an entity stores and may store, in bytes.
type Usage struct {
	Entity string
	// Quota is 0 for none; Own tells that it is not the default.
	Quota int64
	Own   bool

	Files, Artifacts, History int64
	// MeasuredAt is the zero time where nothing was measured yet.
	MeasuredAt time.Time
}

// Used is the sum of all that is stored.
func (u Usage) Used() int64 { return u.Files + u.Artifacts + u.History }

func (s *Service) usage(e store.EntityStorage) Usage {
	u := Usage{
		Entity: string(e.Name), Quota: limit(e, s.cfg.Default), Own: e.Quota.Valid,
		Files: e.Files, Artifacts: e.Artifacts, History: e.History,
	}
	if e.MeasuredAt != 0 {
		u.MeasuredAt = e.MeasuredAt.Time()
	}
	return u
}

// Of returns what an entity stores and may store.
func (s *Service) Of(ctx context.Context, entity store.ID) (Usage, error) {
	e, err := s.store.EntityStorage(ctx, entity)
	return s.usage(e), err
}

// Set gives an entity a quota of its own; 0 lets it store any number of bytes, whatever the default is.
func (s *Service) Set(ctx context.Context, entity store.ID, bytes int64) (Usage, error) {
	if err := s.store.SetQuota(ctx, entity, bytes, store.At(s.cfg.Now())); err != nil {
		return Usage{}, err
	}
	return s.Of(ctx, entity)
}

// Unset lets the default hold for an entity.
func (s *Service) Unset(ctx context.Context, entity store.ID) (Usage, error) {
	if err := s.store.UnsetQuota(ctx, entity); err != nil {
		return Usage{}, err
	}
	return s.Of(ctx, entity)
}

// List calls visit with every entity that has projects or a quota of its own.
func (s *Service) List(ctx context.Context, visit func(Usage) error) error {
	return s.entities(ctx, func(e store.EntityStorage) error { return visit(s.usage(e)) })
}

// entities calls visit with every entity that has projects or a quota, or was measured.
func (s *Service) entities(ctx context.Context, visit func(store.EntityStorage) error) error {
	for after := store.ID(0); ; {
		rows, err := s.store.EntitiesStorage(ctx, after, entityPage)
		if err != nil {
			return err
		}
		for _, e := range rows {
			after = e.EntityID
			if e.Retired() {
				continue
			}
			if err := visit(e); err != nil {
				return err
			}
		}
		if len(rows) < entityPage {
			return nil
		}
	}
}
