package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

var linux = v1.Platform{OS: "linux", Architecture: "amd64"}

func assembled(t *testing.T, content string) v1.Image {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(binary, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := assemble(binary, "server", "1.2.3", linux)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestEqualProgramsGiveEqualImages(t *testing.T) {
	first, second := digest(t, assembled(t, "program")), digest(t, assembled(t, "program"))
	if first != second {
		t.Errorf("two images of one program differ: %s and %s", first, second)
	}
	if other := digest(t, assembled(t, "another program")); other == first {
		t.Error("images of different programs are equal")
	}
}

func TestImageHoldsTheProgramRootsAndAnUnprivilegedUser(t *testing.T) {
	image := assembled(t, "program")
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || strings.Join(config.Config.Entrypoint, " ") != "/usr/local/bin/server" {
		t.Errorf("user %q, entrypoint %q", config.Config.User, config.Config.Entrypoint)
	}
	files := make(map[string]*tar.Header)
	contents := make(map[string]string)
	reader := tar.NewReader(mutate.Extract(image))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(header.Name, "/")
		files[name], contents[name] = header, string(content)
	}
	if contents["usr/local/bin/server"] != "program" || files["usr/local/bin/server"].Mode != 0o755 {
		t.Error("the program is missing or can't be run")
	}
	if strings.Count(contents["etc/ssl/certs/ca-certificates.crt"], "BEGIN CERTIFICATE") < 50 {
		t.Error("the roots of public certificate authorities are missing")
	}
	if tmp := files["tmp"]; tmp == nil || tmp.Typeflag != tar.TypeDir || tmp.Mode&0o777 != 0o777 {
		t.Errorf("/tmp is %+v, want a folder that everybody may write", tmp)
	}
	if len(files) != 5 {
		t.Errorf("the image holds %d files, want the five it needs", len(files))
	}
}

func TestBillOfMaterialsNamesWhatTheProgramWasLinkedFrom(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bom.json")
	if err := writeBillOfMaterials(executable, "image", "1.2.3", path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		Metadata struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.Name != "image" || bom.Metadata.Component.Version != "1.2.3" {
		t.Errorf("the bill is of %+v", bom.Metadata.Component)
	}
	found := make(map[string]string)
	for _, component := range bom.Components {
		found[component.Name] = component.Purl
	}
	for _, name := range []string{"std", "github.com/google/go-containerregistry"} {
		if !strings.HasPrefix(found[name], "pkg:golang/"+name+"@") {
			t.Errorf("%s is listed as %q", name, found[name])
		}
	}
}

func TestNpmPackagesOfThePagesAreListedOnce(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "package-lock.json")
	content := `{"packages":{"":{"version":"0"},"node_modules/react":{"version":"19.0.0"},
		"node_modules/a/node_modules/@scope/b":{"version":"1.0.0"},"node_modules/c/node_modules/@scope/b":{"version":"1.0.0"},
		"node_modules/vite":{"version":"7.0.0","dev":true},"node_modules/ui":{"link":true}}}`
	if err := os.WriteFile(lock, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	components, err := npmComponents(lock)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, component := range components {
		got = append(got, component.PackageURL)
	}
	if want := "pkg:npm/%40scope/b@1.0.0 pkg:npm/react@19.0.0"; strings.Join(got, " ") != want {
		t.Errorf("components %v, want %s", got, want)
	}
	if _, err := npmComponents(lock + ".missing"); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("a missing lock file gives %v, want to be told where to run", err)
	}
}
