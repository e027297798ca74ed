package graph

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	artifactKind   = "Artifact"
	collectionKind = "ArtifactCollection"
	manifestKind   = "ArtifactManifest"
)

// unlessMissing makes null of what does not exist, or not for this user: clients ask whether it is there.
func unlessMissing[T, U any](found T, err error, convert func(T) U) (U, error) {
	var null U
	if access.IsNotFound(err) {
		return null, nil
	}
	if err != nil {
		return null, err
	}
	return convert(found), nil
}

func toArtifact(v *artifact.Version) *model.Artifact { return &model.Artifact{Version: v} }

func toMember(m *artifact.Member) *model.ArtifactCollectionMembership {
	return &model.ArtifactCollectionMembership{Member: m}
}

func toMemberArtifact(m *artifact.Member) *model.Artifact { return toMember(m).Artifact() }

// idOf reads the id of an artifact, a collection or a manifest in an input.
func idOf(id string, kind string) (store.ID, error) {
	n, ok := model.ParseID(id, kind)
	if !ok {
		return 0, &fault.Error{Reason: access.ReasonNotFound, Op: fmt.Sprintf("%q is no id of this server's %ss", id, kind)}
	}
	return n, nil
}

// optionalID reads an id that may be missing.
func optionalID(id *string, kind string) (store.ID, error) {
	if value(id) == "" {
		return 0, nil
	}
	return idOf(*id, kind)
}

func newQuery(after *string, first *int, filters, order *string) artifact.Query {
	return artifact.Query{Filter: value(filters), Order: value(order), After: value(after), First: value(first)}
}

func pageInfo[T any](p *artifact.Page[T]) *model.PageInfo {
	info := &model.PageInfo{HasNextPage: p.More}
	if p.End != "" {
		info.EndCursor = &p.End
	}
	return info
}

func (r *Resolver) collections(ctx context.Context, place access.Place, artifactType store.ID, q artifact.Query) (*model.ArtifactCollectionConnection, error) {
	page, err := r.Artifacts.Collections(ctx, place, artifactType, q)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactCollectionConnection{Edges: []*model.ArtifactCollectionEdge{}, PageInfo: pageInfo(page), TotalCount: int(page.Total)}
	for i, c := range page.Nodes {
		list.Edges = append(list.Edges, &model.ArtifactCollectionEdge{Node: model.CollectionOf(c), Cursor: page.Cursors[i]})
	}
	return list, nil
}

func (r *Resolver) collectionByName(ctx context.Context, place access.Place, name string) (model.ArtifactCollection, error) {
	c, err := r.Artifacts.CollectionByName(ctx, place, name)
	return unlessMissing(c, err, model.CollectionOf)
}

func (r *Resolver) artifactType(ctx context.Context, place access.Place, name string) (*model.ArtifactType, error) {
	t, err := r.Artifacts.Type(ctx, place, name)
	return unlessMissing(t, err, func(t store.ArtifactType) *model.ArtifactType {
		return &model.ArtifactType{ArtifactType: t, Collections: &model.Project{Place: place}}
	})
}

func (r *Resolver) artifactTypes(ctx context.Context, place access.Place, q artifact.Query) (*model.ArtifactTypeConnection, error) {
	page, err := r.Artifacts.Types(ctx, place, q)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactTypeConnection{Edges: []*model.ArtifactTypeEdge{}, PageInfo: pageInfo(page)}
	for i, t := range page.Nodes {
		node := &model.ArtifactType{ArtifactType: t, Collections: &model.Project{Place: place}}
		list.Edges = append(list.Edges, &model.ArtifactTypeEdge{Node: node, Cursor: page.Cursors[i]})
	}
	return list, nil
}

// collectionOfType returns a collection of a type; null where it is of another.
func (r *Resolver) collectionOfType(ctx context.Context, t *model.ArtifactType, name string) (model.ArtifactCollection, error) {
	c, err := r.collectionByName(ctx, t.Collections.Place, name)
	if err != nil || c == nil || c.Rules().TypeID != t.ArtifactType.ID {
		return nil, err
	}
	return c, nil
}

