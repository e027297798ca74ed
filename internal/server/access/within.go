package access

import (
	"context"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Within returns an entity, with what the user in ctx is to it, as a Place without a project: for lists of projects, of
// which each decides for itself who may see it. "" is the user's own entity.
func (g *Guard) Within(ctx context.Context, entityName string) (Place, error) {
	user, err := signedIn(ctx)
	if err != nil {
		return Place{}, err
	}
	entity, err := g.entity(ctx, user, entityName)
	if err != nil {
		return Place{}, err
	}
	role, err := g.role(ctx, user, entity)
	return Place{Entity: entity, User: user, Role: role}, err
}

// At is a place with a project of its entity.
func (p Place) At(project store.Project) Place {
	p.Project = project
	return p
}
