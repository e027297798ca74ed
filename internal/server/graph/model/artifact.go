package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Artifact is a version.
type Artifact struct{ *artifact.Version }

// ID decodes to "Artifact:<number>": clients make references of it.
func (a Artifact) ID() string { return ID("Artifact", a.Artifact.ID) }

// Digest is that of its manifest.
func (a Artifact) Digest() string { return string(a.Artifact.Digest) }

// DigestAlgorithm is the only one that there is.
func (a Artifact) DigestAlgorithm() *ArtifactDigestAlgorithm {
	return new(ArtifactDigestAlgorithmManifestMd5)
}

// Description is what people wrote about it.
func (a Artifact) Description() *string { return optional(a.Artifact.Description) }

// Metadata is a JSON object.
func (a Artifact) Metadata() *string { return optional(a.Artifact.Metadata) }

// Labels are not kept.
func (a Artifact) Labels() *string { return nil }

// State is where it stands in its life.
func (a Artifact) State() ArtifactState {
	switch a.Artifact.State {
	case store.ArtifactPending:
		return ArtifactStatePending
	case store.ArtifactCommitted:
		return ArtifactStateCommitted
	default:
		return ArtifactStateDeleted
	}
}

// VersionIndex is null until the commit.
func (a Artifact) VersionIndex() *int { return unlessNegative(a.Artifact.VersionIndex) }

// Size is in bytes.
func (a Artifact) Size() int64 { return a.Artifact.Size }

// FileCount counts the entries of its manifest.
func (a Artifact) FileCount() int64 { return a.Artifact.FileCount }

// CommitHash names the commit of this version: 20 hexadecimal digits, which another version never has, whatever its files. It is
// null until the commit. The client takes a null of a committed version for a fault of its own.
func (a Artifact) CommitHash() *string {
	if a.Artifact.State == store.ArtifactPending {
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "artifact commit %d %s", a.Artifact.ID, a.Artifact.Digest))
	hash := hex.EncodeToString(sum[:10])
	return &hash
}

// HistoryStep is the step at which it was logged.
func (a Artifact) HistoryStep() *int64 {
	if a.Artifact.HistoryStep < 0 {
		return nil
	}
	return &a.Artifact.HistoryStep
}

// TTLDurationSeconds is what holds; an inherited one is "for ever".
func (a Artifact) TTLDurationSeconds() int64 {
	if a.TTLIsInherited() {
		return store.TTLNone
	}
	return a.TTLSeconds
}

// TTLIsInherited tells whether the collection says how long it lives.
func (a Artifact) TTLIsInherited() bool { return a.TTLSeconds == store.TTLInherited }

// CreatedAt is when a client began to write it.
func (a Artifact) CreatedAt() *time.Time { return moment(a.Artifact.CreatedAt) }

// UpdatedAt is when it last changed.
func (a Artifact) UpdatedAt() *time.Time { return moment(a.Artifact.UpdatedAt) }

// ArtifactType is that of its sequence.
func (a Artifact) ArtifactType() *ArtifactType { return typeOf(a.Sequence) }

// ArtifactSequence is the collection that it was made in.
func (a Artifact) ArtifactSequence() *ArtifactSequence {
	return &ArtifactSequence{CollectionFields{a.Sequence}}
}

// Aliases are those in every collection.
func (a Artifact) Aliases() []*ArtifactAlias {
	list := make([]*ArtifactAlias, len(a.Version.Aliases))
	for i, alias := range a.Version.Aliases {
		list[i] = &ArtifactAlias{Row: alias}
	}
	return list
}

// Tags are what people marked it with.
func (a Artifact) Tags() []*Tag { return Tags(a.Version.Tags) }

// ArtifactAlias is an alias with its collection.
type ArtifactAlias struct{ Row artifact.Alias }

// ID is opaque to clients.
func (a ArtifactAlias) ID() string { return ID("ArtifactAlias", a.Row.ID) }

// Alias is the name.
func (a ArtifactAlias) Alias() string { return string(a.Row.Alias) }

// ArtifactCollection is where it is one.
func (a ArtifactAlias) ArtifactCollection() ArtifactCollection { return CollectionOf(a.Row.Collection) }

// Tags converts rows.
func Tags(rows []store.ArtifactTag) []*Tag {
	list := make([]*Tag, len(rows))
	for i, row := range rows {
		list[i] = &Tag{ID: ID("Tag", row.ID), Name: string(row.Name)}
	}
	return list
}

// ArtifactType is a type of artifacts, with the project that its collections are in.
type ArtifactType struct {
	store.ArtifactType
	Collections *Project
}

// ID is opaque to clients.
func (t ArtifactType) ID() string { return ID("ArtifactType", t.ArtifactType.ID) }

// Name is what people call it.
func (t ArtifactType) Name() string { return string(t.ArtifactType.Name) }

// Description is what people wrote about it.
func (t ArtifactType) Description() *string { return optional(t.ArtifactType.Description) }

