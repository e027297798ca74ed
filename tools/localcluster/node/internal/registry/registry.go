// Package registry is the node's image registry: go-containerregistry's, with
// its manifests kept on disk so that a restart loses nothing.
package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	upstream "github.com/google/go-containerregistry/pkg/registry"
)

// maxManifest is the largest manifest that registries accept.
const maxManifest = 4 << 20

// shutdownTime is what running pulls get to finish.
const shutdownTime = 3 * time.Second

// Registry is an http.Handler that speaks the distribution API.
type Registry struct {
	handler http.Handler
	// dir keeps one file per accepted manifest upload.
	dir string

	mu   sync.Mutex
	next int
	// files finds the file of an upload by its path, so that a tag that moves
	// replaces its file.
	files map[string]string
}

var _ http.Handler = (*Registry)(nil)

// record is one accepted manifest upload.
type record struct {
	Path        string
	ContentType string
	Body        []byte
}

// Open returns the registry whose state is below root.
func Open(root string) (*Registry, error) {
	blobs := filepath.Join(root, "blobs")
	r := &Registry{dir: filepath.Join(root, "manifests"), files: map[string]string{}}
	for _, dir := range []string{blobs, r.dir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create registry folder: %w", err)
		}
	}
	r.handler = upstream.New(
		upstream.WithBlobHandler(upstream.NewDiskBlobHandler(blobs)),
		upstream.WithReferrersSupport(true),
		upstream.Logger(log.New(io.Discard, "", 0)),
	)
	return r, r.replay()
}

// ServeHTTP answers a request and writes an accepted manifest to disk before
// its sender learns of the success.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !strings.Contains(req.URL.Path, "/manifests/") || (req.Method != http.MethodPut && req.Method != http.MethodDelete) {
		r.handler.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	if err != nil {
		http.Error(w, "read manifest: "+err.Error(), http.StatusBadRequest)
		return
	}
	answer := r.pass(req.Method, req.URL.Path, req.Header.Get("Content-Type"), body)
	if answer.Code < http.StatusBadRequest {
		if req.Method == http.MethodPut {
			err = r.keep(record{Path: req.URL.Path, ContentType: req.Header.Get("Content-Type"), Body: body})
		} else {
			err = r.forget(req.URL.Path)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (r *Registry) pass(method, path, contentType string, body []byte) *httptest.ResponseRecorder {
	inner := httptest.NewRequest(method, path, bytes.NewReader(body))
	inner.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, inner)
	return answer
}

func (r *Registry) keep(rec record) error {
	content, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	file := filepath.Join(r.dir, fmt.Sprintf("%012d.json", r.next))
	next := file + ".next"
	if err := os.WriteFile(next, content, 0o644); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("place manifest: %w", err)
	}
	old := r.files[rec.Path]
	r.files[rec.Path] = file
	if old == "" {
		return nil
	}
	if err := os.Remove(old); err != nil {
		return fmt.Errorf("remove replaced manifest: %w", err)
	}
	return nil
}

func (r *Registry) forget(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, ok := r.files[path]
	if !ok {
		return nil
	}
	delete(r.files, path)
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("remove manifest: %w", err)
	}
	return nil
}

// replay uploads what is on disk again, in the order of the first time: an
// index is accepted only after the images that it lists.
func (r *Registry) replay() error {
	files, err := filepath.Glob(filepath.Join(r.dir, "*.json"))
	if err != nil {
		return fmt.Errorf("list manifests: %w", err)
	}
	sort.Strings(files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read manifest: %w", err)
		}
		var rec record
		if err := json.Unmarshal(content, &rec); err != nil {
			return fmt.Errorf("parse manifest %s (remove the file and load the image again): %w", file, err)
		}
		if answer := r.pass(http.MethodPut, rec.Path, rec.ContentType, rec.Body); answer.Code >= http.StatusBadRequest {
			return fmt.Errorf("restore manifest %s (remove the file and load the image again): %s", file, answer.Body)
		}
		if _, err := fmt.Sscanf(filepath.Base(file), "%d.json", &r.next); err != nil {
			return fmt.Errorf("number manifest %s: %w", file, err)
		}
		r.files[rec.Path] = file
	}
	return nil
}

// Serve serves the registry below root on address until ctx ends.
func Serve(ctx context.Context, address, root string, log *slog.Logger) error {
	handler, err := Open(root)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Info("registry serves", "address", address, "manifests", len(handler.files))
	select {
	case err := <-ended:
		return fmt.Errorf("serve registry: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := server.Shutdown(limit); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop registry: %w", err)
	}
	return nil
}
