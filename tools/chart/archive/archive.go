// Package archive packs a chart's folder into the archive that Helm installs. The same folder, version and appVersion give
// the same bytes, on every machine and at any time, so that a chart's digest says which chart it is.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// MaxSize bounds the content of a chart: Helm keeps it, compressed, in a Secret of at most 1 MiB.
const MaxSize = 8 << 20

var (
	nameLine        = regexp.MustCompile(`(?m)^name: *"?([a-z0-9-]+)"? *$`)
	versionLine     = regexp.MustCompile(`(?m)^version:.*$`)
	annotationsLine = regexp.MustCompile(`(?m)^annotations:$`)
	appVersionLine  = regexp.MustCompile(`(?m)^appVersion:.*$`)
)

// Archive is a packed chart.
type Archive struct {
	Name    string
	Version string
	Data    []byte
}

// FileName is "<name>-<version>.tgz", as a Helm repository serves it.
func (a Archive) FileName() string { return a.Name + "-" + a.Version + ".tgz" }

// Release is what a packed chart says that its folder does not.
type Release struct {
	// Version and AppVersion must be semantic versions without a leading "v".
	Version, AppVersion string
	// Annotations are added to those of Chart.yaml.
	Annotations map[string]string
}

// Pack packs the chart in folder as that release. Hidden files and links are left out.
func Pack(folder string, release Release) (Archive, error) {
	for _, one := range []string{release.Version, release.AppVersion} {
		if _, err := semver.StrictNewVersion(one); err != nil {
			return Archive{}, fmt.Errorf("read version %q: %w", one, err)
		}
	}
	descriptor, name, err := readDescriptor(folder, release)
	if err != nil {
		return Archive{}, err
	}
	data, err := pack(folder, name, descriptor)
	if err != nil {
		return Archive{}, fmt.Errorf("pack chart %s: %w", name, err)
	}
	return Archive{Name: name, Version: release.Version, Data: data}, nil
}

func readDescriptor(folder string, release Release) ([]byte, string, error) {
	raw, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return nil, "", fmt.Errorf("read chart: %w", err)
	}
	name := nameLine.FindSubmatch(raw)
	if name == nil || !versionLine.Match(raw) || !appVersionLine.Match(raw) {
		return nil, "", fmt.Errorf("read %s/Chart.yaml: it needs lines with name, version and appVersion", folder)
	}
	raw = versionLine.ReplaceAll(raw, []byte("version: "+release.Version))
	raw = appVersionLine.ReplaceAll(raw, []byte("appVersion: "+release.AppVersion))
	if raw, err = annotate(raw, release.Annotations); err != nil {
		return nil, "", fmt.Errorf("annotate %s/Chart.yaml: %w", folder, err)
	}
	return raw, string(name[1]), nil
}

// annotate adds annotations, in the order of their names, below the line that begins the chart's own.
func annotate(raw []byte, annotations map[string]string) ([]byte, error) {
	if len(annotations) == 0 {
		return raw, nil
	}
	begin := annotationsLine.FindIndex(raw)
	if begin == nil {
		return nil, errors.New("there is no line \"annotations:\"")
	}
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		fmt.Fprintf(&lines, "\n  %s: %q", key, annotations[key])
	}
	return slices.Concat(raw[:begin[1]], []byte(lines.String()), raw[begin[1]:]), nil
}

func pack(folder, name string, descriptor []byte) ([]byte, error) {
	var out bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	writer := tar.NewWriter(compressor)
	total := 0
	// WalkDir visits in lexical order, which makes the order of the entries the same everywhere.
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != folder && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".helmignore" {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		inside, err := filepath.Rel(folder, path)
		if err != nil {
			return fmt.Errorf("name %s inside the archive: %w", path, err)
		}
		data := descriptor
		if inside != "Chart.yaml" {
			if data, err = os.ReadFile(path); err != nil {
				return fmt.Errorf("read file: %w", err)
			}
		}
		if total += len(data); total > MaxSize {
			return fmt.Errorf("the files exceed %d bytes", MaxSize)
		}
		return writeFile(writer, name+"/"+filepath.ToSlash(inside), data)
	})
	if err := errors.Join(err, writer.Close(), compressor.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeFile(writer *tar.Writer, name string, data []byte) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644,
		ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatPAX,
	}
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("write header of %s: %w", name, err)
	}
	if _, err := writer.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
