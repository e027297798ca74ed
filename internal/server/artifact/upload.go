package artifact

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxFiles are asked for by one call; the client asks for 2,000.
const maxFiles = 10_000

// FileSpec is a file that a client may have to upload.
type FileSpec struct {
	ArtifactID store.ID
	// Name is its path in the artifact.
	Name string
	// MD5 is in base64.
	MD5      string
	Mimetype string
	// Parts are given for files that are uploaded in parts.
	Parts []PartSpec
}

// PartSpec is one part of a file.
type PartSpec struct {
	Number int
	// HexMD5 may be quoted, as in an ETag, and need not be known.
	HexMD5 string
}

func (p PartSpec) md5() []byte {
	if md5, ok := md5OfHex(strings.Trim(p.HexMD5, `"`)); ok {
		return []byte(md5)
	}
	return nil
}

// Upload says where a file is uploaded.
type Upload struct {
	FileSpec
	// StoragePath names the bytes in later calls.
	StoragePath string
	// Birth is the version that the bytes were uploaded for.
	Birth store.ID
	// URL is empty where the bytes are stored already.
	URL     string
	Headers []string
	// UploadID and Parts are set for a file that is uploaded in parts. Where they are not, though parts were asked for, the
	// store takes the whole by URL.
	UploadID string
	Parts    []UploadPart
}

// UploadPart says where a part is uploaded.
type UploadPart struct {
	Number int
	URL    string
}

// Uploads says for each file where it is uploaded, in the order of the files.
func (s *Service) Uploads(ctx context.Context, specs []FileSpec) ([]Upload, error) {
	if len(specs) > maxFiles {
		return nil, invalid(fmt.Sprintf("there are more than %d files", maxFiles))
	}
	uploads := make([]Upload, len(specs))
	byArtifact := make(map[store.ID][]int)
	for i, spec := range specs {
		if err := checkPath(spec.Name); err != nil {
			return nil, err
		}
		byArtifact[spec.ArtifactID] = append(byArtifact[spec.ArtifactID], i)
	}
	for id, indexes := range byArtifact {
		if err := s.uploadsOf(ctx, id, specs, indexes, uploads); err != nil {
			return nil, err
		}
	}
	return uploads, nil
}

func (s *Service) uploadsOf(ctx context.Context, id store.ID, specs []FileSpec, indexes []int, uploads []Upload) error {
	a, err := s.pending(ctx, id)
	if err != nil {
		return err
	}
	names := make([]store.Text, len(indexes))
	for n, i := range indexes {
		md5, ok := md5OfBase64(specs[i].MD5)
		if !ok {
			return invalid(fmt.Sprintf("the md5 of the file %q is no MD5 in base64", specs[i].Name))
		}
		names[n] = md5
	}
	now := s.now()
	contents, err := s.store.EnsureContents(ctx, a, names, now)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(objectCalls)
	for n, i := range indexes {
		c, ok := contents[names[n]]
		if !ok { // somebody deletes it this very moment
			return conflict(fmt.Sprintf("the file %q is being deleted", specs[i].Name), "Try again.")
		}
		group.Go(func() (err error) {
			uploads[i], err = s.upload(groupCtx, c, specs[i], c.TouchedAt < now)
			return err
		})
	}
	return group.Wait()
}

// upload says where bytes are uploaded. Known tells that somebody has asked for the same before: they may be there.
func (s *Service) upload(ctx context.Context, c store.Content, spec FileSpec, known bool) (Upload, error) {
	u := Upload{FileSpec: spec, StoragePath: c.Key(), Birth: c.BirthID, Headers: []string{}}
	stored, err := s.stored(ctx, c, known)
	if err != nil || stored {
		return u, err
	}
	options := blob.PutOptions{ContentType: spec.Mimetype}
	if len(spec.Parts) > 0 && s.bucket.TagsParts() {
		if u.UploadID, err = s.bucket.StartUpload(ctx, u.StoragePath, options); err != nil {
			return u, err
		}
		if u.Parts, err = s.signParts(ctx, u.StoragePath, u.UploadID, spec.Parts); err != nil {
			return u, err
		}
	}
	options.MD5 = []byte(c.MD5)
	signed, err := s.bucket.SignPut(ctx, u.StoragePath, options)
	u.URL = signed.URL
	u.Headers = append(u.Headers, signed.Headers...)
	return u, err
}

