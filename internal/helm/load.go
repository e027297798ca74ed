package helm

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/v2/loader"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// maxChartSize bounds an archive. The largest charts in the field, with every subchart, stay below 2 MiB.
	maxChartSize = 32 << 20
	// maxIndexSize bounds the index of a repository; large public ones reach 20 MiB.
	maxIndexSize = 64 << 20
	// downloadTimeout bounds one load with everything that it fetches.
	downloadTimeout = 2 * time.Minute
)

// LoadChart fetches the chart that source describes; a chart that has not changed is not downloaded again. Where
// credentials are zero, those in the description itself are used. Faults: ChartNotFound (its hint lists the versions that
// there are), RepositoryUnreachable, ChartInvalid, ChartNotAllowed.
func (c *Client) LoadChart(ctx context.Context, source *spec.Chart, credentials Credentials) (*Chart, error) {
	if source == nil {
		return nil, &fault.Error{
			Reason: v1.ReasonChartMissing,
			Op:     "load chart: no layer names one",
			Hint:   "Set spec.chart, or let the operator reach its release channel.",
		}
	}
	if credentials == (Credentials{}) {
		credentials = DescribedCredentials(source)
	}
	ctx, cancel := within(ctx, downloadTimeout)
	defer cancel()
	switch source.Form {
	case spec.FormLocal:
		return c.loadLocal(source)
	case spec.FormOCI:
		if err := c.checkSource(source, source.URL); err != nil {
			return nil, err
		}
		return c.loadRegistry(ctx, source, credentials)
	default:
		if err := c.checkSource(source, source.URL); err != nil {
			return nil, err
		}
		return c.loadRepository(ctx, source, credentials)
	}
}

// loadLocal reads a .tgz, a text that holds the base64 of one, or a folder.
func (c *Client) loadLocal(source *spec.Chart) (*Chart, error) {
	file, err := c.localPath(source.Path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, c.localNotFound(source, err)
	}
	if info.IsDir() {
		return c.loadFolder(source, file)
	}
	content, err := readFile(file, maxChartSize)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	archive := decodeBase64(content)
	digest := digestOf(archive)
	if known := c.charts.get(digest); known != nil {
		return known, nil
	}
	chart, err := parseArchive(archive, digest)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	c.charts.put(chart, nil)
	return chart, nil
}

// localPath returns the real path, symbolic links resolved, and refuses one outside the charts folder.
func (c *Client) localPath(given string) (string, error) {
	refused := &fault.Error{
		Reason: v1.ReasonChartNotAllowed,
		Op:     "load chart " + given,
		Hint:   "The operator's flag --charts-dir names the folder of local charts; mount the chart there.",
	}
	if c.cfg.ChartsDir == "" {
		refused.Err = errors.New("no folder of local charts is set")
		return "", refused
	}
	root, err := filepath.EvalSymlinks(c.cfg.ChartsDir)
	if err != nil {
		refused.Err = fmt.Errorf("open the folder of local charts: %w", err)
		return "", refused
	}
	if !filepath.IsAbs(given) {
		given = filepath.Join(c.cfg.ChartsDir, given)
	}
	clean := filepath.Clean(given)
	if !below(c.cfg.ChartsDir, clean) && !below(root, clean) {
		refused.Err = fmt.Errorf("the path is not below %s", c.cfg.ChartsDir)
		return "", refused
	}
	real, err := filepath.EvalSymlinks(clean)
	if errors.Is(err, fs.ErrNotExist) {
		return clean, nil
	}
	if err != nil {
		refused.Err = fmt.Errorf("resolve links: %w", err)
		return "", refused
	}
	if !below(root, real) {
		refused.Err = fmt.Errorf("the path leads out of %s", c.cfg.ChartsDir)
		return "", refused
	}
	return real, nil
}

