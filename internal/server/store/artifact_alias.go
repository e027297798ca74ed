package store

import (
	"context"

	"github.com/uptrace/bun"
)

// AliasLatest is the alias of a collection's newest version. Every commit and every link moves it.
const AliasLatest = "latest"

// setAliases gives aliases to a version, which other versions of the collection lose. The collection must be locked.
func (s *Store) setAliases(ctx context.Context, tx bun.Tx, collection, artifact ID, aliases []string, at Micros) error {
	for _, alias := range aliases {
		result, err := tx.NewUpdate().Model((*ArtifactAlias)(nil)).Set("artifact_id = ?", artifact).Set("created_at = ?", at).
			Where("collection_id = ?", collection).Where("alias = ?", Text(alias)).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			if err != nil {
				return err
			}
			continue
		}
		row := ArtifactAlias{ID: s.ids.next(), CollectionID: collection, ArtifactID: artifact, Alias: Text(alias), CreatedAt: at}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) addTags(ctx context.Context, tx bun.Tx, holder ID, tags []string, at Micros) error {
	rows := make([]ArtifactTag, len(tags))
	for i, tag := range tags {
		rows[i] = ArtifactTag{ID: s.ids.next(), HolderID: holder, Name: Text(tag), CreatedAt: at}
	}
	return insertIgnore(ctx, tx, rows)
}

// AddAliases gives aliases to a version of a collection; ErrNotFound where it is none.
func (s *Store) AddAliases(ctx context.Context, collection, artifact ID, aliases []string, at Micros) error {
	return s.update(ctx, "write aliases", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, collection, at); err != nil {
			return err
		}
		member, err := tx.NewSelect().Model((*ArtifactMembership)(nil)).Where("collection_id = ?", collection).
			Where("artifact_id = ?", artifact).Exists(ctx)
		if err != nil {
			return err
		}
		if !member {
			return ErrNotFound
		}
		return s.setAliases(ctx, tx, collection, artifact, aliases, at)
	})
}

// DeleteAliases takes aliases from a version, and does nothing about those that it does not have.
func (s *Store) DeleteAliases(ctx context.Context, collection, artifact ID, aliases []string, at Micros) error {
	if len(aliases) == 0 {
		return nil
	}
	return s.update(ctx, "delete aliases", func(ctx context.Context, tx bun.Tx) error {
		if err := lockCollection(ctx, tx, collection, at); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*ArtifactAlias)(nil)).Where("collection_id = ?", collection).
			Where("artifact_id = ?", artifact).Where("alias IN (?)", bun.List(texts(aliases))).Exec(ctx)
		return err
	})
}

// AliasesOf returns the aliases of versions in every collection, oldest first.
func (s *Store) AliasesOf(ctx context.Context, artifacts []ID) ([]ArtifactAlias, error) {
	var found []ArtifactAlias
	if len(artifacts) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "list aliases", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("artifact_id IN (?)", bun.List(artifacts)).Order("id").Scan(ctx)
	})
	return found, err
}

// AliasesIn returns up to limit aliases of a collection by name, with a name above after.
func (s *Store) AliasesIn(ctx context.Context, collection ID, after string, limit int64) ([]ArtifactAlias, error) {
	var found []ArtifactAlias
	err := s.view(ctx, "list aliases", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("collection_id = ?", collection).Where("alias > ?", Text(after)).
			Order("alias").Limit(limit).Scan(ctx)
	})
	return found, err
}

// ChangeTags adds tags to a version or collection and takes others away.
func (s *Store) ChangeTags(ctx context.Context, holder ID, add, remove []string, at Micros) error {
	return s.update(ctx, "write tags", func(ctx context.Context, tx bun.Tx) error {
		if len(remove) > 0 {
			if _, err := tx.NewDelete().Model((*ArtifactTag)(nil)).Where("holder_id = ?", holder).
				Where("name IN (?)", bun.List(texts(remove))).Exec(ctx); err != nil {
				return err
			}
		}
		return s.addTags(ctx, tx, holder, add, at)
	})
}

// TagsOf returns the tags of versions and collections, oldest first.
func (s *Store) TagsOf(ctx context.Context, holders []ID) ([]ArtifactTag, error) {
	var found []ArtifactTag
	if len(holders) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "list tags", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("holder_id IN (?)", bun.List(holders)).Order("id").Scan(ctx)
	})
	return found, err
}

func texts(list []string) []Text {
	out := make([]Text, len(list))
	for i, text := range list {
		out[i] = Text(text)
	}
	return out
}

// MemberQuery says which of a collection's versions is meant. Exactly one field is set; Version counts from 0 and is
// NoVersion where another field is.
type MemberQuery struct {
	Version  int64
	Alias    string
	Digest   string
	Artifact ID
}

// Member returns a committed version of a collection.
func (s *Store) Member(ctx context.Context, collection ID, which MemberQuery) (ArtifactMembership, error) {
	var m ArtifactMembership
	err := s.view(ctx, "read the artifact's membership", func(db bun.IDB) error {
		q := db.NewSelect().Model(&m).Join("JOIN artifacts AS a ON a.id = am.artifact_id").
			Where("am.collection_id = ?", collection).Where("a.state = ?", ArtifactCommitted).OrderExpr("am.version_index DESC").Limit(1)
		switch {
		case which.Alias != "":
			q = q.Join("JOIN artifact_aliases AS al ON al.artifact_id = am.artifact_id AND al.collection_id = am.collection_id").
				Where("al.alias = ?", Text(which.Alias))
		case which.Digest != "":
			q = q.Where("a.digest = ?", Text(which.Digest))
		case which.Artifact != 0:
			q = q.Where("am.artifact_id = ?", which.Artifact)
		default:
			q = q.Where("am.version_index = ?", which.Version)
		}
		return q.Scan(ctx)
	})
	return m, err
}

// MembershipsOf returns where a version is, its own sequence first.
func (s *Store) MembershipsOf(ctx context.Context, artifact ID) ([]ArtifactMembership, error) {
	var found []ArtifactMembership
	err := s.view(ctx, "list memberships", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("artifact_id = ?", artifact).Order("id").Scan(ctx)
	})
	return found, err
}

// MembersOf returns up to limit committed versions of a collection, newest first, with a version below before where that
// is not NoVersion.
func (s *Store) MembersOf(ctx context.Context, collection ID, before int64, limit int64) ([]ArtifactMembership, error) {
	var found []ArtifactMembership
	err := s.view(ctx, "list versions", func(db bun.IDB) error {
		q := db.NewSelect().Model(&found).Join("JOIN artifacts AS a ON a.id = am.artifact_id").
			Where("am.collection_id = ?", collection).Where("a.state = ?", ArtifactCommitted).
			OrderExpr("am.version_index DESC").Limit(limit)
		if before != NoVersion {
			q = q.Where("am.version_index < ?", before)
		}
		return q.Scan(ctx)
	})
	return found, err
}

// CountMembers counts the committed versions of a collection.
func (s *Store) CountMembers(ctx context.Context, collection ID) (n int64, err error) {
	err = s.view(ctx, "count versions", func(db bun.IDB) error {
		n, err = db.NewSelect().Model((*ArtifactMembership)(nil)).Join("JOIN artifacts AS a ON a.id = am.artifact_id").
			Where("am.collection_id = ?", collection).Where("a.state = ?", ArtifactCommitted).Count(ctx)
		return err
	})
	return n, err
}
