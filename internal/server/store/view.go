package store

import (
	"context"

	"github.com/uptrace/bun"
)

// View is a row of views: a report, or a saved workspace.
type View struct {
	bun.BaseModel `bun:"table:views,alias:v"`

	ID           ID     `bun:"id,pk"`
	ProjectID    ID     `bun:"project_id"`
	UserID       ID     `bun:"user_id"`
	Name         Text   `bun:"name"`
	DisplayName  Text   `bun:"display_name"`
	Description  Blob   `bun:"description"`
	Type         Text   `bun:"type"`
	CreatedUsing Text   `bun:"created_using"`
	Spec         Packed `bun:"spec"`
	CreatedAt    Micros `bun:"created_at"`
	UpdatedAt    Micros `bun:"updated_at"`
}

// CreateView writes a view and returns its id.
func (s *Store) CreateView(ctx context.Context, v View) (ID, error) {
	v.ID = s.ids.next()
	return v.ID, s.update(ctx, "write the view", func(ctx context.Context, tx bun.Tx) error {
		if err := s.holdProject(ctx, tx, v.ProjectID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&v).Exec(ctx)
		return err
	})
}

// UpdateView replaces what a view holds.
func (s *Store) UpdateView(ctx context.Context, v View) error {
	return s.update(ctx, "write the view", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model(&v).WherePK().Exec(ctx)
		return affectedOne(result, err)
	})
}

// View returns a view by its id.
func (s *Store) View(ctx context.Context, id ID) (View, error) {
	var v View
	err := s.view(ctx, "read the view", func(db bun.IDB) error {
		return db.NewSelect().Model(&v).Where("id = ?", id).Scan(ctx)
	})
	return v, err
}

// ViewFilter says which views of a project are asked for; what is empty does not matter.
type ViewFilter struct {
	Type, Name Text
	// Before is the id of the last view of the page before.
	Before ID
	Limit  int
}

// Views returns views of a project, the newest first.
func (s *Store) Views(ctx context.Context, project ID, f ViewFilter) ([]View, error) {
	var views []View
	err := s.view(ctx, "read the views", func(db bun.IDB) error {
		q := db.NewSelect().Model(&views).Where("project_id = ?", project).OrderExpr("id DESC").Limit(int64(f.Limit))
		if f.Type != "" {
			q = q.Where("type = ?", f.Type)
		}
		if f.Name != "" {
			q = q.Where("name = ?", f.Name)
		}
		if f.Before != 0 {
			q = q.Where("id < ?", f.Before)
		}
		return q.Scan(ctx)
	})
	return views, err
}

// DeleteView removes a view.
func (s *Store) DeleteView(ctx context.Context, id ID) error {
	return s.update(ctx, "delete the view", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*View)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// CustomChart is a row of custom_charts: how an entity draws tables.
type CustomChart struct {
	bun.BaseModel `bun:"table:custom_charts,alias:cc"`

	ID          ID     `bun:"id,pk"`
	EntityID    ID     `bun:"entity_id"`
	Name        Text   `bun:"name"`
	DisplayName Text   `bun:"display_name"`
	Type        Text   `bun:"type"`
	Access      Text   `bun:"access"`
	UserID      ID     `bun:"user_id"`
	Spec        Packed `bun:"spec"`
	CreatedAt   Micros `bun:"created_at"`
	UpdatedAt   Micros `bun:"updated_at"`
}

// CreateCustomChart writes a chart and returns its id. ErrDuplicate where the entity has one of this name.
func (s *Store) CreateCustomChart(ctx context.Context, c CustomChart) (ID, error) {
	c.ID = s.ids.next()
	return c.ID, s.update(ctx, "write the chart", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&c).Exec(ctx)
		return err
	})
}
