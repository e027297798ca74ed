package run_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// memory is a bucket whose URLs name their objects.
type memory struct {
	mu      sync.Mutex
	objects map[string]string
}

func (m *memory) SignGet(_ context.Context, key string, _ blob.GetOptions) (string, error) {
	return "get:" + key, nil
}

func (m *memory) SignPut(_ context.Context, key string, _ blob.PutOptions) (blob.SignedPut, error) {
	return blob.SignedPut{URL: "put:" + key, Headers: []string{}}, nil
}

func (m *memory) Stat(_ context.Context, key string) (blob.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.objects[key]
	if !ok {
		return blob.Object{}, blob.ErrNotFound
	}
	sum := md5.Sum([]byte(body))
	return blob.Object{Key: key, Size: int64(len(body)), MD5: sum[:], Modified: time.UnixMicro(1e15)}, nil
}

func (m *memory) Get(_ context.Context, key string, _, _ int64) (io.ReadCloser, blob.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.objects[key]
	if !ok {
		return nil, blob.Object{}, blob.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(body)), blob.Object{Key: key, Size: int64(len(body))}, nil
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}

func (m *memory) DeletePrefix(_ context.Context, folder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.objects {
		if strings.HasPrefix(key, folder) {
			delete(m.objects, key)
		}
	}
	return nil
}

func (m *memory) put(t testing.TB, address, body string) {
	t.Helper()
	key, ok := strings.CutPrefix(address, "put:")
	if !ok {
		t.Fatalf("%s is no upload", address)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = body
}

// upload sends files as the client does.
func (sc *scene) upload(t testing.TB, id store.ID, names ...string) {
	t.Helper()
	uploads, err := sc.Uploads(sc.ada, id, names)
	if err != nil {
		t.Fatal(err)
	}
	for i, upload := range uploads {
		if upload.Name != names[i] {
			t.Errorf("asked for %q, answered %q", names[i], upload.Name)
		}
		sc.bucket.put(t, upload.URL, "body of "+names[i])
	}
	if err := sc.Uploaded(sc.ada, id, names); err != nil {
		t.Fatal(err)
	}
}

func names(files []run.File) []string {
	var names []string
	for _, file := range files {
		names = append(names, string(file.Name))
	}
	return names
}

func TestFilesOfARun(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r"})
		odd := "media/html/HT%3ML _11_0f.html"
		sc.upload(t, made.ID, "./a.txt", odd, "naïve 🦊/ ", "A.txt", "output.log")
		sc.upload(t, made.ID, "a.txt") // again

		page, err := sc.List(sc.ada, made.ID, run.FileFilter{})
		if want := []string{"A.txt", "a.txt", odd, "naïve 🦊/ ", "output.log"}; err != nil || !slices.Equal(names(page.Files), want) || page.More {
			t.Errorf("files %q, %v, want %q", names(page.Files), err, want)
		}
		file := page.Files[1]
		if sum := md5.Sum([]byte("body of a.txt")); file.Size != 13 || string(file.MD5) != string(sum[:]) || file.Mimetype != "text/plain" {
			t.Errorf("file %+v", file)
		}
		counts, err := sc.FileCounts(sc.ada, []store.ID{made.ID})
		if err != nil || counts[made.ID] != 5 {
			t.Errorf("counts %v, %v", counts, err)
		}
		now, err := sc.ByName(sc.ada, made.Place, "r")
		if err != nil || now.Live.Rev != 3 || now.Live.State != store.RunRunning {
			t.Errorf("the run is %+v, %v", now.Live, err)
		}
	})
}

func TestFilesAreListedInPages(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r"})
		var all []string
		for i := range 1100 {
			all = append(all, fmt.Sprintf("f%04d.%s", i, []string{"txt", "png"}[i%2]))
		}
		sc.upload(t, made.ID, all...)
		for pattern, want := range map[string]int{"": 1100, "%.png": 550, "f000_.png": 5, `f0\_%`: 0, "%": 1100, "f": 0} {
			filter, seen, pages := run.FileFilter{Pattern: pattern, First: 300}, 0, 0
			for {
				page, err := sc.List(sc.ada, made.ID, filter)
				if err != nil {
					t.Fatal(err)
				}
				pages++
				seen += len(page.Files)
				if !page.More {
					break
				}
				filter.After = string(page.Files[len(page.Files)-1].Name)
			}
			count, err := sc.Count(sc.ada, made.ID, filter)
			if err != nil || seen != want || count != want || pages != max(1, (want+299)/300) {
				t.Errorf("pattern %q: %d files in %d pages, counted %d, want %d (%v)", pattern, seen, pages, count, want, err)
			}
		}
	})
}

func TestFilesByNameKeepTheirOrder(t *testing.T) {
	sc := newScene(t, sqlite(t))
	made := sc.put(t, run.Upsert{Name: "r"})
	sc.upload(t, made.ID, "b", "a")
	asked := run.FileFilter{Names: []string{"./b", "nothing", "a", "b"}, First: 2}
	page, err := sc.List(sc.ada, made.ID, asked)
	if err != nil || !slices.Equal(names(page.Files), []string{"b", "nothing"}) || !page.More || page.Files[0].Missing || !page.Files[1].Missing {
		t.Errorf("first page %+v, %v", page, err)
	}
	asked.After = "nothing"
	page, err = sc.List(sc.ada, made.ID, asked)
	if err != nil || !slices.Equal(names(page.Files), []string{"a"}) || page.More {
		t.Errorf("second page %+v, %v", page, err)
	}
}

