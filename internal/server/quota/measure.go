package quota

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	mathrand "math/rand/v2"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// interval is between two looks at entities with a quota, and restInterval between two at others.
	interval     = 2 * time.Minute
	restInterval = 15 * time.Minute
	// leaseTime is how long others wait for a replica that has died, and renewAfter when one that works says so again.
	leaseTime  = 5 * time.Minute
	renewAfter = time.Minute
	// measureDuty is the work that one replica does for all.
	measureDuty = "measure storage"

	// Rows of one query.
	entityPage   = 200
	projectPage  = 500
	runPage      = 200
	artifactPage = 1000

	// maxPages bounds the memory for what pages of runs were found to store, to some megabytes.
	maxPages = 1 << 15
	// pageLife is how long a page of runs that did not change is not looked at again: compaction changes what its lines take.
	pageLife = time.Hour
)

// pageBytes is what the runs of a page store.
type pageBytes struct {
	files, history int64
	at             time.Time
}

// Run measures what entities store, until ctx ends. Of several replicas one does the work.
func (s *Service) Run(ctx context.Context) {
	timer := time.NewTimer(mathrand.N(interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if _, err := s.MeasureDue(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "what entities store was not measured", "error", err)
		}
		timer.Reset(interval/2 + mathrand.N(interval))
	}
}

var errNotMine = errors.New("another replica measures")

// MeasureDue measures the entities whose time has come, and tells whether it was this replica's turn.
func (s *Service) MeasureDue(ctx context.Context) (worked bool, err error) {
	var measured []store.EntityUsage
	write := func() error {
		err := s.store.PutUsage(ctx, measured)
		measured = measured[:0]
		return err
	}
	leased, err := s.lease(ctx, time.Time{})
	if err == nil {
		err = s.entities(ctx, func(e store.EntityStorage) error {
			if !s.due(e) {
				return nil
			}
			if leased, err = s.lease(ctx, leased); err != nil {
				return err
			}
			usage, err := s.measure(ctx, e.EntityID)
			if err != nil {
				return err
			}
			if measured = append(measured, usage); len(measured) < entityPage {
				return nil
			}
			return write()
		})
	}
	if errors.Is(err, errNotMine) {
		return false, nil
	}
	return true, errors.Join(err, write())
}

// lease takes or renews the duty, unless it was renewed a short while ago, and returns when it was renewed last.
func (s *Service) lease(ctx context.Context, renewed time.Time) (time.Time, error) {
	now := s.cfg.Now()
	if now.Sub(renewed) < renewAfter {
		return renewed, nil
	}
	mine, err := s.store.TakeDuty(ctx, measureDuty, s.holder, now, now.Add(leaseTime))
	if err == nil && !mine {
		err = errNotMine
	}
	return now, err
}

// due tells whether an entity is to be measured: one with a quota whenever somebody looks.
func (s *Service) due(e store.EntityStorage) bool {
	return limit(e, s.cfg.Default) > 0 || e.MeasuredAt == 0 || s.cfg.Now().Sub(e.MeasuredAt.Time()) >= restInterval
}

// Measure measures one entity now.
func (s *Service) Measure(ctx context.Context, entity store.ID) (Usage, error) {
	usage, err := s.measure(ctx, entity)
	if err != nil {
		return Usage{}, err
	}
	if err := s.store.PutUsage(ctx, []store.EntityUsage{usage}); err != nil {
		return Usage{}, err
	}
	return s.Of(ctx, entity)
}

func (s *Service) measure(ctx context.Context, entity store.ID) (store.EntityUsage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := store.EntityUsage{EntityID: entity, MeasuredAt: store.At(s.cfg.Now())}
	for after := store.ID(0); ; {
		projects, err := s.store.ProjectIDs(ctx, entity, after, projectPage)
		if err != nil {
			return usage, err
		}
		for _, project := range projects {
			after = project
			if err := s.addRuns(ctx, project, &usage); err != nil {
				return usage, err
			}
			if err := s.addArtifacts(ctx, project, &usage); err != nil {
				return usage, err
			}
		}
		if len(projects) < projectPage {
			return usage, nil
		}
	}
}

func (s *Service) addRuns(ctx context.Context, project store.ID, usage *store.EntityUsage) error {
	for after := store.ID(0); ; {
		runs, err := s.store.RunRevs(ctx, project, after, runPage)
		if err != nil {
			return err
		}
		if len(runs) > 0 {
			after = runs[len(runs)-1].RunID
		}
		page, err := s.page(ctx, runs)
		if err != nil {
			return err
		}
		usage.Files += page.files
		usage.History += page.history
		if len(runs) < runPage {
			return nil
		}
	}
}

// page is what some runs store. Nothing is added to one of them without a change of its rev.
func (s *Service) page(ctx context.Context, runs []store.RunLive) (pageBytes, error) {
	ids := make([]store.ID, len(runs))
	mark := make([]byte, 0, 16*len(runs))
	for i, run := range runs {
		ids[i] = run.RunID
		mark = binary.LittleEndian.AppendUint64(mark, uint64(run.RunID))
		mark = binary.LittleEndian.AppendUint64(mark, uint64(run.Rev))
	}
	key, now := maphash.Bytes(s.seed, mark), s.cfg.Now()
	if known, ok := s.pages[key]; ok && now.Sub(known.at) < pageLife {
		return known, nil
	}
	files, history, err := s.store.RunBytes(ctx, ids)
	if err != nil {
		return pageBytes{}, err
	}
	page := pageBytes{files: files, history: history, at: now}
	if len(s.pages) >= maxPages {
		clear(s.pages)
	}
	s.pages[key] = page
	return page, nil
}

func (s *Service) addArtifacts(ctx context.Context, project store.ID, usage *store.EntityUsage) error {
	for after := store.ID(0); ; {
		versions, err := s.store.ArtifactSizes(ctx, project, after, artifactPage)
		if err != nil {
			return err
		}
		for _, version := range versions {
			after = version.ID
			usage.Artifacts += version.Size
		}
		if len(versions) < artifactPage {
			return nil
		}
	}
}
