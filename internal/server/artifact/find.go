package artifact

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Collection is a collection with its project.
type Collection struct {
	store.ArtifactCollection
	Place access.Place
	Tags  []store.ArtifactTag
	// Deleted is set for whoever has just deleted it.
	Deleted bool
}

// Version is an artifact with what its readers always ask for.
type Version struct {
	store.Artifact
	// Place is its project, and Sequence the collection that it was made in.
	Place    access.Place
	Sequence *Collection
	// Aliases are those in every collection that the user may see.
	Aliases []Alias
	Tags    []store.ArtifactTag
}

// Alias is an alias with its collection.
type Alias struct {
	store.ArtifactAlias
	Collection *Collection
}

// Member is a version in a collection. Version is nil where the user may not see it: its own project may be closed.
type Member struct {
	store.ArtifactMembership
	Collection *Collection
	Version    *Version
}

// Aliases are those of the version in this collection.
func (m Member) Aliases() []store.ArtifactAlias {
	var list []store.ArtifactAlias
	if m.Version == nil {
		return list
	}
	for _, alias := range m.Version.Aliases {
		if alias.CollectionID == m.CollectionID {
			list = append(list, alias.ArtifactAlias)
		}
	}
	return list
}

// ParseArtifactID reads the id that clients give an artifact: "Artifact:<number>" in base64.
func ParseArtifactID(id string) (store.ID, bool) {
	text, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return 0, false
	}
	digits, found := strings.CutPrefix(string(text), "Artifact:")
	n, err := strconv.ParseInt(digits, 10, 64)
	return store.ID(n), found && err == nil && n > 0
}

// alive returns a version that is not deleted, for a user who may do something to its project.
func (s *Service) alive(ctx context.Context, id store.ID, action access.Action) (store.Artifact, access.Place, error) {
	a, err := s.store.Artifact(ctx, id)
	if err == nil && (a.State == store.ArtifactDeleted || a.State == store.ArtifactFreed) {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return a, access.Place{}, missing("artifact", err)
	}
	if err != nil {
		return a, access.Place{}, err
	}
	place, err := s.guard.ProjectByID(ctx, a.ProjectID, action)
	return a, place, err
}

func isObjectMissing(err error) bool { return errors.Is(err, blob.ErrNotFound) }

// places remembers projects that the user of one request may read; nil for those that it may not.
type places struct {
	guard *access.Guard
	known map[store.ID]*access.Place
}

func (s *Service) places(known ...access.Place) *places {
	p := &places{guard: s.guard, known: make(map[store.ID]*access.Place)}
	for _, place := range known {
		p.known[place.Project.ID] = &place
	}
	return p
}