func TestNamesOfFilesStayInTheirFolder(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a", "./a": "a", "a/../b": "b", "../../etc/passwd": "etc/passwd", "/a": "a", "a//b": "a/b", " a ": " a ", "%2e%2e/a": "%2e%2e/a",
	} {
		if got, err := run.CleanFile(name); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", ".", "..", "/", "a\x00b", strings.Repeat("x", 1025)} {
		if got, err := run.CleanFile(name); err == nil {
			t.Errorf("%q is %q", name, got)
		}
	}
}

func TestWhatWasNotUploadedIsNoFile(t *testing.T) {
	sc := newScene(t, sqlite(t))
	made := sc.put(t, run.Upsert{Name: "r"})
	if err := sc.Uploaded(sc.ada, made.ID, []string{"lost", "..", strings.Repeat("x", 2000)}); err != nil {
		t.Errorf("lost files: %v", err)
	}
	if _, err := sc.Download(sc.ada, made.ID, "lost"); !access.IsNotFound(err) {
		t.Errorf("download of a lost file: %v", err)
	}
	uploads, err := sc.Uploads(sc.ada, made.ID, []string{"a b%/ü "})
	if err != nil {
		t.Fatal(err)
	}
	sc.bucket.put(t, uploads[0].URL, "x")
	address, err := sc.Download(sc.ada, made.ID, "a b%/ü ") // sent, and not told yet
	if err != nil || address != fmt.Sprintf("get:runs/%d/files/a b%%/ü ", made.ID) {
		t.Errorf("download %q, %v", address, err)
	}
	sc.ExternalURL = "https://wandb.example.com/"
	public := sc.FileAddress(made.Place, "r", "a b%/ü ?#")
	parsed, err := url.Parse(public)
	if err != nil || parsed.Path != "/files/ada/uncategorized/r/a b%/ü ?#" || parsed.RawQuery != "" || parsed.Fragment != "" {
		t.Errorf("address %q is read as %+v, %v", public, parsed, err)
	}
}

func TestDeletingFiles(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		made := sc.put(t, run.Upsert{Name: "r"})
		sc.upload(t, made.ID, "a", "b")
		page, err := sc.List(sc.ada, made.ID, run.FileFilter{Names: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		ids := []store.ID{page.Files[0].ID, 7}
		if err := sc.DeleteFiles(sc.bob, ids); !access.IsNotFound(err) {
			t.Errorf("another user deletes a file: %v", err)
		}
		if err := sc.DeleteFiles(sc.ada, ids); err != nil {
			t.Fatal(err)
		}
		if err := sc.DeleteFiles(sc.ada, ids); err != nil {
			t.Errorf("delete it again: %v", err)
		}
		page, err = sc.List(sc.ada, made.ID, run.FileFilter{})
		if err != nil || !slices.Equal(names(page.Files), []string{"b"}) || len(sc.bucket.objects) != 1 {
			t.Errorf("left: %q and %d objects, %v", names(page.Files), len(sc.bucket.objects), err)
		}
	})
}

func FuzzCleanFile(f *testing.F) {
	f.Add("../a")
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := run.CleanFile(name)
		if err != nil {
			return
		}
		again, err := run.CleanFile(clean)
		if err != nil || again != clean || slices.Contains(strings.Split(clean, "/"), "..") {
			t.Errorf("%q is cleaned to %q, and that to %q, %v", name, clean, again, err)
		}
	})
}

// Clients before 0.20 send what later ones write into the config as a file.
func TestWhatAnOlderClientTellsOfItsEnvironment(t *testing.T) {
	each(t, func(t *testing.T, sc *scene) {
		tell := func(id store.ID, config, file string) (run.Info, bool) {
			t.Helper()
			if file != "" {
				uploads, err := sc.Uploads(sc.ada, id, []string{"wandb-metadata.json"})
				if err != nil {
					t.Fatal(err)
				}
				sc.bucket.put(t, uploads[0].URL, file)
				if err := sc.Uploaded(sc.ada, id, []string{"wandb-metadata.json"}); err != nil {
					t.Fatal(err)
				}
			}
			info, ok, err := sc.Info(t.Context(), id, []byte(config))
			if err != nil {
				t.Fatal(err)
			}
			return info, ok
		}
		made := sc.put(t, run.Upsert{Name: "r"})
		if info, ok := tell(made.ID, `{"a":1}`, ""); ok {
			t.Errorf("nothing was told, and this is known: %+v", info)
		}
		const file = `{"os":"Linux-6.1","python":"3.11.2","program":"train.py","git":{"remote":"git@example.com:a","commit":"abc"},"cpu_count":2,"args":["--lr"]}`
		info, ok := tell(made.ID, `{"a":1}`, file)
		if !ok || *info.OS != "Linux-6.1" || *info.Python != "3.11.2" || *info.Git.Commit != "abc" || *info.CPUCount != 2 || len(info.Args) != 1 {
			t.Errorf("from the file: %v %+v", ok, info)
		}
		if info, ok := tell(made.ID, `{"_wandb":{"value":{"e":{"x":{"os":"Darwin"}}}}}`, ""); !ok || *info.OS != "Darwin" || info.Python != nil {
			t.Errorf("the config does not go first: %v %+v", ok, info)
		}
		for _, text := range []string{`{"os":`, `[1]`, `"x"`, strings.Repeat(" ", 2<<20) + file} {
			if info, ok := tell(made.ID, "{}", text); ok {
				t.Errorf("a file of %d bytes that is none: %+v", len(text), info)
			}
		}
		sc.bucket.objects = map[string]string{}
		if info, ok := tell(made.ID, "{}", ""); ok {
			t.Errorf("a file that is gone: %+v", info)
		}
	})
}
