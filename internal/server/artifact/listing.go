package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxListed files are on one page; the client asks for 5,000.
	maxListed = 10_000
	// maxNames files are looked for by name at once.
	maxNames = 10_000
)

// File is one path of a version.
type File struct {
	Path   string
	Size   int64
	Digest string
	// Ref is the address of a reference; "" for what is stored here.
	Ref string
	// Content is what holds the bytes; zero for a reference, and where there are none.
	Content store.Content
}

// FileQuery says which files of a version are wanted.
type FileQuery struct {
	// Names are the paths that are wanted; nil for all.
	Names []string
	After string
	First int
}

var errEnough = errors.New("the page is full")

// Files lists what a version holds, in the order of its manifest, references included. A page costs what it shows: the
// cursor is a place in the manifest.
func (s *Service) Files(ctx context.Context, v *Version, q FileQuery) (*Page[File], error) {
	if v.State != store.ArtifactCommitted {
		return &Page[File]{}, nil
	}
	if len(q.Names) > maxNames {
		return nil, invalid(fmt.Sprintf("more than %d files are asked for by name", maxNames))
	}
	page := &Page[File]{Total: v.FileCount}
	if q.Names != nil {
		page.Total = int64(len(q.Names))
	}
	ends, err := s.scan(ctx, v, q, page)
	if err != nil {
		return nil, err
	}
	for _, end := range ends {
		page.End = cursor{N: end}.String()
		page.Cursors = append(page.Cursors, page.End)
	}
	if q.Names != nil && !page.More && q.After == "" {
		page.Total = int64(len(page.Nodes))
	}
	return page, s.hold(ctx, v.Artifact, page.Nodes)
}

// scan fills a page and returns the places behind its entries.
func (s *Service) scan(ctx context.Context, v *Version, q FileQuery, page *Page[File]) (ends []int64, err error) {
	size := q.First
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, maxListed)
	names := make(map[string]bool, len(q.Names))
	for _, name := range q.Names {
		names[name] = true
	}
	var start int64
	visit := func(e entry) error {
		if q.Names != nil && !names[e.path] {
			return nil
		}
		if len(page.Nodes) == size {
			page.More = true
			return errEnough
		}
		page.Nodes = append(page.Nodes, File{Path: e.path, Size: e.size, Digest: e.digest, Ref: e.ref})
		ends = append(ends, start+e.end)
		if q.Names != nil && len(page.Nodes) == len(names) {
			return errEnough
		}
		return nil
	}
	read := func(r io.Reader) error { _, err := readManifest(r, visit); return err }
	if q.After != "" {
		after, err := parseCursor(q.After)
		if err != nil || after.N <= 0 {
			return nil, invalid("the cursor is not one of this list")
		}
		start = after.N
		read = func(r io.Reader) error { return readEntries(r, visit) }
	}
	body, _, err := s.bucket.Get(ctx, store.ManifestKey(v.Artifact, v.ManifestID), start, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := read(body); err != nil && !errors.Is(err, errEnough) {
		return nil, invalid(err.Error())
	}
	return ends, nil
}

// hold gives files what holds their bytes.
func (s *Service) hold(ctx context.Context, a store.Artifact, files []File) error {
	var names []store.Text
	for _, f := range files {
		if md5, ok := md5OfBase64(f.Digest); ok && f.Ref == "" {
			names = append(names, md5)
		}
	}
	contents, err := s.store.Contents(ctx, a.ProjectID, names, 0)
	if err != nil {
		return err
	}
	for i := range files {
		if md5, ok := md5OfBase64(files[i].Digest); ok && files[i].Ref == "" && contents[md5].Ready {
			files[i].Content = contents[md5]
		}
	}
	return nil
}

// FileURL is where a file is downloaded without a key: of a reference, its address; "" where its bytes are not here.
func (s *Service) FileURL(ctx context.Context, f File) (string, error) {
	if f.Ref != "" || f.Content.ID == 0 {
		return f.Ref, nil
	}
	return s.bucket.SignGet(ctx, f.Content.Key(), blob.GetOptions{})
}

// ManifestEntry is an entry of a manifest that a client has read already.
type ManifestEntry struct{ Name, Digest, Ref string }

// FilesByEntries returns the files that entries name, in their order, of what the version's project holds.
func (s *Service) FilesByEntries(ctx context.Context, v *Version, entries []ManifestEntry) ([]File, error) {
	if len(entries) > maxListed {
		return nil, invalid(fmt.Sprintf("more than %d files are asked for", maxListed))
	}
	files := make([]File, len(entries))
	for i, e := range entries {
		files[i] = File{Path: e.Name, Digest: e.Digest, Ref: e.Ref}
	}
	return files, s.hold(ctx, v.Artifact, files)
}

// ManifestURL is where the manifest of a committed version is downloaded.
func (s *Service) ManifestURL(ctx context.Context, a store.Artifact) (string, error) {
	return s.bucket.SignGet(ctx, store.ManifestKey(a, a.ManifestID), blob.GetOptions{})
}

// Located is where the bytes of an MD5 are, for a user who may read a project that is asked for by name. Birth, where it is
// known, is the version that the bytes were uploaded for: it may be in another project, which the user must see as well.
func (s *Service) Located(ctx context.Context, entity, project, collection string, birth store.ID, hexMD5 string) (string, error) {
	place, err := s.guard.Project(ctx, entity, project, access.Read)
	if err != nil {
		return "", err
	}
	md5, ok := md5OfHex(hexMD5)
	if !ok {
		return "", missing("file", store.ErrNotFound)
	}
	if _, err := s.CollectionByName(ctx, place, collection); err != nil {
		return "", err
	}
	projects := []store.ID{place.Project.ID}
	if a, _, err := s.alive(ctx, birth, access.Read); err == nil {
		projects = append(projects, a.ProjectID)
	} else if !access.IsNotFound(err) {
		return "", err
	}
	for _, id := range projects {
		found, err := s.store.Contents(ctx, id, []store.Text{md5}, 0)
		if err != nil {
			return "", err
		}
		if c := found[md5]; c.Ready {
			return s.bucket.SignGet(ctx, c.Key(), blob.GetOptions{})
		}
	}
	return "", missing("file", store.ErrNotFound)
}

// LocatedInEntity is where the bytes of an MD5 are that any project of an entity holds which the user may read.
func (s *Service) LocatedInEntity(ctx context.Context, entity, hexMD5 string) (string, error) {
	owner, err := s.store.EntityByName(ctx, foldEntity(entity))
	if errors.Is(err, store.ErrNotFound) {
		return "", missing("file", err)
	}
	if err != nil {
		return "", err
	}
	md5, ok := md5OfHex(hexMD5)
	if !ok {
		return "", missing("file", store.ErrNotFound)
	}
	contents, err := s.store.ContentsOfEntity(ctx, owner.ID, md5)
	if err != nil {
		return "", err
	}
	for _, c := range contents {
		_, err := s.guard.ProjectByID(ctx, c.ProjectID, access.Read)
		if err == nil {
			return s.bucket.SignGet(ctx, c.Key(), blob.GetOptions{})
		}
		if !access.IsNotFound(err) {
			return "", err
		}
	}
	return "", missing("file", store.ErrNotFound)
}
