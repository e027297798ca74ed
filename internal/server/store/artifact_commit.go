package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// ErrContentGone tells that contents which a commit counted on are being deleted, or were.
var ErrContentGone = errors.New("contents of the artifact were deleted meanwhile")

// ArtifactCommit is what a commit has found out about a pending version.
type ArtifactCommit struct {
	ArtifactID ID
	// Manifest is the one that counts from now on.
	Manifest  ArtifactManifest
	Digest    string
	Size      int64
	FileCount int64
	// Contents are what the version holds, in ascending order, each once. Their objects were seen.
	Contents []ID
	At       Micros
}

// contentsAtOnce are changed by one statement.
const contentsAtOnce = 1000

// CommitArtifact completes a pending version: it gets the collection's next number, the aliases that it waits for and AliasLatest. Where it
// is committed already, that version is returned as it is. ErrContentGone where contents went; ErrNotFound where the
// version or its collection did.
func (s *Store) CommitArtifact(ctx context.Context, c ArtifactCommit) (Artifact, error) {
	var result Artifact
	err := s.update(ctx, "commit the artifact", func(ctx context.Context, tx bun.Tx) error {
		// The first statement locks the row: of two commits at once the second sees what the first made.
		locked, err := tx.NewUpdate().Model((*Artifact)(nil)).Set("updated_at = ?", c.At).
			Where("id = ?", c.ArtifactID).Where("state IN (?)", bun.List([]ArtifactState{ArtifactPending, ArtifactCommitted})).Exec(ctx)
		if err := affectedOne(locked, err); err != nil {
			return err
		}
		if err := tx.NewSelect().Model(&result).Where("id = ?", c.ArtifactID).Scan(ctx); err != nil {
			return err
		}
		if result.State == ArtifactCommitted {
			return nil
		}
		if err := holdContents(ctx, tx, c.Contents); err != nil {
			return err
		}
		if result.VersionIndex, err = takeVersion(ctx, tx, result.CollectionID, c.At); err != nil {
			return err
		}
		aliases := result.awaited()
		result.State, result.Digest, result.Size, result.FileCount = ArtifactCommitted, Text(c.Digest), c.Size, c.FileCount
		result.ManifestID, result.UpdatedAt = c.Manifest.ID, c.At
		result.ExpiresAt = expiry(result)
		return s.writeCommit(ctx, tx, c, result, aliases)
	})
	return result, err
}

func (s *Store) writeCommit(ctx context.Context, tx bun.Tx, c ArtifactCommit, a Artifact, aliases []string) error {
	if _, err := tx.NewUpdate().Model(&a).WherePK().Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(&c.Manifest).Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.NewDelete().Model((*artifactGroup)(nil)).Where("artifact_id = ?", a.ID).Exec(ctx); err != nil {
		return err
	}
	member := ArtifactMembership{
		ID: s.ids.next(), CollectionID: a.CollectionID, ArtifactID: a.ID, VersionIndex: a.VersionIndex, CreatedAt: c.At,
	}
	if _, err := tx.NewInsert().Model(&member).Exec(ctx); err != nil {
		return err
	}
	return s.setAliases(ctx, tx, a.CollectionID, a.ID, append([]string{AliasLatest}, aliases...), c.At)
}

// takeVersion locks the collection and takes its next number.
func takeVersion(ctx context.Context, tx bun.Tx, collection ID, at Micros) (int64, error) {
	result, err := tx.NewUpdate().Model((*ArtifactCollection)(nil)).Set("next_index = next_index + 1").Set("updated_at = ?", at).
		Where("id = ?", collection).Exec(ctx)
	if err := affectedOne(result, err); err != nil {
		return 0, err
	}
	var next int64
	err = tx.NewSelect().Model((*ArtifactCollection)(nil)).Column("next_index").Where("id = ?", collection).Scan(ctx, &next)
	return next - 1, err
}

// holdContents counts one more version that holds contents.
func holdContents(ctx context.Context, tx bun.Tx, contents []ID) error {
	for at := 0; at < len(contents); at += contentsAtOnce {
		part := contents[at:min(at+contentsAtOnce, len(contents))]
		result, err := tx.NewUpdate().Model((*Content)(nil)).Set("refs = refs + 1").Set("ready = ?", true).
			Where("id IN (?)", bun.List(part)).Where("refs >= 0").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != int64(len(part)) {
			return errors.Join(err, ErrContentGone)
		}
	}
	return nil
}

