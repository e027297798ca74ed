// Package e2e runs the whole system on a real one-node Kubernetes of its own and holds what the README promises: install,
// sign up, log in with the official client, receive a release, change the user layer, override it, delete, and leave
// nothing behind.
//
// The tests are one story on one installation and run in the order of the files' names. `make test-e2e` runs them; the
// environment variable E2E=1 says that starting a cluster is wanted.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	clusterName = "e2e"
	namespace   = "wandb"
	upLimit     = 25 * time.Minute
)

// system is the installation that all tests share; TestMain fills it.
var system struct {
	root string
	dir  string
	env  map[string]string
	// warm is how long the second `up` took: everything was built and running.
	warm time.Duration
}

func TestMain(m *testing.M) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("e2e: not run; it starts a Kubernetes cluster: make test-e2e")
		return
	}
	code, err := setUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		code = m.Run()
	}
	if os.Getenv("E2E_KEEP") == "" {
		// Whatever happened, the machine is given back as it was; TestZZ asserts that on the good path.
		if _, err := demo(context.Background(), "down"); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: take the demo down:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func setUp() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), upLimit)
	defer cancel()
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return 1, fmt.Errorf("find the repository: %w", err)
	}
	system.root = strings.TrimSpace(string(top))
	system.dir = filepath.Join(system.root, "test", "artifacts", "e2e")
	if err := os.MkdirAll(system.dir, 0o755); err != nil {
		return 1, fmt.Errorf("make folder for artifacts: %w", err)
	}
	if output, err := demo(ctx, "up"); err != nil {
		return 1, fmt.Errorf("bring the demo up: %w\n%s", err, output)
	}
	began := time.Now()
	if output, err := demo(ctx, "up"); err != nil {
		return 1, fmt.Errorf("bring the demo up again: %w\n%s", err, output)
	}
	system.warm = time.Since(began)
	exports, err := demo(ctx, "env")
	if err != nil {
		return 1, fmt.Errorf("read the demo's environment: %w", err)
	}
	system.env, err = parseExports(exports)
	return 1, err
}

// demo runs the program behind `make demo` under this suite's own cluster name; progress goes to the terminal.
func demo(ctx context.Context, verb string) (string, error) {
	command := exec.CommandContext(ctx, "go", "run", "./tools/demo", "--name", clusterName, "--dir", filepath.Join(system.dir, "demo"), verb)
	command.Dir = system.root
	command.Stderr = os.Stderr
	output, err := command.Output()
	return string(output), err
}

func parseExports(exports string) (map[string]string, error) {
	env := make(map[string]string)
	for line := range strings.Lines(exports) {
		assignment, isExport := strings.CutPrefix(strings.TrimSpace(line), "export ")
		name, value, isAssignment := strings.Cut(assignment, "=")
		if !isExport || !isAssignment {
			return nil, fmt.Errorf("make demo-env printed %q, want only lines of export NAME=value", line)
		}
		env[name] = strings.Trim(value, "'")
	}
	return env, nil
}
