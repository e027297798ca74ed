package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
)

// Content is a row of artifact_contents: bytes that versions of a project hold.
type Content struct {
	bun.BaseModel `bun:"table:artifact_contents,alias:co"`

	ID        ID `bun:"id,pk"`
	ProjectID ID `bun:"project_id"`
	EntityID  ID `bun:"entity_id"`
	// BirthID is the version that the bytes were first uploaded for.
	BirthID ID `bun:"birth_id"`
	// MD5 is the 16 bytes of the digest. More follow while the object is being deleted.
	MD5 Text `bun:"md5"`
	// Ready: a commit has seen the object.
	Ready bool `bun:"ready"`
	// Refs counts committed versions; dyingRefs while the object is being deleted.
	Refs      int64  `bun:"refs"`
	TouchedAt Micros `bun:"touched_at"`
}

const (
	dyingRefs = -1
	// touchPause is how stale the time of the last use may be: most uses write nothing.
	touchPause = Micros(3_600_000_000)
)

// Key is the key of the object in the bucket. Its last folder is the first byte of the MD5: stores that keep objects in a file
// system read a folder again for every page of names, so that listing one of 100,000 objects would take them minutes.
func (c Content) Key() string {
	md5 := c.MD5[:min(len(c.MD5), 16)]
	return fmt.Sprintf("%s%x/%x-%d", BirthFolder(c.EntityID, c.BirthID), string(md5[:min(len(md5), 1)]), string(md5), c.ID)
}

// BirthFolder is where the objects of all contents are that were first uploaded for a version.
func BirthFolder(entity, birth ID) string { return fmt.Sprintf("artifacts/%d/%d/", entity, birth) }

// ManifestKey is where a manifest is kept.
func ManifestKey(a Artifact, manifest ID) string {
	return fmt.Sprintf("artifacts/%d/%d/manifests/%d.json", a.EntityID, a.ID, manifest)
}

// Contents returns what a project has of a list of MD5s, by MD5. Whoever asks with a time means to use them: for a while
// after it they are not deleted.
func (s *Store) Contents(ctx context.Context, project ID, md5s []Text, use Micros) (map[Text]Content, error) {
	found := make(map[Text]Content, len(md5s))
	for part := range slices.Chunk(md5s, contentsAtOnce) {
		var rows []Content
		err := s.view(ctx, "look for contents", func(db bun.IDB) error {
			return db.NewSelect().Model(&rows).Where("project_id = ?", project).Where("md5 IN (?)", bun.List(part)).
				Where("refs >= 0").Scan(ctx)
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			found[row.MD5] = row
		}
	}
	if use == 0 {
		return found, nil
	}
	return found, s.touch(ctx, found, use)
}

// touch notes the use of contents, and drops from the map those that were taken for deletion meanwhile.
func (s *Store) touch(ctx context.Context, contents map[Text]Content, at Micros) error {
	var stale []ID
	for _, c := range contents {
		if c.TouchedAt < at-touchPause {
			stale = append(stale, c.ID)
		}
	}
	slices.Sort(stale)
	for part := range slices.Chunk(stale, contentsAtOnce) {
		var left []ID
		err := s.update(ctx, "note the use of contents", func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewUpdate().Model((*Content)(nil)).Set("touched_at = ?", at).
				Where("id IN (?)", bun.List(part)).Where("refs >= 0").Exec(ctx); err != nil {
				return err
			}
			return tx.NewSelect().Model((*Content)(nil)).Column("id").Where("id IN (?)", bun.List(part)).Where("refs >= 0").Scan(ctx, &left)
		})
		if err != nil {
			return err
		}
		for md5, c := range contents {
			if slices.Contains(part, c.ID) && !slices.Contains(left, c.ID) {
				delete(contents, md5)
			}
		}
	}
	return nil
}

// EnsureContents returns a project's contents by MD5, and writes rows with this birth for those that it does not have.
func (s *Store) EnsureContents(ctx context.Context, a Artifact, md5s []Text, at Micros) (map[Text]Content, error) {
	found, err := s.Contents(ctx, a.ProjectID, md5s, at)
	if err != nil {
		return nil, err
	}
	var missing []Content
	wanted := make(map[Text]bool)
	for _, md5 := range md5s {
		if _, ok := found[md5]; ok || wanted[md5] {
			continue
		}
		wanted[md5] = true
		missing = append(missing, Content{
			ID: s.ids.next(), ProjectID: a.ProjectID, EntityID: a.EntityID, BirthID: a.ID, MD5: md5, TouchedAt: at,
		})
	}
	if len(missing) == 0 {
		return found, nil
	}
	if err := s.InsertContents(ctx, missing); err != nil {
		return nil, err
	}
	names := make([]Text, len(missing))
	for i, c := range missing {
		names[i] = c.MD5
	}
	written, err := s.Contents(ctx, a.ProjectID, names, 0)
	for md5, c := range written {
		found[md5] = c
	}
	return found, err
}

