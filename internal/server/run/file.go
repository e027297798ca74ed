package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxFileName is how many bytes a file's path may have.
	maxFileName = 1024
	// maxFiles is how many files one request may name.
	maxFiles = 10_000
	// maxFilePage is how many files one answer lists.
	maxFilePage = 1000
	// bucketCalls is how many questions about one request are asked of the bucket at once.
	bucketCalls = 8
)

// Bucket keeps the bytes of files.
type Bucket interface {
	SignGet(ctx context.Context, key string, o blob.GetOptions) (string, error)
	SignPut(ctx context.Context, key string, o blob.PutOptions) (blob.SignedPut, error)
	Stat(ctx context.Context, key string) (blob.Object, error)
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Object, error)
	Delete(ctx context.Context, keys ...string) error
	DeletePrefix(ctx context.Context, folder string) error
}

// CleanFile is a file's path as it is stored: clients ask for "./a" where they have written "a". It never leaves the
// folder of its run.
func CleanFile(name string) (string, error) {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	problem := ""
	switch {
	case clean == "":
		problem = "is empty"
	case len(clean) > maxFileName:
		problem = fmt.Sprintf("is longer than %d bytes", maxFileName)
	case strings.ContainsRune(clean, 0):
		problem = "holds a zero byte"
	default:
		return clean, nil
	}
	return "", &fault.Error{Reason: ReasonInvalid, Op: "the name of a file " + problem}
}

func fileKey(run store.ID, clean string) string { return filePrefix(run) + clean }

func filePrefix(run store.ID) string { return fmt.Sprintf("runs/%d/files/", run) }

// Upload is where a file's bytes are to be sent.
type Upload struct {
	// Name is as it was asked for.
	Name string
	blob.SignedPut
}

// Uploads says where to send the bytes of files, in the order of their names. Nothing is written yet.
func (s *Service) Uploads(ctx context.Context, run store.ID, names []string) ([]Upload, error) {
	if len(names) > maxFiles {
		return nil, &fault.Error{Reason: ReasonInvalid, Op: fmt.Sprintf("more than %d files in one request", maxFiles)}
	}
	uploads := make([]Upload, len(names))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(bucketCalls)
	for i, name := range names {
		clean, err := CleanFile(name)
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			signed, err := s.Bucket.SignPut(groupCtx, fileKey(run, clean), blob.PutOptions{})
			uploads[i] = Upload{Name: name, SignedPut: signed}
			return err
		})
	}
	return uploads, group.Wait()
}