// stored tells whether bytes are there: a commit has seen them, or the bucket knows that they are the right ones.
func (s *Service) stored(ctx context.Context, c store.Content, known bool) (bool, error) {
	if c.Ready || !known {
		return c.Ready, nil
	}
	object, err := s.bucket.Stat(ctx, c.Key())
	if isObjectMissing(err) {
		return false, nil
	}
	return err == nil && string(object.MD5) == string(c.MD5), err
}

func (s *Service) signParts(ctx context.Context, key, id string, parts []PartSpec) ([]UploadPart, error) {
	if len(parts) > blob.MaxParts {
		return nil, invalid(fmt.Sprintf("a file has more than %d parts", blob.MaxParts))
	}
	urls := make([]UploadPart, len(parts))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(objectCalls)
	for i, part := range parts {
		group.Go(func() error {
			signed, err := s.bucket.SignPart(groupCtx, key, id, part.Number, blob.PutOptions{MD5: part.md5()})
			urls[i] = UploadPart{Number: part.Number, URL: signed.URL}
			return err
		})
	}
	return urls, group.Wait()
}

// SignParts renews the URLs of parts that are still to be uploaded.
func (s *Service) SignParts(ctx context.Context, artifact store.ID, storagePath, uploadID string, parts []PartSpec) ([]UploadPart, error) {
	c, err := s.uploading(ctx, artifact, storagePath)
	if err != nil {
		return nil, err
	}
	return s.signParts(ctx, c.Key(), uploadID, parts)
}

// uploading returns the contents that a storage path names, which must belong to the project of a pending version.
func (s *Service) uploading(ctx context.Context, artifact store.ID, storagePath string) (store.Content, error) {
	a, err := s.pending(ctx, artifact)
	if err != nil {
		return store.Content{}, err
	}
	id, _ := contentOfKey(storagePath)
	c, err := s.store.Content(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return c, err
	}
	if err != nil || c.ProjectID != a.ProjectID || c.Key() != storagePath {
		return c, missing("upload", store.ErrNotFound)
	}
	return c, nil
}

// CompleteUpload makes a file of its parts, and returns its MD5 in base64. Doing so again changes nothing.
func (s *Service) CompleteUpload(ctx context.Context, artifact store.ID, storagePath, uploadID string, parts []PartSpec) (string, error) {
	c, err := s.uploading(ctx, artifact, storagePath)
	if err != nil {
		return "", err
	}
	digest := base64.StdEncoding.EncodeToString([]byte(c.MD5))
	if c.Ready {
		return digest, nil
	}
	list := make([]blob.Part, len(parts))
	for i, part := range parts {
		list[i] = blob.Part{Number: part.Number, MD5: part.md5()}
	}
	err = s.bucket.CompleteUpload(ctx, c.Key(), uploadID, list)
	if errors.Is(err, blob.ErrNotFound) { // also so where an earlier call has done it
		if _, err := s.bucket.Stat(ctx, c.Key()); isObjectMissing(err) {
			return "", missing("upload", err)
		} else if err != nil {
			return "", err
		}
		return digest, nil
	}
	return digest, err
}

// AbortUpload forgets the parts of a file.
func (s *Service) AbortUpload(ctx context.Context, artifact store.ID, storagePath, uploadID string) error {
	c, err := s.uploading(ctx, artifact, storagePath)
	if err != nil {
		return err
	}
	return s.bucket.AbortUpload(ctx, c.Key(), uploadID)
}
