package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// AccessDeleted marks the row of a project that was deleted: nothing finds it, and what it held is being removed.
const AccessDeleted Text = "DELETED"

// ProjectGrave is a row of project_graves: a project that was deleted, under the name that it had.
type ProjectGrave struct {
	bun.BaseModel `bun:"table:project_graves,alias:pg"`

	ProjectID ID     `bun:"project_id,pk"`
	EntityID  ID     `bun:"entity_id"`
	Name      Text   `bun:"name"`
	DeletedAt Micros `bun:"deleted_at"`
}

// DeleteProject makes a project disappear with all that it holds, and frees its name. What it held is left to ProjectGraves.
// ErrNotFound where it is gone.
func (s *Store) DeleteProject(ctx context.Context, id ID, now time.Time) error {
	return s.update(ctx, "delete the project", func(ctx context.Context, tx bun.Tx) error { return deleteProject(ctx, tx, id, now) })
}

func deleteProject(ctx context.Context, tx bun.Tx, id ID, now time.Time) error {
	// The first statement locks the row: whoever makes something in the project meanwhile waits, and finds none.
	result, err := tx.NewUpdate().Model((*Project)(nil)).Set("access = ?", AccessDeleted).Set("updated_at = ?", At(now)).
		Where("id = ?", id).Where("access <> ?", AccessDeleted).Exec(ctx)
	if err := affectedOne(result, err); err != nil {
		return err
	}
	var p Project
	if err := tx.NewSelect().Model(&p).Column("entity_id", "name").Where("id = ?", id).Scan(ctx); err != nil {
		return err
	}
	grave := ProjectGrave{ProjectID: id, EntityID: p.EntityID, Name: p.Name, DeletedAt: At(now)}
	if _, err := tx.NewInsert().Model(&grave).Exec(ctx); err != nil {
		return err
	}
	// No name of a project holds a slash.
	_, err = tx.NewUpdate().Model((*Project)(nil)).Set("name = ?", Text(fmt.Sprintf("deleted/%d", id))).Where("id = ?", id).Exec(ctx)
	return err
}

// ErrHasProjects tells that an entity has projects, and that these were not to be deleted.
var ErrHasProjects = errors.New("there are projects")

// clearEntity deletes the projects of an entity; without leave to do so it fails with ErrHasProjects where there are any.
func clearEntity(ctx context.Context, tx bun.Tx, entity ID, projects bool, now time.Time) error {
	var ids []ID
	err := tx.NewSelect().Model((*Project)(nil)).Column("id").Where("entity_id = ?", entity).Where("access <> ?", AccessDeleted).
		OrderExpr("id").Scan(ctx, &ids)
	if err != nil {
		return err
	}
	if len(ids) > 0 && !projects {
		return ErrHasProjects
	}
	for _, id := range ids {
		if err := deleteProject(ctx, tx, id, now); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// holdProject makes sure that a project is not deleted before the transaction ends; ErrNotFound where it was.
func (s *Store) holdProject(ctx context.Context, tx bun.Tx, id ID) error {
	query := "SELECT id FROM projects WHERE id = ? AND access <> ?"
	if s.Engine() == "mysql" { // SQLite has one writer at a time, and no such clause
		query += " LOCK IN SHARE MODE"
	}
	var found ID
	err := tx.NewRaw(query, id, AccessDeleted).Scan(ctx, &found)
	if isNoRows(err) {
		return ErrNotFound
	}
	return err
}

// RunDied returns when a project of this name was last deleted that had, or once had, a run of this name; 0 for never.
func (s *Store) RunDied(ctx context.Context, entity ID, project, run Text) (at Micros, err error) {
	err = s.view(ctx, "look for deleted runs", func(db bun.IDB) error {
		at, err = runDied(ctx, db, entity, project, run)
		return err
	})
	return at, err
}

func runDied(ctx context.Context, db bun.IDB, entity ID, project, run Text) (Micros, error) {
	var at sql.NullInt64
	err := db.NewSelect().Model((*ProjectGrave)(nil)).ColumnExpr("MAX(pg.deleted_at)").
		Where("pg.entity_id = ?", entity).Where("pg.name = ?", project).
		Where("EXISTS (SELECT 1 FROM runs AS r WHERE r.project_id = pg.project_id AND r.name = ?)"+
			" OR EXISTS (SELECT 1 FROM run_graves AS g WHERE g.project_id = pg.project_id AND g.name = ?)", run, run).Scan(ctx, &at)
	return Micros(at.Int64), err
}

// ProjectGraves returns up to limit projects that were deleted and are not forgotten, with an id above after.
func (s *Store) ProjectGraves(ctx context.Context, after ID, limit int) ([]ProjectGrave, error) {
	var graves []ProjectGrave
	err := s.view(ctx, "look for deleted projects", func(db bun.IDB) error {
		return db.NewSelect().Model(&graves).Where("project_id > ?", after).OrderExpr("project_id").Limit(int64(limit)).Scan(ctx)
	})
	return graves, err
}

// RunsOfProject returns up to limit runs of a project, without what people say about them.
func (s *Store) RunsOfProject(ctx context.Context, project ID, limit int) ([]Run, error) {
	var runs []Run
	err := s.view(ctx, "list runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&runs).Column("id", "project_id", "name").Where("project_id = ?", project).Limit(int64(limit)).Scan(ctx)
	})
	return runs, err
}

// RemoveSweepsAndViews removes the sweeps and the views of a project that was deleted, when its runs are gone.
func (s *Store) RemoveSweepsAndViews(ctx context.Context, project ID) error {
	return s.update(ctx, "remove what a deleted project held", func(ctx context.Context, tx bun.Tx) error {
		var sweeps []ID
		if err := tx.NewSelect().Model((*Sweep)(nil)).Column("id").Where("project_id = ?", project).Scan(ctx, &sweeps); err != nil {
			return err
		}
		for _, sweep := range sweeps {
			if err := deleteSweepRows(ctx, tx, sweep); err != nil {
				return err
			}
		}
		for _, table := range []any{(*Sweep)(nil), (*View)(nil)} {
			if _, err := tx.NewDelete().Model(table).Where("project_id = ?", project).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetProject removes the last rows of a project that was deleted, and tells whether nothing is left of it: while any of
// its runs, artifacts or contents are there, it does nothing.
func (s *Store) ForgetProject(ctx context.Context, project ID) (forgotten bool, err error) {
	err = s.update(ctx, "forget a deleted project", func(ctx context.Context, tx bun.Tx) error {
		forgotten = false
		for _, table := range []any{(*Run)(nil), (*ArtifactCollection)(nil), (*Artifact)(nil), (*Content)(nil)} {
			if left, err := tx.NewSelect().Model(table).Where("project_id = ?", project).Exists(ctx); err != nil || left {
				return err
			}
		}
		for _, table := range []any{(*Sweep)(nil), (*View)(nil), (*ArtifactType)(nil), (*runGrave)(nil), (*ProjectGrave)(nil)} {
			if _, err := tx.NewDelete().Model(table).Where("project_id = ?", project).Exec(ctx); err != nil {
				return err
			}
		}
		_, err := tx.NewDelete().Model((*Project)(nil)).Where("id = ?", project).Where("access = ?", AccessDeleted).Exec(ctx)
		forgotten = err == nil
		return err
	})
	return forgotten && err == nil, err
}