// Uploaded notes files whose bytes a client has sent. What is not in the bucket, or has no name that could be, is left out:
// a client that lost a file says so itself, and its metrics must not be refused for it.
func (s *Service) Uploaded(ctx context.Context, run store.ID, names []string) error {
	clean := make([]string, 0, min(len(names), maxFiles))
	for _, name := range names[:min(len(names), maxFiles)] {
		if name, err := CleanFile(name); err == nil {
			clean = append(clean, name)
		}
	}
	slices.Sort(clean)
	clean = slices.Compact(clean)
	found := make([]*store.RunFile, len(clean))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(bucketCalls)
	for i, name := range clean {
		group.Go(func() (err error) {
			found[i], err = s.stat(groupCtx, run, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	files := make([]store.RunFile, 0, len(found))
	for _, file := range found {
		if file != nil {
			files = append(files, *file)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return missing(s.store.PutRunFiles(ctx, run, files), "run")
}

// stat returns nil for a file that is not in the bucket.
func (s *Service) stat(ctx context.Context, run store.ID, clean string) (*store.RunFile, error) {
	object, err := s.Bucket.Stat(ctx, fileKey(run, clean))
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &store.RunFile{
		Name: store.Text(clean), Size: object.Size, MD5: object.MD5, Mimetype: store.Text(mimetype(clean, object.ContentType)),
		UpdatedAt: store.At(object.Modified),
	}, nil
}

// Files is one page of a run's files.
type Files struct {
	Files []File
	// More tells whether others follow.
	More bool
}

// File is a file of a run, or one that is asked for and not there.
type File struct {
	store.RunFile
	Missing bool
}

// FileFilter says which files of a run are asked for.
type FileFilter struct {
	// Names, where there are any, are answered in their order, also those that do not exist.
	Names []string
	// Pattern is that of SQL's LIKE; "" is every file.
	Pattern string
	// After is the name of the last file of the page before.
	After string
	// First is how many are wanted; 0 means the most that one answer holds.
	First int
}

// List returns a page of a run's files.
func (s *Service) List(ctx context.Context, run store.ID, filter FileFilter) (Files, error) {
	if filter.First <= 0 || filter.First > maxFilePage {
		filter.First = maxFilePage
	}
	if len(filter.Names) > 0 {
		return s.named(ctx, run, filter)
	}
	var page Files
	err := s.scan(ctx, run, filter.Pattern, filter.After, func(row store.RunFile) bool {
		if page.More = len(page.Files) == filter.First; page.More {
			return false
		}
		page.Files = append(page.Files, File{RunFile: row})
		return true
	})
	return page, err
}

// Count returns how many files a filter has on all of its pages.
func (s *Service) Count(ctx context.Context, run store.ID, filter FileFilter) (int, error) {
	if len(filter.Names) > 0 {
		names, err := cleanFiles(filter.Names)
		return len(names), err
	}
	if filter.Pattern == "" {
		counts, err := s.store.RunFileCounts(ctx, []store.ID{run})
		return int(counts[run]), err
	}
	count := 0
	err := s.scan(ctx, run, filter.Pattern, "", func(store.RunFile) bool { count++; return true })
	return count, err
}

// scan visits the files whose names match a pattern and follow after, until visit returns false.
func (s *Service) scan(ctx context.Context, run store.ID, pattern, after string, visit func(store.RunFile) bool) error {
	matches := like(pattern)
	for {
		rows, err := s.store.RunFiles(ctx, run, after, maxFilePage+1)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if matches(string(row.Name)) && !visit(row) {
				return nil
			}
		}
		if len(rows) <= maxFilePage {
			return nil
		}
		after = string(rows[len(rows)-1].Name)
	}
}

func (s *Service) named(ctx context.Context, run store.ID, filter FileFilter) (Files, error) {
	names, err := cleanFiles(filter.Names)
	if err != nil {
		return Files{}, err
	}
	var page Files
	if filter.After != "" {
		names = names[slices.Index(names, filter.After)+1:]
	}
	if len(names) > filter.First {
		names, page.More = names[:filter.First], true
	}
	rows, err := s.store.RunFilesByName(ctx, run, names)
	if err != nil {
		return Files{}, err
	}
	byName := map[string]store.RunFile{}
	for _, row := range rows {
		byName[string(row.Name)] = row
	}
	for _, name := range names {
		row, known := byName[name]
		row.RunID, row.Name = run, store.Text(name)
		page.Files = append(page.Files, File{RunFile: row, Missing: !known})
	}
	return page, nil
}

// cleanFiles keeps the order and drops repetitions.
func cleanFiles(names []string) ([]string, error) {
	if len(names) > maxFiles {
		return nil, &fault.Error{Reason: ReasonInvalid, Op: fmt.Sprintf("more than %d files in one request", maxFiles)}
	}
	kept := make([]string, 0, len(names))
	seen := map[string]bool{}
	for _, name := range names {
		clean, err := CleanFile(name)
		if err != nil {
			return nil, err
		}
		if !seen[clean] {
			seen[clean] = true
			kept = append(kept, clean)
		}
	}
	return kept, nil
}

// FileCounts returns how many files runs have.
func (s *Service) FileCounts(ctx context.Context, runs []store.ID) (map[store.ID]int64, error) {
	return s.store.RunFileCounts(ctx, runs)
}

// FileAddress is where a file is downloaded by those who show an API key.
func (s *Service) FileAddress(place access.Place, run string, name string) string {
	segments := append([]string{"files", string(place.Entity.Name), string(place.Project.Name), run}, strings.Split(name, "/")...)
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.TrimSuffix(s.ExternalURL, "/") + "/" + strings.Join(segments, "/")
}

// Download is a URL by which anybody reads a file for some time; access.ReasonNotFound where it has not been uploaded.
func (s *Service) Download(ctx context.Context, run store.ID, name string) (string, error) {
	clean, err := CleanFile(name)
	if err != nil { // nothing can have been uploaded under it
		return "", missing(errors.Join(store.ErrNotFound, err), "file")
	}
	rows, err := s.store.RunFilesByName(ctx, run, []string{clean})
	if err != nil {
		return "", err
	}
	if len(rows) == 0 { // its bytes may be there, and only the word of it on its way
		file, err := s.stat(ctx, run, clean)
		if err != nil {
			return "", err
		}
		if file == nil {
			return "", missing(store.ErrNotFound, "file "+clean)
		}
	}
	return s.SignDownload(ctx, run, clean)
}

// SignDownload is a URL by which anybody reads a file for some time, whether it is there or not.
func (s *Service) SignDownload(ctx context.Context, run store.ID, clean string) (string, error) {
	return s.Bucket.SignGet(ctx, fileKey(run, clean), blob.GetOptions{})
}

// SignUpload is where to send the bytes of one file.
func (s *Service) SignUpload(ctx context.Context, run store.ID, clean string) (blob.SignedPut, error) {
	return s.Bucket.SignPut(ctx, fileKey(run, clean), blob.PutOptions{})
}

// DeleteFiles deletes files by their ids, for the user in ctx. Those that do not exist any more are none.
func (s *Service) DeleteFiles(ctx context.Context, ids []store.ID) error {
	if len(ids) > maxFiles {
		return &fault.Error{Reason: ReasonInvalid, Op: fmt.Sprintf("more than %d files in one request", maxFiles)}
	}
	files, err := s.store.RunFilesByID(ctx, ids)
	if err != nil {
		return err
	}
	byRun := map[store.ID][]store.RunFile{}
	for _, file := range files {
		byRun[file.RunID] = append(byRun[file.RunID], file)
	}
	for run := range byRun { // all or nothing, where rights are concerned
		if _, _, err := s.ByID(ctx, run, access.Write); err != nil {
			return err
		}
	}
	for run, files := range byRun {
		var keys []string
		var ids []store.ID
		for _, file := range files {
			keys, ids = append(keys, fileKey(run, string(file.Name))), append(ids, file.ID)
		}
		// The row goes last: as long as the bytes may be there, the file can be deleted again.
		if err := s.Bucket.Delete(ctx, keys...); err != nil {
			return err
		}
		if err := s.store.DeleteRunFiles(ctx, run, ids); err != nil {
			return missing(err, "run")
		}
	}
	return nil
}
