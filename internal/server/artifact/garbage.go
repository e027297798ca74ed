package artifact

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	garbageLease = "garbage"
	// sweepPause is the time between two passes over what was deleted, and walkPause that between two over all contents.
	sweepPause = time.Minute
	walkPause  = 24 * time.Hour
	// leaseTime is how long others wait for a replica that has died.
	leaseTime = 5 * time.Minute
	// sweepSize are dealt with between two looks at the lease.
	sweepSize = 100
	walkSize  = 1000
)

// Run deletes what has expired and frees what was deleted, until ctx ends. Of several replicas one does the work.
func (s *Service) Run(ctx context.Context) {
	var walked time.Time
	for {
		timer := time.NewTimer(sweepPause/2 + rand.N(sweepPause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		walk := s.cfg.Now().Sub(walked) >= walkPause
		worked, err := s.Sweep(ctx, walk)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "artifacts not cleaned up", "error", err)
		}
		if worked && walk && err == nil {
			walked = s.cfg.Now()
		}
	}
}

// Sweep makes one pass; with walk also over contents whose version was never committed. It tells whether it was this
// replica's turn.
func (s *Service) Sweep(ctx context.Context, walk bool) (worked bool, err error) {
	if mine, err := s.mine(ctx); err != nil || !mine {
		return false, err
	}
	if err := s.expire(ctx); err != nil {
		return true, err
	}
	for _, state := range []store.ArtifactState{store.ArtifactDeleted, store.ArtifactFreed} {
		if err := s.freeAll(ctx, state); err != nil {
			return true, err
		}
	}
	if !walk {
		return true, nil
	}
	return true, s.walk(ctx)
}

var errNotMine = errors.New("another replica cleans up artifacts")

func (s *Service) mine(ctx context.Context) (bool, error) {
	now := s.cfg.Now()
	return s.store.TakeArtifactLease(ctx, garbageLease, s.holder, store.At(now), store.At(now.Add(leaseTime)))
}

// still renews the lease.
func (s *Service) still(ctx context.Context) error {
	mine, err := s.mine(ctx)
	if err == nil && !mine {
		return errNotMine
	}
	return err
}

