package chaos

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// vendor is a deploy server with one channel, and a repository of one chart.
type vendor struct {
	server *httptest.Server

	mu      sync.Mutex
	answer  string
	changed chan struct{}
	charts  map[string][]byte
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{changed: make(chan struct{}), charts: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/operator/channel", v.serveChannel)
	mux.HandleFunc("GET /charts/{file}", v.serveCharts)
	v.server = httptest.NewServer(mux)
	t.Cleanup(v.close)
	return v
}

// close makes the vendor unreachable.
func (v *vendor) close() {
	_ = v.server.Listener.Close()
	v.server.CloseClientConnections()
}

// publish offers a release of a chart's version with the tag of its images.
func (v *vendor) publish(t *testing.T, name, version string, values map[string]any) {
	t.Helper()
	document, err := json.Marshal(map[string]any{
		"metadata": map[string]string{
			"channelId": "c1", "channelName": "stable", "releaseId": "id-" + name, "releaseName": name,
			"releaseCreatedAt": "2026-05-01T12:00:00Z",
		},
		"chart":  map[string]string{"url": v.server.URL + "/charts", "name": "app", "version": version},
		"values": values,
	})
	must(t, err)
	v.say(string(document))
}

// say makes the channel answer with a text, whatever it is.
func (v *vendor) say(answer string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = answer
	close(v.changed)
	v.changed = make(chan struct{})
}

// add puts a version of the chart into the repository.
func (v *vendor) add(t *testing.T, version string, files map[string]string) {
	t.Helper()
	packed := archive(t, files)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.charts["app-"+version+".tgz"] = packed
}

func (v *vendor) serveChannel(w http.ResponseWriter, r *http.Request) {
	var seconds int
	if _, err := fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &seconds); err == nil {
		w.Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", seconds))
	}
	over := time.After(time.Duration(seconds) * time.Second)
	for {
		v.mu.Lock()
		answer, changed := v.answer, v.changed
		v.mu.Unlock()
		etag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256([]byte(answer))))
		if r.Header.Get("If-None-Match") != etag {
			w.Header().Set("ETag", etag)
			_, _ = w.Write([]byte(answer))
			return
		}
		select {
		case <-changed:
		case <-over:
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (v *vendor) serveCharts(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	file := r.PathValue("file")
	if file == "index.yaml" {
		index := "apiVersion: v1\nentries:\n  app:\n"
		for _, name := range slices.Sorted(maps.Keys(v.charts)) {
			version := strings.TrimSuffix(strings.TrimPrefix(name, "app-"), ".tgz")
			index += fmt.Sprintf("  - {apiVersion: v2, name: app, version: %s, urls: [%s]}\n", version, name)
		}
		_, _ = w.Write([]byte(index))
		return
	}
	content, ok := v.charts[file]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(content)
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, packed.WriteHeader(&tar.Header{Name: "app/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}))
		_, err := packed.Write([]byte(files[name]))
		must(t, err)
	}
	must(t, packed.Close())
	must(t, zipped.Close())
	return buffer.Bytes()
}

// application is a small chart with one of each kind of thing that an upgrade must not lose. A version that migrates has
// a hook before its upgrade, an object that older ones lack, and lacks one that older ones have.
func application(version string, migrates bool) map[string]string {
	files := map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: app\nversion: " + version + "\n",
		"values.yaml":        "tag: none\ncolor: grey\n",
		"values.schema.json": `{"type":"object","properties":{"tag":{"type":"string"},"color":{"type":"string"}}}`,
		"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  tag: {{ .Values.tag | quote }}
  color: {{ .Values.color | quote }}
`,
		"templates/database.yaml": `
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-database
  annotations: {helm.sh/resource-policy: keep}
stringData: {password: hunter2hunter2}
`,
		"templates/volume.yaml": `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ .Release.Name }}-data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
`,
		"templates/service.yaml": `
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}-app}
spec: {selector: {app: app}, ports: [{port: 80}]}
`,
		"templates/app.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: "app:{{ .Values.tag }}"}]}
`,
		"templates/former.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-former}
`,
	}
	if !migrates {
		return files
	}
	delete(files, "templates/former.yaml")
	files["templates/newer.yaml"] = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}-newer}
`
	files["templates/migrate.yaml"] = `
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "app:{{ .Values.tag }}"}]}
`
	return files
}
