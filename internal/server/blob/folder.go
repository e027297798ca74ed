package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	objectsDir = "objects"
	tempDir    = "tmp"
	uploadsDir = "uploads"
	// leaf ends the file of an object: no part of a name ends so, and a folder and a file may have one name.
	leaf = "~"
	// tempAge is when a file that nobody finished is removed; uploads live as long as the URLs of their parts.
	tempAge   = 48 * time.Hour
	uploadAge = MaxExpiry + 24*time.Hour
	// maxDurable bounds what is remembered of folders.
	maxDurable = 10_000
	copyBuffer = 256 << 10
	// publishTries is how often a folder may vanish between its making and its use.
	publishTries = 100

	folderMode, fileMode = 0o700, 0o600
)

// folder keeps objects as files. A file is the object's bytes and a trailer with what else is known of it, so that one
// rename replaces all of it. Several processes may use one folder.
type folder struct {
	root    *os.Root
	path    string
	base    string // what signed URLs begin with
	secret  []byte
	logger  *slog.Logger
	now     func() time.Time
	stall   time.Duration
	buffers sync.Pool

	// pruning keeps this process from removing a folder that it is about to write to.
	pruning sync.RWMutex
	mu      sync.Mutex
	durable map[string]bool // folders whose entries above them are on stable storage
}

var _ driver = (*folder)(nil)

func openFolder(dir string, cfg Config) (*folder, error) {
	unusable := func(err error) error {
		return &fault.Error{
			Reason: ReasonConfigInvalid, Op: "open the folder of objects", Err: err,
			Hint: "Set DATA_DIR to a folder that this program may write to, or BUCKET to a bucket.",
		}
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, unusable(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unusable(err)
	}
	if err := syncAbove(dir); err != nil {
		return nil, errors.Join(unusable(err), root.Close())
	}
	f := &folder{
		root: root, path: dir, base: strings.TrimRight(cfg.ExternalURL, "/"), logger: cfg.Logger, now: cfg.now, stall: cfg.stall,
		durable: map[string]bool{}, buffers: sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }},
	}
	for _, sub := range []string{objectsDir, tempDir, uploadsDir} {
		if err := f.ensure(sub); err != nil {
			return nil, errors.Join(unusable(err), root.Close())
		}
	}
	if f.secret, err = f.signingKey(); err != nil {
		return nil, errors.Join(unusable(err), root.Close())
	}
	f.clean(tempDir, tempAge)
	f.clean(uploadsDir, uploadAge)
	return f, nil
}

