package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/uptrace/bun"
)

// CollectionKind tells sequences from portfolios.
type CollectionKind int16

// The kinds of a collection.
const (
	// Sequence: its versions were made in it.
	Sequence CollectionKind = iota
	// Portfolio: its versions are linked from sequences, also of other projects.
	Portfolio
)

// ArtifactState is where a version stands in its life.
type ArtifactState int16

// The states of a version.
const (
	// ArtifactPending: its files are being uploaded; no name finds it.
	ArtifactPending ArtifactState = iota
	// ArtifactCommitted: complete, and never changed again but for what people say about it.
	ArtifactCommitted
	// ArtifactDeleted: gone for everybody; what it holds of contents is still counted.
	ArtifactDeleted
	// ArtifactFreed: its contents are no longer counted; its manifests are waiting to be deleted.
	ArtifactFreed
)

const (
	// NoVersion is the version of what is not committed.
	NoVersion int64 = -1
	// NoHistoryStep is that of a version which was not logged at a step.
	NoHistoryStep int64 = -1
	// TTLInherited: the version lives as long as its collection says, which is for ever.
	TTLInherited int64 = -1
	// TTLNone: the version lives for ever.
	TTLNone int64 = -2
)

// ArtifactType is a row of artifact_types.
type ArtifactType struct {
	bun.BaseModel `bun:"table:artifact_types,alias:at"`

	ID          ID     `bun:"id,pk"`
	ProjectID   ID     `bun:"project_id"`
	Name        Text   `bun:"name"`
	Description Blob   `bun:"description"`
	CreatedAt   Micros `bun:"created_at"`
}

// ArtifactCollection is a row of artifact_collections with the name of its type.
type ArtifactCollection struct {
	bun.BaseModel `bun:"table:artifact_collections,alias:ac"`

	ID          ID             `bun:"id,pk"`
	ProjectID   ID             `bun:"project_id"`
	TypeID      ID             `bun:"type_id"`
	Kind        CollectionKind `bun:"kind"`
	Name        Text           `bun:"name"`
	Description Blob           `bun:"description"`
	NextIndex   int64          `bun:"next_index"`
	CreatedAt   Micros         `bun:"created_at"`
	UpdatedAt   Micros         `bun:"updated_at"`

	TypeName Text `bun:"type_name,scanonly"`
}

// Artifact is a row of artifacts: one version of a collection.
type Artifact struct {
	bun.BaseModel `bun:"table:artifacts,alias:a"`

	ID           ID            `bun:"id,pk"`
	EntityID     ID            `bun:"entity_id"`
	ProjectID    ID            `bun:"project_id"`
	CollectionID ID            `bun:"collection_id"`
	State        ArtifactState `bun:"state"`
	VersionIndex int64         `bun:"version_index"`
	Digest       Text          `bun:"digest"`
	Description  Blob          `bun:"description"`
	// Metadata is JSON; empty means none.
	Metadata Blob `bun:"metadata"`
	// Wishes is a JSON list of the aliases that were asked for with the version; empty means none. A pending one gets them with
	// its commit.
	Wishes Blob `bun:"wishes"`
	// CommitHash is not used: what clients are told follows from id and digest. The column stays for the replicas of a release
	// before, which read it during an upgrade.
	CommitHash  Text   `bun:"commit_hash"`
	HistoryStep int64  `bun:"history_step"`
	TTLSeconds  int64  `bun:"ttl_seconds"`
	ExpiresAt   Micros `bun:"expires_at"`
	Size        int64  `bun:"size"`
	FileCount   int64  `bun:"file_count"`
	// ManifestID is the manifest that counts, once the version is committed.
	ManifestID ID     `bun:"manifest_id"`
	RunID      ID     `bun:"run_id"`
	UserID     ID     `bun:"user_id"`
	CreatedAt  Micros `bun:"created_at"`
	UpdatedAt  Micros `bun:"updated_at"`
}

// ArtifactMembership is a row of artifact_memberships.
type ArtifactMembership struct {
	bun.BaseModel `bun:"table:artifact_memberships,alias:am"`

	ID           ID     `bun:"id,pk"`
	CollectionID ID     `bun:"collection_id"`
	ArtifactID   ID     `bun:"artifact_id"`
	VersionIndex int64  `bun:"version_index"`
	CreatedAt    Micros `bun:"created_at"`
}