func expiry(a Artifact) Micros {
	if a.TTLSeconds <= 0 || a.State != ArtifactCommitted {
		return 0
	}
	return a.CreatedAt + Micros(a.TTLSeconds)*Micros(time.Second/time.Microsecond)
}

// ArtifactChange says what of a version changes; nil leaves a field as it is.
type ArtifactChange struct {
	Description *string
	Metadata    *string
	TTLSeconds  *int64
	At          Micros
}

// ChangeArtifact changes what people say about a version that is not deleted, and returns it.
func (s *Store) ChangeArtifact(ctx context.Context, id ID, change ArtifactChange) (Artifact, error) {
	var a Artifact
	err := s.update(ctx, "write the artifact", func(ctx context.Context, tx bun.Tx) error {
		locked, err := tx.NewUpdate().Model((*Artifact)(nil)).Set("updated_at = ?", change.At).Where("id = ?", id).
			Where("state IN (?)", bun.List([]ArtifactState{ArtifactPending, ArtifactCommitted})).Exec(ctx)
		if err := affectedOne(locked, err); err != nil {
			return err
		}
		if err := tx.NewSelect().Model(&a).Where("id = ?", id).Scan(ctx); err != nil {
			return err
		}
		if change.Description != nil {
			a.Description = Blob(*change.Description)
		}
		if change.Metadata != nil {
			a.Metadata = Blob(*change.Metadata)
		}
		if change.TTLSeconds != nil {
			a.TTLSeconds = *change.TTLSeconds
			a.ExpiresAt = expiry(a)
		}
		_, err = tx.NewUpdate().Model(&a).WherePK().Exec(ctx)
		return err
	})
	return a, err
}

// LinkArtifact makes a version a member of a portfolio, with aliases and AliasLatest. It keeps the number that it has there.
func (s *Store) LinkArtifact(ctx context.Context, portfolio, artifact ID, aliases []string, at Micros) (ArtifactMembership, error) {
	var m ArtifactMembership
	err := s.update(ctx, "link the artifact", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, portfolio, at); err != nil {
			return err
		}
		err := tx.NewSelect().Model(&m).Where("collection_id = ?", portfolio).Where("artifact_id = ?", artifact).Scan(ctx)
		if isNoRows(err) {
			index, err := takeVersion(ctx, tx, portfolio, at)
			if err != nil {
				return err
			}
			m = ArtifactMembership{ID: s.ids.next(), CollectionID: portfolio, ArtifactID: artifact, VersionIndex: index, CreatedAt: at}
			if _, err := tx.NewInsert().Model(&m).Exec(ctx); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		return s.setAliases(ctx, tx, portfolio, artifact, append([]string{AliasLatest}, aliases...), at)
	})
	return m, err
}

// UnlinkArtifact takes a version out of a portfolio.
func (s *Store) UnlinkArtifact(ctx context.Context, portfolio, artifact ID, at Micros) error {
	return s.update(ctx, "unlink the artifact", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, portfolio, at); err != nil {
			return err
		}
		result, err := tx.NewDelete().Model((*ArtifactMembership)(nil)).Where("collection_id = ?", portfolio).
			Where("artifact_id = ?", artifact).Exec(ctx)
		if err := affectedOne(result, err); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*ArtifactAlias)(nil)).Where("collection_id = ?", portfolio).
			Where("artifact_id = ?", artifact).Exec(ctx); err != nil {
			return err
		}
		return s.restoreLatest(ctx, tx, portfolio, at)
	})
}

// restoreLatest gives AliasLatest to the newest version of a collection where no version has it.
func (s *Store) restoreLatest(ctx context.Context, tx bun.Tx, collection ID, at Micros) error {
	has, err := tx.NewSelect().Model((*ArtifactAlias)(nil)).Where("collection_id = ?", collection).
		Where("alias = ?", Text(AliasLatest)).Exists(ctx)
	if err != nil || has {
		return err
	}
	var newest ArtifactMembership
	err = tx.NewSelect().Model(&newest).Where("collection_id = ?", collection).OrderExpr("version_index DESC").Limit(1).Scan(ctx)
	if isNoRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.setAliases(ctx, tx, collection, newest.ArtifactID, []string{AliasLatest}, at)
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
