package run

import (
	"context"
	"errors"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// gravesPage is how many deleted projects are looked at in one go.
	gravesPage = 100
	// runsAtOnce is how many runs of deleted projects are removed between two looks at silent ones.
	runsAtOnce = 1000
	// forgetPause is the time between two looks at a project of which only things are left that others remove: contents of
	// artifacts are kept for a while, since a client may count on them.
	forgetPause = time.Hour
)

// DeleteProject deletes a project, for the user in ctx. Nobody sees it from then on, or anything in it, and its name is free;
// its runs, artifacts, sweeps and views are removed in the background.
func (s *Service) DeleteProject(ctx context.Context, id store.ID) error {
	place, err := s.Guard.ProjectByID(ctx, id, access.Manage)
	if err != nil {
		return err
	}
	return missing(s.store.DeleteProject(ctx, place.Project.ID, s.Now()), "project")
}

// removeProjects removes what deleted projects held. A program that ends in between leaves the rest to the next.
func (s *Service) removeProjects(ctx context.Context, now time.Time) error {
	left := runsAtOnce
	for after := store.ID(0); left > 0; {
		graves, err := s.store.ProjectGraves(ctx, after, gravesPage)
		if err != nil || len(graves) == 0 {
			return err
		}
		for _, grave := range graves {
			after = grave.ProjectID
			if now.Before(s.watcher.next[grave.ProjectID]) {
				continue
			}
			if err := s.removeProject(ctx, grave, now, &left); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeProject removes what one project held, of its runs at most as many as are left to remove.
func (s *Service) removeProject(ctx context.Context, grave store.ProjectGrave, now time.Time, left *int) error {
	for *left > 0 {
		runs, err := s.store.RunsOfProject(ctx, grave.ProjectID, min(*left, gravesPage))
		if err != nil {
			return err
		}
		if len(runs) == 0 {
			break
		}
		for _, run := range runs {
			if err := s.store.DeleteRun(ctx, run, now); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		*left -= len(runs)
	}
	if *left <= 0 {
		return nil
	}
	if s.Artifacts != nil {
		if err := s.Artifacts.DeleteOfProject(ctx, grave.ProjectID); err != nil {
			return err
		}
	}
	if err := s.store.RemoveSweepsAndViews(ctx, grave.ProjectID); err != nil {
		return err
	}
	return s.forgetProject(ctx, grave, now)
}

// forgetProject forgets a project when nothing is left of it, and nobody can be about to write into it.
func (s *Service) forgetProject(ctx context.Context, grave store.ProjectGrave, now time.Time) error {
	s.watcher.next[grave.ProjectID] = now.Add(forgetPause)
	if now.Sub(grave.DeletedAt.Time()) <= remainsAge {
		return nil
	}
	forgotten, err := s.store.ForgetProject(ctx, grave.ProjectID)
	if forgotten {
		delete(s.watcher.next, grave.ProjectID)
	}
	return err
}
