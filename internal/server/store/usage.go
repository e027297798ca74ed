package store

import (
	"context"

	"github.com/uptrace/bun"
)

// StorageBytes sums the sizes of an entity's run files and of its committed artifact versions. What two versions share
// counts for each.
func (s *Store) StorageBytes(ctx context.Context, entity ID) (int64, error) {
	var files, artifacts int64
	err := s.view(ctx, "count stored bytes", func(db bun.IDB) error {
		err := db.NewSelect().TableExpr("run_files AS f").ColumnExpr("COALESCE(SUM(f.size), 0)").
			Join("JOIN runs AS r ON r.id = f.run_id").Join("JOIN projects AS p ON p.id = r.project_id").
			Where("p.entity_id = ?", entity).Where("p.access <> ?", AccessDeleted).Scan(ctx, &files)
		if err != nil {
			return err
		}
		return db.NewSelect().Model((*Artifact)(nil)).ColumnExpr("COALESCE(SUM(a.size), 0)").
			Where("a.entity_id = ?", entity).Where("a.state = ?", ArtifactCommitted).Scan(ctx, &artifacts)
	})
	return files + artifacts, err
}

// ProjectIDs returns up to limit projects of an entity with an id above after.
func (s *Store) ProjectIDs(ctx context.Context, entity, after ID, limit int) ([]ID, error) {
	var ids []ID
	err := s.view(ctx, "list projects", func(db bun.IDB) error {
		return db.NewSelect().Model((*Project)(nil)).Column("id").Where("entity_id = ?", entity).Where("access <> ?", AccessDeleted).
			Where("id > ?", after).OrderExpr("id").Limit(int64(limit)).Scan(ctx, &ids)
	})
	return ids, err
}

// RunRevs returns up to limit runs of a project with an id above after: their ids and revs only.
func (s *Store) RunRevs(ctx context.Context, project, after ID, limit int) ([]RunLive, error) {
	var runs []RunLive
	err := s.view(ctx, "list runs", func(db bun.IDB) error {
		return db.NewSelect().Model(&runs).Column("run_id", "rev").Where("project_id = ?", project).Where("run_id > ?", after).
			OrderExpr("run_id").Limit(int64(limit)).Scan(ctx)
	})
	return runs, err
}

// RunBytes sums what some runs store: their files, and their lines as they are kept. An object of lines counts for the run
// that it was written for, and for its forks once that is gone.
func (s *Store) RunBytes(ctx context.Context, runs []ID) (files, history int64, err error) {
	if len(runs) == 0 {
		return 0, 0, nil
	}
	var chunks, segments int64
	err = s.view(ctx, "count stored bytes", func(db bun.IDB) error {
		of := bun.List(runs)
		err := db.NewSelect().Model((*RunFile)(nil)).ColumnExpr("COALESCE(SUM(f.size), 0)").Where("f.run_id IN (?)", of).Scan(ctx, &files)
		if err != nil {
			return err
		}
		err = db.NewSelect().TableExpr("chunks AS c").ColumnExpr("COALESCE(SUM(LENGTH(c.body) + LENGTH(c.stats)), 0)").
			Where("c.run_id IN (?)", of).Scan(ctx, &chunks)
		if err != nil {
			return err
		}
		return db.NewSelect().Model((*Segment)(nil)).ColumnExpr("COALESCE(SUM(g.size), 0)").Where("g.run_id IN (?)", of).
			Where("g.object_run = g.run_id OR NOT EXISTS (SELECT 1 FROM run_live AS l WHERE l.run_id = g.object_run)").Scan(ctx, &segments)
	})
	return files, chunks + segments, err
}

// ArtifactSizes returns the committed versions of a project with an id above after, at most limit: their ids and sizes only.
func (s *Store) ArtifactSizes(ctx context.Context, project, after ID, limit int) ([]Artifact, error) {
	var rows []Artifact
	err := s.view(ctx, "count stored bytes", func(db bun.IDB) error {
		return db.NewSelect().Model(&rows).Column("id", "size").Where("project_id = ?", project).Where("id > ?", after).
			Where("state = ?", ArtifactCommitted).OrderExpr("id").Limit(int64(limit)).Scan(ctx)
	})
	return rows, err
}
