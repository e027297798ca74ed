package store

import (
	"context"
	"errors"
	"slices"

	"github.com/uptrace/bun"
)

// ErrHasAliases tells that a version has aliases, and that these were not to be deleted.
var ErrHasAliases = errors.New("the artifact has aliases")

// DeleteArtifact deletes a version and its places in collections; AliasLatest goes to the newest version that is left.
// Without withAliases it fails with ErrHasAliases where the version has any.
func (s *Store) DeleteArtifact(ctx context.Context, id ID, withAliases bool, at Micros) error {
	return s.update(ctx, "delete the artifact", func(ctx context.Context, tx bun.Tx) error {
		if !withAliases {
			has, err := tx.NewSelect().Model((*ArtifactAlias)(nil)).Where("artifact_id = ?", id).Exists(ctx)
			if err != nil {
				return err
			}
			if has {
				return ErrHasAliases
			}
		}
		gone, err := tx.NewUpdate().Model((*Artifact)(nil)).Set("state = ?", ArtifactDeleted).Set("updated_at = ?", at).
			Set("expires_at = 0").Where("id = ?", id).
			Where("state IN (?)", bun.List([]ArtifactState{ArtifactPending, ArtifactCommitted})).Exec(ctx)
		if err := affectedOne(gone, err); err != nil {
			return err
		}
		return s.detach(ctx, tx, []ID{id}, at)
	})
}

