package run

import (
	"context"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Artifacts knows what runs have made.
type Artifacts interface {
	// DeleteOf deletes the versions that a run made, aliases and all.
	DeleteOf(ctx context.Context, place access.Place, run store.ID) error
	// DeleteOfProject deletes every version of a project that was deleted. It may be called again.
	DeleteOfProject(ctx context.Context, project store.ID) error
}

// Delete deletes a run, for the user in ctx. Nobody sees it from then on; its lines and files are removed in the background.
func (s *Service) Delete(ctx context.Context, id store.ID, artifacts bool) error {
	place, record, err := s.ByID(ctx, id, access.Write)
	if err != nil {
		return err
	}
	if artifacts && s.Artifacts != nil {
		if err := s.Artifacts.DeleteOf(ctx, place, record.ID); err != nil {
			return err
		}
	}
	return missing(s.store.DeleteRun(ctx, record.Run, s.Now()), "run")
}
