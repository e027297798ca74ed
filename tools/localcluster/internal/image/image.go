// Package image reads image archives, makes the pause image, and pushes both to
// a cluster's registry.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// PauseRepository is where the pause image is pushed.
const PauseRepository = "localcluster/pause"

// maxEntry bounds one file of an unpacked archive: no layer is larger.
const maxEntry = 16 << 30

// pushTime bounds the push of one archive to the registry on this machine.
const pushTime = 15 * time.Minute

// Registry is the cluster's registry under its two addresses.
type Registry struct {
	// Push is the address on this machine.
	Push string
	// Pull is the address under which the node's runtime and pods know it.
	Pull string
}

// Pushed is one image that Load has pushed.
type Pushed struct {
	// Repository is the name under which pods pull it: the pull address with
	// the archive's repository.
	Repository string
	Tag        string
	Digest     string
}

// Reference is repository@digest.
func (p Pushed) Reference() string { return p.Repository + "@" + p.Digest }

// Load pushes every image of the archive: what `docker save` writes, or an OCI
// image layout as a tar file (compressed or not) or a folder.
func Load(ctx context.Context, archive string, to Registry) ([]Pushed, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	info, err := os.Stat(archive)
	if err != nil {
		return nil, fmt.Errorf("open image archive: %w", err)
	}
	if info.IsDir() {
		return loadLayout(ctx, archive, archive, to)
	}
	kind, err := inspect(archive)
	if err != nil {
		return nil, err
	}
	if kind.docker && !kind.compressed {
		return loadDocker(ctx, archive, to)
	}
	// Layers are read in any order, several times, which a compressed file does
	// not allow, and a layout's reader wants a folder.
	dir, err := os.MkdirTemp("", "localcluster-load-")
	if err != nil {
		return nil, fmt.Errorf("create folder to unpack the archive: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if kind.docker {
		plain := filepath.Join(dir, "archive.tar")
		if err := decompress(archive, plain); err != nil {
			return nil, err
		}
		return loadDocker(ctx, plain, to)
	}
	if err := unpack(archive, dir); err != nil {
		return nil, err
	}
	return loadLayout(ctx, dir, archive, to)
}

// PushPause makes the pause image of the static program and pushes it.
func PushPause(ctx context.Context, program string, to Registry) (Pushed, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	content, err := os.ReadFile(program)
	if err != nil {
		return Pushed{}, fmt.Errorf("read pause program: %w", err)
	}
	made, err := single("pause", content)
	if err != nil {
		return Pushed{}, err
	}
	return push(ctx, made, PauseRepository, "", to)
}

// single is an image with one program, reproducible to the byte.
func single(program string, content []byte) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	header := &tar.Header{Name: program, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("finish layer: %w", err)
	}
	opened, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	made, err := mutate.AppendLayers(empty.Image, opened)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	file, err := made.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read image configuration: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Entrypoint = []string{"/" + program}
	file.Config.User = "65532:65532"
	if made, err = mutate.ConfigFile(made, file); err != nil {
		return nil, fmt.Errorf("set image configuration: %w", err)
	}
	return made, nil
}

func loadDocker(ctx context.Context, archive string, to Registry) ([]Pushed, error) {
	opener := func() (io.ReadCloser, error) { return os.Open(archive) }
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return nil, fmt.Errorf("read manifest of %s: %w", archive, err)
	}
	var pushed []Pushed
	for _, entry := range manifest {
		tags := entry.RepoTags
		if len(tags) == 0 && len(manifest) > 1 {
			return nil, fmt.Errorf("load %s: it holds several images and some have no tag; save each with a tag", archive)
		}
		var tag *name.Tag
		repository, tagName := baseName(archive), ""
		for i := 0; i == 0 || i < len(tags); i++ {
			if len(tags) > 0 {
				parsed, err := name.NewTag(tags[i])
				if err != nil {
					return nil, fmt.Errorf("parse tag of %s: %w", archive, err)
				}
				tag, repository, tagName = &parsed, parsed.RepositoryStr(), parsed.TagStr()
			}
			img, err := tarball.Image(opener, tag)
			if err != nil {
				return nil, fmt.Errorf("read image of %s: %w", archive, err)
			}
			one, err := push(ctx, img, repository, tagName, to)
			if err != nil {
				return nil, err
			}
			pushed = append(pushed, one)
		}
	}
	return pushed, nil
}

// loadLayout pushes each image and index that the layout lists at its top.
func loadLayout(ctx context.Context, dir, archive string, to Registry) ([]Pushed, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s (it is neither a docker archive nor an OCI layout): %w", archive, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", archive, err)
	}
	if len(manifest.Manifests) == 0 {
		return nil, fmt.Errorf("load %s: it holds no image", archive)
	}
	var pushed []Pushed
	for _, descriptor := range manifest.Manifests {
		repository, tag, err := layoutName(descriptor.Annotations, archive)
		if err != nil {
			return nil, err
		}
		var content remote.Taggable
		if descriptor.MediaType.IsIndex() {
			content, err = index.ImageIndex(descriptor.Digest)
		} else {
			content, err = index.Image(descriptor.Digest)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", descriptor.Digest, archive, err)
		}
		one, err := push(ctx, content, repository, tag, to)
		if err != nil {
			return nil, err
		}
		pushed = append(pushed, one)
	}
	return pushed, nil
}

