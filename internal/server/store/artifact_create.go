package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/uptrace/bun"
)

// EnsureCollection returns a project's collection of this name and writes one of this type and kind, with its type, where
// there is none. One that exists may be of another type or kind: the caller looks.
func (s *Store) EnsureCollection(ctx context.Context, c ArtifactCollection) (ArtifactCollection, error) {
	existing, err := s.CollectionByName(ctx, c.ProjectID, string(c.Name))
	if !errors.Is(err, ErrNotFound) {
		return existing, err
	}
	t, err := s.EnsureArtifactType(ctx, ArtifactType{ProjectID: c.ProjectID, Name: c.TypeName, CreatedAt: c.CreatedAt})
	if err != nil {
		return existing, err
	}
	c.ID, c.TypeID = s.ids.next(), t.ID
	err = s.update(ctx, "write the collection", func(ctx context.Context, tx bun.Tx) error {
		if err := s.holdProject(ctx, tx, c.ProjectID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&c).Exec(ctx)
		return err
	})
	if errors.Is(err, ErrDuplicate) {
		return s.CollectionByName(ctx, c.ProjectID, string(c.Name))
	}
	return c, err
}

// EnsureArtifactType returns a project's type of this name, and writes it where there is none.
func (s *Store) EnsureArtifactType(ctx context.Context, t ArtifactType) (ArtifactType, error) {
	existing, err := s.ArtifactType(ctx, t.ProjectID, string(t.Name))
	if !errors.Is(err, ErrNotFound) {
		return existing, err
	}
	t.ID = s.ids.next()
	err = s.update(ctx, "write the artifact type", func(ctx context.Context, tx bun.Tx) error {
		if err := s.holdProject(ctx, tx, t.ProjectID); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&t).Exec(ctx)
		return err
	})
	if errors.Is(err, ErrDuplicate) {
		return s.ArtifactType(ctx, t.ProjectID, string(t.Name))
	}
	return t, err
}

// NewArtifact is a version that a client is about to write.
type NewArtifact struct {
	Artifact Artifact
	// Dedupe lets a committed version of the same digest stand for the new one.
	Dedupe bool
	// ClientID and SequenceClientID are what the client calls version and sequence; "" for nothing.
	ClientID, SequenceClientID string
	// DistributedID is the same for all processes that write one version together; "" for none.
	DistributedID string
	// Aliases are given with the commit, and at once to a committed version that stands for the new one. Tags are given at
	// once.
	Aliases, Tags []string
}

// CreateArtifact writes a pending version, and returns it. It returns one that exists where this client has written it
// already, where another process of the group has, and where one of the same digest may stand for it.
func (s *Store) CreateArtifact(ctx context.Context, n NewArtifact) (Artifact, error) {
	var result Artifact
	err := s.update(ctx, "write the artifact", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, n.Artifact.CollectionID, n.Artifact.CreatedAt); err != nil {
			return err
		}
		found, copied, err := s.sameArtifact(ctx, tx, n)
		if result = found; err != nil || copied {
			return err
		}
		if found.ID == 0 {
			if err := s.holdProject(ctx, tx, n.Artifact.ProjectID); err != nil {
				return err
			}
			result = n.Artifact
			result.ID = s.ids.next()
			if _, err := tx.NewInsert().Model(&result).Exec(ctx); err != nil {
				return err
			}
		}
		return s.attach(ctx, tx, result, n)
	})
	return result, err
}

// sameArtifact finds what stands for a new version. The collection is locked: of two calls at once the second sees what
// the first wrote. copied: this client has asked for all of it before, and the version is committed since. Then this may be
// a copy that comes late, which must not take back an alias that was given to another version meanwhile.
func (s *Store) sameArtifact(ctx context.Context, tx bun.Tx, n NewArtifact) (same Artifact, copied bool, err error) {
	alive := []ArtifactState{ArtifactPending, ArtifactCommitted}
	base := func(into *Artifact) *bun.SelectQuery {
		return tx.NewSelect().Model(into).Where("a.collection_id = ?", n.Artifact.CollectionID).OrderExpr("a.id DESC").Limit(1)
	}
	var a Artifact
	if n.ClientID != "" {
		err := base(&a).Join("JOIN artifact_clients AS cl ON cl.holder_id = a.id").Where("cl.client_id = ?", Text(n.ClientID)).
			Where("a.digest = ?", n.Artifact.Digest).Where("a.state IN (?)", bun.List(alive)).Scan(ctx)
		if err == nil || !isNoRows(err) {
			return a, a.State == ArtifactCommitted && a.wished(n.Aliases), err
		}
	}
	if n.DistributedID != "" {
		err := base(&a).Join("JOIN artifact_groups AS g ON g.artifact_id = a.id").
			Where("g.collection_id = ?", n.Artifact.CollectionID).Where("g.distributed_id = ?", Text(n.DistributedID)).
			Where("a.state = ?", ArtifactPending).Scan(ctx)
		if err == nil || !isNoRows(err) {
			return a, false, err
		}
		return Artifact{}, false, nil // the digest is that of one process's part
	}
	if !n.Dedupe {
		return Artifact{}, false, nil
	}
	err = base(&a).Where("a.digest = ?", n.Artifact.Digest).Where("a.state = ?", ArtifactCommitted).Scan(ctx)
	if isNoRows(err) {
		return Artifact{}, false, nil
	}
	return a, false, err
}

