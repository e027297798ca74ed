package store

import (
	"context"

	"github.com/uptrace/bun"
)

// AddEdge notes that a run used or made a version. Saying so again changes nothing.
func (s *Store) AddEdge(ctx context.Context, edge ArtifactEdge) error {
	return s.update(ctx, "write the use of an artifact", func(ctx context.Context, tx bun.Tx) error {
		return insertIgnore(ctx, tx, []ArtifactEdge{edge})
	})
}

// ArtifactsOfRun returns up to limit committed versions that a run made or used, with an id above after.
func (s *Store) ArtifactsOfRun(ctx context.Context, run ID, direction EdgeDirection, after ID, limit int64) ([]Artifact, error) {
	var found []Artifact
	err := s.view(ctx, "list the run's artifacts", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Join("JOIN artifact_edges AS ae ON ae.artifact_id = a.id").
			Where("ae.run_id = ?", run).Where("ae.direction = ?", direction).Where("a.state = ?", ArtifactCommitted).
			Where("a.id > ?", after).OrderExpr("a.id").Limit(limit).Scan(ctx)
	})
	return found, err
}

// CountArtifactsOfRun counts the committed versions that a run made or used.
func (s *Store) CountArtifactsOfRun(ctx context.Context, run ID, direction EdgeDirection) (n int64, err error) {
	err = s.view(ctx, "count the run's artifacts", func(db bun.IDB) error {
		n, err = db.NewSelect().Model((*Artifact)(nil)).Join("JOIN artifact_edges AS ae ON ae.artifact_id = a.id").
			Where("ae.run_id = ?", run).Where("ae.direction = ?", direction).Where("a.state = ?", ArtifactCommitted).Count(ctx)
		return err
	})
	return n, err
}

// RunsOfArtifact returns the ids of the runs that made or used a version, oldest first.
func (s *Store) RunsOfArtifact(ctx context.Context, artifact ID, direction EdgeDirection, limit int64) ([]ID, error) {
	var found []ID
	err := s.view(ctx, "list the artifact's runs", func(db bun.IDB) error {
		return db.NewSelect().Model((*ArtifactEdge)(nil)).Column("run_id").Where("artifact_id = ?", artifact).
			Where("direction = ?", direction).Order("run_id").Limit(limit).Scan(ctx, &found)
	})
	return found, err
}

// ClientHolders returns what clients call by an id, newest first.
func (s *Store) ClientHolders(ctx context.Context, clientID string, limit int64) ([]ArtifactClient, error) {
	var found []ArtifactClient
	err := s.view(ctx, "look for a client's id", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("client_id = ?", Text(clientID)).OrderExpr("holder_id DESC").Limit(limit).Scan(ctx)
	})
	return found, err
}

type artifactLease struct {
	bun.BaseModel `bun:"table:artifact_leases"`

	Name      Text   `bun:"name,pk"`
	Holder    ID     `bun:"holder"`
	ExpiresAt Micros `bun:"expires_at"`
}

// TakeArtifactLease tells whether the holder may do some work until a time: nobody else may, or could only until before now.
func (s *Store) TakeArtifactLease(ctx context.Context, name string, holder ID, now, until Micros) (bool, error) {
	var taken bool
	err := s.update(ctx, "take a lease", func(ctx context.Context, tx bun.Tx) error {
		if err := insertIgnore(ctx, tx, []artifactLease{{Name: Text(name)}}); err != nil {
			return err
		}
		result, err := tx.NewUpdate().Model((*artifactLease)(nil)).Set("holder = ?", holder).Set("expires_at = ?", until).
			Where("name = ?", Text(name)).WhereGroup(" AND ", func(q *bun.UpdateQuery) *bun.UpdateQuery {
			return q.Where("holder = ?", holder).WhereOr("expires_at < ?", now)
		}).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		taken = n > 0
		return err
	})
	return taken, err
}
