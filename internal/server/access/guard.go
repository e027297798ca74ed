package access

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// ReasonNotFound: there is no such thing, or the user may not know of it.
	ReasonNotFound = "NotFound"
	// ReasonForbidden: the user may see it, but not do that.
	ReasonForbidden = "Forbidden"
)

// Guard finds what requests name, for users who may do what they ask for. Its methods may be called from any goroutine.
type Guard struct{ store *store.Store }

// NewGuard returns a guard of what is in a store.
func NewGuard(s *store.Store) *Guard { return &Guard{store: s} }

// Place is a project with its entity, and what the user of a request is to it.
type Place struct {
	Entity  store.Entity
	Project store.Project
	User    account.User
	Role    Role
}

// May tells whether the user may do something to the project.
func (p Place) May(action Action) bool { return May(p.Role, p.Project.Access, action) }

// Entity returns an entity by name; "" is the personal one of the user in ctx.
func (g *Guard) Entity(ctx context.Context, name string, action Action) (store.Entity, error) {
	user, err := signedIn(ctx)
	if err != nil {
		return store.Entity{}, err
	}
	entity, err := g.entity(ctx, user, name)
	if err != nil {
		return store.Entity{}, err
	}
	_, err = g.check(ctx, user, entity, store.AccessPrivate, action, "entity "+string(entity.Name))
	return entity, err
}

// Project returns a project by the name of its entity, where "" is the personal one of the user in ctx, and its own name.
func (g *Guard) Project(ctx context.Context, entityName, projectName string, action Action) (Place, error) {
	user, err := signedIn(ctx)
	if err != nil {
		return Place{}, err
	}
	if entityName == "" {
		entityName = user.Entity()
	}
	entity, project, err := g.store.Place(ctx, strings.ToLower(entityName), projectName)
	switch {
	case err != nil || entity.Retired():
		return Place{}, notFound(cmp.Or(err, error(store.ErrNotFound)), "entity "+entityName)
	case project.ID == 0:
		return Place{}, notFound(store.ErrNotFound, "project "+projectName)
	}
	role, err := g.check(ctx, user, entity, project.Access, action, "project "+projectName)
	return Place{Entity: entity, Project: project, User: user, Role: role}, err
}

// ProjectByID returns a project by its id.
func (g *Guard) ProjectByID(ctx context.Context, id store.ID, action Action) (Place, error) {
	user, err := signedIn(ctx)
	if err != nil {
		return Place{}, err
	}
	project, err := g.store.Project(ctx, id)
	if err != nil {
		return Place{}, notFound(err, "project")
	}
	entity, err := g.store.Entity(ctx, project.EntityID)
	if err != nil {
		return Place{}, notFound(err, "project")
	}
	role, err := g.check(ctx, user, entity, project.Access, action, "project "+string(project.Name))
	return Place{Entity: entity, Project: project, User: user, Role: role}, err
}

func (g *Guard) entity(ctx context.Context, user account.User, name string) (store.Entity, error) {
	if name == "" {
		name = user.Entity()
	}
	entity, err := g.store.EntityByName(ctx, strings.ToLower(name))
	if err == nil && entity.Retired() {
		err = store.ErrNotFound
	}
	return entity, notFound(err, "entity "+name)
}

// check returns what the user is to the entity, and an error where that does not suffice. Memberships are read each time:
// what another replica has changed holds for the next request.
func (g *Guard) check(ctx context.Context, user account.User, entity store.Entity, openness store.Text, action Action, what string) (Role, error) {
	role, err := g.role(ctx, user, entity)
	if err != nil {
		return role, err
	}
	if May(role, openness, action) {
		return role, nil
	}
	if !May(role, openness, Read) {
		return role, notFound(store.ErrNotFound, what)
	}
	return role, &fault.Error{
		Reason: ReasonForbidden, Op: "you may see the " + what + " but not change it",
		Hint: "Ask an administrator of its entity for a role that allows it.",
	}
}

// role returns what the user is to an entity; nobody is anything to one that was deleted.
func (g *Guard) role(ctx context.Context, user account.User, entity store.Entity) (Role, error) {
	switch {
	case entity.Retired():
		return Stranger, notFound(store.ErrNotFound, "entity")
	case user.Admin, entity.UserID == user.ID:
		return Administrator, nil
	case entity.UserID != 0: // somebody else's own, which has no members
		return Stranger, nil
	}
	role, err := g.store.RoleOf(ctx, entity.ID, user.ID)
	return Role(role), err
}

func signedIn(ctx context.Context) (account.User, error) {
	user, ok := account.FromContext(ctx)
	if !ok {
		return account.User{}, &fault.Error{Reason: account.ReasonRefused, Op: "authenticate", Err: errors.New("no user came with the request")}
	}
	return user, nil
}

// notFound gives a missing row the reason that callers look for, and leaves other errors alone. People read this error: it does
// not tell which table was asked.
func notFound(err error, what string) error {
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &fault.Error{
		Reason: ReasonNotFound, Op: what + " not found", Err: store.ErrNotFound,
		Hint: "Check the name, and that your API key belongs to somebody who may see it.",
	}
}

// IsNotFound tells whether an error says that there is no such thing for this user.
func IsNotFound(err error) bool { return fault.Reason(err, "") == ReasonNotFound }