// detach takes versions out of every collection.
func (s *Store) detach(ctx context.Context, tx bun.Tx, artifacts []ID, at Micros) error {
	var collections []ID
	if err := tx.NewSelect().Model((*ArtifactMembership)(nil)).Column("collection_id").Distinct().
		Where("artifact_id IN (?)", bun.List(artifacts)).Scan(ctx, &collections); err != nil {
		return err
	}
	slices.Sort(collections)
	for _, id := range collections {
		if err := lockCollection(ctx, tx, id, at); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	for _, model := range []any{(*ArtifactMembership)(nil), (*ArtifactAlias)(nil)} {
		if _, err := tx.NewDelete().Model(model).Where("artifact_id IN (?)", bun.List(artifacts)).Exec(ctx); err != nil {
			return err
		}
	}
	for _, id := range collections {
		if err := s.restoreLatest(ctx, tx, id, at); err != nil {
			return err
		}
	}
	return nil
}

// DeleteCollection deletes a collection; of a sequence, all versions too.
func (s *Store) DeleteCollection(ctx context.Context, id ID, at Micros) error {
	return s.update(ctx, "delete the collection", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, id, at); err != nil {
			return err
		}
		if err := s.deleteVersions(ctx, tx, id, at); err != nil {
			return err
		}
		for _, model := range []any{(*ArtifactMembership)(nil), (*ArtifactAlias)(nil), (*artifactGroup)(nil)} {
			if _, err := tx.NewDelete().Model(model).Where("collection_id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		for _, model := range []any{(*ArtifactTag)(nil), (*ArtifactClient)(nil)} {
			if _, err := tx.NewDelete().Model(model).Where("holder_id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		_, err := tx.NewDelete().Model((*ArtifactCollection)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// deleteVersions deletes what was made in a sequence; in a portfolio that is nothing.
func (s *Store) deleteVersions(ctx context.Context, tx bun.Tx, collection ID, at Micros) error {
	var artifacts []ID
	if err := tx.NewSelect().Model((*Artifact)(nil)).Column("id").Where("collection_id = ?", collection).
		Where("state IN (?)", bun.List([]ArtifactState{ArtifactPending, ArtifactCommitted})).Order("id").Scan(ctx, &artifacts); err != nil {
		return err
	}
	for at0 := 0; at0 < len(artifacts); at0 += contentsAtOnce {
		part := artifacts[at0:min(at0+contentsAtOnce, len(artifacts))]
		if _, err := tx.NewUpdate().Model((*Artifact)(nil)).Set("state = ?", ArtifactDeleted).Set("updated_at = ?", at).
			Set("expires_at = 0").Where("id IN (?)", bun.List(part)).Exec(ctx); err != nil {
			return err
		}
		if err := s.detach(ctx, tx, part, at); err != nil {
			return err
		}
	}
	return nil
}

// CollectionChange says what of a collection changes; nil leaves a field as it is.
type CollectionChange struct {
	Name        *string
	Description *string
	// TypeID is the type that it moves to; 0 for the one it has.
	TypeID ID
	At     Micros
}

// ChangeCollection changes a collection; ErrDuplicate where the name is taken.
func (s *Store) ChangeCollection(ctx context.Context, id ID, change CollectionChange) error {
	return s.update(ctx, "write the collection", func(ctx context.Context, tx bun.Tx) error {
		q := tx.NewUpdate().Model((*ArtifactCollection)(nil)).Set("updated_at = ?", change.At).Where("id = ?", id)
		if change.Name != nil {
			q = q.Set("name = ?", Text(*change.Name))
		}
		if change.Description != nil {
			q = q.Set("description = ?", Blob(*change.Description))
		}
		if change.TypeID != 0 {
			q = q.Set("type_id = ?", change.TypeID)
		}
		return affectedOne(q.Exec(ctx))
	})
}

// ArtifactsIn returns up to limit ids of versions in a state, in ascending order, above after, that were last changed
// before a time; of one project where that is not 0.
func (s *Store) ArtifactsIn(ctx context.Context, state ArtifactState, project, after ID, before Micros, limit int64) ([]ID, error) {
	var found []ID
	err := s.view(ctx, "list artifacts", func(db bun.IDB) error {
		q := db.NewSelect().Model((*Artifact)(nil)).Column("id").Where("state = ?", state).Where("id > ?", after).
			Where("updated_at < ?", before).Order("id").Limit(limit)
		if project != 0 {
			q = q.Where("project_id = ?", project)
		}
		return q.Scan(ctx, &found)
	})
	return found, err
}

// ExpiredArtifacts returns up to limit ids of versions whose time has come and which no portfolio holds.
func (s *Store) ExpiredArtifacts(ctx context.Context, now Micros, limit int64) ([]ID, error) {
	var found []ID
	err := s.view(ctx, "list expired artifacts", func(db bun.IDB) error {
		return db.NewSelect().Model((*Artifact)(nil)).Column("id").Where("a.expires_at > 0").Where("a.expires_at <= ?", now).
			Where("a.state = ?", ArtifactCommitted).
			Where("NOT EXISTS (SELECT 1 FROM artifact_memberships AS m WHERE m.artifact_id = a.id AND m.collection_id <> a.collection_id)").
			Order("expires_at").Limit(limit).Scan(ctx, &found)
	})
	return found, err
}

// FreeArtifact ends what a deleted version holds of contents, once. ErrNotFound where that has happened.
func (s *Store) FreeArtifact(ctx context.Context, id ID, contents []ID) error {
	return s.update(ctx, "free the artifact", func(ctx context.Context, tx bun.Tx) error {
		freed, err := tx.NewUpdate().Model((*Artifact)(nil)).Set("state = ?", ArtifactFreed).
			Where("id = ?", id).Where("state = ?", ArtifactDeleted).Exec(ctx)
		if err := affectedOne(freed, err); err != nil {
			return err
		}
		for at := 0; at < len(contents); at += contentsAtOnce {
			part := contents[at:min(at+contentsAtOnce, len(contents))]
			if _, err := tx.NewUpdate().Model((*Content)(nil)).Set("refs = refs - 1").
				Where("id IN (?)", bun.List(part)).Where("refs > 0").Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetArtifact removes the last rows of a version that was freed.
func (s *Store) ForgetArtifact(ctx context.Context, id ID) error {
	return s.update(ctx, "forget the artifact", func(ctx context.Context, tx bun.Tx) error {
		for _, model := range []any{(*ArtifactManifest)(nil), (*ArtifactEdge)(nil), (*artifactGroup)(nil)} {
			if _, err := tx.NewDelete().Model(model).Where("artifact_id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		for _, model := range []any{(*ArtifactTag)(nil), (*ArtifactClient)(nil)} {
			if _, err := tx.NewDelete().Model(model).Where("holder_id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		_, err := tx.NewDelete().Model((*Artifact)(nil)).Where("id = ?", id).Where("state = ?", ArtifactFreed).Exec(ctx)
		return err
	})
}
