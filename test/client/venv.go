// Package client drives the official wandb client, unmodified, against a server of ours.
//
// Two releases of the client live in Python virtual environments in the user's cache folder, each made once from a list that
// pins every package by hash. Where that is impossible the test fails.
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
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Release is one release of the client with everything that it needs.
type Release struct {
	// Version is what the client calls itself.
	Version      string
	requirements []byte
}

//go:embed requirements.txt
var newest []byte

//go:embed requirements-oldest.txt
var oldest []byte

// Newest is the newest release that this repository was tested with.
func Newest() Release { return Release{Version: version(newest), requirements: newest} }

// Oldest is the oldest release that the server says it works with.
func Oldest() Release { return Release{Version: version(oldest), requirements: oldest} }

var pinned = regexp.MustCompile(`(?m)^wandb==(\S+)`)

func version(requirements []byte) string {
	if found := pinned.FindSubmatch(requirements); found != nil {
		return string(found[1])
	}
	return ""
}

// installTimeout leaves room for a slow network; the packages are about 60 MB.
const installTimeout = 10 * time.Minute

// Venv returns the folder of a Python virtual environment that holds the newest client: bin/wandb and bin/python.
func Venv(t testing.TB) string {
	t.Helper()
	return Newest().Venv(t)
}

// Venv returns the folder of a Python virtual environment that holds this release.
func (r Release) Venv(t testing.TB) string {
	t.Helper()
	folder, err := r.install()
	if err != nil {
		t.Fatalf("install the wandb client: %v", err)
	}
	return folder
}

func (r Release) install() (string, error) {
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
	sum := sha256.Sum256(r.requirements)
	folder := filepath.Join(cache, "client-"+hex.EncodeToString(sum[:6]))
	complete := filepath.Join(folder, "complete") // an environment cannot be renamed: its scripts name their folder
	if _, err := os.Stat(complete); err == nil {
		return folder, nil
	}
	if err := r.build(ctx, folder); err != nil {
		return "", err
	}
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		return "", fmt.Errorf("finish the environment: %w", err)
	}
	return folder, nil
}

func (r Release) build(ctx context.Context, folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove an unfinished environment: %w", err)
	}
	if err := run(ctx, "python3", "-m", "venv", folder); err != nil {
		return err
	}
	list := filepath.Join(folder, "requirements.txt")
	if err := os.WriteFile(list, r.requirements, 0o644); err != nil {
		return fmt.Errorf("write the requirements: %w", err)
	}
	return run(ctx, filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
		"--require-hashes", "--requirement", list)
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
	// Folder is where the programs run.
	Folder string
	venv   string
	// Env is added to the environment of each program, as "NAME=value".
	Env []string
}

// NewHome returns an empty home with the newest client. The client reports nothing to its maker from there.
func NewHome(t testing.TB) *Home {
	t.Helper()
	return Newest().Home(t)
}

// Home returns an empty home with this release.
func (r Release) Home(t testing.TB) *Home {
	t.Helper()
	return &Home{Folder: t.TempDir(), venv: r.Venv(t)}
}

// Netrc is the file into which `wandb login` writes keys.
func (h *Home) Netrc() string { return filepath.Join(h.Folder, "netrc") }

// Run runs a program of the environment, such as "wandb" or "python", and waits for it to end.
func (h *Home) Run(t testing.TB, program string, arguments ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var output bytes.Buffer
	cmd := h.Command(ctx, program, arguments...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v: %s", program, err, output.String())
	}
	return Result{Output: output.String(), Code: cmd.ProcessState.ExitCode()}
}

// Command prepares to run a program of the environment. It leads a process group of its own, with the processes that the
// client starts.
func (h *Home) Command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(h.venv, "bin", program), arguments...)
	cmd.Dir = h.Folder
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append([]string{
		"PATH=" + filepath.Join(h.venv, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + h.Folder,
		"NETRC=" + h.Netrc(),
		"WANDB_CONFIG_DIR=" + filepath.Join(h.Folder, "config"),
		"WANDB_CACHE_DIR=" + filepath.Join(h.Folder, "cache"),
		"WANDB_DATA_DIR=" + filepath.Join(h.Folder, "data"),
		"WANDB_DIR=" + h.Folder,
		"WANDB_ERROR_REPORTING=false",
		"NO_COLOR=1",
		"TERM=dumb",
		"COLUMNS=200",
	}, h.Env...)
	return cmd
}
