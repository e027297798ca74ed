// Package build compiles the node's programs once and keeps them outside the
// checkout, by version and by what they are made from.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/lock"
)

// KubernetesVersion is the version that the node's module requires; the
// programs report it as theirs.
const KubernetesVersion = "v1.35.4"

// buildTime bounds a cold build: 6 minutes on two idle cores, more on busy ones.
const buildTime = time.Hour

// component is a set of programs that are cached together.
type component struct {
	name    string
	version string
	// commands are the packages of the node's module to build.
	commands []string
	// sources are the files and folders that decide the outcome.
	sources []string
	// links are further names under which the first command is started.
	links []string
}

// components lists what is built. Kubernetes is apart from the services so that
// a changed service does not link Kubernetes again.
func components() []component {
	return []component{
		{
			name:     "kubernetes",
			version:  KubernetesVersion,
			commands: []string{"kube"},
			sources:  []string{"go.mod", "go.sum", "cmd/kube"},
			links:    []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
		},
		{
			name:     "services",
			version:  KubernetesVersion,
			commands: []string{"services", "pause"},
			sources:  []string{"go.mod", "go.sum", "cmd/services", "cmd/pause", "internal"},
		},
	}
}

// Builder builds the node's programs.
type Builder struct {
	// Source is the folder of the node's module.
	Source string
	// Cache is the folder below which each build gets a folder of its own.
	Cache string
	// Log receives the compiler's output.
	Log io.Writer
}

// Output says where the built programs are.
type Output struct {
	// Kubernetes holds kube and its links; envtest uses it as it is.
	Kubernetes string
	// Services holds services and pause.
	Services string
}

// Missing names the components that Ensure would build.
func (b Builder) Missing() ([]string, error) {
	var names []string
	for _, c := range components() {
		dir, err := b.folder(c)
		if err != nil {
			return nil, err
		}
		if !exists(dir) {
			names = append(names, c.name)
		}
	}
	return names, nil
}

// Ensure builds what is not in the cache. One call of the compiler builds all
// of it, so that both cores stay busy and shared packages compile once; several
// commands that need the same build wait for one.
func (b Builder) Ensure(ctx context.Context) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	release, err := lock.Acquire(ctx, filepath.Join(b.Cache, "build.lock"))
	if err != nil {
		return Output{}, err
	}
	defer release()

	folders := map[string]string{}
	var pending []component
	for _, c := range components() {
		dir, err := b.folder(c)
		if err != nil {
			return Output{}, err
		}
		folders[c.name] = dir
		if !exists(dir) {
			pending = append(pending, c)
		}
	}
	out := Output{Kubernetes: folders["kubernetes"], Services: folders["services"]}
	if len(pending) == 0 {
		return out, nil
	}
	staging, err := os.MkdirTemp(b.Cache, "building-")
	if err != nil {
		return Output{}, fmt.Errorf("create build folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(staging) }()
	if err := b.compile(ctx, staging, pending); err != nil {
		return Output{}, err
	}
	for _, c := range pending {
		if err := install(c, staging, folders[c.name]); err != nil {
			return Output{}, err
		}
	}
	return out, nil
}

func (b Builder) compile(ctx context.Context, staging string, pending []component) error {
	minor := strings.Split(KubernetesVersion, ".")[1]
	const version = "k8s.io/component-base/version"
	flags := fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[3]s -X %[1]s.gitTreeState=clean",
		version, KubernetesVersion, minor)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags, "-o", staging + "/"}
	for _, c := range pending {
		for _, command := range c.commands {
			args = append(args, "./cmd/"+command)
		}
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Source
	// GOWORK and GOFLAGS of the caller must not lead to other dependencies.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.Stdout = b.Log
	cmd.Stderr = io.MultiWriter(b.Log, &output)
	if err := cmd.Run(); err != nil {
		const tail = 2000
		text := output.String()
		if len(text) > tail {
			text = text[len(text)-tail:]
		}
		return fmt.Errorf("compile the node's programs in %s: %w\n%s", b.Source, err, text)
	}
	return nil
}

// install moves a component's programs to its folder in one step, so that a
// folder that is there is complete.
func install(c component, staging, dir string) error {
	next := filepath.Join(staging, c.name+"-folder")
	if err := os.MkdirAll(next, 0o755); err != nil {
		return fmt.Errorf("create component folder: %w", err)
	}
	for _, command := range c.commands {
		if err := os.Rename(filepath.Join(staging, command), filepath.Join(next, command)); err != nil {
			return fmt.Errorf("collect built program: %w", err)
		}
	}
	for _, link := range c.links {
		if err := os.Symlink(c.commands[0], filepath.Join(next, link)); err != nil {
			return fmt.Errorf("link %s: %w", link, err)
		}
	}
	if err := os.Rename(next, dir); err != nil {
		return fmt.Errorf("place component %s: %w", c.name, err)
	}
	return nil
}

// folder is where the component of the present sources belongs.
func (b Builder) folder(c component) (string, error) {
	const digits = 12
	sum, err := digest(b.Source, c.sources)
	if err != nil {
		return "", fmt.Errorf("digest the sources of %s: %w", c.name, err)
	}
	name := fmt.Sprintf("%s-%s-%s-%s", c.name, c.version, runtime.GOARCH, sum[:digits])
	return filepath.Join(b.Cache, name), nil
}

// digest hashes the files below the given paths, tests left out: names and
// contents, in a fixed order.
func digest(root string, paths []string) (string, error) {
	var files []string
	for _, path := range paths {
		err := filepath.WalkDir(filepath.Join(root, path), func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.Type().IsRegular() && !strings.HasSuffix(file, "_test.go") {
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("list sources: %w", err)
		}
	}
	sort.Strings(files)
	sum := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read source: %w", err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return "", fmt.Errorf("name source: %w", err)
		}
		_, _ = fmt.Fprintf(sum, "%s\x00%d\x00", name, len(content))
		_, _ = sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// FindSource looks for the node's module: the given folder, the checkout that
// the working directory belongs to, then the folder this program was compiled in.
func FindSource(given string) (string, error) {
	if given != "" {
		if !isModule(given) {
			return "", fmt.Errorf("find the node's module: %s has no go.mod; --source is the folder tools/localcluster/node of a checkout", given)
		}
		return filepath.Abs(given)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for {
		for _, below := range []string{"tools/localcluster/node", "node"} {
			if candidate := filepath.Join(dir, below); isModule(candidate) {
				return candidate, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	if _, file, _, ok := runtime.Caller(0); ok {
		if candidate := filepath.Join(filepath.Dir(file), "..", "..", "node"); isModule(candidate) {
			return filepath.Clean(candidate), nil
		}
	}
	return "", errors.New("find the node's module: run inside the checkout, or give its folder tools/localcluster/node with --source")
}

func isModule(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(content, []byte("module github.com/kubewandb/kubewandb/tools/localcluster/node\n"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