// InsertContents writes rows where the project has none of their MD5.
func (s *Store) InsertContents(ctx context.Context, rows []Content) error {
	return s.update(ctx, "write contents", func(ctx context.Context, tx bun.Tx) error {
		if err := s.holdProject(ctx, tx, rows[0].ProjectID); err != nil {
			return err
		}
		for part := range slices.Chunk(rows, contentsAtOnce) {
			if err := insertIgnore(ctx, tx, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// Content returns contents by id; ErrNotFound where they are being deleted.
func (s *Store) Content(ctx context.Context, id ID) (Content, error) {
	var c Content
	err := s.view(ctx, "read contents", func(db bun.IDB) error {
		return db.NewSelect().Model(&c).Where("id = ?", id).Where("refs >= 0").Scan(ctx)
	})
	return c, err
}

// ContentsOfEntity returns what the projects of an entity hold of an MD5.
func (s *Store) ContentsOfEntity(ctx context.Context, entity ID, md5 Text) ([]Content, error) {
	var found []Content
	err := s.view(ctx, "look for contents", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Join("JOIN projects AS p ON p.id = co.project_id").
			Where("p.entity_id = ?", entity).Where("p.access <> ?", AccessDeleted).Where("co.md5 = ?", md5).Where("co.ready").Where("co.refs >= 0").Scan(ctx)
	})
	return found, err
}

// DoubtContents makes clients upload contents again whose object was not found.
func (s *Store) DoubtContents(ctx context.Context, ids []ID) error {
	return s.update(ctx, "doubt contents", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Content)(nil)).Set("ready = ?", false).Where("id IN (?)", bun.List(ids)).Exec(ctx)
		return err
	})
}

// ContentsFrom returns up to limit contents with an id above after.
func (s *Store) ContentsFrom(ctx context.Context, after ID, limit int64) ([]Content, error) {
	var found []Content
	err := s.view(ctx, "list contents", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("id > ?", after).Order("id").Limit(limit).Scan(ctx)
	})
	return found, err
}

// CondemnContents takes those of a list for deletion that no version holds and nobody has used since a time, and returns
// them with those that were taken before. From then on nobody finds them, and new bytes of the same MD5 get another key.
func (s *Store) CondemnContents(ctx context.Context, ids []ID, unusedSince Micros) ([]Content, error) {
	var condemned []Content
	for part := range slices.Chunk(ids, contentsAtOnce) {
		var rows []Content
		err := s.update(ctx, "condemn contents", func(ctx context.Context, tx bun.Tx) error {
			var idle []Content
			if err := tx.NewSelect().Model(&idle).Where("id IN (?)", bun.List(part)).Where("refs = 0").
				Where("touched_at < ?", unusedSince).Order("id").Scan(ctx); err != nil {
				return err
			}
			for _, c := range idle {
				if _, err := tx.NewUpdate().Model((*Content)(nil)).Set("refs = ?", dyingRefs).Set("md5 = ?", c.MD5+idBytes(c.ID)).
					Where("id = ?", c.ID).Where("refs = 0").Where("touched_at < ?", unusedSince).Exec(ctx); err != nil {
					return err
				}
			}
			rows = rows[:0]
			return tx.NewSelect().Model(&rows).Where("id IN (?)", bun.List(part)).Where("refs = ?", dyingRefs).Scan(ctx)
		})
		if err != nil {
			return nil, err
		}
		condemned = append(condemned, rows...)
	}
	return condemned, nil
}

// ForgetContents removes rows whose objects were deleted.
func (s *Store) ForgetContents(ctx context.Context, ids []ID) error {
	return s.update(ctx, "forget contents", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*Content)(nil)).Where("id IN (?)", bun.List(ids)).Where("refs = ?", dyingRefs).Exec(ctx)
		return err
	})
}

func idBytes(id ID) Text {
	var b [8]byte
	for i := range b {
		b[i] = byte(id >> (8 * i))
	}
	return Text(b[:])
}
