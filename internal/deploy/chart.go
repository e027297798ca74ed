package deploy

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	maxChartBytes = 16 << 20
	// maxUnpackedBytes and maxChartFiles bound what an archive may claim to hold.
	maxUnpackedBytes = 128 << 20
	maxChartFiles    = 10_000
	maxChartYAML     = 1 << 20
	chartNameForm    = `^[a-z0-9][a-z0-9.-]{0,127}$`
)

// pushChart stores a chart archive, and tells whether it is new. A version never changes: the same version with other
// bytes is refused, with the same bytes it is no error.
func (s *Server) pushChart(ctx context.Context, archive []byte) (_ admin.Chart, created bool, err error) {
	record, err := readChart(archive)
	if err != nil {
		return admin.Chart{}, false, err
	}
	record.CreatedAt = stamp(s.now())
	s.changing.Lock()
	defer s.changing.Unlock()
	existing, err := find[chartRecord](ctx, s.store.write, "name = ? AND version = ?", record.Name, record.Version)
	switch {
	case errors.Is(err, errNoRecord):
	case err != nil:
		return admin.Chart{}, false, err
	case existing.Digest != record.Digest:
		return admin.Chart{}, false, &fault.Error{
			Reason: "ChartImmutable", Op: "push chart " + record.Name + " " + record.Version,
			Err: errors.New("this version exists with other content"), Hint: "Raise the version in Chart.yaml, package the chart again and push it.",
		}
	default:
		document, err := existing.document()
		return document, false, err
	}
	if err := insert(ctx, s.store.write, record); err != nil {
		return admin.Chart{}, false, err
	}
	s.logger.Info("chart pushed", "chart", record.Name, "version", record.Version, "digest", record.Digest)
	document, err := record.document()
	return document, true, err
}

func (s *Server) listCharts(ctx context.Context) ([]admin.Chart, error) {
	records, err := s.chartRecords(ctx)
	if err != nil {
		return nil, err
	}
	documents := make([]admin.Chart, 0, len(records))
	for _, each := range records {
		document, err := each.document()
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// chartRecords returns all charts without their content, by name and then newest version first.
func (s *Server) chartRecords(ctx context.Context) ([]chartRecord, error) {
	records, err := list[chartRecord](ctx, s.store.read, "name", "content")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b chartRecord) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), compareVersions(b.Version, a.Version))
	})
	return records, nil
}

func compareVersions(a, b string) int {
	versionA, errA := semver.StrictNewVersion(a)
	versionB, errB := semver.StrictNewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return cmp.Or(versionA.Compare(versionB), strings.Compare(a, b))
}

func (r chartRecord) document() (admin.Chart, error) {
	var metadata struct {
		AppVersion string `json:"appVersion"`
	}
	if err := json.Unmarshal(r.Metadata, &metadata); err != nil {
		return admin.Chart{}, fmt.Errorf("read chart %s %s: %w", r.Name, r.Version, err)
	}
	return admin.Chart{
		Name: r.Name, Version: r.Version, AppVersion: metadata.AppVersion, Digest: r.Digest, Size: r.Size, CreatedAt: moment(r.CreatedAt),
	}, nil
}

// repositoryIndex writes index.yaml as Helm reads it. URLs are relative, so that the repository works under any name.
func repositoryIndex(records []chartRecord) ([]byte, error) {
	entries := map[string][]map[string]any{}
	var generated int64
	for _, each := range records {
		entry := map[string]any{}
		if err := json.Unmarshal(each.Metadata, &entry); err != nil {
			return nil, fmt.Errorf("read chart %s %s: %w", each.Name, each.Version, err)
		}
		entry["urls"] = []string{chartFile(each.Name, each.Version)}
		entry["digest"] = each.Digest
		entry["created"] = moment(each.CreatedAt).Format(time.RFC3339Nano)
		entries[each.Name] = append(entries[each.Name], entry)
		generated = max(generated, each.CreatedAt)
	}
	index, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "entries": entries, "generated": moment(generated).Format(time.RFC3339Nano),
	})
	if err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	return index, nil
}

func chartFile(name, version string) string { return name + "-" + version + ".tgz" }

// readChart checks an archive and reads its Chart.yaml.
func readChart(archive []byte) (*chartRecord, error) {
	text, err := chartYAML(archive)
	if err != nil {
		return nil, chartInvalid(err)
	}
	var metadata map[string]any
	if err := yaml.UnmarshalStrict(text, &metadata); err != nil {
		return nil, chartInvalid(fmt.Errorf("read Chart.yaml: %w", err))
	}
	field := func(name string) string {
		value, _ := metadata[name].(string)
		return value
	}
	name, version := field("name"), field("version")
	switch {
	case field("apiVersion") != "v1" && field("apiVersion") != "v2":
		return nil, chartInvalid(errors.New("the apiVersion in Chart.yaml must be v1 or v2"))
	case !regexp.MustCompile(chartNameForm).MatchString(name):
		return nil, chartInvalid(errors.New("the name in Chart.yaml must be lower-case letters, digits, dots and dashes"))
	}
	if _, err := semver.StrictNewVersion(version); err != nil {
		return nil, chartInvalid(fmt.Errorf("the version %q in Chart.yaml is no semantic version such as 1.2.3", bounded(version)))
	}
	encoded, err := json.Marshal(metadata)
	if err != nil {
		return nil, chartInvalid(fmt.Errorf("read Chart.yaml: %w", err))
	}
	digest := sha256.Sum256(archive)
	return &chartRecord{
		Name: name, Version: version, Digest: hex.EncodeToString(digest[:]), Metadata: encoded, Size: int64(len(archive)), Content: archive,
	}, nil
}

// chartYAML returns the Chart.yaml of an archive and checks that the rest of it can be read and stays in one folder.
func chartYAML(archive []byte) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	limited := &io.LimitedReader{R: unzipped, N: maxUnpackedBytes}
	files := tar.NewReader(limited)
	found := map[string][]byte{}
	for count := 0; ; count++ {
		header, err := files.Next()
		if errors.Is(err, io.EOF) && limited.N > 0 {
			break
		}
		switch {
		case limited.N <= 0 || count >= maxChartFiles:
			return nil, fmt.Errorf("the archive holds more than %d bytes or %d files", maxUnpackedBytes, maxChartFiles)
		case err != nil:
			return nil, fmt.Errorf("read archive: %w", err)
		case !insideOneFolder(header.Name):
			return nil, fmt.Errorf("the archive holds the path %q outside its folder", bounded(header.Name))
		}
		folder, rest, _ := strings.Cut(path.Clean(header.Name), "/")
		if rest != "Chart.yaml" || header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, maxChartYAML+1))
		if err != nil || len(text) > maxChartYAML {
			return nil, errors.Join(errors.New("the Chart.yaml is too large or cut short"), err)
		}
		found[folder] = text
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("the archive must hold one folder with a Chart.yaml, it has %d", len(found))
	}
	return found[slices.Collect(maps.Keys(found))[0]], nil
}

func insideOneFolder(name string) bool {
	return !path.IsAbs(name) && !strings.Contains(name, `\`) && !slices.Contains(strings.Split(name, "/"), "..")
}

func chartInvalid(err error) error {
	return &fault.Error{Reason: "ChartInvalid", Op: "read chart", Err: err, Hint: "Package the chart with: helm package FOLDER, and push the .tgz file."}
}
