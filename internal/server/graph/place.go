package graph

import (
	"context"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
)

// projectByName returns null for a project that does not exist, or not for this user: clients ask whether one is there.
func (r *Resolver) projectByName(ctx context.Context, entity, name *string) (*model.Project, error) {
	place, err := r.Guard.Project(ctx, value(entity), value(name), access.Read)
	if access.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &model.Project{Place: place}, nil
}

func (r *Resolver) runByName(ctx context.Context, place access.Place, name string) (*model.Run, error) {
	run, err := r.Runs.ByName(ctx, place, name)
	if access.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return model.NewRun(place, run), nil
}

// value is what a variable holds; null is the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
