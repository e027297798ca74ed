package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"github.com/kubewandb/kubewandb/tools/chart/archive"
	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

func TestOurChartsPackAndLoad(t *testing.T) {
	for _, name := range reference.Charts() {
		packed, err := archive.Pack(filepath.Join("../../../charts", name), archive.Release{
			Version: "1.2.3-rc.1", AppVersion: "4.5.6", Annotations: map[string]string{"example.com/digest": "sha256:ab\"c"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := name + "-1.2.3-rc.1.tgz"; packed.FileName() != want {
			t.Errorf("file name %s, want %s", packed.FileName(), want)
		}
		loaded, err := loader.LoadArchive(bytes.NewReader(packed.Data))
		if err != nil {
			t.Fatalf("Helm cannot load %s: %v", packed.FileName(), err)
		}
		if m := loaded.Metadata; m.Name != name || m.Version != "1.2.3-rc.1" || m.AppVersion != "4.5.6" {
			t.Errorf("%s loads as %s %s for %s", name, m.Name, m.Version, m.AppVersion)
		}
		if got := loaded.Metadata.Annotations; got["example.com/digest"] != `sha256:ab"c` || got["artifacthub.io/license"] != "Apache-2.0" {
			t.Errorf("%s has annotations %v", name, got)
		}
		if len(loaded.Schema) == 0 || len(loaded.Values) == 0 || len(loaded.Templates) == 0 {
			t.Errorf("%s lost its schema, values or templates", name)
		}
	}
}

// chart writes a small chart and returns its folder.
func chart(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

var release = archive.Release{Version: "1.0.0", AppVersion: "1.0.0"}

const descriptor = "apiVersion: v2\nname: small\nversion: 0.0.0\nappVersion: 0.0.0\n"

func TestPackingIsReproducible(t *testing.T) {
	files := map[string]string{"Chart.yaml": descriptor, "values.yaml": "a: b\n", "templates/z.yaml": "", "templates/a.yaml": ""}
	first, err := archive.Pack(chart(t, files), release)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := chart(t, files)
	touched := filepath.Join(elsewhere, "values.yaml")
	if err := errors.Join(os.Chtimes(touched, time.Time{}, time.Now().Add(time.Hour)), os.Chmod(touched, 0o777)); err != nil { // the mode is the test
		t.Fatal(err)
	}
	second, err := archive.Pack(elsewhere, release)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Data, second.Data) {
		t.Error("two packings of the same files differ: a digest would not say which chart it is")
	}
	if names := entries(t, first.Data); !slices.IsSorted(names) {
		t.Errorf("entries are not sorted: %v", names)
	}
}

func entries(t *testing.T, data []byte) []string {
	t.Helper()
	decompressor, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	reader := tar.NewReader(decompressor)
	var names []string
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.ModTime.Unix() != 0 || header.Mode != 0o644 || header.Uid != 0 {
			t.Errorf("%s carries traces of this machine: %v %o %d", header.Name, header.ModTime, header.Mode, header.Uid)
		}
		names = append(names, header.Name)
	}
}

func TestHiddenFilesAndLinksStayOutside(t *testing.T) {
	folder := chart(t, map[string]string{"Chart.yaml": descriptor, ".helmignore": "x\n", ".git/config": "secret", ".env": "secret", "values.yaml": ""})
	if err := os.Symlink("/etc/hostname", filepath.Join(folder, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	packed, err := archive.Pack(folder, release)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"small/.helmignore", "small/Chart.yaml", "small/values.yaml"}
	if names := entries(t, packed.Data); !slices.Equal(names, want) {
		t.Errorf("entries %v, want %v", names, want)
	}
}

func TestWhatIsNoChartIsRefused(t *testing.T) {
	tests := map[string]struct {
		files               map[string]string
		version, appVersion string
		want                string
	}{
		"a version with a v":         {map[string]string{"Chart.yaml": descriptor}, "v1.0.0", "1.0.0", "v1.0.0"},
		"an appVersion that is none": {map[string]string{"Chart.yaml": descriptor}, "1.0.0", "latest", "latest"},
		"no Chart.yaml":              {map[string]string{"values.yaml": ""}, "1.0.0", "1.0.0", "Chart.yaml"},
		"a Chart.yaml without name":  {map[string]string{"Chart.yaml": "version: 1.0.0\nappVersion: 1.0.0\n"}, "1.0.0", "1.0.0", "name"},
		"too large":                  {map[string]string{"Chart.yaml": descriptor, "big": strings.Repeat("x", archive.MaxSize)}, "1.0.0", "1.0.0", "exceed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := archive.Pack(chart(t, test.files), archive.Release{Version: test.version, AppVersion: test.appVersion}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %s", err, test.want)
			}
		})
	}
}
