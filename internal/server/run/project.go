package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
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
	user, _ := account.FromContext(ctx) // Guard has seen that there is one
	now := store.At(s.Now())
	_, inserted, err = s.store.EnsureProject(ctx, store.Project{
		EntityID: entity.ID, Name: store.Text(n.Name), UserID: user.ID, Access: openness, Description: store.Blob(n.Description),
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

// ProjectChange changes a project. What is nil stays as it is.
type ProjectChange struct{ Name, Description, Access *string }

// ChangeProject changes a project, for the user in ctx. Its name and who may see it take more rights than what is said
// about it.
func (s *Service) ChangeProject(ctx context.Context, id store.ID, c ProjectChange) (access.Place, error) {
	action := access.Write
	if c.Name != nil || c.Access != nil {
		action = access.Manage
	}
	place, err := s.Guard.ProjectByID(ctx, id, action)
	if err != nil {
		return place, err
	}
	project := place.Project
	if c.Name != nil {
		if err := checkName("project", *c.Name); err != nil {
			return place, err
		}
		project.Name = store.Text(*c.Name)
	}
	if c.Access != nil {
		if project.Access, err = parseAccess(*c.Access); err != nil {
			return place, err
		}
	}
	if c.Description != nil {
		project.Description = store.Blob(*c.Description)
	}
	project.UpdatedAt = store.At(s.Now())
	err = s.store.UpdateProject(ctx, project)
	if errors.Is(err, store.ErrDuplicate) {
		return place, &fault.Error{
			Reason: ReasonTaken, Op: fmt.Sprintf("a project named %s exists already", project.Name), Err: err,
			Hint: "Choose another name.",
		}
	}
	place.Project = project
	return place, missing(err, "project")
}

// PutProject makes a project, or changes the one of that name.
func (s *Service) PutProject(ctx context.Context, n NewProject, c ProjectChange) (access.Place, bool, error) {
	place, inserted, err := s.EnsureProject(ctx, n)
	if err != nil || inserted || (c.Description == nil && c.Access == nil) {
		return place, inserted, err
	}
	place, err = s.ChangeProject(ctx, place.Project.ID, ProjectChange{Description: c.Description, Access: c.Access})
	return place, false, err
}

// Projects returns a page of an entity's projects that the user in ctx may see, the newest first. before is the id of the
// last one of the page before.
func (s *Service) Projects(ctx context.Context, entity string, before store.ID, first int) (places []access.Place, more bool, err error) {
	within, err := s.Guard.Within(ctx, entity)
	if err != nil {
		return nil, false, err
	}
	first = pageSize(first)
	openOnly := !access.May(within.Role, store.AccessPrivate, access.Read)
	projects, err := s.store.Projects(ctx, within.Entity.ID, before, first+1, openOnly)
	if more = len(projects) > first; more {
		projects = projects[:first]
	}
	for _, project := range projects {
		places = append(places, within.At(project))
	}
	return places, more, err
}

// ProjectUsers returns users by their ids.
func (s *Service) ProjectUsers(ctx context.Context, ids []store.ID) (map[store.ID]store.User, error) {
	return s.store.UsersByID(ctx, ids)
}
