package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Projects returns up to limit projects of an entity with ids below before, the newest first; before 0 is from the start.
// Where openOnly is set, those that only members may see are left out.
func (s *Store) Projects(ctx context.Context, entity, before ID, limit int, openOnly bool) ([]Project, error) {
	var projects []Project
	err := s.view(ctx, "list projects", func(db bun.IDB) error {
		q := db.NewSelect().Model(&projects).Where("entity_id = ?", entity).Where("access <> ?", AccessDeleted).
			OrderExpr("id DESC").Limit(int64(limit))
		if before != 0 {
			q = q.Where("id < ?", before)
		}
		if openOnly {
			q = q.Where("access IN (?)", bun.List([]Text{AccessRead, AccessWrite}))
		}
		return q.Scan(ctx)
	})
	return projects, err
}

// UpdateProject writes name, description and access of a project. ErrDuplicate where the name is taken.
func (s *Store) UpdateProject(ctx context.Context, p Project) error {
	return s.update(ctx, "write the project", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model(&p).Column("name", "description", "access", "updated_at").WherePK().
			Where("access <> ?", AccessDeleted).Exec(ctx)
		return affectedOne(result, err)
	})
}

// UsersByID returns those of the users that exist, also those that were deleted.
func (s *Store) UsersByID(ctx context.Context, ids []ID) (map[ID]User, error) {
	var rows []User
	err := s.view(ctx, "read the users", func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).Scan(ctx)
	})
	users := make(map[ID]User, len(rows))
	for _, row := range rows {
		users[row.ID] = row
	}
	return users, err
}