func (p *places) get(ctx context.Context, project store.ID) (*access.Place, error) {
	if place, ok := p.known[project]; ok {
		return place, nil
	}
	place, err := p.guard.ProjectByID(ctx, project, access.Read)
	if access.IsNotFound(err) {
		p.known[project] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.known[project] = &place
	return &place, nil
}

// Load adds to versions what their readers ask for. Those that the user may not see are left out.
func (s *Service) Load(ctx context.Context, rows []store.Artifact, known ...access.Place) ([]*Version, error) {
	loader := s.places(known...)
	var versions []*Version
	var ids, collections []store.ID
	for _, row := range rows {
		place, err := loader.get(ctx, row.ProjectID)
		if err != nil {
			return nil, err
		}
		if place == nil {
			continue
		}
		versions = append(versions, &Version{Artifact: row, Place: *place})
		ids, collections = append(ids, row.ID), append(collections, row.CollectionID)
	}
	aliases, err := s.store.AliasesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	tags, err := s.store.TagsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, alias := range aliases {
		collections = append(collections, alias.CollectionID)
	}
	known2, err := s.loadCollections(ctx, loader, collections)
	if err != nil {
		return nil, err
	}
	byID := make(map[store.ID]*Version, len(versions))
	for _, v := range versions {
		v.Sequence = known2[v.CollectionID]
		byID[v.Artifact.ID] = v
	}
	for _, alias := range aliases {
		if c := known2[alias.CollectionID]; c != nil {
			v := byID[alias.ArtifactID]
			v.Aliases = append(v.Aliases, Alias{ArtifactAlias: alias, Collection: c})
		}
	}
	for _, tag := range tags {
		byID[tag.HolderID].Tags = append(byID[tag.HolderID].Tags, tag)
	}
	// A version whose collection was deleted a moment ago is deleted too.
	kept := versions[:0]
	for _, v := range versions {
		if v.Sequence != nil {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// loadCollections returns those of a list that the user may see, by id.
func (s *Service) loadCollections(ctx context.Context, loader *places, ids []store.ID) (map[store.ID]*Collection, error) {
	rows, err := s.store.Collections(ctx, distinct(ids))
	if err != nil {
		return nil, err
	}
	found := make(map[store.ID]*Collection, len(rows))
	var holders []store.ID
	for _, row := range rows {
		place, err := loader.get(ctx, row.ProjectID)
		if err != nil {
			return nil, err
		}
		if place != nil {
			found[row.ID] = &Collection{ArtifactCollection: row, Place: *place}
			holders = append(holders, row.ID)
		}
	}
	tags, err := s.store.TagsOf(ctx, holders)
	for _, tag := range tags {
		found[tag.HolderID].Tags = append(found[tag.HolderID].Tags, tag)
	}
	return found, err
}

func distinct(ids []store.ID) []store.ID {
	seen := make(map[store.ID]bool, len(ids))
	var list []store.ID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// ByID returns a version in any state but deleted.
func (s *Service) ByID(ctx context.Context, id store.ID) (*Version, error) {
	a, place, err := s.alive(ctx, id, access.Read)
	if err != nil {
		return nil, err
	}
	return s.one(ctx, a, place)
}

func (s *Service) one(ctx context.Context, a store.Artifact, place access.Place) (*Version, error) {
	versions, err := s.Load(ctx, []store.Artifact{a}, place)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, missing("artifact", store.ErrNotFound)
	}
	return versions[0], nil
}

// CollectionByName returns a project's collection.
func (s *Service) CollectionByName(ctx context.Context, place access.Place, name string) (*Collection, error) {
	row, err := s.store.CollectionByName(ctx, place.Project.ID, name)
	return s.withTags(ctx, row, place, err)
}

// CollectionByID returns a collection for a user who may do something to its project.
func (s *Service) CollectionByID(ctx context.Context, id store.ID, action access.Action) (*Collection, error) {
	row, err := s.store.Collection(ctx, id)
	if err != nil {
		return s.withTags(ctx, row, access.Place{}, err)
	}
	place, err := s.guard.ProjectByID(ctx, row.ProjectID, action)
	return s.withTags(ctx, row, place, err)
}

func (s *Service) withTags(ctx context.Context, row store.ArtifactCollection, place access.Place, err error) (*Collection, error) {
	if errors.Is(err, store.ErrNotFound) && !access.IsNotFound(err) {
		return nil, missing("collection", err)
	}
	if err != nil {
		return nil, err
	}
	tags, err := s.store.TagsOf(ctx, []store.ID{row.ID})
	return &Collection{ArtifactCollection: row, Place: place, Tags: tags}, err
}

// Member returns a version of a collection by alias, version or digest.
func (s *Service) Member(ctx context.Context, c *Collection, alias string) (*Member, error) {
	row, err := s.store.Member(ctx, c.ArtifactCollection.ID, which(alias))
	if errors.Is(err, store.ErrNotFound) && hexDigest.MatchString(alias) {
		row, err = s.store.Member(ctx, c.ArtifactCollection.ID, store.MemberQuery{Version: store.NoVersion, Digest: alias})
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing("artifact "+string(c.Name)+":"+alias, err)
	}
	if err != nil {
		return nil, err
	}
	members, err := s.members(ctx, c, []store.ArtifactMembership{row})
	if err != nil {
		return nil, err
	}
	return members[0], nil
}

// MemberByName returns what "collection", "collection:alias", "collection:v3" or "collection:digest" names in a project.
func (s *Service) MemberByName(ctx context.Context, place access.Place, name string) (*Member, error) {
	collection, alias := splitName(name)
	c, err := s.CollectionByName(ctx, place, collection)
	if err != nil {
		return nil, err
	}
	return s.Member(ctx, c, alias)
}

// members adds their versions to memberships of one collection.
func (s *Service) members(ctx context.Context, c *Collection, rows []store.ArtifactMembership) ([]*Member, error) {
	ids := make([]store.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.ArtifactID
	}
	artifacts, err := s.store.Artifacts(ctx, ids)
	if err != nil {
		return nil, err
	}
	versions, err := s.Load(ctx, artifacts, c.Place)
	if err != nil {
		return nil, err
	}
	byID := make(map[store.ID]*Version, len(versions))
	for _, v := range versions {
		byID[v.Artifact.ID] = v
	}
	members := make([]*Member, len(rows))
	for i, row := range rows {
		members[i] = &Member{ArtifactMembership: row, Collection: c, Version: byID[row.ArtifactID]}
	}
	return members, nil
}

// Memberships returns where a version is, as far as the user may see, its own sequence first.
func (s *Service) Memberships(ctx context.Context, v *Version) ([]*Member, error) {
	rows, err := s.store.MembershipsOf(ctx, v.Artifact.ID)
	if err != nil {
		return nil, err
	}
	ids := make([]store.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.CollectionID
	}
	collections, err := s.loadCollections(ctx, s.places(v.Place), ids)
	if err != nil {
		return nil, err
	}
	var members []*Member
	for _, row := range rows {
		if c := collections[row.CollectionID]; c != nil {
			members = append(members, &Member{ArtifactMembership: row, Collection: c, Version: v})
		}
	}
	return members, nil
}
