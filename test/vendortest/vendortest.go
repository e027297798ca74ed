// Package vendortest is what an operator meets outside of its cluster: a deploy server with one channel, and the repository of
// one chart, "app". Both are spoken to over real HTTP on the loopback.
package vendortest

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

// Vendor offers nothing until a release is published and a chart added. Its methods may be called from any goroutine.
type Vendor struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	document string
	changed  chan struct{}
	failure  int
	releases map[string]string
	charts   map[string][]byte
	asked    []string
}

// New starts a vendor that ends with its test.
func New(t *testing.T) *Vendor {
	v := &Vendor{t: t, changed: make(chan struct{}), releases: map[string]string{}, charts: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/operator/channel", v.serveChannel)
	mux.HandleFunc("GET /api/v1/operator/channel/release/{id}", v.serveRelease)
	mux.HandleFunc("GET /charts/index.yaml", v.serveIndex)
	mux.HandleFunc("GET /charts/{file}", v.serveChart)
	v.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		v.Close()
		v.server.Close()
	})
	return v
}

// URL is that of the deploy server.
func (v *Vendor) URL() string { return v.server.URL }

// Repository is the URL of the chart's repository.
func (v *Vendor) Repository() string { return v.server.URL + "/charts" }

// Close makes the vendor unreachable: whoever waits is cut off, and nobody gets through any more.
func (v *Vendor) Close() {
	_ = v.server.Listener.Close() // fails where it is closed already
	v.server.CloseClientConnections()
}

// Publish makes the channel offer a release of a version of the chart with these values, and keeps it for those who pin it.
func (v *Vendor) Publish(name, version string, values map[string]any) {
	v.t.Helper()
	document, err := json.Marshal(map[string]any{
		"metadata": map[string]string{
			"channelId": "c1", "channelName": "stable", "releaseId": "id-" + name, "releaseName": name,
			"releaseCreatedAt": "2026-05-01T12:00:00Z",
		},
		"chart":  map[string]string{"url": v.Repository(), "name": "app", "version": version},
		"values": values,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.mu.Lock()
	v.releases["id-"+name] = string(document)
	v.mu.Unlock()
	v.Offer(string(document))
}

// Offer makes the channel answer with a text, whatever it is. "" means that there is no such channel.
func (v *Vendor) Offer(document string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.document = document
	v.wake()
}

// Fail makes the channel answer with a status; 0 makes it well again.
func (v *Vendor) Fail(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failure = status
	v.wake()
}

// wake answers whoever waits. The caller holds mu.
func (v *Vendor) wake() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// Passwords are those of the requests for the channel so far.
func (v *Vendor) Passwords() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

// AddChart puts a version of the chart into the repository; files are named by their paths in it.
func (v *Vendor) AddChart(version string, files map[string]string) {
	v.t.Helper()
	packed, err := archive(files)
	if err != nil {
		v.t.Fatal(err)
	}
	v.AddPacked(version, packed)
}

// AddPacked puts bytes into the repository as a version of the chart, whatever they are.
func (v *Vendor) AddPacked(version string, packed []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.charts["app-"+version+".tgz"] = packed
}

func archive(files map[string]string) ([]byte, error) {
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "app/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := packed.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := packed.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	err := zipped.Close()
	return buffer.Bytes(), err
}

// serveChannel holds a request that prefers to wait until something changes.
func (v *Vendor) serveChannel(w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	v.mu.Lock()
	v.asked = append(v.asked, password)
	v.mu.Unlock()
	var seconds int
	if _, err := fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &seconds); err == nil {
		w.Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", seconds))
	}
	over := time.After(time.Duration(seconds) * time.Second)
	for {
		v.mu.Lock()
		document, failure, changed := v.document, v.failure, v.changed
		v.mu.Unlock()
		etag := fmt.Sprintf("\"%x\"", sha256.Sum256([]byte(document)))
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
		case <-over:
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (v *Vendor) serveRelease(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	serve(w, []byte(v.releases[r.PathValue("id")]))
}

func (v *Vendor) serveChart(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	serve(w, v.charts[r.PathValue("file")])
}

func (v *Vendor) serveIndex(w http.ResponseWriter, _ *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	index := "apiVersion: v1\nentries:\n  app:\n"
	for _, file := range slices.Sorted(maps.Keys(v.charts)) {
		version := strings.TrimSuffix(strings.TrimPrefix(file, "app-"), ".tgz")
		index += fmt.Sprintf("  - {apiVersion: v2, name: app, version: %s, urls: [%s]}\n", version, file)
	}
	serve(w, []byte(index))
}

// serve answers with what there is, or 404.
func serve(w http.ResponseWriter, content []byte) {
	if len(content) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(content)
}
