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
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// MaxSize bounds the content of a chart: Helm keeps it, compressed, in a Secret of at most 1 MiB.
const MaxSize = 8 << 20

var (
	nameLine       = regexp.MustCompile(`(?m)^name: *"?([a-z0-9-]+)"? *$`)
	versionLine    = regexp.MustCompile(`(?m)^version:.*$`)
	appVersionLine = regexp.MustCompile(`(?m)^appVersion:.*$`)
)

// Archive is a packed chart.
type Archive struct {
	Name    string
	Version string
	Data    []byte
}

// FileName is "<name>-<version>.tgz", as a Helm repository serves it.
func (a Archive) FileName() string { return a.Name + "-" + a.Version + ".tgz" }

// Pack packs the chart in folder with this version and appVersion, both of which must be semantic versions without a
// leading "v". Hidden files and links are left out.
func Pack(folder, version, appVersion string) (Archive, error) {
	for _, one := range []string{version, appVersion} {
		if _, err := semver.StrictNewVersion(one); err != nil {
			return Archive{}, fmt.Errorf("read version %q: %w", one, err)
		}
	}
	descriptor, name, err := readDescriptor(folder, version, appVersion)
	if err != nil {
		return Archive{}, err
	}
	data, err := pack(folder, name, descriptor)
	if err != nil {
		return Archive{}, fmt.Errorf("pack chart %s: %w", name, err)
	}
	return Archive{Name: name, Version: version, Data: data}, nil
}

func readDescriptor(folder, version, appVersion string) ([]byte, string, error) {
	raw, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return nil, "", fmt.Errorf("read chart: %w", err)
	}
	name := nameLine.FindSubmatch(raw)
	if name == nil || !versionLine.Match(raw) || !appVersionLine.Match(raw) {
		return nil, "", fmt.Errorf("read %s/Chart.yaml: it needs lines with name, version and appVersion", folder)
	}
	raw = versionLine.ReplaceAll(raw, []byte("version: "+version))
	raw = appVersionLine.ReplaceAll(raw, []byte("appVersion: "+appVersion))
	return raw, string(name[1]), nil
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