// attach writes what a client says of a version, whether it is new or not.
func (s *Store) attach(ctx context.Context, tx bun.Tx, a Artifact, n NewArtifact) error {
	at := n.Artifact.CreatedAt
	if n.DistributedID != "" && a.State == ArtifactPending {
		group := artifactGroup{CollectionID: a.CollectionID, DistributedID: Text(n.DistributedID), ArtifactID: a.ID}
		if _, err := tx.NewDelete().Model((*artifactGroup)(nil)).Where("collection_id = ?", a.CollectionID).
			Where("distributed_id = ?", group.DistributedID).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&group).Exec(ctx); err != nil {
			return err
		}
	}
	var clients []ArtifactClient
	if n.ClientID != "" {
		clients = append(clients, ArtifactClient{ClientID: Text(n.ClientID), HolderID: a.ID, Kind: ClientArtifact})
	}
	if n.SequenceClientID != "" {
		clients = append(clients, ArtifactClient{ClientID: Text(n.SequenceClientID), HolderID: a.CollectionID, Kind: ClientSequence})
	}
	if err := insertIgnore(ctx, tx, clients); err != nil {
		return err
	}
	if n.Artifact.RunID != 0 {
		edge := ArtifactEdge{RunID: n.Artifact.RunID, Direction: EdgeOutput, ArtifactID: a.ID, CreatedAt: at}
		if err := insertIgnore(ctx, tx, []ArtifactEdge{edge}); err != nil {
			return err
		}
	}
	if err := s.addTags(ctx, tx, a.ID, n.Tags, at); err != nil {
		return err
	}
	if err := await(ctx, tx, a, n.Aliases); err != nil || a.State != ArtifactCommitted {
		return err
	}
	return s.setAliases(ctx, tx, a.CollectionID, a.ID, append([]string{AliasLatest}, n.Aliases...), at)
}

// await adds to the aliases that were asked for with a version, which it gets with its commit.
func await(ctx context.Context, tx bun.Tx, a Artifact, aliases []string) error {
	awaited := a.awaited()
	for _, alias := range aliases {
		if !slices.Contains(awaited, alias) {
			awaited = append(awaited, alias)
		}
	}
	if len(awaited) == len(a.awaited()) {
		return nil
	}
	wishes, err := json.Marshal(awaited)
	if err != nil {
		return err
	}
	_, err = tx.NewUpdate().Model((*Artifact)(nil)).Set("wishes = ?", Blob(wishes)).Where("id = ?", a.ID).Exec(ctx)
	return err
}

// lockCollection makes other changes of a collection's versions and aliases wait until this transaction ends.
func lockCollection(ctx context.Context, tx bun.Tx, id ID, at Micros) error {
	result, err := tx.NewUpdate().Model((*ArtifactCollection)(nil)).Set("updated_at = ?", at).Where("id = ?", id).Exec(ctx)
	return affectedOne(result, err)
}

// insertIgnore writes rows of which some may exist already.
func insertIgnore[T any](ctx context.Context, tx bun.Tx, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.NewInsert().Model(&rows).Ignore().Exec(ctx)
	return err
}

// PutManifest writes a manifest of a pending version. A version has one full and one incremental manifest, whose row is
// changed where it exists; every patch is a row of its own.
func (s *Store) PutManifest(ctx context.Context, m ArtifactManifest) (ArtifactManifest, error) {
	err := s.update(ctx, "write the manifest", func(ctx context.Context, tx bun.Tx) error {
		var a Artifact
		if err := tx.NewSelect().Model(&a).Where("id = ?", m.ArtifactID).Where("state = ?", ArtifactPending).Scan(ctx); err != nil {
			return err
		}
		if m.Kind != ManifestPatch {
			var existing ArtifactManifest
			err := tx.NewSelect().Model(&existing).Where("artifact_id = ?", m.ArtifactID).Where("kind = ?", m.Kind).Limit(1).Scan(ctx)
			if err == nil {
				m.ID, m.CreatedAt = existing.ID, existing.CreatedAt
				_, err = tx.NewUpdate().Model(&m).WherePK().Exec(ctx)
				return err
			}
			if !isNoRows(err) {
				return err
			}
		}
		m.ID = s.ids.next()
		_, err := tx.NewInsert().Model(&m).Exec(ctx)
		return err
	})
	return m, err
}

// UpdateManifest changes digest and base of a manifest, whose version must be pending.
func (s *Store) UpdateManifest(ctx context.Context, m ArtifactManifest) error {
	return s.update(ctx, "write the manifest", func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model(&m).Column("digest", "base_id").WherePK().Exec(ctx)
		return affectedOne(result, err)
	})
}

// Manifest returns a manifest by its id.
func (s *Store) Manifest(ctx context.Context, id ID) (ArtifactManifest, error) {
	var m ArtifactManifest
	err := s.view(ctx, "read the manifest", func(db bun.IDB) error {
		return db.NewSelect().Model(&m).Where("id = ?", id).Scan(ctx)
	})
	return m, err
}

// Manifests returns every manifest of a version in the order in which they were made.
func (s *Store) Manifests(ctx context.Context, artifact ID) ([]ArtifactManifest, error) {
	var found []ArtifactManifest
	err := s.view(ctx, "list manifests", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("artifact_id = ?", artifact).Order("id").Scan(ctx)
	})
	return found, err
}
