package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct{ store *store.Store }

// New returns a service on a store.
func New(s *store.Store) *Service { return &Service{store: s} }

// ByName returns a run of a project; access.ReasonNotFound where there is none.
func (s *Service) ByName(ctx context.Context, place access.Place, name string) (store.Run, error) {
	run, err := s.store.RunByName(ctx, place.Project.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Run{}, &fault.Error{
			Reason: access.ReasonNotFound, Op: fmt.Sprintf("run %s not found", name), Err: err,
			Hint: "Check the name; the run may have been deleted.",
		}
	}
	return run, err
}
