package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// commitTries is how often a commit looks again for contents that were deleted while it looked.
const commitTries = 3

// Commit completes a pending version: when it returns, every name finds it, on every replica. It fails and changes nothing
// where an object is missing or differs from what the manifest says. A version that is committed is returned as it is.
func (s *Service) Commit(ctx context.Context, id store.ID) (store.Artifact, error) {
	ctx = store.Unhurried(ctx) // a million files take a while, and whoever commits twice changes nothing
	a, _, err := s.alive(ctx, id, access.Write)
	if err != nil || a.State == store.ArtifactCommitted {
		return a, err
	}
	manifests, err := s.store.Manifests(ctx, a.ID)
	if err != nil {
		return a, err
	}
	free, err := s.reserve(ctx, a, manifests)
	if err != nil {
		return a, err
	}
	defer free()
	// What is committed is a copy: the client still holds a URL by which it may write its own.
	final := store.ArtifactManifest{ID: s.store.NewID(), ArtifactID: a.ID, Kind: store.ManifestMerged, Name: "wandb_manifest.json", CreatedAt: s.now()}
	key := store.ManifestKey(a, final.ID)
	digest, err := s.settle(ctx, a, manifests, key)
	if err == nil {
		final.Digest = store.Text(digest)
		a, err = s.commit(ctx, a, final)
	}
	if err != nil || a.ManifestID != final.ID {
		s.discard(ctx, key)
	}
	return a, err
}

// commit counts on contents that may be on their way out: what is deleted meanwhile is looked for again.
func (s *Service) commit(ctx context.Context, a store.Artifact, final store.ArtifactManifest) (store.Artifact, error) {
	for try := 1; ; try++ {
		found, err := s.inventory(ctx, a, store.ManifestKey(a, final.ID))
		if err != nil {
			return a, err
		}
		if err := s.verify(ctx, a, found); err != nil {
			return a, s.incomplete(ctx, a, store.ManifestKey(a, final.ID), err)
		}
		committed, err := s.store.CommitArtifact(ctx, store.ArtifactCommit{
			ArtifactID: a.ID, Manifest: final, Digest: string(final.Digest), Size: found.size, FileCount: found.entries,
			Contents: found.contents(), At: s.now(),
		})
		switch {
		case errors.Is(err, store.ErrContentGone) && try < commitTries:
		case errors.Is(err, store.ErrNotFound):
			return a, missing("artifact", err)
		default:
			return committed, err
		}
	}
}

// discard removes an object that nobody will ask for. Where that fails it is freed with the version.
func (s *Service) discard(ctx context.Context, key string) {
	if err := s.bucket.Delete(context.WithoutCancel(ctx), key); err != nil {
		s.cfg.Logger.WarnContext(ctx, "object not deleted", "error", err)
	}
}

// reserve waits until the memory for a commit is free.
func (s *Service) reserve(ctx context.Context, a store.Artifact, manifests []store.ArtifactManifest) (free func(), err error) {
	var size int64
	for _, m := range manifests {
		object, err := s.bucket.Stat(ctx, store.ManifestKey(a, m.ID))
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
		size += object.Size
	}
	size = min(size, manifestBudget)
	if err := s.manifests.Acquire(ctx, size); err != nil {
		return nil, &fault.Error{Reason: store.ReasonUnavailable, Op: "wait for other commits", Retry: true, Err: err}
	}
	return func() { s.manifests.Release(size) }, nil
}

// baseOf is the version that a manifest was derived from; 0 for none.
func baseOf(manifests []store.ArtifactManifest) store.ID {
	for _, m := range slices.Backward(manifests) {
		if m.BaseID != 0 {
			return m.BaseID
		}
	}
	return 0
}

