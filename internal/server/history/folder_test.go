package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder is a bucket in a folder of the test.
type folder struct {
	path string
	// failPut and afterPut, where set, are asked before and told after an object is written.
	failPut  func(key string) error
	afterPut func(key string) error
}

func newFolder(t testing.TB) *folder { return &folder{path: t.TempDir()} }

func (f *folder) file(key string) string {
	return filepath.Join(f.path, strings.ReplaceAll(key, "/", "_"))
}

func (f *folder) Put(_ context.Context, key string, body io.Reader, size int64) error {
	if f.failPut != nil {
		if err := f.failPut(key); err != nil {
			return err
		}
	}
	file, err := os.Create(f.file(key))
	if err != nil {
		return err
	}
	n, err := io.Copy(file, body)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes came, and %d were announced", n, size)
	}
	if f.afterPut != nil {
		return f.afterPut(key)
	}
	return nil
}

func (f *folder) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	file, err := os.Open(f.file(key))
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = 1 << 40
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, offset, length), file}, nil
}

func (f *folder) Delete(_ context.Context, key string) error {
	if err := os.Remove(f.file(key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *folder) objects(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(f.path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
