package image

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const pull = "10.88.0.1:5000"

func serve(t *testing.T) Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return Registry{Push: strings.TrimPrefix(server.URL, "http://"), Pull: pull}
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(512, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// dockerArchive writes what `docker save` would.
func dockerArchive(t *testing.T, tag string, img v1.Image) string {
	t.Helper()
	parsed, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, parsed, img); err != nil {
		t.Fatal(err)
	}
	return file
}

// layoutFolder writes an OCI layout with one image.
func layoutFolder(t *testing.T, img v1.Image, annotations map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my Image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(annotations)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func tarred(t *testing.T, dir string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "Layout_1.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(file)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func zipped(t *testing.T, plain string) string {
	t.Helper()
	content, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(plain + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(file)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func TestLoad(t *testing.T) {
	img := randomImage(t)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{"io.containerd.image.name": "ghcr.io/kubewandb/server:v2"}
	for name, test := range map[string]struct {
		archive         string
		repository, tag string
	}{
		"a docker archive":            {dockerArchive(t, "ghcr.io/kubewandb/server:v1", img), "kubewandb/server", "v1"},
		"a compressed docker archive": {zipped(t, dockerArchive(t, "server:v1", img)), "library/server", "v1"},
		"a layout folder":             {layoutFolder(t, img, named), "kubewandb/server", "v2"},
		"a layout archive":            {tarred(t, layoutFolder(t, img, named)), "kubewandb/server", "v2"},
		"a compressed layout archive": {zipped(t, tarred(t, layoutFolder(t, img, nil))), "layout-1", "latest"},
		"a layout without a name":     {layoutFolder(t, img, map[string]string{"org.opencontainers.image.ref.name": "v3"}), "my-image", "v3"},
	} {
		t.Run(name, func(t *testing.T) {
			to := serve(t)
			pushed, err := Load(t.Context(), test.archive, to)
			if err != nil || len(pushed) != 1 {
				t.Fatalf("Load = %+v, %v", pushed, err)
			}
			if want := pull + "/" + test.repository + "@" + digest.String(); !strings.Contains(test.archive, ".gz") && pushed[0].Reference() != want {
				t.Errorf("reference = %s, want %s", pushed[0].Reference(), want)
			}
			ref := to.Push + "/" + test.repository
			for _, full := range []string{ref + ":" + test.tag, ref + "@" + pushed[0].Digest} {
				if err := pullable(full); err != nil {
					t.Errorf("pull %s: %v", full, err)
				}
			}
		})
	}
}

func pullable(ref string) error {
	parsed, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	_, err = remote.Image(parsed)
	return err
}

func TestLoadKeepsTheDigestOfADockerArchive(t *testing.T) {
	to := serve(t)
	archive := dockerArchive(t, "server:v1", randomImage(t))
	first, err := Load(t.Context(), archive, to)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(t.Context(), archive, to)
	if err != nil || first[0] != second[0] {
		t.Errorf("loading twice gave %+v and %+v (%v)", first, second, err)
	}
}

func TestLoadPushesAnIndexWhole(t *testing.T) {
	to := serve(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: randomImage(t)}, mutate.IndexAddendum{Add: randomImage(t)})
	dir := filepath.Join(t.TempDir(), "multi")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	pushed, err := Load(t.Context(), dir, to)
	if err != nil || len(pushed) != 1 {
		t.Fatalf("Load = %+v, %v", pushed, err)
	}
	ref, err := name.NewDigest(to.Push+"/multi@"+pushed[0].Digest, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Index(ref); err != nil {
		t.Errorf("pull the index: %v", err)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	to := serve(t)
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte("these are no images at all"), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	evil := filepath.Join(t.TempDir(), "evil.tar")
	file, err := os.Create(evil)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(file)
	if err := w.WriteHeader(&tar.Header{Name: "../outside", Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string]string{"no file": "/nowhere.tar", "a text": text, "an empty folder": t.TempDir(), "a path that leads out": evil} {
		t.Run(name, func(t *testing.T) {
			if pushed, err := Load(t.Context(), archive, to); err == nil {
				t.Errorf("Load = %+v", pushed)
			}
		})
	}
}

func TestPauseImageIsReproducible(t *testing.T) {
	to := serve(t)
	program := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := PushPause(t.Context(), program, to)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := PushPause(t.Context(), program, to); err != nil || first != second {
		t.Errorf("pushing twice gave %+v and %+v (%v): containerd would restart on each up", first, second, err)
	}
}
