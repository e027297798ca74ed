package store

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// Who may see and write a project, beside the members of its entity.
const (
	// AccessPrivate: nobody else.
	AccessPrivate Text = "PRIVATE"
	// AccessRead: everybody who is signed in may see it.
	AccessRead Text = "USER_READ"
	// AccessWrite: everybody who is signed in may see it and log into it.
	AccessWrite Text = "USER_WRITE"
)

// Project is a row of projects. RunCount counts every run that was ever made in it, for the names of new ones.
type Project struct {
	bun.BaseModel `bun:"table:projects,alias:p"`

	ID          ID     `bun:"id,pk"`
	EntityID    ID     `bun:"entity_id"`
	Name        Text   `bun:"name"`
	UserID      ID     `bun:"user_id"`
	Access      Text   `bun:"access"`
	Description Blob   `bun:"description"`
	RunCount    int64  `bun:"run_count"`
	CreatedAt   Micros `bun:"created_at"`
	UpdatedAt   Micros `bun:"updated_at"`
}

// EntityByName returns the entity with this folded name.
func (s *Store) EntityByName(ctx context.Context, key string) (Entity, error) {
	var e Entity
	err := s.view(ctx, "read the entity", func(db bun.IDB) error {
		return db.NewSelect().Model(&e).Where("name_key = ?", Text(key)).Scan(ctx)
	})
	return e, err
}

// Place returns the entity with this folded name and its project of this name, whose ID is 0 where there is no such project.
// Names of projects differ where their bytes differ.
func (s *Store) Place(ctx context.Context, key, name string) (Entity, Project, error) {
	var row struct {
		bun.BaseModel `bun:"table:entities,alias:e"`

		Entity  Entity  `bun:"embed:e__"`
		Project Project `bun:"embed:p__"`
	}
	err := s.view(ctx, "read the project", func(db bun.IDB) error {
		q := db.NewSelect().Model(&row)
		for _, column := range []string{"id", "name", "name_key", "user_id", "created_at"} {
			q = q.ColumnExpr("e.? AS ?", bun.Ident(column), bun.Ident("e__"+column))
		}
		for _, column := range []string{"id", "entity_id", "user_id", "run_count", "created_at", "updated_at"} {
			q = q.ColumnExpr("COALESCE(p.?, 0) AS ?", bun.Ident(column), bun.Ident("p__"+column))
		}
		for _, column := range []string{"name", "access", "description"} {
			q = q.ColumnExpr("COALESCE(p.?, X'') AS ?", bun.Ident(column), bun.Ident("p__"+column))
		}
		return q.Join("LEFT JOIN projects AS p ON p.entity_id = e.id AND p.name = ? AND p.access <> ?", Text(name), AccessDeleted).
			Where("e.name_key = ?", Text(key)).Scan(ctx)
	})
	return row.Entity, row.Project, err
}

// Entity returns an entity by its id.
func (s *Store) Entity(ctx context.Context, id ID) (Entity, error) {
	var e Entity
	err := s.view(ctx, "read the entity", func(db bun.IDB) error {
		return db.NewSelect().Model(&e).Where("id = ?", id).Scan(ctx)
	})
	return e, err
}

// Project returns a project by its id.
func (s *Store) Project(ctx context.Context, id ID) (Project, error) {
	var p Project
	err := s.view(ctx, "read the project", func(db bun.IDB) error {
		return db.NewSelect().Model(&p).Where("id = ?", id).Where("access <> ?", AccessDeleted).Scan(ctx)
	})
	return p, err
}

// ProjectByName returns an entity's project. Names differ where their bytes differ.
func (s *Store) ProjectByName(ctx context.Context, entity ID, name string) (Project, error) {
	var p Project
	err := s.view(ctx, "read the project", func(db bun.IDB) error {
		return db.NewSelect().Model(&p).Where("entity_id = ?", entity).Where("name = ?", Text(name)).
			Where("access <> ?", AccessDeleted).Scan(ctx)
	})
	return p, err
}

// EnsureProject returns an entity's project of this name, and writes the given row where there is none. Of several calls
// at once one writes. ErrNotFound where the entity was deleted.
func (s *Store) EnsureProject(ctx context.Context, p Project) (project Project, inserted bool, err error) {
	existing, err := s.ProjectByName(ctx, p.EntityID, string(p.Name))
	if !errors.Is(err, ErrNotFound) {
		return existing, false, err
	}
	p.ID = s.ids.next()
	err = s.update(ctx, "write the project", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockEntity(ctx, tx, p.EntityID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&p).Exec(ctx)
		return err
	})
	if errors.Is(err, ErrDuplicate) {
		existing, err = s.ProjectByName(ctx, p.EntityID, string(p.Name))
		return existing, false, err
	}
	return p, err == nil, err
}
