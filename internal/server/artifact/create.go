package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Create is a version that a client is about to write.
type Create struct {
	// RunName is the run that logs it; "" for none.
	RunName    string
	Type       string
	Collection string
	// Digest is that of its manifest; "" where only the commit will know it.
	Digest      string
	Description string
	// Metadata is a JSON object; "" for none.
	Metadata    string
	Aliases     []string
	Tags        []string
	HistoryStep *int64
	TTLSeconds  *int64
	// Dedupe lets a committed version of the same digest stand for it.
	Dedupe                                  bool
	ClientID, SequenceClientID, Distributed string
}

const (
	// maxMetadata is what the column takes.
	maxMetadata = 1 << 20
	maxClientID = 128
)

func (c Create) check() error {
	if err := checkName("an artifact", c.Collection); err != nil {
		return err
	}
	if err := checkName("an artifact type", c.Type); err != nil {
		return err
	}
	if err := checkTags(c.Tags); err != nil {
		return err
	}
	if err := checkTTL(c.TTLSeconds); err != nil {
		return err
	}
	if err := checkMetadata(&c.Metadata); err != nil {
		return err
	}
	switch {
	case len(c.Digest) > maxName:
		return invalid("the digest is too long")
	case len(c.Description) > maxMetadata:
		return invalid(fmt.Sprintf("the description is longer than %d bytes", maxMetadata))
	case len(c.ClientID) > maxClientID || len(c.SequenceClientID) > maxClientID || len(c.Distributed) > 255:
		return invalid("an id of the client is too long")
	}
	return nil
}

func checkMetadata(metadata *string) error {
	switch {
	case metadata == nil || *metadata == "":
		return nil
	case len(*metadata) > maxMetadata:
		return invalid(fmt.Sprintf("the metadata is longer than %d bytes", maxMetadata))
	case !json.Valid([]byte(*metadata)):
		return invalid("the metadata is not JSON")
	}
	return nil
}

// maxTTL is about a thousand years.
const maxTTL = 1 << 35

func checkTTL(seconds *int64) error {
	if seconds == nil || *seconds == store.TTLInherited || *seconds == store.TTLNone || (*seconds > 0 && *seconds < maxTTL) {
		return nil
	}
	return invalid("the time to live is neither a number of seconds above 0, nor -1 (as the collection), nor -2 (for ever)")
}

// Create writes a pending version, and returns it; or one that stands for it, which may be committed. Type and collection
// are made where they are missing.
func (s *Service) Create(ctx context.Context, place access.Place, c Create) (*Version, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	aliases, err := checkAliases(c.Aliases)
	if err != nil {
		return nil, err
	}
	run, err := s.runNamed(ctx, place, c.RunName)
	if err != nil {
		return nil, err
	}
	now := s.now()
	collection, err := s.ensure(ctx, place, store.Sequence, c.Type, c.Collection)
	if err != nil {
		return nil, err
	}
	a := store.Artifact{
		EntityID: place.Entity.ID, ProjectID: place.Project.ID, CollectionID: collection.ID, VersionIndex: store.NoVersion,
		Digest: store.Text(c.Digest), Description: store.Blob(c.Description), Metadata: store.Blob(c.Metadata),
		HistoryStep: store.NoHistoryStep, TTLSeconds: store.TTLInherited,
		RunID: run.ID, UserID: place.User.ID, CreatedAt: now, UpdatedAt: now,
	}
	if c.HistoryStep != nil && *c.HistoryStep >= 0 {
		a.HistoryStep = *c.HistoryStep
	}
	if c.TTLSeconds != nil {
		a.TTLSeconds = *c.TTLSeconds
	}
	a, err = s.store.CreateArtifact(ctx, store.NewArtifact{
		Artifact: a, Dedupe: c.Dedupe && c.Digest != "", ClientID: c.ClientID, SequenceClientID: c.SequenceClientID,
		DistributedID: c.Distributed, Aliases: aliases, Tags: c.Tags,
	})
	if err != nil {
		return nil, err
	}
	return s.one(ctx, a, place)
}

