package registry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// serve opens the registry below root, as a start of the process does.
func serve(t *testing.T, root string) name.Repository {
	t.Helper()
	r, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://")+"/team/server", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

func digestOf(t *testing.T, x interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := x.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestRestartKeepsImagesTagsAndIndexes(t *testing.T) {
	root := t.TempDir()
	before := serve(t, root)
	img, err := random.Image(256, 2)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(256, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(before.Tag("v1"), img); err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(before.Tag("multi"), index); err != nil {
		t.Fatal(err)
	}

	after := serve(t, root)
	got, err := remote.Image(after.Tag("v1"))
	if err != nil {
		t.Fatal(err)
	}
	if digestOf(t, got) != digestOf(t, img) {
		t.Error("the tag leads to another image after a restart")
	}
	layers, err := got.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			t.Errorf("read layer after a restart: %v", err)
			continue
		}
		_ = content.Close()
	}
	if _, err := remote.Index(after.Tag("multi")); err != nil {
		t.Errorf("read index after a restart: %v", err)
	}
}

func TestMovedTagAndDeletionSurviveARestart(t *testing.T) {
	root := t.TempDir()
	before := serve(t, root)
	var last v1.Image
	for range 3 {
		img, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(before.Tag("moving"), img); err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(before.Tag("gone"), img); err != nil {
			t.Fatal(err)
		}
		last = img
	}
	if err := remote.Delete(before.Tag("gone")); err != nil {
		t.Fatal(err)
	}
	after := serve(t, root)
	got, err := remote.Image(after.Tag("moving"))
	if err != nil {
		t.Fatal(err)
	}
	if digestOf(t, got) != digestOf(t, last) {
		t.Error("the tag went back to an older image")
	}
	if _, err := remote.Image(after.Tag("gone")); err == nil {
		t.Error("a deleted tag came back")
	}
}

func TestOversizedManifestIsRefused(t *testing.T) {
	r, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPut, "/v2/a/manifests/b", strings.NewReader(strings.Repeat("x", maxManifest+1)))
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, request)
	if answer.Code != http.StatusBadRequest {
		t.Errorf("status = %d", answer.Code)
	}
}
