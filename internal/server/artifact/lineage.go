package artifact

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxRuns are told of one version.
const maxRuns = 1000

// Run is a run with its project.
type Run struct {
	store.RunRecord
	Place access.Place
}

// UsedBy returns the runs that use a version, as far as the user may see them, oldest first.
func (s *Service) UsedBy(ctx context.Context, v *Version) ([]Run, error) {
	ids, err := s.store.RunsOfArtifact(ctx, v.Artifact.ID, store.EdgeInput, maxRuns)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.RunRecords(ctx, ids)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b store.RunRecord) int { return cmp.Compare(a.ID, b.ID) })
	loader := s.places(v.Place)
	var runs []Run
	for _, row := range rows {
		place, err := loader.get(ctx, row.ProjectID)
		if err != nil {
			return nil, err
		}
		if place != nil {
			runs = append(runs, Run{RunRecord: row, Place: *place})
		}
	}
	return runs, nil
}

// CreatedBy returns the run that made a version; nil where no run did, or it was deleted.
func (s *Service) CreatedBy(ctx context.Context, v *Version) (*Run, error) {
	if v.RunID == 0 {
		return nil, nil
	}
	row, err := s.store.RunRecordByID(ctx, v.RunID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &Run{RunRecord: row, Place: v.Place}, err
}

// foldEntity is the form in which names of entities are compared.
func foldEntity(name string) string { return strings.ToLower(name) }