// syncAbove puts the folder of objects and the data folder around it on stable storage: both may be new.
func syncAbove(dir string) error {
	for range 2 {
		dir = filepath.Dir(dir)
		d, err := os.Open(dir)
		if errors.Is(err, fs.ErrPermission) {
			return nil // then it is not ours, and was there before
		}
		if err != nil {
			return err
		}
		err = d.Sync()
		if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL) {
			err = nil // above a volume of a pod lies what nobody writes
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) close() error { return f.root.Close() }

// clean removes what was left unfinished. What cannot be removed stays until the next start.
func (f *folder) clean(dir string, age time.Duration) {
	entries, err := fs.ReadDir(f.root.FS(), dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > age {
			_ = f.root.RemoveAll(path.Join(dir, entry.Name()))
		}
	}
}

// fileOf is the path of an object's file. Capitals are written with a mark, since some file systems do not tell them apart.
func fileOf(name string) string { return path.Join(objectsDir, fold(name)) + leaf }

func fold(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unfold(file string) string {
	var b strings.Builder
	for i := 0; i < len(file); i++ {
		c := file[i]
		if c == '!' && i+1 < len(file) {
			i++
			c = file[i] - ('a' - 'A')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (f *folder) put(_ context.Context, name string, r io.Reader, _ int64, o PutOptions) error {
	_, err := f.store(fileOf(name), r, trailer{Type: contentType(o.ContentType)})
	return err
}

// errOlder tells that what is stored came by a newer URL.
var errOlder = errors.New("a newer upload is stored")

// store writes a file and returns once it is on stable storage under its name.
func (f *folder) store(file string, r io.Reader, t trailer) (trailer, error) {
	err := f.replace(file, func(temp *os.File) error {
		hashed, counted := r.(*counter) // hashed once
		if !counted {
			hashed = newCounter(r, -1, nil)
		}
		buffer, _ := f.buffers.Get().(*[]byte)
		defer f.buffers.Put(buffer)
		n, err := io.CopyBuffer(struct{ io.Writer }{temp}, hashed, *buffer)
		if err != nil {
			return err
		}
		t.Size, t.MD5 = n, hashed.sum()
		if t.Expires != 0 && f.newer(file, t.Expires) {
			return errOlder
		}
		return t.write(temp)
	})
	return t, err
}

// newer tells whether a file came by a URL that was signed later than one with this expiry.
func (f *folder) newer(file string, expires int64) bool {
	r, t, err := f.open(file)
	return err == nil && r.Close() == nil && t.Expires > expires
}

// replace makes a file with what fill writes: temporary file, sync, rename, sync of the folder.
func (f *folder) replace(file string, fill func(*os.File) error) error {
	temp := path.Join(tempDir, rand.Text())
	w, err := f.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	if err = fill(w); err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err == nil {
		err = f.publish(temp, file)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(f.root.Remove(temp)))
	}
	return nil
}

// publish gives a finished file its name, on stable storage.
func (f *folder) publish(temp, file string) error {
	dir := path.Dir(file)
	var err error
	for range publishTries {
		if err = f.rename(temp, file); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		f.forget(dir) // another process found it empty and removed it
	}
	if err != nil {
		return err
	}
	return ignoreMissing(f.syncDir(dir)) // it may be removed again by now, together with the object
}

func (f *folder) rename(temp, file string) error {
	f.pruning.RLock()
	defer f.pruning.RUnlock()
	if err := f.ensure(path.Dir(file)); err != nil {
		return err
	}
	return f.root.Rename(temp, file)
}

// ensure makes a folder whose way from the root is on stable storage.
func (f *folder) ensure(dir string) error {
	if dir == "." {
		return nil
	}
	f.mu.Lock()
	known := f.durable[dir]
	f.mu.Unlock()
	if known {
		return nil
	}
	parent := path.Dir(dir)
	if err := f.ensure(parent); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		f.forget(parent)
		return err
	}
	if err := f.syncDir(parent); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.durable) >= maxDurable {
		clear(f.durable)
	}
	f.durable[dir] = true
	return nil
}

// forget makes ensure look again at a folder and at those above it.
func (f *folder) forget(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; dir != "."; dir = path.Dir(dir) {
		delete(f.durable, dir)
	}
}

func (f *folder) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *folder) open(file string) (*os.File, trailer, error) { return openObject(f.root, file) }

// openObject returns an object's file and its trailer.
func openObject(root *os.Root, file string) (*os.File, trailer, error) {
	r, err := root.Open(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, trailer{}, ErrNotFound
	}
	if err != nil {
		return nil, trailer{}, err
	}
	t, err := readTrailer(r)
	if err != nil {
		return nil, trailer{}, errors.Join(err, r.Close())
	}
	return r, t, nil
}

func (f *folder) get(_ context.Context, name string, offset, length int64) (io.ReadCloser, Object, error) {
	r, t, err := f.open(fileOf(name))
	if err != nil {
		return nil, Object{}, err
	}
	rest := max(0, t.Size-offset)
	if length >= 0 {
		rest = min(rest, length)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(r, max(0, offset), rest), r}, t.object(), nil
}

func (f *folder) stat(_ context.Context, name string) (Object, error) {
	r, t, err := f.open(fileOf(name))
	if err != nil {
		return Object{}, err
	}
	return t.object(), r.Close()
}

// remove also removes the folders that are empty then, up to the one of all objects.
func (f *folder) remove(_ context.Context, name string) error {
	file := fileOf(name)
	if err := f.root.Remove(file); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return ErrNotFound
		}
		return err
	}
	return ignoreMissing(f.syncDir(f.prune(path.Dir(file))))
}

// prune removes a folder and those above it as long as they are empty, and returns the first that stays.
func (f *folder) prune(dir string) string {
	f.pruning.Lock()
	defer f.pruning.Unlock()
	for ; dir != objectsDir; dir = path.Dir(dir) {
		if f.root.Remove(dir) != nil {
			break // not empty
		}
		f.forget(dir)
	}
	return dir
}

// copyObject gives the same bytes a second name: a file never changes once it has a name.
func (f *folder) copyObject(ctx context.Context, from, to string) error {
	temp := path.Join(tempDir, rand.Text())
	err := f.root.Link(fileOf(from), temp)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if err == nil {
		err = f.publish(temp, fileOf(to))
		return errors.Join(err, ignoreMissing(f.root.Remove(temp))) // a rename to itself leaves it
	}
	r, object, err := f.get(ctx, from, 0, -1) // a file system without links
	if err != nil {
		return err
	}
	defer r.Close()
	return f.put(ctx, to, r, object.Size, PutOptions{ContentType: object.ContentType})
}

// allowOrigins has nothing to do: the handler answers browsers from everywhere.
func (f *folder) allowOrigins(context.Context, []string) (bool, error) { return false, nil }

func (f *folder) explain(err error) (reason, hint string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ReasonFailed, "Make room on the volume of " + f.path + "."
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return ReasonForbidden, "Let this program write to " + f.path + "."
	}
	return "", ""
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
