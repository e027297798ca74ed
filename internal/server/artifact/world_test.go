package artifact_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// memory is a bucket.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	sums    map[string][]byte
	uploads map[string]map[int][]byte
}

var _ artifact.Bucket = (*memory)(nil)

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, sums: map[string][]byte{}, uploads: map[string]map[int][]byte{}}
}

func (m *memory) object(key string) (blob.Object, error) {
	body, ok := m.objects[key]
	if !ok {
		return blob.Object{}, fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	}
	return blob.Object{Key: key, Size: int64(len(body)), MD5: m.sums[key]}, nil
}

func (m *memory) Get(_ context.Context, key string, offset, _ int64) (io.ReadCloser, blob.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	object, err := m.object(key)
	if err != nil {
		return nil, object, err
	}
	return io.NopCloser(bytes.NewReader(m.objects[key][min(offset, object.Size):])), object, nil
}

func (m *memory) Stat(_ context.Context, key string) (blob.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.object(key)
}

func (m *memory) Paged() bool { return true }

func (m *memory) ListSome(_ context.Context, folder, beginning string) iter.Seq2[blob.Object, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []blob.Object
	for key := range m.objects {
		if strings.HasPrefix(key, folder+beginning) {
			object, _ := m.object(key)
			found = append(found, object)
		}
	}
	return func(yield func(blob.Object, error) bool) {
		for _, object := range found {
			if !yield(object, nil) {
				return
			}
		}
	}
}

func (m *memory) put(key string, body []byte) {
	sum := md5.Sum(body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key], m.sums[key] = body, sum[:]
}

func (m *memory) Put(_ context.Context, key string, r io.Reader, _ int64, _ blob.PutOptions) (blob.Object, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return blob.Object{}, err
	}
	m.put(key, body)
	return m.Stat(context.Background(), key)
}

func (m *memory) Copy(ctx context.Context, from, to string) error {
	body, _, err := m.Get(ctx, from, 0, -1)
	if err != nil {
		return err
	}
	_, err = m.Put(ctx, to, body, -1, blob.PutOptions{})
	return err
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}

func (m *memory) SignGet(_ context.Context, key string, _ blob.GetOptions) (string, error) {
	return "get:" + key, nil
}

func (m *memory) SignPut(_ context.Context, key string, _ blob.PutOptions) (blob.SignedPut, error) {
	return blob.SignedPut{URL: "put:" + key, Headers: []string{}}, nil
}

func (m *memory) TagsParts() bool { return true }

func (m *memory) StartUpload(_ context.Context, key string, _ blob.PutOptions) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[key] = map[int][]byte{}
	return "upload", nil
}

func (m *memory) SignPart(_ context.Context, key, id string, number int, _ blob.PutOptions) (blob.SignedPut, error) {
	return blob.SignedPut{URL: fmt.Sprintf("part:%s:%s:%d", key, id, number)}, nil
}

func (m *memory) CompleteUpload(_ context.Context, key, _ string, parts []blob.Part) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	upload, ok := m.uploads[key]
	if !ok {
		return blob.ErrNotFound
	}
	var body []byte
	for _, part := range parts {
		body = append(body, upload[part.Number]...)
	}
	m.objects[key], m.sums[key] = body, nil // as in S3, nobody knows the MD5 of the whole
	delete(m.uploads, key)
	return nil
}

func (m *memory) AbortUpload(_ context.Context, key, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, key)
	return nil
}

// contents counts the objects that are no manifests.
func (m *memory) contents() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for key := range m.objects {
		if !strings.Contains(key, "/manifests/") {
			n++
		}
	}
	return n
}

// world is a server's artifacts, on two replicas, with two users of whom one owns a project.
type world struct {
	store  *store.Store
	bucket *memory
	// service and other are two replicas.
	service, other *artifact.Service
	runs           *run.Service
	ada, eve       context.Context
	place          access.Place

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Millisecond)
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const project = "proj"

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) { test(t, newWorld(t, cfg)) })
}

