package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Project is a project of an entity, as those see it who administer the instance.
type Project struct {
	ID        store.ID
	Name      string
	Access    string
	CreatedAt time.Time
}

func projectOf(row store.Project) Project {
	return Project{ID: row.ID, Name: string(row.Name), Access: string(row.Access), CreatedAt: row.CreatedAt.Time()}
}

// Projects calls visit with every project of an entity, newest first.
func (s *Service) Projects(ctx context.Context, entity string, visit func(Project) error) error {
	const page = 500
	owner, err := s.Entity(ctx, entity)
	if err != nil {
		return err
	}
	for before := store.ID(0); ; {
		rows, err := s.store.Projects(ctx, owner.ID, before, page, false)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := visit(projectOf(row)); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		before = rows[len(rows)-1].ID
	}
}

// ProjectByName finds a project of an entity.
func (s *Service) ProjectByName(ctx context.Context, entity, name string) (Project, error) {
	owner, err := s.Entity(ctx, entity)
	if err != nil {
		return Project{}, err
	}
	row, err := s.store.ProjectByName(ctx, owner.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		return Project{}, missing(fmt.Sprintf("find project %q", name), "there is no such project",
			"List projects with: server admin project list --entity "+string(owner.Name))
	}
	return projectOf(row), err
}

// DeleteProject makes a project disappear at once, and frees its name. Running servers remove what it held.
func (s *Service) DeleteProject(ctx context.Context, p Project) error {
	err := s.store.DeleteProject(ctx, p.ID, s.now())
	if errors.Is(err, store.ErrNotFound) {
		return missing("delete the project", "there is no such project", "")
	}
	return err
}

// Entity finds an entity by its name, also one whose user was deleted.
func (s *Service) Entity(ctx context.Context, name string) (store.Entity, error) {
	entity, err := s.store.EntityByName(ctx, fold(name))
	if err == nil && entity.Retired() {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return entity, missing(fmt.Sprintf("find entity %q", name), "there is no such entity",
			"An entity has the name of a user or a team: server admin user list, server admin team list")
	}
	return entity, err
}