// ArtifactAlias is a row of artifact_aliases.
type ArtifactAlias struct {
	bun.BaseModel `bun:"table:artifact_aliases,alias:al"`

	ID           ID     `bun:"id,pk"`
	CollectionID ID     `bun:"collection_id"`
	ArtifactID   ID     `bun:"artifact_id"`
	Alias        Text   `bun:"alias"`
	CreatedAt    Micros `bun:"created_at"`
}

// ArtifactTag is a row of artifact_tags. HolderID is the id of a version or of a collection.
type ArtifactTag struct {
	bun.BaseModel `bun:"table:artifact_tags,alias:tg"`

	ID        ID     `bun:"id,pk"`
	HolderID  ID     `bun:"holder_id"`
	Name      Text   `bun:"name"`
	CreatedAt Micros `bun:"created_at"`
}

// ClientKind tells what a client's own id stands for.
type ClientKind int16

// What clients give ids to.
const (
	ClientArtifact ClientKind = iota
	ClientSequence
)

// ArtifactClient is a row of artifact_clients.
type ArtifactClient struct {
	bun.BaseModel `bun:"table:artifact_clients,alias:cl"`

	ClientID Text       `bun:"client_id,pk"`
	HolderID ID         `bun:"holder_id,pk"`
	Kind     ClientKind `bun:"kind"`
}

// artifactGroup is a row of artifact_groups.
type artifactGroup struct {
	bun.BaseModel `bun:"table:artifact_groups"`

	CollectionID  ID   `bun:"collection_id,pk"`
	DistributedID Text `bun:"distributed_id,pk"`
	ArtifactID    ID   `bun:"artifact_id"`
}

// EdgeDirection tells what a run did with a version.
type EdgeDirection int16

// What a run does with a version.
const (
	// EdgeOutput: the run logged it.
	EdgeOutput EdgeDirection = iota
	// EdgeInput: the run used it.
	EdgeInput
)

// ArtifactEdge is a row of artifact_edges.
type ArtifactEdge struct {
	bun.BaseModel `bun:"table:artifact_edges,alias:ae"`

	RunID      ID            `bun:"run_id,pk"`
	Direction  EdgeDirection `bun:"direction,pk"`
	ArtifactID ID            `bun:"artifact_id,pk"`
	UsedAs     Text          `bun:"used_as"`
	CreatedAt  Micros        `bun:"created_at"`
}

// ManifestKind tells what a manifest holds.
type ManifestKind int16

// The kinds of a manifest.
const (
	// ManifestFull holds every entry.
	ManifestFull ManifestKind = iota
	// ManifestIncremental holds what changes against a base.
	ManifestIncremental
	// ManifestPatch holds what one of several processes adds.
	ManifestPatch
	// ManifestMerged was made at the commit, or is what the commit took from the client.
	ManifestMerged
)

// ArtifactManifest is a row of artifact_manifests.
type ArtifactManifest struct {
	bun.BaseModel `bun:"table:artifact_manifests,alias:mf"`

	ID         ID           `bun:"id,pk"`
	ArtifactID ID           `bun:"artifact_id"`
	Kind       ManifestKind `bun:"kind"`
	// BaseID is the version whose entries an incremental manifest changes; 0 for none.
	BaseID    ID     `bun:"base_id"`
	Name      Text   `bun:"name"`
	Digest    Text   `bun:"digest"`
	CreatedAt Micros `bun:"created_at"`
}

// awaited are the aliases that the version gets with its commit.
func (a Artifact) awaited() []string {
	var aliases []string
	if len(a.Wishes) > 0 {
		_ = json.Unmarshal(a.Wishes, &aliases) // nobody else writes it
	}
	return aliases
}

// wished tells whether all of these aliases were asked for with the version.
func (a Artifact) wished(aliases []string) bool {
	wishes := a.awaited()
	return !slices.ContainsFunc(aliases, func(alias string) bool { return !slices.Contains(wishes, alias) })
}

