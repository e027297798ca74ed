package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Organization is a row of organizations.
type Organization struct {
	bun.BaseModel `bun:"table:organizations,alias:o"`

	ID        ID     `bun:"id,pk"`
	Name      Text   `bun:"name"`
	NameKey   Text   `bun:"name_key"`
	EntityID  ID     `bun:"entity_id"`
	CreatedAt Micros `bun:"created_at"`

	// EntityName is read with the row.
	EntityName Text `bun:"entity_name,scanonly"`
}

func selectOrganization(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("o.*").ColumnExpr("oe.name AS entity_name").Join("JOIN entities AS oe ON oe.id = o.entity_id")
}

// CreateOrganization writes an organisation with an entity of the given name; ErrDuplicate where either name is taken.
func (s *Store) CreateOrganization(ctx context.Context, o Organization, entityKey Text) (Organization, error) {
	o.ID = s.ids.next()
	entity := Entity{ID: s.ids.next(), Name: o.EntityName, NameKey: entityKey, CreatedAt: o.CreatedAt}
	o.EntityID = entity.ID
	err := s.update(ctx, "write the organization", func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&entity).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&o).Exec(ctx)
		return err
	})
	return o, err
}

// OrganizationByName returns the organisation with this folded name.
func (s *Store) OrganizationByName(ctx context.Context, key string) (Organization, error) {
	return s.organization(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("o.name_key = ?", Text(key)) })
}

// OrganizationOf returns the organisation whose entity this is, or to which the team of this entity belongs.
func (s *Store) OrganizationOf(ctx context.Context, entity ID) (Organization, error) {
	return s.organization(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Join("LEFT JOIN teams AS t ON t.organization_id = o.id AND t.entity_id = ?", entity).
			Where("o.entity_id = ? OR t.entity_id = ?", entity, entity)
	})
}

func (s *Store) organization(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery) (Organization, error) {
	var o Organization
	err := s.view(ctx, "read the organization", func(db bun.IDB) error {
		return where(selectOrganization(db.NewSelect().Model(&o))).Scan(ctx)
	})
	return o, err
}

// Organizations returns up to limit organisations with an id above after, oldest first.
func (s *Store) Organizations(ctx context.Context, after ID, limit int64) ([]Organization, error) {
	var found []Organization
	err := s.view(ctx, "list organizations", func(db bun.IDB) error {
		return selectOrganization(db.NewSelect().Model(&found)).Where("o.id > ?", after).OrderExpr("o.id").Limit(limit).Scan(ctx)
	})
	return found, err
}

// OrganizationsOf returns the organisations of a user's teams and those that the user is a member of, by name.
func (s *Store) OrganizationsOf(ctx context.Context, user ID) ([]Organization, error) {
	var found []Organization
	err := s.view(ctx, "list organizations", func(db bun.IDB) error {
		teams := db.NewSelect().TableExpr("members AS m").ColumnExpr("t.organization_id").
			Join("JOIN teams AS t ON t.entity_id = m.entity_id").Where("m.user_id = ?", user)
		direct := db.NewSelect().TableExpr("members AS m").ColumnExpr("m.entity_id").Where("m.user_id = ?", user)
		return selectOrganization(db.NewSelect().Model(&found)).Where("o.id IN (?)", teams).WhereOr("o.entity_id IN (?)", direct).
			OrderExpr("o.name_key").Scan(ctx)
	})
	return found, err
}

// DeleteOrganization removes an organisation; ErrConflict while it has teams, ErrHasProjects while its entity has any.
func (s *Store) DeleteOrganization(ctx context.Context, o Organization) error {
	return s.update(ctx, "delete the organization", func(ctx context.Context, tx bun.Tx) error {
		if occupied, err := tx.NewSelect().Model((*Team)(nil)).Where("organization_id = ?", o.ID).Exists(ctx); err != nil {
			return err
		} else if occupied {
			return ErrConflict
		}
		if err := s.lockEntity(ctx, tx, o.EntityID); err != nil {
			return err
		}
		if err := clearEntity(ctx, tx, o.EntityID, false, time.Time{}); err != nil {
			return err
		}
		if err := affectedOne(tx.NewDelete().Model((*Organization)(nil)).Where("id = ?", o.ID).Exec(ctx)); err != nil {
			return err // a team that was made meanwhile makes this fail by its foreign key
		}
		return retireEntity(ctx, tx, o.EntityID)
	})
}