// below tells whether name is root or lies below it.
func below(root, name string) bool {
	relative, err := filepath.Rel(root, name)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

func (c *Client) localNotFound(source *spec.Chart, err error) error {
	f := &fault.Error{
		Reason: v1.ReasonChartNotFound,
		Op:     "load chart " + source.Path,
		Hint:   fmt.Sprintf("Put the chart into %s.", c.cfg.ChartsDir),
		Err:    err,
	}
	if !errors.Is(err, fs.ErrNotExist) {
		f.Reason = v1.ReasonChartInvalid
	}
	entries, readErr := os.ReadDir(c.cfg.ChartsDir)
	if readErr != nil {
		return f
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, entry.Name())
		}
	}
	if len(names) > 0 {
		f.Hint = fmt.Sprintf("%s holds: %s.", c.cfg.ChartsDir, listing(names))
	}
	return f
}

func (c *Client) loadFolder(source *spec.Chart, folder string) (*Chart, error) {
	digest, err := folderDigest(folder)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	if known := c.charts.get(digest); known != nil {
		return known, nil
	}
	parsed, err := loader.LoadDir(folder)
	if err != nil {
		return nil, invalidChart(source, fmt.Errorf("read folder: %w", err))
	}
	chart, err := newChart(parsed, digest)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	c.charts.put(chart, nil)
	return chart, nil
}

// folderDigest covers names and contents of all files.
func folderDigest(folder string) (string, error) {
	var content bytes.Buffer
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := readFile(name, maxChartSize)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		if err != nil {
			return fmt.Errorf("name file: %w", err)
		}
		fmt.Fprintf(&content, "%q %s\n", relative, digestOf(file))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read folder: %w", err)
	}
	return digestOf(content.Bytes()), nil
}

// decodeBase64 returns what the text encodes, or content itself where it is no base64 of an archive.
func decodeBase64(content []byte) []byte {
	gzipMagic := []byte{0x1f, 0x8b}
	if bytes.HasPrefix(content, gzipMagic) {
		return content
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(content)), ""))
	if err != nil || !bytes.HasPrefix(decoded, gzipMagic) {
		return content
	}
	return decoded
}

// checkSource holds a URL against the prefixes that the operator accepts. A prefix matches whole segments of the path
// only: https://charts.example.com does not allow https://charts.example.com.evil.example.
func (c *Client) checkSource(source *spec.Chart, location string) error {
	if len(c.cfg.ChartSources) == 0 || slices.ContainsFunc(c.cfg.ChartSources, func(prefix string) bool { return hasURLPrefix(location, prefix) }) {
		return nil
	}
	return &fault.Error{
		Reason: v1.ReasonChartNotAllowed,
		Op:     fmt.Sprintf("load chart %s", source),
		Hint:   fmt.Sprintf("The operator accepts charts from %s only (flag --chart-sources).", strings.Join(c.cfg.ChartSources, ", ")),
		Err:    fmt.Errorf("the address %s is not among the allowed ones", spec.MaskText(location, nil)),
	}
}

func hasURLPrefix(location, prefix string) bool {
	got, err := url.Parse(location)
	if err != nil {
		return false
	}
	want, err := url.Parse(strings.TrimSpace(prefix))
	if err != nil || !strings.EqualFold(got.Scheme, want.Scheme) || !strings.EqualFold(got.Host, want.Host) {
		return false
	}
	gotPath, wantPath := path.Clean("/"+got.Path), strings.TrimSuffix(path.Clean("/"+want.Path), "/")
	return gotPath == wantPath || strings.HasPrefix(gotPath, wantPath+"/")
}

func invalidChart(source *spec.Chart, err error) error {
	return &fault.Error{
		Reason: v1.ReasonChartInvalid,
		Op:     fmt.Sprintf("load chart %s", source),
		Hint:   "What is there is no usable chart; package it again with `helm package`, or choose another version.",
		Err:    err,
	}
}

// listing words at most a dozen names.
func listing(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
