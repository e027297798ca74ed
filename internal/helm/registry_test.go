package helm_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// push stores content as Helm stores a chart: one layer of its media type.
func push(t *testing.T, reference string, mediaType types.MediaType, content []byte) string {
	t.Helper()
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(content, mediaType))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestRegistryCharts(t *testing.T) {
	const layer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	blobs, down := 0, false
	backend := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			blobs++
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	var hash string
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0-rc.1", "1.1.0+build.7"} {
		hash = push(t, host+"/charts/demo:"+strings.ReplaceAll(version, "+", "_"), layer, archive(t, configMapChart(version)))
	}
	push(t, host+"/charts/image:1.0.0", types.OCILayer, []byte("an image's layer"))
	source := func(repository, version string) *spec.Chart {
		return &spec.Chart{Form: spec.FormOCI, URL: "oci://" + host + "/charts/" + repository, Version: version, PlainHTTP: true}
	}
	client := offline(t, nil)

	tests := map[string]struct {
		source       *spec.Chart
		want, reason string
		text         string
	}{
		"exact":                        {source: source("demo", "1.0.0"), want: "1.0.0"},
		"a plus is an underscore":      {source: source("demo", "1.1.0+build.7"), want: "1.1.0+build.7"},
		"a range":                      {source: source("demo", "~1.0"), want: "1.0.0"},
		"a tag in the URL":             {source: source("demo:1.0.0", ""), want: "1.0.0"},
		"a digest in the URL":          {source: source("demo@"+hash, ""), want: "1.1.0+build.7"},
		"a missing version lists tags": {source: source("demo", "3.0.0"), reason: v1.ReasonChartNotFound, text: "2.0.0-rc.1, 1.1.0"},
		"a missing repository":         {source: source("other", "1.0.0"), reason: v1.ReasonChartNotFound, text: "chart.url"},
		"an image is no chart":         {source: source("image", "1.0.0"), reason: v1.ReasonChartInvalid, text: "no Helm chart"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chart, err := client.LoadChart(t.Context(), test.source, helm.Credentials{})
			if got := fault.Reason(err, ""); got != test.reason || !strings.Contains(fault.Message(err), test.text) {
				t.Fatalf("reason %q, message %q; want %q with %q", got, fault.Message(err), test.reason, test.text)
			}
			if err == nil && chart.Version != test.want {
				t.Errorf("version %q, want %q", chart.Version, test.want)
			}
		})
	}
	t.Run("an unchanged chart is not downloaded again, nor needed while the registry is away", func(t *testing.T) {
		before := blobs
		if _, err := client.LoadChart(t.Context(), source("demo", "1.0.0"), helm.Credentials{}); err != nil {
			t.Fatal(err)
		}
		if blobs != before {
			t.Errorf("%d archives were downloaded again", blobs-before)
		}
		down = true
		if _, err := client.LoadChart(t.Context(), source("demo", "1.0.0"), helm.Credentials{}); err != nil {
			t.Errorf("the version was here before: %v", err)
		}
		_, err := client.LoadChart(t.Context(), source("demo", "~1.0"), helm.Credentials{})
		if fault.Reason(err, "") != v1.ReasonRepositoryUnreachable || !fault.Retryable(err) {
			t.Errorf("a range cannot be known while the registry is away: %v", err)
		}
	})
}
