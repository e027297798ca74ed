// Package client drives the official wandb client, unmodified, against a server of ours.
//
// Two releases of the client live in Python virtual environments in the user's cache folder, each made once from a list that
// pins every package by hash. Where that is impossible the test fails.
package client

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/fixture"
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
	return fixture.Folder("client", r.requirements, func(ctx context.Context, folder string) error {
		if _, err := fixture.Run(exec.CommandContext(ctx, "python3", "-m", "venv", folder)); err != nil {
			return err
		}
		list := filepath.Join(folder, "requirements.txt")
		if err := os.WriteFile(list, r.requirements, 0o644); err != nil {
			return fmt.Errorf("write the requirements: %w", err)
		}
		_, err := fixture.Run(exec.CommandContext(ctx, filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--quiet",
			"--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", list))
		return err
	})
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