func (r *Resolver) versions(ctx context.Context, c *artifact.Collection, q artifact.Query) (*model.VersionedArtifactConnection, error) {
	page, err := r.Artifacts.Versions(ctx, c, q)
	if err != nil {
		return nil, err
	}
	list := &model.VersionedArtifactConnection{Edges: []*model.VersionedArtifactEdge{}, PageInfo: pageInfo(page), TotalCount: int(page.Total)}
	for i, m := range page.Nodes {
		list.Edges = append(list.Edges, &model.VersionedArtifactEdge{
			Node: toMemberArtifact(m), Version: artifact.VersionName(m.VersionIndex), Cursor: page.Cursors[i],
		})
	}
	return list, nil
}

func (r *Resolver) member(ctx context.Context, c *artifact.Collection, alias string) (*model.ArtifactCollectionMembership, error) {
	m, err := r.Artifacts.Member(ctx, c, alias)
	return unlessMissing(m, err, toMember)
}

func (r *Resolver) aliases(ctx context.Context, c *artifact.Collection, q artifact.Query) (*model.ArtifactAliasConnection, error) {
	page, err := r.Artifacts.Aliases(ctx, c, q)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactAliasConnection{Edges: []*model.ArtifactAliasEdge{}, PageInfo: pageInfo(page)}
	for i, row := range page.Nodes {
		node := &model.ArtifactAlias{Row: artifact.Alias{ArtifactAlias: row, Collection: c}}
		list.Edges = append(list.Edges, &model.ArtifactAliasEdge{Node: node, Cursor: page.Cursors[i]})
	}
	return list, nil
}

// tags are all on one page: there are few.
func tags(rows []store.ArtifactTag) *model.TagConnection {
	list := &model.TagConnection{Edges: []*model.TagEdge{}, PageInfo: &model.PageInfo{}}
	for _, tag := range model.Tags(rows) {
		list.Edges = append(list.Edges, &model.TagEdge{Node: tag, Cursor: tag.ID})
		list.PageInfo.EndCursor = &tag.ID
	}
	return list
}

func (r *Resolver) artifactsOfRun(ctx context.Context, run *model.Run, direction store.EdgeDirection, q artifact.Query) (*model.ArtifactConnection, error) {
	page, err := r.Artifacts.OfRun(ctx, run.Place, run.RunRecord.ID, direction, q)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactConnection{Edges: []*model.ArtifactEdge{}, PageInfo: pageInfo(page), TotalCount: int(page.Total)}
	for i, v := range page.Nodes {
		list.Edges = append(list.Edges, &model.ArtifactEdge{Node: toArtifact(v), Cursor: page.Cursors[i]})
	}
	return list, nil
}

func (r *Resolver) usedBy(ctx context.Context, v *artifact.Version) (*model.RunNodeConnection, error) {
	runs, err := r.Artifacts.UsedBy(ctx, v)
	if err != nil {
		return nil, err
	}
	list := &model.RunNodeConnection{Edges: []*model.RunNodeEdge{}, PageInfo: &model.PageInfo{}}
	for _, run := range runs {
		node := model.NewRun(run.Place, run.RunRecord)
		id := node.ID()
		list.Edges = append(list.Edges, &model.RunNodeEdge{Node: node, Cursor: id})
		list.PageInfo.EndCursor = &id
	}
	return list, nil
}

func (r *Resolver) createdBy(ctx context.Context, v *artifact.Version) (model.ArtifactCreator, error) {
	run, err := r.Artifacts.CreatedBy(ctx, v)
	if err != nil || run == nil {
		return nil, err
	}
	return model.NewRun(run.Place, run.RunRecord), nil
}