// expire deletes what has outlived its time, and what was never committed.
func (s *Service) expire(ctx context.Context) error {
	for {
		expired, err := s.store.ExpiredArtifacts(ctx, s.now(), sweepSize)
		if err != nil {
			return err
		}
		abandoned, err := s.store.ArtifactsIn(ctx, store.ArtifactPending, 0, 0, store.At(s.cfg.Now().Add(-s.cfg.Abandoned)), sweepSize)
		if err != nil {
			return err
		}
		if len(expired)+len(abandoned) == 0 {
			return nil
		}
		if err := s.still(ctx); err != nil {
			return err
		}
		for _, id := range append(expired, abandoned...) {
			if err := s.store.DeleteArtifact(ctx, id, true, s.now()); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}

// freeAll frees every version in a state.
func (s *Service) freeAll(ctx context.Context, state store.ArtifactState) error {
	for after := store.ID(0); ; {
		ids, err := s.store.ArtifactsIn(ctx, state, 0, after, store.At(s.cfg.Now())+1, sweepSize)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := s.still(ctx); err != nil {
			return err
		}
		for _, id := range ids {
			after = id
			if err := s.free(ctx, id, state); err != nil {
				return err
			}
		}
	}
}

func (s *Service) free(ctx context.Context, id store.ID, state store.ArtifactState) error {
	a, err := s.store.Artifact(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if state == store.ArtifactDeleted {
		return s.freeContents(ctx, a)
	}
	manifests, err := s.store.Manifests(ctx, id)
	if err != nil {
		return err
	}
	keys := make([]string, len(manifests))
	for i, m := range manifests {
		keys[i] = store.ManifestKey(a, m.ID)
	}
	if err := s.bucket.Delete(ctx, keys...); err != nil {
		return err
	}
	return s.store.ForgetArtifact(ctx, id)
}

// freeContents ends what a version holds, and deletes the objects that nobody holds any more.
func (s *Service) freeContents(ctx context.Context, a store.Artifact) error {
	ids, err := s.contentsOf(ctx, a)
	if err != nil {
		return err
	}
	if err := s.store.FreeArtifact(ctx, a.ID, ids); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return s.deleteIdle(ctx, ids)
}

// contentsOf are the contents that a version counts for, in ascending order.
func (s *Service) contentsOf(ctx context.Context, a store.Artifact) ([]store.ID, error) {
	if a.ManifestID == 0 { // it was never committed
		return nil, nil
	}
	var ids []store.ID
	var batch []store.Text
	look := func() error {
		contents, err := s.store.Contents(ctx, a.ProjectID, batch, 0)
		for _, c := range contents {
			ids = append(ids, c.ID)
		}
		batch = batch[:0]
		return err
	}
	err := s.read(ctx, store.ManifestKey(a, a.ManifestID), func(r io.Reader) error {
		if _, err := readManifest(r, func(e entry) error {
			md5, ok := md5OfBase64(e.digest)
			if !ok || e.ref != "" {
				return nil
			}
			if batch = append(batch, md5); len(batch) == batchEntries {
				return look()
			}
			return nil
		}); err != nil {
			return err
		}
		return look()
	})
	if isObjectMissing(err) { // nothing can tell any more: the contents stay
		s.cfg.Logger.WarnContext(ctx, "manifest of a deleted artifact is missing", "key", store.ManifestKey(a, a.ManifestID))
		return nil, nil
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

func (s *Service) deleteIdle(ctx context.Context, ids []store.ID) error {
	condemned, err := s.store.CondemnContents(ctx, ids, store.At(s.cfg.Now().Add(-s.cfg.Grace)))
	if err != nil || len(condemned) == 0 {
		return err
	}
	keys := make([]string, len(condemned))
	gone := make([]store.ID, len(condemned))
	for i, c := range condemned {
		keys[i], gone[i] = c.Key(), c.ID
	}
	if err := s.bucket.Delete(ctx, keys...); err != nil {
		return err
	}
	for part := range slices.Chunk(gone, walkSize) {
		if err := s.store.ForgetContents(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// walk looks at all contents for those that no version holds: their versions were never committed, or went while somebody
// was about to use them.
func (s *Service) walk(ctx context.Context) error {
	since := store.At(s.cfg.Now().Add(-s.cfg.Grace))
	for after := store.ID(0); ; {
		rows, err := s.store.ContentsFrom(ctx, after, walkSize)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		var idle []store.ID
		for _, c := range rows {
			if c.Refs < 0 || (c.Refs == 0 && c.TouchedAt < since) {
				idle = append(idle, c.ID)
			}
		}
		if err := s.still(ctx); err != nil {
			return err
		}
		if err := s.deleteIdle(ctx, idle); err != nil {
			return err
		}
	}
}

// DeleteOf deletes the versions that a run made, with their aliases; not those of others that it logged again.
func (s *Service) DeleteOf(ctx context.Context, _ access.Place, run store.ID) error {
	for after := store.ID(0); ; {
		rows, err := s.store.ArtifactsOfRun(ctx, run, store.EdgeOutput, after, sweepSize)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, a := range rows {
			after = a.ID
			if a.RunID != run {
				continue
			}
			if err := s.store.DeleteArtifact(ctx, a.ID, true, s.now()); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}

// DeleteOfProject deletes every collection of a project, and what was never committed with them.
func (s *Service) DeleteOfProject(ctx context.Context, project store.ID) error {
	for {
		rows, err := s.store.CollectionsOf(ctx, project, 0, 0, sweepSize)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, c := range rows {
			if err := s.store.DeleteCollection(ctx, c.ID, s.now()); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}