// CreatedAt is when it was first used.
func (t ArtifactType) CreatedAt() *time.Time { return moment(t.ArtifactType.CreatedAt) }

func typeOf(c *artifact.Collection) *ArtifactType {
	return &ArtifactType{
		ArtifactType: store.ArtifactType{ID: c.TypeID, ProjectID: c.ProjectID, Name: c.TypeName, CreatedAt: c.ArtifactCollection.CreatedAt},
		Collections:  &Project{Place: c.Place},
	}
}

// ArtifactCollection is a sequence or a portfolio.
type ArtifactCollection interface {
	IsArtifactCollection()
	// Rules gives resolvers what they ask the rules with.
	Rules() *artifact.Collection
}

// CollectionFields are what both kinds of collection have.
type CollectionFields struct{ *artifact.Collection }

// ArtifactSequence is a collection whose versions were made in it.
type ArtifactSequence struct{ CollectionFields }

// ArtifactPortfolio is a collection whose versions are linked.
type ArtifactPortfolio struct{ CollectionFields }

// CollectionOf returns what GraphQL shows of a collection; nil for none.
func CollectionOf(c *artifact.Collection) ArtifactCollection {
	switch {
	case c == nil:
		return nil
	case c.Kind == store.Portfolio:
		return &ArtifactPortfolio{CollectionFields{c}}
	default:
		return &ArtifactSequence{CollectionFields{c}}
	}
}

// IsArtifactCollection marks the kinds of collections.
func (c CollectionFields) IsArtifactCollection() {}

// Rules gives resolvers what they ask the rules with.
func (c CollectionFields) Rules() *artifact.Collection { return c.Collection }

// ID is opaque to clients.
func (c CollectionFields) ID() string { return ID("ArtifactCollection", c.ArtifactCollection.ID) }

// Name is what people call it.
func (c CollectionFields) Name() string { return string(c.ArtifactCollection.Name) }

// Description is what people wrote about it.
func (c CollectionFields) Description() *string { return optional(c.ArtifactCollection.Description) }

// State is DELETED only in the answer to its deletion: later it is not found.
func (c CollectionFields) State() ArtifactCollectionState {
	if c.Deleted {
		return ArtifactCollectionStateDeleted
	}
	return ArtifactCollectionStateReady
}

// CreatedAt is when its first version was begun.
func (c CollectionFields) CreatedAt() *time.Time { return moment(c.ArtifactCollection.CreatedAt) }

// UpdatedAt is when it last changed.
func (c CollectionFields) UpdatedAt() *time.Time { return moment(c.ArtifactCollection.UpdatedAt) }

// Project is where it belongs.
func (c CollectionFields) Project() *Project { return &Project{Place: c.Place} }

// DefaultArtifactType is the type of all its versions.
func (c CollectionFields) DefaultArtifactType() *ArtifactType { return typeOf(c.Collection) }

// DigestAlgorithm is the only one that there is.
func (s ArtifactSequence) DigestAlgorithm() *ArtifactDigestAlgorithm {
	return new(ArtifactDigestAlgorithmManifestMd5)
}

// ArtifactCollectionMembership is a version in a collection.
type ArtifactCollectionMembership struct{ *artifact.Member }

// ID is opaque to clients.
func (m ArtifactCollectionMembership) ID() string {
	return ID("ArtifactCollectionMembership", m.ArtifactMembership.ID)
}

// VersionIndex is the version in this collection.
func (m ArtifactCollectionMembership) VersionIndex() *int {
	return unlessNegative(m.ArtifactMembership.VersionIndex)
}

// CreatedAt is when it came into the collection.
func (m ArtifactCollectionMembership) CreatedAt() *time.Time {
	return moment(m.ArtifactMembership.CreatedAt)
}

// Aliases are those in this collection.
func (m ArtifactCollectionMembership) Aliases() []*ArtifactAlias {
	rows := m.Member.Aliases()
	list := make([]*ArtifactAlias, len(rows))
	for i, row := range rows {
		list[i] = &ArtifactAlias{Row: artifact.Alias{ArtifactAlias: row, Collection: m.Collection}}
	}
	return list
}

// ArtifactCollection is the collection.
func (m ArtifactCollectionMembership) ArtifactCollection() ArtifactCollection {
	return CollectionOf(m.Collection)
}

// Artifact is the version; null where the user may not see its own project.
func (m ArtifactCollectionMembership) Artifact() *Artifact {
	if m.Version == nil {
		return nil
	}
	return &Artifact{m.Version}
}

func moment(m store.Micros) *time.Time { t := m.Time(); return &t }

func optional[T ~string | ~[]byte](t T) *string {
	if len(t) == 0 {
		return nil
	}
	return text(t)
}

func unlessNegative(n int64) *int {
	if n < 0 {
		return nil
	}
	return new(int(n))
}

// IsArtifactCreator tells that runs make artifacts.
func (r Run) IsArtifactCreator() {}

// IsArtifactCreator tells that users make artifacts without a run.
func (u User) IsArtifactCreator() {}
