package run

import (
	"context"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// NewProject is a project to be found or made.
type NewProject struct {
	// Entity is where it belongs; "" is the user's own.
	Entity string
	// Name may be "" for the project of those who name none.
	Name string
	// Access and Description are for a new one; Access "" means that nobody else sees it.
	Access, Description string
}

// EnsureProject finds a project in which the user in ctx may write, and makes it where there is none.
func (s *Service) EnsureProject(ctx context.Context, n NewProject) (place access.Place, inserted bool, err error) {
	if n.Name == "" {
		n.Name = defaultProject
	}
	place, err = s.Guard.Project(ctx, n.Entity, n.Name, access.Write)
	if !access.IsNotFound(err) {
		return place, false, err
	}
	entity, err := s.Guard.Entity(ctx, n.Entity, access.Write)
	if err != nil {
		return access.Place{}, false, err
	}
	if err := checkName("project", n.Name); err != nil {
		return access.Place{}, false, err
	}
	openness, err := parseAccess(n.Access)
	if err != nil {
		return access.Place{}, false, err
	}
	now := store.At(s.Now())
	_, inserted, err = s.store.EnsureProject(ctx, store.Project{
		EntityID: entity.ID, Name: store.Text(n.Name), Access: openness, Description: store.Blob(n.Description),
		CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		return access.Place{}, false, err
	}
	place, err = s.Guard.Project(ctx, n.Entity, n.Name, access.Write)
	return place, inserted, err
}

func parseAccess(name string) (store.Text, error) {
	switch openness := store.Text(name); openness {
	case "":
		return store.AccessPrivate, nil
	case store.AccessPrivate, store.AccessRead, store.AccessWrite:
		return openness, nil
	}
	return "", &fault.Error{
		Reason: ReasonInvalid, Op: fmt.Sprintf("invalid access %q", name),
		Hint: "A project's access is PRIVATE, USER_READ or USER_WRITE.",
	}
}
