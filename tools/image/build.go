package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// uid is the user that every image runs as; charts and the restricted Pod Security Standard rely on its being numeric.
	uid = 65532
	// programFolder is on the PATH of every image, so that "kubectl exec … -- server admin …" works by name.
	programFolder = "usr/local/bin"
	// buildDeadline bounds one compilation; a cold one of the operator took four minutes on two cores.
	buildDeadline = 20 * time.Minute
)

// epoch is the time of every file: a fixed time makes builds of equal sources equal bytes.
var epoch = time.Unix(0, 0).UTC()

func compile(ctx context.Context, opts options, program, source string, platform v1.Platform) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildDeadline)
	defer cancel()
	output := filepath.Join(opts.out, "programs", platform.OS+"-"+platform.Architecture, program)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X github.com/kubewandb/kubewandb/internal/version.Version="+opts.version,
		"-o", output, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("compile %s for %s: %w", source, platform.String(), err)
	}
	return output, nil
}

// assemble makes an image of two layers: what all programs share, and the program, so that an update of a program moves
// only its own layer.
func assemble(binary, program, version string, platform v1.Platform) (v1.Image, error) {
	base, err := layer(baseFiles())
	if err != nil {
		return nil, fmt.Errorf("make base layer: %w", err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	own, err := layer([]file{{path: programFolder + "/" + program, mode: 0o755, content: content}})
	if err != nil {
		return nil, fmt.Errorf("make program layer: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, base, own)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read image config: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: epoch}
	config.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", uid, uid),
		Entrypoint: []string{"/" + programFolder + "/" + program},
		Env:        []string{"PATH=/" + programFolder, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    program,
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/kubewandb/kubewandb",
		},
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("set image config: %w", err)
	}
	return image, nil
}

type file struct {
	path    string
	mode    int64
	folder  bool
	content []byte
}

// baseFiles are what a Go program expects around it: certificate roots, a named user, and a /tmp.
func baseFiles() []file {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		_ = pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
	}
	return []file{
		{path: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "nonroot:x:%d:%d::/tmp:/sbin/nologin\n", uid, uid)},
		{path: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "nonroot:x:%d:\n", uid)},
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: roots.Bytes()},
		{path: "tmp/", mode: 0o1777, folder: true},
	}
}

func layer(files []file) (v1.Layer, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, f := range files {
		header := &tar.Header{Name: f.path, Mode: f.mode, ModTime: epoch, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if f.folder {
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write header of %s: %w", f.path, err)
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("close layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil
	})
}