func newWorld(t testing.TB, cfg store.Config) *world {
	t.Helper()
	w := &world{store: storetest.Open(t, cfg), bucket: newMemory(), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	replica := storetest.Open(t, cfg)
	config := artifact.Config{Logger: slog.New(slog.DiscardHandler), Now: w.clock}
	w.service = artifact.New(w.store, access.NewGuard(w.store), w.bucket, config)
	w.other = artifact.New(replica, access.NewGuard(replica), w.bucket, config)
	w.runs = run.New(w.store, run.Config{Guard: access.NewGuard(w.store)})
	accounts := account.New(w.store, account.Config{Logger: slog.New(slog.DiscardHandler)})
	for name, into := range map[string]*context.Context{"ada": &w.ada, "eve": &w.eve} {
		user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		*into = account.WithUser(t.Context(), user)
	}
	w.run(t, w.ada, project, "maker")
	w.place = w.at(t, w.ada, "ada", project)
	return w
}

func (w *world) run(t testing.TB, ctx context.Context, project, name string) {
	t.Helper()
	if _, err := w.runs.Upsert(ctx, run.Upsert{Project: project, Name: name}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) at(t testing.TB, ctx context.Context, entity, project string) access.Place {
	t.Helper()
	place, err := access.NewGuard(w.store).Project(ctx, entity, project, access.Write)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// wire is an entry of a manifest.
type wire map[string]any

func digestOf(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func hexOf(body string) string { return fmt.Sprintf("%x", md5.Sum([]byte(body))) }

func manifestOf(files map[string]string, more map[string]wire) []byte {
	contents := map[string]wire{}
	for path, body := range files {
		contents[path] = wire{"digest": digestOf(body), "size": len(body), "skip_cache": false}
	}
	maps.Copy(contents, more)
	text, err := json.Marshal(map[string]any{
		"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": map[string]any{"storageLayout": "V2"}, "contents": contents,
	})
	if err != nil {
		return nil
	}
	return text
}

// draft is a version that a client writes.
type draft struct {
	artifact.Create
	files map[string]string
	refs  map[string]wire
	kind  store.ManifestKind
	base  store.ID
}

func dataset(name string, files map[string]string) draft {
	sum := md5.Sum(manifestOf(files, nil))
	return draft{files: files, Create: artifact.Create{
		Type: "dataset", Collection: name, Digest: fmt.Sprintf("%x", sum), Dedupe: true, RunName: "maker",
	}}
}

// begin does everything of a log_artifact but the commit.
func (w *world) begin(t testing.TB, ctx context.Context, place access.Place, d draft) *artifact.Version {
	t.Helper()
	v, err := w.service.Create(ctx, place, d.Create)
	if err != nil {
		t.Fatal(err)
	}
	if v.State == store.ArtifactCommitted {
		return v
	}
	text := manifestOf(d.files, d.refs)
	m, err := w.service.CreateManifest(ctx, v.Artifact.ID, artifact.NewManifest{Kind: d.kind, Name: "m.json", Digest: digestOf(string(text)), Base: d.base})
	if err != nil {
		t.Fatal(err)
	}
	w.upload(t, ctx, v.Artifact.ID, d.files)
	w.bucket.put(strings.TrimPrefix(m.Upload.URL, "put:"), text)
	return v
}

// upload uploads what is not stored yet, and tells how many files that were.
func (w *world) upload(t testing.TB, ctx context.Context, id store.ID, files map[string]string) (sent int) {
	t.Helper()
	paths := slices.Sorted(maps.Keys(files))
	specs := make([]artifact.FileSpec, len(paths))
	for i, path := range paths {
		specs[i] = artifact.FileSpec{ArtifactID: id, Name: path, MD5: digestOf(files[path])}
	}
	uploads, err := w.service.Uploads(ctx, specs)
	if err != nil {
		t.Fatal(err)
	}
	if len(uploads) != len(paths) {
		t.Fatalf("%d uploads for %d files", len(uploads), len(paths))
	}
	for i, u := range uploads {
		if u.Name != paths[i] {
			t.Errorf("upload %d is of %q, want %q", i, u.Name, paths[i])
		}
		if u.URL != "" {
			sent++
			w.bucket.put(strings.TrimPrefix(u.URL, "put:"), []byte(files[paths[i]]))
		}
	}
	return sent
}

func (w *world) log(t testing.TB, ctx context.Context, place access.Place, d draft) store.Artifact {
	t.Helper()
	v := w.begin(t, ctx, place, d)
	a, err := w.service.Commit(ctx, v.Artifact.ID)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) sweep(t testing.TB, walk bool) {
	t.Helper()
	if worked, err := w.service.Sweep(t.Context(), walk); err != nil || !worked {
		t.Fatalf("sweep: %v, %v", worked, err)
	}
}

func artifactID(id store.ID) string { return model.ID("Artifact", id) }
