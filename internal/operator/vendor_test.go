package operator

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
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

// vendor is a deploy server and a chart repository, spoken to over real HTTP.
type vendor struct {
	server *httptest.Server

	mu       sync.Mutex
	changed  chan struct{}
	document string
	releases map[string]string
	// failure answers every request for the channel with this status where it is not 0.
	failure int
	charts  map[string][]byte
	// asked holds the password of each request for the channel.
	asked []string
}

func newVendor(t *testing.T) *vendor {
	v := &vendor{changed: make(chan struct{}), releases: map[string]string{}, charts: map[string][]byte{}}
	ctx, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/operator/channel", func(w http.ResponseWriter, r *http.Request) { v.serveChannel(ctx, w, r) })
	mux.HandleFunc("GET /api/v1/operator/channel/release/{id}", v.serveRelease)
	mux.HandleFunc("GET /charts/", v.serveCharts)
	v.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		stop()
		v.server.CloseClientConnections()
		v.server.Close()
	})
	v.addChart("1.0.0", nil)
	return v
}

// publish makes the channel offer a release.
func (v *vendor) publish(name, version string, values map[string]any) {
	document := map[string]any{
		"metadata": map[string]any{
			"channelId": "c1", "channelName": "stable", "releaseId": "id-" + name, "releaseName": name,
			"releaseCreatedAt": "2026-05-01T12:00:00Z",
		},
		"chart":  map[string]any{"url": v.server.URL + "/charts", "name": "app", "version": version},
		"values": values,
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	v.mu.Lock()
	v.releases["id-"+name] = string(text)
	v.mu.Unlock()
	v.offer(string(text))
}

// offer makes the channel answer with a text, whatever it is.
func (v *vendor) offer(document string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.document = document
	close(v.changed)
	v.changed = make(chan struct{})
}

// fail makes the channel answer with a status; 0 makes it well again.
func (v *vendor) fail(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failure = status
	close(v.changed)
	v.changed = make(chan struct{})
}

func (v *vendor) passwords() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

func (v *vendor) serveChannel(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	v.mu.Lock()
	v.asked = append(v.asked, password)
	v.mu.Unlock()
	var wait int
	if _, err := fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &wait); err == nil {
		w.Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", wait))
	}
	timeout := time.After(time.Duration(wait) * time.Second)
	for {
		v.mu.Lock()
		document, failure, changed := v.document, v.failure, v.changed
		v.mu.Unlock()
		etag := fmt.Sprintf("%q", fmt.Sprintf("%x", len(document))+fmt.Sprint(hash(document)))
		switch {
		case failure != 0:
			w.WriteHeader(failure)
			_, _ = w.Write([]byte(`{"error":"the test says so","reason":"TestFailure"}`))
			return
		case document == "":
			w.WriteHeader(http.StatusNotFound)
			return
		case r.Header.Get("If-None-Match") != etag:
			w.Header().Set("ETag", etag)
			_, _ = w.Write([]byte(document))
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

func hash(text string) uint32 {
	sum := uint32(2166136261)
	for _, b := range []byte(text) {
		sum = (sum ^ uint32(b)) * 16777619
	}
	return sum
}

func (v *vendor) serveRelease(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	document, ok := v.releases[r.PathValue("id")]
	v.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write([]byte(document))
}

func (v *vendor) serveCharts(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/charts/")
	if name != "index.yaml" {
		content, ok := v.charts[name]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(content)
		return
	}
	index := "apiVersion: v1\nentries:\n  app:\n"
	for _, file := range slices.Sorted(maps.Keys(v.charts)) {
		version := strings.TrimSuffix(strings.TrimPrefix(file, "app-"), ".tgz")
		index += fmt.Sprintf("  - {apiVersion: v2, name: app, version: %s, urls: [%s]}\n", version, file)
	}
	_, _ = w.Write([]byte(index))
}

// chartFiles is a small application: a Deployment that reads a ConfigMap, a Secret that outlives the release, and a
// schema.
func chartFiles(version string) map[string]string {
	return map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: app\nversion: " + version + "\nappVersion: \"app-" + version + "\"\n",
		"values.yaml": "image: {tag: none}\nreplicas: 1\ncolor: grey\nhold: \"\"\nlist: []\n",
		"values.schema.json": `{"type":"object","properties":{
			"replicas":{"type":"integer","minimum":0,"maximum":5},
			"color":{"type":"string"},
			"image":{"type":"object","properties":{"tag":{"type":"string"}}}}}`,
		"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  color: {{ .Values.color | quote }}
  tag: {{ .Values.image.tag | quote }}
  namespace: {{ .Values.global.operator.namespace | quote }}
  list: {{ .Values.list | join "," | quote }}
`,
		"templates/keep.yaml": `
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-database
  annotations: {helm.sh/resource-policy: keep}
stringData: {password: hunter2hunter2}
`,
		"templates/app.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-app
  annotations: {test/hold: {{ .Values.hold | quote }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - {name: app, image: "app:{{ .Values.image.tag }}"}
`,
	}
}

// addChart adds a version of the chart to the repository, with files replaced or added.
func (v *vendor) addChart(version string, changed map[string]string) {
	files := chartFiles(version)
	maps.Copy(files, changed)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.charts["app-"+version+".tgz"] = archive(files)
}

func archive(files map[string]string) []byte {
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "app/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := packed.WriteHeader(header); err != nil {
			panic(err)
		}
		if _, err := packed.Write([]byte(files[name])); err != nil {
			panic(err)
		}
	}
	if err := packed.Close(); err != nil {
		panic(err)
	}
	if err := zipped.Close(); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

// tagged are values of a release.
func tagged(tag string) map[string]any {
	return map[string]any{"image": map[string]any{"tag": tag}}
}
