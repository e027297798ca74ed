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
