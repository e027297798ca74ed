package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/process"
)

// commandTime bounds one command; a first up builds Kubernetes.
const commandTime = 30 * time.Minute

// require skips the test unless it was asked for.
func require(t *testing.T) {
	t.Helper()
	if os.Getenv("LOCALCLUSTER_E2E") != "1" {
		t.Skip("set LOCALCLUSTER_E2E=1: this test starts real clusters, as root, for minutes")
	}
}

// compile builds a command of this module without a C library.
func compile(t *testing.T, pkg, target string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", target, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// archiveOf writes a docker archive with the static program as its only file.
func archiveOf(t *testing.T, program, tag string) string {
	t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	opened, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, opened)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Entrypoint = "linux", "amd64", []string{"/probe"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	parsed, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "probe.tar")
	if err := tarball.WriteToFile(file, parsed, img); err != nil {
		t.Fatal(err)
	}
	return file
}

// testCluster drives one cluster by the command line.
type testCluster struct {
	name    string
	program string
	env     map[string]string
}

// start brings a cluster up and removes it after the test, whatever happens.
func start(t *testing.T, program, name string) *testCluster {
	t.Helper()
	c := &testCluster{name: name, program: program}
	t.Cleanup(func() {
		cmd := exec.Command(program, "--name", name, "down", "--purge")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("down --purge of %s: %v\n%s", name, err, out)
		}
	})
	c.up(t)
	return c
}

// up runs up and reads the environment.
func (c *testCluster) up(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	c.run(t, "up")
	took := time.Since(begun)
	c.env = map[string]string{}
	for line := range strings.Lines(c.run(t, "env")) {
		key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			t.Fatalf("env printed %q", line)
		}
		c.env[key] = value
	}
	return took
}

// run runs a verb and returns what it printed.
func (c *testCluster) run(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, nil, "", c.program, append([]string{"--name", c.name}, args...)...)
}

func (c *testCluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, c.environ(), "", filepath.Join(c.env["BIN"], "kubectl"), args...)
}

func (c *testCluster) apply(t *testing.T, objects string) {
	t.Helper()
	output(t, c.environ(), objects, filepath.Join(c.env["BIN"], "kubectl"), "apply", "-f", "-")
}

func (c *testCluster) environ() []string {
	return append(os.Environ(), "KUBECONFIG="+c.env["KUBECONFIG"])
}

// state is the cluster's folder.
func (c *testCluster) state() string { return filepath.Dir(c.env["KUBECONFIG"]) }

// records are the cluster's processes by component.
func (c *testCluster) records(t *testing.T) map[string]process.Record {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.state(), "processes", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("list process records: %v, %v", files, err)
	}
	records := map[string]process.Record{}
	for _, file := range files {
		record, err := process.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		records[strings.TrimSuffix(filepath.Base(file), ".json")] = record
	}
	return records
}

func output(t *testing.T, environ []string, input, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environ
	cmd.Stdin = strings.NewReader(input)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out.String(), messages.String())
	}
	if len(args) > 2 && args[2] == "up" {
		t.Logf("up:\n%s", messages.String())
	}
	return out.String()
}

// restarts counts the restarts of all pods of the cluster.
func (c *testCluster) restarts(t *testing.T) int {
	t.Helper()
	var pods struct {
		Items []struct {
			Status struct {
				ContainerStatuses []struct{ RestartCount int }
			}
		}
	}
	if err := json.Unmarshal([]byte(c.kubectl(t, "get", "pods", "-A", "-o", "json")), &pods); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, pod := range pods.Items {
		for _, container := range pod.Status.ContainerStatuses {
			total += container.RestartCount
		}
	}
	return total
}
