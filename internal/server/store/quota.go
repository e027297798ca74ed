package store

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// EntityUsage is a row of entity_usage: what an entity stored, in bytes, when that was last measured.
type EntityUsage struct {
	bun.BaseModel `bun:"table:entity_usage,alias:eu"`

	EntityID ID `bun:"entity_id,pk"`
	// Files are those of runs.
	Files int64 `bun:"files"`
	// Artifacts are committed versions.
	Artifacts  int64  `bun:"artifacts"`
	History    int64  `bun:"history"`
	MeasuredAt Micros `bun:"measured_at"`
}

// entityQuota is a row of entity_quotas.
type entityQuota struct {
	bun.BaseModel `bun:"table:entity_quotas,alias:eq"`

	EntityID ID     `bun:"entity_id,pk"`
	Bytes    int64  `bun:"bytes"`
	SetAt    Micros `bun:"set_at"`
}

// EntityStorage is what an entity stores and may store.
type EntityStorage struct {
	// EntityUsage has a MeasuredAt of 0 where nothing was measured yet.
	EntityUsage `bun:",extend"`
	Name        Text `bun:"name"`
	NameKey     Text `bun:"name_key"`
	// Quota is the entity's own, in bytes, where it has one; 0 lets it store any number.
	Quota sql.NullInt64 `bun:"quota"`
}

// Used is the sum of all that was measured.
func (e EntityStorage) Used() int64 { return e.Files + e.Artifacts + e.History }

// EntityStorage returns what an entity stores and may store, by one query of primary keys.
func (s *Store) EntityStorage(ctx context.Context, entity ID) (storage EntityStorage, err error) {
	err = s.view(ctx, "read the quota", func(db bun.IDB) error {
		storage, err = entityStorage(ctx, db, entity)
		return err
	})
	return storage, err
}

func entityStorage(ctx context.Context, db bun.IDB, entity ID) (storage EntityStorage, err error) {
	return storage, selectStorage(db, &storage).Where("e.id = ?", entity).Scan(ctx)
}

func selectStorage(db bun.IDB, into any) *bun.SelectQuery {
	q := db.NewSelect().Model(into).ModelTableExpr("entities AS e").ColumnExpr("e.id AS entity_id, e.name, e.name_key, q.bytes AS quota")
	for _, column := range []string{"files", "artifacts", "history", "measured_at"} {
		q = q.ColumnExpr("COALESCE(u.?, 0) AS ?", bun.Ident(column), bun.Ident(column))
	}
	return q.Join("LEFT JOIN entity_quotas AS q ON q.entity_id = e.id").Join("LEFT JOIN entity_usage AS u ON u.entity_id = e.id")
}

// EntitiesStorage returns up to limit entities with an id above after that have projects or a quota of their own, or were
// measured; also some that were deleted.
func (s *Store) EntitiesStorage(ctx context.Context, after ID, limit int) ([]EntityStorage, error) {
	var rows []EntityStorage
	err := s.view(ctx, "list what entities store", func(db bun.IDB) error {
		return selectStorage(db, &rows).Where("e.id > ?", after).
			Where("q.entity_id IS NOT NULL OR u.entity_id IS NOT NULL OR EXISTS (SELECT 1 FROM projects AS p WHERE p.entity_id = e.id)").
			OrderExpr("e.id").Limit(int64(limit)).Scan(ctx)
	})
	return rows, err
}

// Retired tells whether the entity was deleted.
func (e EntityStorage) Retired() bool { return Entity{NameKey: e.NameKey}.Retired() }

// SetQuota gives an entity a quota of its own, in bytes; 0 lets it store any number.
func (s *Store) SetQuota(ctx context.Context, entity ID, bytes int64, at Micros) error {
	return s.update(ctx, "write the quota", func(ctx context.Context, tx bun.Tx) error {
		if err := unsetQuota(ctx, tx, entity); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&entityQuota{EntityID: entity, Bytes: bytes, SetAt: at}).Exec(ctx)
		return err
	})
}

// UnsetQuota takes an entity's own quota away, where it has one.
func (s *Store) UnsetQuota(ctx context.Context, entity ID) error {
	return s.update(ctx, "remove the quota", func(ctx context.Context, tx bun.Tx) error { return unsetQuota(ctx, tx, entity) })
}

func unsetQuota(ctx context.Context, tx bun.Tx, entity ID) error {
	_, err := tx.NewDelete().Model((*entityQuota)(nil)).Where("entity_id = ?", entity).Exec(ctx)
	return err
}

// PutUsage writes what entities were measured to store, in place of what was measured before.
func (s *Store) PutUsage(ctx context.Context, rows []EntityUsage) error {
	if len(rows) == 0 {
		return nil
	}
	return s.update(ctx, "write what entities store", func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Model(&rows).WherePK().Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&rows).Exec(ctx)
		return err
	})
}