// Artifact returns a version in whatever state.
func (s *Store) Artifact(ctx context.Context, id ID) (Artifact, error) {
	var a Artifact
	err := s.view(ctx, "read the artifact", func(db bun.IDB) error {
		return db.NewSelect().Model(&a).Where("id = ?", id).Scan(ctx)
	})
	return a, err
}

// Artifacts returns those versions of a list that are committed, in no particular order.
func (s *Store) Artifacts(ctx context.Context, ids []ID) ([]Artifact, error) {
	var found []Artifact
	if len(ids) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read artifacts", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("id IN (?)", bun.List(ids)).Where("state = ?", ArtifactCommitted).Scan(ctx)
	})
	return found, err
}

// Collection returns a collection by its id.
func (s *Store) Collection(ctx context.Context, id ID) (ArtifactCollection, error) {
	return s.collection(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("ac.id = ?", id) })
}

// CollectionByName returns a project's collection of either kind. Names differ where their bytes differ.
func (s *Store) CollectionByName(ctx context.Context, project ID, name string) (ArtifactCollection, error) {
	return s.collection(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("ac.project_id = ?", project).Where("ac.name = ?", Text(name))
	})
}

func (s *Store) collection(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery) (ArtifactCollection, error) {
	var c ArtifactCollection
	err := s.view(ctx, "read the collection", func(db bun.IDB) error {
		return where(selectCollections(db, &c)).Scan(ctx)
	})
	return c, err
}

func selectCollections(db bun.IDB, into any) *bun.SelectQuery {
	return db.NewSelect().Model(into).ColumnExpr("ac.*").ColumnExpr("at.name AS type_name").
		Join("JOIN artifact_types AS at ON at.id = ac.type_id")
}

// Collections returns those collections of a list that exist, in no particular order.
func (s *Store) Collections(ctx context.Context, ids []ID) ([]ArtifactCollection, error) {
	var found []ArtifactCollection
	if len(ids) == 0 {
		return nil, nil
	}
	err := s.view(ctx, "read collections", func(db bun.IDB) error {
		return selectCollections(db, &found).Where("ac.id IN (?)", bun.List(ids)).Scan(ctx)
	})
	return found, err
}

// CollectionsOf returns up to limit collections of a project, newest first, with an id below before where that is not 0;
// of one type where that is not 0.
func (s *Store) CollectionsOf(ctx context.Context, project, artifactType, before ID, limit int64) ([]ArtifactCollection, error) {
	var found []ArtifactCollection
	err := s.view(ctx, "list collections", func(db bun.IDB) error {
		q := selectCollections(db, &found).Where("ac.project_id = ?", project).OrderExpr("ac.id DESC").Limit(limit)
		if artifactType != 0 {
			q = q.Where("ac.type_id = ?", artifactType)
		}
		if before != 0 {
			q = q.Where("ac.id < ?", before)
		}
		return q.Scan(ctx)
	})
	return found, err
}

// CountCollections counts a project's collections; of one type where that is not 0.
func (s *Store) CountCollections(ctx context.Context, project, artifactType ID) (n int64, err error) {
	err = s.view(ctx, "count collections", func(db bun.IDB) error {
		q := db.NewSelect().Model((*ArtifactCollection)(nil)).Where("project_id = ?", project)
		if artifactType != 0 {
			q = q.Where("type_id = ?", artifactType)
		}
		n, err = q.Count(ctx)
		return err
	})
	return n, err
}

// ArtifactType returns a project's type by name.
func (s *Store) ArtifactType(ctx context.Context, project ID, name string) (ArtifactType, error) {
	var t ArtifactType
	err := s.view(ctx, "read the artifact type", func(db bun.IDB) error {
		return db.NewSelect().Model(&t).Where("project_id = ?", project).Where("name = ?", Text(name)).Scan(ctx)
	})
	return t, err
}

// ArtifactTypes returns up to limit types of a project by name, with a name above after.
func (s *Store) ArtifactTypes(ctx context.Context, project ID, after string, limit int64) ([]ArtifactType, error) {
	var found []ArtifactType
	err := s.view(ctx, "list artifact types", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("project_id = ?", project).Where("name > ?", Text(after)).
			Order("name").Limit(limit).Scan(ctx)
	})
	return found, err
}
