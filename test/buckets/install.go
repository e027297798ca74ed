package buckets

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	gatewayModule  = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
	fakeGCSModule  = "github.com/fsouza/fake-gcs-server@v1.56.1"
	installTimeout = 20 * time.Minute
)

//go:embed azurite/package.json
var azuritePackage []byte

//go:embed azurite/package-lock.json
var azuriteLock []byte

// installed returns a folder in the cache that make filled, now or earlier. Its name holds what it was made from.
func installed(name, source string, make func(ctx context.Context, folder string) error) (folder string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	cache = filepath.Join(cache, "kubewandb")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the installation: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the installation: %w", err)
	}
	sum := sha256.Sum256([]byte(source))
	folder = filepath.Join(cache, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	partial := folder + "-partial" // a folder gets its final name only when it is complete
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("remove an unfinished installation: %w", err)
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the installation: %w", err)
	}
	if err := make(ctx, partial); err != nil {
		return "", err
	}
	if err := os.Rename(partial, folder); err != nil {
		return "", fmt.Errorf("finish the installation: %w", err)
	}
	return folder, nil
}

// goProgram builds a program of a module, and returns its path.
func goProgram(name, module string) (string, error) {
	folder, err := installed(name, module, func(ctx context.Context, folder string) error {
		cmd := exec.CommandContext(ctx, "go", "install", module)
		cmd.Dir = folder // outside of this module, whose versions do not count
		cmd.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOOS=", "GOARCH=")
		return run(cmd)
	})
	return filepath.Join(folder, name), err
}

// azurite installs it, and returns the script that starts it.
func azurite() (string, error) {
	folder, err := installed("azurite", string(azuriteLock), func(ctx context.Context, folder string) error {
		for name, content := range map[string][]byte{"package.json": azuritePackage, "package-lock.json": azuriteLock} {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
		cmd := exec.CommandContext(ctx, "npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = folder
		return run(cmd)
	})
	return filepath.Join(folder, "node_modules", "azurite", "dist", "src", "blob", "main.js"), err
}

func run(cmd *exec.Cmd) error {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		text := output.String()
		return fmt.Errorf("run %s: %w: %s", filepath.Base(cmd.Path), err, text[max(0, len(text)-2000):])
	}
	return nil
}
