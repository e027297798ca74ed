package blob

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
)

func (f *folder) list(ctx context.Context, prefix string) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		dir, beginning := path.Split(fold(prefix))
		root, err := f.root.OpenRoot(path.Join(objectsDir, dir))
		if isGone(err) {
			return
		}
		if err == nil {
			w := walk{ctx: ctx, yield: yield}
			_, err = w.folder(root, dir, beginning)
			err = errors.Join(err, root.Close())
		}
		if err != nil {
			yield(listed{}, err)
		}
	}
}

// walk goes through folders. It opens each of them once: a file that is named from the root costs one system call for each
// folder above it.
type walk struct {
	ctx   context.Context // ends the walk, which is a loop of its caller
	yield func(listed, error) bool
}

// folder yields the objects below a folder whose names begin so, and tells whether more are wanted.
func (w *walk) folder(root *os.Root, dir, beginning string) (more bool, err error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return true, goneIsFine(err)
	}
	for _, entry := range entries {
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		if !strings.HasPrefix(entry.Name(), beginning) {
			continue
		}
		visit := w.file
		if entry.IsDir() {
			visit = w.below
		}
		if more, err := visit(root, dir, entry.Name()); err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

func (w *walk) below(root *os.Root, dir, name string) (more bool, err error) {
	sub, err := root.OpenRoot(name)
	if err != nil {
		return true, goneIsFine(err)
	}
	more, err = w.folder(sub, dir+name+"/", "")
	return more, errors.Join(err, sub.Close())
}

func (w *walk) file(root *os.Root, dir, name string) (more bool, err error) {
	stem, isObject := strings.CutSuffix(name, leaf)
	if !isObject {
		return true, nil
	}
	r, t, err := openObject(root, name)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if err := r.Close(); err != nil {
		return false, err
	}
	return w.yield(listed{unfold(dir + stem), t.object()}, nil), nil
}

// isGone tells that something was removed meanwhile, or never was.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

func goneIsFine(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
