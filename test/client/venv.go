// Package client drives the official wandb client, unmodified, against a server of ours.
//
// The client lives in a Python virtual environment in the user's cache folder, made once from requirements.txt, which pins
// every package by hash. Where that is impossible the test fails.
package client

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
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed requirements.txt
var requirements []byte

// installTimeout leaves room for a slow network; the packages are about 60 MB.
const installTimeout = 10 * time.Minute

// Venv returns the folder of a Python virtual environment that holds the official client: bin/wandb and bin/python.
func Venv(t testing.TB) string {
	t.Helper()
	folder, err := environment()
	if err != nil {
		t.Fatalf("install the wandb client: %v", err)
	}
	return folder
}

var environment = sync.OnceValues(install)

func install() (string, error) {
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
	lock, err := os.OpenFile(filepath.Join(cache, "client.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the environment: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the environment: %w", err)
	}
	sum := sha256.Sum256(requirements)
	folder := filepath.Join(cache, "client-"+hex.EncodeToString(sum[:6]))
	complete := filepath.Join(folder, "complete") // an environment cannot be renamed: its scripts name their folder
	if _, err := os.Stat(complete); err == nil {
		return folder, nil
	}
	if err := build(ctx, folder); err != nil {
		return "", err
	}
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		return "", fmt.Errorf("finish the environment: %w", err)
	}
	return folder, nil
}

func build(ctx context.Context, folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove an unfinished environment: %w", err)
	}
	if err := run(ctx, "python3", "-m", "venv", folder); err != nil {
		return err
	}
	pinned := filepath.Join(folder, "requirements.txt")
	if err := os.WriteFile(pinned, requirements, 0o644); err != nil {
		return fmt.Errorf("write the requirements: %w", err)
	}
	return run(ctx, filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
		"--require-hashes", "--requirement", pinned)
}

func run(ctx context.Context, name string, arguments ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		text := output.String()
		return fmt.Errorf("run %s: %w: %s", filepath.Base(name), err, text[max(0, len(text)-2000):])
	}
	return nil
}

// Result is how a program of the client ended.
type Result struct {
	// Output is what it printed, on both streams.
	Output string
	// Code is its exit code.
	Code int
}

// Home is a folder that the client takes for its user's: what it saves there is seen by no other test.
type Home struct {
	folder, venv string
	// Env is added to the environment of each program, as "NAME=value".
	Env []string
}

// NewHome returns an empty home. The client reports nothing to its maker from there.
func NewHome(t testing.TB) *Home {
	t.Helper()
	return &Home{folder: t.TempDir(), venv: Venv(t)}
}

// Netrc is the file into which `wandb login` writes keys.
func (h *Home) Netrc() string { return filepath.Join(h.folder, "netrc") }

// Run runs a program of the environment, such as "wandb" or "python", and waits for it to end.
func (h *Home) Run(t testing.TB, program string, arguments ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(h.venv, "bin", program), arguments...)
	cmd.Dir = h.folder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append([]string{
		"PATH=" + filepath.Join(h.venv, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + h.folder,
		"NETRC=" + h.Netrc(),
		"WANDB_CONFIG_DIR=" + filepath.Join(h.folder, "config"),
		"WANDB_CACHE_DIR=" + filepath.Join(h.folder, "cache"),
		"WANDB_DATA_DIR=" + filepath.Join(h.folder, "data"),
		"WANDB_DIR=" + h.folder,
		"WANDB_ERROR_REPORTING=false",
		"NO_COLOR=1",
		"TERM=dumb",
		"COLUMNS=200",
	}, h.Env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v: %s", program, err, output.String())
	}
	return Result{Output: output.String(), Code: cmd.ProcessState.ExitCode()}
}
