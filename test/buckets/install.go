package buckets

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kubewandb/kubewandb/test/fixture"
)

const (
	gatewayModule = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
	fakeGCSModule = "github.com/fsouza/fake-gcs-server@v1.56.1"
)

//go:embed azurite/package.json
var azuritePackage []byte

//go:embed azurite/package-lock.json
var azuriteLock []byte

// goProgram builds a program of a module, and returns its path.
func goProgram(name, module string) (string, error) {
	folder, err := fixture.Folder(name, []byte(module), func(ctx context.Context, folder string) error {
		cmd := exec.CommandContext(ctx, "go", "install", module)
		cmd.Dir = folder // outside of this module, whose versions do not count
		cmd.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOOS=", "GOARCH=")
		_, err := fixture.Run(cmd)
		return err
	})
	return filepath.Join(folder, name), err
}

// azurite installs it, and returns the script that starts it.
func azurite() (string, error) {
	folder, err := fixture.Node("azurite", map[string][]byte{"package.json": azuritePackage, "package-lock.json": azuriteLock}, "--omit=optional")
	return filepath.Join(folder, "node_modules", "azurite", "dist", "src", "blob", "main.js"), err
}