// layoutName finds repository and tag of an entry of a layout: containerd's
// annotation holds the whole name, OCI's only the tag or the whole name.
func layoutName(annotations map[string]string, archive string) (repository, tag string, err error) {
	full := annotations["io.containerd.image.name"]
	short := annotations["org.opencontainers.image.ref.name"]
	if full == "" && strings.ContainsAny(short, "/:") {
		full = short
	}
	if full == "" {
		return baseName(archive), short, nil
	}
	parsed, err := name.ParseReference(full)
	if err != nil {
		return "", "", fmt.Errorf("parse image name %q of %s: %w", full, archive, err)
	}
	if tagged, ok := parsed.(name.Tag); ok {
		tag = tagged.TagStr()
	}
	return parsed.Context().RepositoryStr(), tag, nil
}

// baseName makes a repository of an archive's file name.
func baseName(archive string) string {
	base := strings.ToLower(filepath.Base(archive))
	for _, suffix := range []string{".gz", ".tgz", ".tar", ".oci"} {
		base = strings.TrimSuffix(base, suffix)
	}
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, base)
	if clean = strings.Trim(clean, "-"); clean == "" {
		return "image"
	}
	return clean
}

// push sends an image or index under its digest, and its tag where it has one.
func push(ctx context.Context, content remote.Taggable, repository, tag string, to Registry) (Pushed, error) {
	hasher, ok := content.(interface{ Digest() (v1.Hash, error) })
	if !ok {
		return Pushed{}, errors.New("push image: it has no digest")
	}
	digest, err := hasher.Digest()
	if err != nil {
		return Pushed{}, fmt.Errorf("digest image %s: %w", repository, err)
	}
	target, err := name.NewRepository(to.Push+"/"+repository, name.Insecure)
	if err != nil {
		return Pushed{}, fmt.Errorf("name image %s: %w", repository, err)
	}
	if tag == "" {
		tag = "latest"
	}
	pusher, err := remote.NewPusher(remote.WithJobs(2))
	if err != nil {
		return Pushed{}, fmt.Errorf("prepare push: %w", err)
	}
	for _, ref := range []name.Reference{target.Digest(digest.String()), target.Tag(tag)} {
		if err := pusher.Push(ctx, ref, content); err != nil {
			return Pushed{}, fmt.Errorf("push %s to the cluster's registry (is the cluster up?): %w", repository, err)
		}
	}
	return Pushed{Repository: to.Pull + "/" + repository, Tag: tag, Digest: digest.String()}, nil
}

// kind is what an archive turns out to be.
type kind struct{ docker, compressed bool }

// inspect looks for manifest.json, which only a docker archive has. Newer
// docker versions write both forms; either is right then.
func inspect(archive string) (kind, error) {
	file, err := os.Open(archive)
	if err != nil {
		return kind{}, fmt.Errorf("open image archive: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader, compressed, err := plain(file)
	if err != nil {
		return kind{}, err
	}
	entries := tar.NewReader(reader)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return kind{compressed: compressed}, nil
		}
		if err != nil {
			return kind{}, fmt.Errorf("read %s (an image archive is a tar file): %w", archive, err)
		}
		if filepath.Clean(header.Name) == "manifest.json" {
			return kind{docker: true, compressed: compressed}, nil
		}
	}
}

// plain undoes gzip where the content is compressed.
func plain(file io.ReadSeeker) (io.Reader, bool, error) {
	magic := make([]byte, 2)
	if _, err := io.ReadFull(file, magic); err != nil {
		return nil, false, fmt.Errorf("read image archive: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, false, fmt.Errorf("rewind image archive: %w", err)
	}
	if magic[0] != 0x1f || magic[1] != 0x8b {
		return file, false, nil
	}
	reader, err := gzip.NewReader(file)
	if err != nil {
		return nil, false, fmt.Errorf("decompress image archive: %w", err)
	}
	return reader, true, nil
}

func decompress(archive, target string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader, _, err := plain(file)
	if err != nil {
		return err
	}
	return writeFile(target, reader)
}

// unpack writes the regular files of an archive below dir, which confines the
// names.
func unpack(archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader, _, err := plain(file)
	if err != nil {
		return err
	}
	entries := tar.NewReader(reader)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("unpack %s: entry %q leads out of the archive", archive, header.Name)
		}
		target := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
		if err := writeFile(target, entries); err != nil {
			return err
		}
	}
}

func writeFile(target string, content io.Reader) error {
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write unpacked file: %w", err)
	}
	_, copyErr := io.Copy(file, io.LimitReader(content, maxEntry))
	if err := errors.Join(copyErr, file.Close()); err != nil {
		return fmt.Errorf("write unpacked file: %w", err)
	}
	return nil
}
