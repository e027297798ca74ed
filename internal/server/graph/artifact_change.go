package graph

import (
	"context"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func tagNames(list []*model.TagInput) []string {
	names := make([]string, len(list))
	for i, tag := range list {
		names[i] = tag.TagName
	}
	return names
}

// aliasNames keeps nil, which leaves aliases as they are.
func aliasNames(list []*model.ArtifactAliasInput) []string {
	if list == nil {
		return nil
	}
	names := make([]string, len(list))
	for i, alias := range list {
		names[i] = alias.Alias
	}
	return names
}

func aliasesIn(list []*model.ArtifactCollectionAliasInput) []artifact.AliasIn {
	aliases := make([]artifact.AliasIn, len(list))
	for i, a := range list {
		aliases[i] = artifact.AliasIn{Entity: a.EntityName, Project: a.ProjectName, Collection: a.ArtifactCollectionName, Alias: a.Alias}
	}
	return aliases
}

func (r *Resolver) createArtifact(ctx context.Context, in model.CreateArtifactInput) (*model.CreateArtifactPayload, error) {
	place, err := r.Guard.Project(ctx, in.EntityName, in.ProjectName, access.Write)
	if err != nil {
		return nil, err
	}
	collection := value(in.ArtifactCollectionName)
	if collection == "" && len(in.ArtifactCollectionNames) > 0 {
		collection = in.ArtifactCollectionNames[0]
	}
	v, err := r.Artifacts.Create(ctx, place, artifact.Create{
		RunName: value(in.RunName), Type: in.ArtifactTypeName, Collection: collection, Digest: in.Digest,
		Description: value(in.Description), Metadata: value(in.Metadata), Aliases: aliasNames(in.Aliases), Tags: tagNames(in.Tags),
		HistoryStep: in.HistoryStep, TTLSeconds: in.TTLDurationSeconds, Dedupe: value(in.EnableDigestDeduplication),
		ClientID: value(in.ClientID), SequenceClientID: value(in.SequenceClientID), Distributed: value(in.DistributedID),
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateArtifactPayload{Artifact: toArtifact(v), ClientMutationID: in.ClientMutationID}, nil
}

var manifestKinds = map[model.ArtifactManifestType]store.ManifestKind{
	model.ArtifactManifestTypeFull:        store.ManifestFull,
	model.ArtifactManifestTypeIncremental: store.ManifestIncremental,
	model.ArtifactManifestTypePatch:       store.ManifestPatch,
}

func (r *Resolver) createManifest(ctx context.Context, in model.CreateArtifactManifestInput) (*model.ArtifactManifestPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	base, err := optionalID(in.BaseArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	kind := store.ManifestFull
	if in.Type != nil {
		kind = manifestKinds[*in.Type]
	}
	m, err := r.Artifacts.CreateManifest(ctx, id, artifact.NewManifest{Kind: kind, Name: in.Name, Digest: in.Digest, Base: base})
	return manifestPayload(m, err, in.ClientMutationID)
}

func (r *Resolver) updateManifest(ctx context.Context, in model.UpdateArtifactManifestInput) (*model.ArtifactManifestPayload, error) {
	id, err := idOf(in.ArtifactManifestID, manifestKind)
	if err != nil {
		return nil, err
	}
	base, err := optionalID(in.BaseArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	m, err := r.Artifacts.UpdateManifest(ctx, id, in.Digest, base)
	return manifestPayload(m, err, in.ClientMutationID)
}

func manifestPayload(m *artifact.ManifestFile, err error, mutation *string) (*model.ArtifactManifestPayload, error) {
	if err != nil {
		return nil, err
	}
	id := model.ID(manifestKind, m.ID)
	digest := string(m.Digest)
	return &model.ArtifactManifestPayload{
		ArtifactManifest: &model.ArtifactManifest{ID: id, Digest: &digest, File: &model.ArtifactManifestFile{
			ID: id, Name: string(m.Name), DisplayName: string(m.Name), DirectURL: m.Upload.URL,
			UploadURL: &m.Upload.URL, UploadHeaders: append([]string{}, m.Upload.Headers...),
		}},
		ClientMutationID: mutation,
	}, nil
}

func (r *Resolver) createFiles(ctx context.Context, in model.CreateArtifactFilesInput) (*model.CreateArtifactFilesPayload, error) {
	if a := in.DigestAlgorithm; a != nil && *a != model.ArtifactDigestAlgorithmManifestMd5 {
		return nil, &fault.Error{
			Reason: artifact.ReasonInvalid, Op: fmt.Sprintf("files with digests of %s are not kept here", *a),
			Hint: "Leave the choice of the algorithm to the client: it asks the server.",
		}
	}
	specs := make([]artifact.FileSpec, len(in.ArtifactFiles))
	for i, f := range in.ArtifactFiles {
		id, err := idOf(f.ArtifactID, artifactKind)
		if err != nil {
			return nil, err
		}
		specs[i] = artifact.FileSpec{
			ArtifactID: id, Name: f.Name, MD5: f.Md5, Mimetype: value(f.Mimetype), Parts: parts(f.UploadPartsInput),
		}
	}
	uploads, err := r.Artifacts.Uploads(ctx, specs)
	if err != nil {
		return nil, err
	}
	list := &model.ArtifactUploadConnection{Edges: make([]*model.ArtifactUploadEdge, len(uploads)), PageInfo: &model.PageInfo{}}
	for i, u := range uploads {
		node := upload(u)
		list.Edges[i] = &model.ArtifactUploadEdge{Node: node, Cursor: node.ID}
		list.PageInfo.EndCursor = &node.ID
	}
	return &model.CreateArtifactFilesPayload{Files: list, ClientMutationID: in.ClientMutationID}, nil
}

func upload(u artifact.Upload) *model.ArtifactUpload {
	node := &model.ArtifactUpload{
		ID:   fileID(u.ArtifactID, u.Name),
		Name: u.Name, DisplayName: u.Name, StoragePath: &u.StoragePath, UploadHeaders: u.Headers,
		Artifact: &model.ArtifactReference{ID: model.ID(artifactKind, u.Birth)},
	}
	if u.URL != "" {
		node.UploadURL = &u.URL
	}
	if u.UploadID != "" {
		node.UploadMultipartUrls = &model.UploadMultipartUrls{UploadID: u.UploadID, UploadURLParts: partURLs(u.Parts)}
	}
	return node
}

func parts(list []*model.UploadPartsInput) []artifact.PartSpec {
	specs := make([]artifact.PartSpec, len(list))
	for i, p := range list {
		specs[i] = artifact.PartSpec{Number: int(p.PartNumber), HexMD5: p.HexMd5}
	}
	return specs
}

func partURLs(list []artifact.UploadPart) []*model.UploadURLPart {
	urls := make([]*model.UploadURLPart, len(list))
	for i, p := range list {
		urls[i] = &model.UploadURLPart{PartNumber: int64(p.Number), UploadURL: p.URL}
	}
	return urls
}

func (r *Resolver) completeUpload(ctx context.Context, in model.CompleteMultipartUploadArtifactInput) (*model.CompleteMultipartUploadArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	payload := &model.CompleteMultipartUploadArtifactPayload{ClientMutationID: in.ClientMutationID}
	if in.CompleteMultipartAction == model.CompleteMultipartActionAbort {
		return payload, r.Artifacts.AbortUpload(ctx, id, in.StoragePath, in.UploadID)
	}
	digest, err := r.Artifacts.CompleteUpload(ctx, id, in.StoragePath, in.UploadID, parts(in.CompletedParts))
	payload.Digest = &digest
	return payload, err
}

func (r *Resolver) refreshUpload(ctx context.Context, in model.RefreshMultipartUploadUrlsInput) (*model.RefreshMultipartUploadUrlsPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	urls, err := r.Artifacts.SignParts(ctx, id, in.StoragePath, in.UploadID, parts(in.UploadPartsInput))
	return &model.RefreshMultipartUploadUrlsPayload{UploadURLParts: partURLs(urls), ClientMutationID: in.ClientMutationID}, err
}

func (r *Resolver) commitArtifact(ctx context.Context, in model.CommitArtifactInput) (*model.ArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	a, err := r.Artifacts.Commit(ctx, id)
	if err != nil {
		return nil, err
	}
	v, err := r.Artifacts.ByID(ctx, a.ID)
	return artifactPayload(v, err, in.ClientMutationID)
}

func artifactPayload(v *artifact.Version, err error, mutation *string) (*model.ArtifactPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.ArtifactPayload{Artifact: toArtifact(v), ClientMutationID: mutation}, nil
}

func (r *Resolver) useArtifact(ctx context.Context, in model.UseArtifactInput) (*model.ArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	place, err := r.Guard.Project(ctx, in.EntityName, in.ProjectName, access.Write)
	if err != nil {
		return nil, err
	}
	v, err := r.Artifacts.Use(ctx, place, in.RunName, id, value(in.UsedAs))
	return artifactPayload(v, err, in.ClientMutationID)
}

func (r *Resolver) updateArtifact(ctx context.Context, in model.UpdateArtifactInput) (*model.ArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	v, err := r.Artifacts.Update(ctx, id, artifact.Change{
		Description: in.Description, Metadata: in.Metadata, TTLSeconds: in.TTLDurationSeconds, Aliases: aliasNames(in.Aliases),
		TagsToAdd: tagNames(in.TagsToAdd), TagsToCut: tagNames(in.TagsToDelete),
	})
	return artifactPayload(v, err, in.ClientMutationID)
}

func (r *Resolver) deleteArtifact(ctx context.Context, in model.DeleteArtifactInput) (*model.ArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	v, err := r.Artifacts.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.Artifacts.Delete(ctx, id, value(in.DeleteAliases)); err != nil {
		return nil, err
	}
	v.State = store.ArtifactDeleted
	return artifactPayload(v, nil, in.ClientMutationID)
}

func (r *Resolver) linkArtifact(ctx context.Context, in model.LinkArtifactInput) (*model.LinkArtifactPayload, error) {
	id, err := optionalID(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	portfolio, err := optionalID(in.ArtifactPortfolioID, collectionKind)
	if err != nil {
		return nil, err
	}
	m, err := r.Artifacts.Link(ctx, artifact.Link{
		Artifact: id, ClientID: value(in.ClientID), PortfolioID: portfolio, Entity: value(in.EntityName), Project: value(in.ProjectName),
		Portfolio: value(in.ArtifactPortfolioName), Aliases: aliasNames(in.Aliases),
	})
	if err != nil {
		return nil, err
	}
	node := toMember(m)
	return &model.LinkArtifactPayload{VersionIndex: node.VersionIndex(), ArtifactMembership: node, ClientMutationID: in.ClientMutationID}, nil
}

func (r *Resolver) unlinkArtifact(ctx context.Context, in model.UnlinkArtifactInput) (*model.UnlinkArtifactPayload, error) {
	id, err := idOf(in.ArtifactID, artifactKind)
	if err != nil {
		return nil, err
	}
	portfolio, err := idOf(in.ArtifactPortfolioID, collectionKind)
	if err != nil {
		return nil, err
	}
	if err := r.Artifacts.Unlink(ctx, id, portfolio); err != nil {
		return nil, err
	}
	return &model.UnlinkArtifactPayload{ArtifactID: in.ArtifactID, Success: true, ClientMutationID: in.ClientMutationID}, nil
}

func success(err error, mutation *string) (*model.ArtifactSuccessPayload, error) {
	return &model.ArtifactSuccessPayload{Success: err == nil, ClientMutationID: mutation}, err
}

// changeCollection runs a change of the collection with an id.
func changeCollection(id string, mutation *string, f func(store.ID) (*artifact.Collection, error)) (*model.ArtifactCollectionPayload, error) {
	n, err := idOf(id, collectionKind)
	if err != nil {
		return nil, err
	}
	c, err := f(n)
	if err != nil {
		return nil, err
	}
	return &model.ArtifactCollectionPayload{ArtifactCollection: model.CollectionOf(c), ClientMutationID: mutation}, nil
}

func (r *Resolver) deleteCollection(ctx context.Context, id string, kind store.CollectionKind, mutation *string) (*model.ArtifactCollectionPayload, error) {
	return changeCollection(id, mutation, func(id store.ID) (*artifact.Collection, error) {
		c, err := r.Artifacts.DeleteCollection(ctx, id, kind)
		if err == nil {
			c.Deleted = true
		}
		return c, err
	})
}

func (r *Resolver) tagCollection(ctx context.Context, entity, project, name string, add, remove []*model.TagInput) ([]store.ArtifactTag, error) {
	place, err := r.Guard.Project(ctx, entity, project, access.Write)
	if err != nil {
		return nil, err
	}
	return r.Artifacts.TagCollection(ctx, place, name, tagNames(add), tagNames(remove))
}