// runNamed returns the run of a name; the zero Run for none.
func (s *Service) runNamed(ctx context.Context, place access.Place, name string) (store.Run, error) {
	if name == "" {
		return store.Run{}, nil
	}
	record, err := s.store.RunRecordByName(ctx, place.Project.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Run{}, missing("run "+name, err)
	}
	return record.Run, err
}

// ensure returns a project's collection, which must be of this type and kind.
func (s *Service) ensure(ctx context.Context, place access.Place, kind store.CollectionKind, typeName, name string) (store.ArtifactCollection, error) {
	now := s.now()
	c, err := s.store.EnsureCollection(ctx, store.ArtifactCollection{
		ProjectID: place.Project.ID, Kind: kind, Name: store.Text(name), TypeName: store.Text(typeName), CreatedAt: now, UpdatedAt: now,
	})
	switch {
	case err != nil:
		return c, err
	case c.Kind != kind:
		return c, conflict(fmt.Sprintf("the name %s belongs to a collection of the other kind", name),
			"Choose another name: versions are logged into sequences and linked into portfolios.")
	case string(c.TypeName) != typeName:
		return c, conflict(fmt.Sprintf("the artifact %s already exists with type %s and cannot be of type %s", name, c.TypeName, typeName),
			"Choose another name, or the same type.")
	}
	return c, nil
}

// NewManifest is a manifest that a client is about to upload.
type NewManifest struct {
	Kind   store.ManifestKind
	Name   string
	Digest string
	// Base is the version that it changes; 0 for none.
	Base store.ID
}

// ManifestFile is a manifest with the URL that it is uploaded to.
type ManifestFile struct {
	store.ArtifactManifest
	Upload blob.SignedPut
}

// CreateManifest writes a manifest of a pending version.
func (s *Service) CreateManifest(ctx context.Context, artifact store.ID, m NewManifest) (*ManifestFile, error) {
	a, err := s.pending(ctx, artifact)
	if err != nil {
		return nil, err
	}
	if len(m.Name) > 255 || len(m.Digest) > maxName {
		return nil, invalid("name or digest of the manifest is too long")
	}
	row, err := s.store.PutManifest(ctx, store.ArtifactManifest{
		ArtifactID: a.ID, Kind: m.Kind, BaseID: m.Base, Name: store.Text(m.Name), Digest: store.Text(m.Digest), CreatedAt: s.now(),
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errCommitted()
	}
	if err != nil {
		return nil, err
	}
	return s.manifestFile(ctx, a, row)
}

// UpdateManifest changes digest and base of a manifest.
func (s *Service) UpdateManifest(ctx context.Context, id store.ID, digest *string, base store.ID) (*ManifestFile, error) {
	m, err := s.store.Manifest(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing("manifest", err)
	}
	if err != nil {
		return nil, err
	}
	a, err := s.pending(ctx, m.ArtifactID)
	if err != nil {
		return nil, err
	}
	if digest != nil {
		if len(*digest) > maxName {
			return nil, invalid("the digest of the manifest is too long")
		}
		m.Digest = store.Text(*digest)
	}
	if base != 0 {
		m.BaseID = base
	}
	if err := s.store.UpdateManifest(ctx, m); err != nil {
		return nil, err
	}
	return s.manifestFile(ctx, a, m)
}

func (s *Service) manifestFile(ctx context.Context, a store.Artifact, m store.ArtifactManifest) (*ManifestFile, error) {
	options := blob.PutOptions{ContentType: "application/json"}
	if md5, ok := md5OfBase64(string(m.Digest)); ok {
		options.MD5 = []byte(md5)
	}
	upload, err := s.bucket.SignPut(ctx, store.ManifestKey(a, m.ID), options)
	return &ManifestFile{ArtifactManifest: m, Upload: upload}, err
}

func errCommitted() error {
	return conflict("the artifact is committed and cannot be changed", "Log a new version of it.")
}

// pending returns a version that is being written, for a user who may write it.
func (s *Service) pending(ctx context.Context, id store.ID) (store.Artifact, error) {
	a, _, err := s.alive(ctx, id, access.Write)
	if err == nil && a.State != store.ArtifactPending {
		return a, errCommitted()
	}
	return a, err
}
