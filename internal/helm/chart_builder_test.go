package helm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// configMapChart has one ConfigMap that shows its values.
func configMapChart(version string) map[string]string {
	return map[string]string{
		"Chart.yaml":            "apiVersion: v2\nname: demo\nversion: " + version + "\nappVersion: app-" + version + "\nannotations: {kubewandb.io/schema: \"3\"}\n",
		"values.yaml":           "greeting: hello\nkmsKey: from-chart\nbig: 1\n",
		"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-config\ndata:\n  greeting: {{ .Values.greeting | quote }}\n  kmsKey: {{ .Values.kmsKey | toString | quote }}\n  big: {{ .Values.big | quote }}\n",
	}
}

// with returns files with some replaced or added; an empty content removes one.
func with(files map[string]string, changes map[string]string) map[string]string {
	result := maps.Clone(files)
	for name, content := range changes {
		if content == "" {
			delete(result, name)
			continue
		}
		result[name] = content
	}
	return result
}

// archive packs files below a folder named demo, as `helm package` does.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		if err := packed.WriteHeader(&tar.Header{Name: "demo/" + name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := packed.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// repository is a Helm repository whose content and behaviour a test may change while it runs.
type repository struct {
	*httptest.Server
	mu       sync.Mutex
	versions []string
	archives map[string][]byte
	// index replaces the generated index.
	index string
	// noDigest leaves digests out of the index.
	noDigest bool
	// password is demanded of user "reader" where set.
	password string
	// status is answered to every request where not zero.
	status int
	// requests counts "GET /index.yaml 304" and so on.
	requests map[string]int
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{archives: map[string][]byte{}, requests: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *repository) publish(version string, content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, version)
	r.archives["/demo-"+version+".tgz"] = content
}

func (r *repository) change(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *repository) count(request string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests[request]
}

func (r *repository) serve(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	status, body, etag := r.answer(request)
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	r.requests[fmt.Sprintf("GET %s %d", request.URL.Path, status)]++
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (r *repository) answer(request *http.Request) (int, []byte, string) {
	if r.status != 0 {
		return r.status, nil, ""
	}
	if user, password, _ := request.BasicAuth(); r.password != "" && (user != "reader" || password != r.password) {
		return http.StatusUnauthorized, nil, ""
	}
	if request.URL.Path == "/index.yaml" {
		content := []byte(r.indexText())
		etag := `"` + digest(content) + `"`
		if request.Header.Get("If-None-Match") == etag {
			return http.StatusNotModified, nil, etag
		}
		return http.StatusOK, content, etag
	}
	if content, ok := r.archives[request.URL.Path]; ok {
		return http.StatusOK, content, ""
	}
	return http.StatusNotFound, nil, ""
}

func (r *repository) indexText() string {
	if r.index != "" {
		return r.index
	}
	var b strings.Builder
	b.WriteString("apiVersion: v1\nentries:\n  demo:\n")
	for _, version := range r.versions {
		fmt.Fprintf(&b, "  - name: demo\n    version: %s\n    urls: [demo-%s.tgz]\n", version, version)
		if !r.noDigest {
			fmt.Fprintf(&b, "    digest: %s\n", digest(r.archives["/demo-"+version+".tgz"]))
		}
	}
	return b.String()
}

func (r *repository) chart(version string) *spec.Chart {
	return &spec.Chart{Form: spec.FormRepo, URL: r.URL, Name: "demo", Version: version}
}

// offline makes a client that has no cluster, for what needs none.
func offline(t *testing.T, change func(*helm.Config)) *helm.Client {
	t.Helper()
	config := helm.Config{RESTConfig: &rest.Config{Host: "http://127.0.0.1:1"}}
	if change != nil {
		change(&config)
	}
	client, err := helm.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// localChart writes an archive into a charts folder, and loads it.
func localChart(t *testing.T, files map[string]string) *helm.Chart {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.tgz"), archive(t, files), 0o600); err != nil {
		t.Fatal(err)
	}
	client := offline(t, func(c *helm.Config) { c.ChartsDir = dir })
	chart, err := client.LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: "demo.tgz"}, helm.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	return chart
}