func (r *Resolver) memberships(ctx context.Context, v *artifact.Version) (*model.ArtifactMembershipConnection, error) {
	members, err := r.Artifacts.Memberships(ctx, v)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactMembershipConnection{Edges: []*model.ArtifactMembershipEdge{}, PageInfo: &model.PageInfo{}}
	for _, m := range members {
		node := toMember(m)
		id := node.ID()
		list.Edges = append(list.Edges, &model.ArtifactMembershipEdge{Node: node, Cursor: id})
		list.PageInfo.EndCursor = &id
	}
	return list, nil
}

func (r *Resolver) manifest(ctx context.Context, v *artifact.Version) (*model.ArtifactManifest, error) {
	if v.State != store.ArtifactCommitted {
		return nil, nil
	}
	url, err := r.Artifacts.ManifestURL(ctx, v.Artifact)
	if err != nil {
		return nil, err
	}
	id := model.ID(manifestKind, v.ManifestID)
	return &model.ArtifactManifest{ID: id, File: &model.ArtifactManifestFile{
		ID: id, Name: manifestName, DisplayName: manifestName, DirectURL: url, UploadHeaders: []string{},
	}}, nil
}

const manifestName = "wandb_manifest.json"

func (r *Resolver) artifactFiles(ctx context.Context, v *artifact.Version, names []string, after *string, first *int) (*model.FileConnection, error) {
	if v == nil {
		return nil, nil
	}
	page, err := r.Artifacts.Files(ctx, v, artifact.FileQuery{Names: names, After: value(after), First: value(first)})
	if err != nil {
		return nil, err
	}
	list := r.files(v, page.Nodes, page.Cursors)
	list.PageInfo = pageInfo(page)
	list.Count = func(context.Context) (int, error) { return int(page.Total), nil }
	return list, nil
}

func (r *Resolver) filesByEntries(ctx context.Context, v *artifact.Version, entries []*model.ArtifactManifestEntryInput) (*model.FileConnection, error) {
	wanted := make([]artifact.ManifestEntry, len(entries))
	for i, e := range entries {
		wanted[i] = artifact.ManifestEntry{Name: e.Name, Digest: value(e.Digest), Ref: value(e.Ref)}
	}
	found, err := r.Artifacts.FilesByEntries(ctx, v, wanted)
	if err != nil {
		return nil, err
	}
	cursors := make([]string, len(found))
	for i := range cursors {
		cursors[i] = fmt.Sprint(i)
	}
	list := r.files(v, found, cursors)
	list.PageInfo = &model.PageInfo{}
	list.Count = func(context.Context) (int, error) { return len(found), nil }
	return list, nil
}

func (r *Resolver) files(v *artifact.Version, found []artifact.File, cursors []string) *model.FileConnection {
	list := &model.FileConnection{Edges: make([]*model.FileEdge, len(found))}
	at := v.CreatedAt.Time()
	for i, f := range found {
		list.Edges[i] = &model.FileEdge{Node: r.file(v, f, &at), Cursor: cursors[i]}
	}
	return list
}

func (r *Resolver) file(v *artifact.Version, f artifact.File, at *time.Time) *model.File {
	node := &model.File{
		ID: fileID(v.Artifact.ID, f.Path), Name: f.Path, SizeBytes: f.Size, UpdatedAt: at, Digest: &f.Digest,
		Direct: func(ctx context.Context) (string, error) { return r.Artifacts.FileURL(ctx, f) },
	}
	if f.Ref == "" {
		node.MD5, node.StoragePath = &f.Digest, new(f.Content.Key())
		node.Address = func(ctx context.Context, _ bool) (string, error) { return r.Artifacts.FileURL(ctx, f) }
	}
	return node
}

// fileID tells a path of an artifact from every other.
func fileID(artifact store.ID, path string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "ArtifactFile:%d:%s", artifact, path))
}

// clientMapping is what the server calls what a client named.
func clientMapping(c store.ArtifactClient) *model.ClientIDMapping {
	kind := artifactKind
	if c.Kind == store.ClientSequence {
		kind = collectionKind
	}
	return &model.ClientIDMapping{ServerID: model.ID(kind, c.HolderID)}
}