// settle writes the manifest that counts, and returns the digest of the artifact.
func (s *Service) settle(ctx context.Context, a store.Artifact, manifests []store.ArtifactManifest, key string) (string, error) {
	of := func(kind store.ManifestKind) []store.ArtifactManifest {
		return slices.DeleteFunc(slices.Clone(manifests), func(m store.ArtifactManifest) bool { return m.Kind != kind || m.Digest == "" })
	}
	for _, kind := range []store.ManifestKind{store.ManifestPatch, store.ManifestIncremental} {
		if parts := of(kind); len(parts) > 0 {
			return s.merge(ctx, a, parts, key)
		}
	}
	full := of(store.ManifestFull)
	if len(full) == 0 {
		return "", conflict("the artifact has no manifest", "Upload a manifest before the commit.")
	}
	err := s.bucket.Copy(ctx, store.ManifestKey(a, full[0].ID), key)
	return string(a.Digest), notUploaded(err)
}

func notUploaded(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return &fault.Error{Reason: ReasonIncomplete, Op: "the manifest was not uploaded", Err: err, Hint: "Upload it and commit again."}
	}
	return err
}

// merge writes what several manifests make of their base.
func (s *Service) merge(ctx context.Context, a store.Artifact, parts []store.ArtifactManifest, key string) (string, error) {
	changes := newOverlay()
	for _, part := range parts {
		if err := s.read(ctx, store.ManifestKey(a, part.ID), changes.add); err != nil {
			return "", notUploaded(err)
		}
	}
	base, err := s.openBase(ctx, baseOf(parts))
	if err != nil {
		return "", err
	}
	if base != nil {
		defer base.Close()
	}
	var digest string
	reader, writer := io.Pipe()
	var group errgroup.Group
	group.Go(func() error {
		var source io.Reader
		if base != nil {
			source = base
		}
		var err error
		digest, err = changes.write(writer, source)
		return errors.Join(err, writer.CloseWithError(err))
	})
	_, err = s.bucket.Put(ctx, key, reader, -1, blob.PutOptions{ContentType: "application/json"})
	_ = reader.CloseWithError(io.ErrClosedPipe) // the writer ends, also where nobody reads on
	if failed := group.Wait(); failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return "", invalid(failed.Error())
	}
	return digest, err
}

// openBase opens the manifest of the version that others change; nil for none.
func (s *Service) openBase(ctx context.Context, id store.ID) (io.ReadCloser, error) {
	if id == 0 {
		return nil, nil
	}
	base, _, err := s.alive(ctx, id, access.Read)
	if err != nil {
		return nil, err
	}
	if base.State != store.ArtifactCommitted {
		return nil, conflict("the artifact that the manifest changes is not committed", "")
	}
	body, _, err := s.bucket.Get(ctx, store.ManifestKey(base, base.ManifestID), 0, -1)
	return body, err
}

// read opens an object for a function that reads it.
func (s *Service) read(ctx context.Context, key string, f func(io.Reader) error) error {
	body, _, err := s.bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	err = f(body)
	if err != nil && fault.Reason(err, "") == "" {
		return invalid(err.Error())
	}
	return err
}

// incomplete names the path of the object that is missing or differs, and makes clients upload it again.
func (s *Service) incomplete(ctx context.Context, a store.Artifact, key string, err error) error {
	var bad *badObject
	if !errors.As(err, &bad) {
		return err
	}
	if err := s.store.DoubtContents(ctx, []store.ID{bad.id}); err != nil {
		return err
	}
	path := ""
	stop := errors.New("found")
	err = s.read(ctx, key, func(r io.Reader) error {
		_, err := readManifest(r, func(e entry) error {
			if md5, ok := md5OfBase64(e.digest); ok && e.ref == "" && md5 == bad.md5 && (bad.size == anySize || e.size == bad.size) {
				path = e.path
				return stop
			}
			return nil
		})
		return err
	})
	if path == "" && err != nil {
		return err
	}
	return &fault.Error{
		Reason: ReasonIncomplete, Op: fmt.Sprintf("the file %q of the artifact %s", path, bad.problem),
		Hint: "Log the artifact again: the file will be uploaded.",
	}
}
