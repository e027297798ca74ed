package helm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/version"
)

// indexFreshness is how long an index that knows the wanted version is believed without asking.
const indexFreshness = 30 * time.Second

// index is what index.yaml of a repository says.
type index struct {
	Entries map[string][]indexEntry `json:"entries"`

	etag, modified string
	checkedAt      time.Time
}

type indexEntry struct {
	Version string   `json:"version"`
	URLs    []string `json:"urls"`
	Digest  string   `json:"digest"`
}

// indexCache keeps the index per repository and user.
type indexCache struct {
	mu      sync.Mutex
	entries map[string]*index
}

func (c *Client) loadRepository(ctx context.Context, source *spec.Chart, credentials Credentials) (*Chart, error) {
	reference := source.URL + "\n" + source.Name + "\n" + source.Version
	entry, err := c.findEntry(ctx, source, credentials)
	if err != nil {
		if fault.Retryable(err) && isExact(source.Version) {
			// The repository is away, but this very version was here before.
			if known := c.charts.get(c.charts.lastResolved(reference)); known != nil {
				return known, nil
			}
		}
		return nil, err
	}
	location, err := entryURL(source, entry)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	if err := c.checkSource(source, location); err != nil {
		return nil, err
	}
	wanted := indexDigest(entry)
	if wanted == "" {
		// An index without digests cannot tell that an archive has changed; its address and version have to do.
		wanted = c.charts.lastResolved(location)
	}
	if known := c.charts.get(wanted); known != nil {
		c.charts.resolve(reference, known.Digest)
		return known, nil
	}
	archive, err := c.download(ctx, source, location, credentials)
	if err != nil {
		return nil, err
	}
	digest := digestOf(archive)
	if declared := indexDigest(entry); declared != "" && declared != digest {
		return nil, invalidChart(source, fmt.Errorf("the archive has digest %s, the index says %s", digest, declared))
	}
	chart, err := parseArchive(archive, digest)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	c.charts.put(chart, archive)
	c.charts.resolve(reference, digest)
	c.charts.resolve(location, digest)
	return chart, nil
}

// findEntry returns the index entry of the wanted version: exact, the highest in a range, or the highest stable one.
func (c *Client) findEntry(ctx context.Context, source *spec.Chart, credentials Credentials) (indexEntry, error) {
	key := source.URL + "\n" + credentials.Username
	known := c.charts.indexes.get(key)
	if known != nil && c.cfg.Now().Sub(known.checkedAt) < indexFreshness && isExact(source.Version) {
		if entry, ok := known.find(source.Name, source.Version); ok {
			return entry, nil
		}
	}
	fresh, err := c.fetchIndex(ctx, source, credentials, known)
	if err != nil {
		return indexEntry{}, err
	}
	c.charts.indexes.put(key, fresh)
	if entry, ok := fresh.find(source.Name, source.Version); ok {
		return entry, nil
	}
	return indexEntry{}, fresh.notFound(source)
}

func (c *Client) fetchIndex(ctx context.Context, source *spec.Chart, credentials Credentials, known *index) (*index, error) {
	location := strings.TrimSuffix(source.URL, "/") + "/index.yaml"
	if parsed, err := url.Parse(source.URL); err == nil && parsed.RawQuery != "" {
		location = parsed.JoinPath("index.yaml").String()
	}
	request, err := c.newRequest(ctx, location, source, credentials)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	if known != nil && known.etag != "" {
		request.Header.Set("If-None-Match", known.etag)
	} else if known != nil && known.modified != "" {
		request.Header.Set("If-Modified-Since", known.modified)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(source, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusNotModified && known != nil {
		renewed := *known
		renewed.checkedAt = c.cfg.Now()
		return &renewed, nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusedByServer(source, location, response.StatusCode)
	}
	content, err := readBounded(response.Body, maxIndexSize)
	if errors.Is(err, errTooLarge) {
		return nil, invalidChart(source, fmt.Errorf("index.yaml: %w", err))
	}
	if err != nil {
		return nil, unreachable(source, err)
	}
	parsed, err := parseIndex(content)
	if err != nil {
		return nil, &fault.Error{
			Reason: v1.ReasonRepositoryUnreachable, Retry: true,
			Op:   "read index.yaml of " + spec.MaskText(source.URL, nil),
			Hint: "The address answers, but not as a Helm repository does; check chart.url.", Err: err,
		}
	}
	parsed.etag, parsed.modified = response.Header.Get("ETag"), response.Header.Get("Last-Modified")
	parsed.checkedAt = c.cfg.Now()
	return parsed, nil
}

func parseIndex(content []byte) (*index, error) {
	var parsed index
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		err = json.Unmarshal(content, &parsed)
	} else {
		err = yaml.Unmarshal(content, &parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if parsed.Entries == nil {
		return nil, errors.New("decode: it has no entries")
	}
	return &parsed, nil
}

// find prefers the exact text, since versions in the field are not always semantic.
func (i *index) find(name, wanted string) (indexEntry, bool) {
	for _, entry := range i.Entries[name] {
		if wanted != "" && strings.TrimPrefix(entry.Version, "v") == strings.TrimPrefix(wanted, "v") {
			return entry, true
		}
	}
	best, ok := highest(i.versions(name), wanted)
	if !ok {
		return indexEntry{}, false
	}
	for _, entry := range i.Entries[name] {
		if entry.Version == best {
			return entry, true
		}
	}
	return indexEntry{}, false
}

func (i *index) versions(name string) []string {
	versions := make([]string, 0, len(i.Entries[name]))
	for _, entry := range i.Entries[name] {
		versions = append(versions, entry.Version)
	}
	return versions
}

func (i *index) notFound(source *spec.Chart) error {
	f := &fault.Error{Reason: v1.ReasonChartNotFound, Op: fmt.Sprintf("load chart %s", source)}
	versions := newestFirst(i.versions(source.Name))
	switch {
	case len(versions) > 0:
		f.Err = errors.New("the repository has no such version")
		f.Hint = fmt.Sprintf("Available versions of %s: %s.", source.Name, listing(versions))
	case len(i.Entries) > 0:
		names := make([]string, 0, len(i.Entries))
		for name := range i.Entries {
			names = append(names, name)
		}
		slices.Sort(names)
		f.Err = errors.New("the repository has no such chart")
		f.Hint = fmt.Sprintf("It has: %s.", listing(names))
	default:
		f.Err = errors.New("the repository is empty")
		f.Hint = "Check chart.url."
	}
	return f
}

// highest returns the highest version in a semver range; an empty range means the highest stable one.
func highest(versions []string, wanted string) (string, bool) {
	var limit *semver.Constraints
	if wanted != "" {
		parsed, err := semver.NewConstraint(wanted)
		if err != nil {
			return "", false
		}
		limit = parsed
	}
	for _, text := range newestFirst(versions) {
		parsed, err := semver.NewVersion(text)
		if err != nil {
			continue
		}
		if (limit == nil && parsed.Prerelease() == "") || (limit != nil && limit.Check(parsed)) {
			return text, true
		}
	}
	return "", false
}

// newestFirst sorts by semantic version; texts that are none come last.
func newestFirst(versions []string) []string {
	sorted := slices.Clone(versions)
	slices.SortStableFunc(sorted, func(a, b string) int {
		first, errA := semver.NewVersion(a)
		second, errB := semver.NewVersion(b)
		switch {
		case errA == nil && errB == nil:
			return second.Compare(first)
		case errA == nil:
			return -1
		case errB == nil:
			return 1
		default:
			return cmp.Compare(b, a)
		}
	})
	return sorted
}

// isExact tells whether a version names one chart for ever, as opposed to a range or the highest.
func isExact(text string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	return err == nil
}

// entryURL returns the absolute address of the archive; a relative one counts from the repository.
func entryURL(source *spec.Chart, entry indexEntry) (string, error) {
	if len(entry.URLs) == 0 {
		return "", fmt.Errorf("the index has no address for version %s", entry.Version)
	}
	relative, err := url.Parse(entry.URLs[0])
	if err != nil {
		return "", fmt.Errorf("the index has a malformed address for version %s", entry.Version)
	}
	base, err := url.Parse(source.URL)
	if err != nil {
		return "", errors.New("the address of the repository is malformed")
	}
	query := base.RawQuery
	base.Path, base.RawPath = strings.TrimSuffix(base.Path, "/")+"/", ""
	absolute := base.ResolveReference(relative)
	if !relative.IsAbs() && absolute.RawQuery == "" {
		absolute.RawQuery = query
	}
	if absolute.Scheme != "http" && absolute.Scheme != "https" {
		return "", fmt.Errorf("the index has an address of scheme %q", absolute.Scheme)
	}
	return absolute.String(), nil
}

func indexDigest(entry indexEntry) string {
	digest := "sha256:" + strings.TrimPrefix(strings.ToLower(entry.Digest), "sha256:")
	if !isDigest(digest) {
		return ""
	}
	return digest
}

func (c *Client) download(ctx context.Context, source *spec.Chart, location string, credentials Credentials) ([]byte, error) {
	request, err := c.newRequest(ctx, location, source, credentials)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(source, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, refusedByServer(source, location, response.StatusCode)
	}
	archive, err := readBounded(response.Body, maxChartSize)
	if errors.Is(err, errTooLarge) {
		return nil, invalidChart(source, err)
	}
	if err != nil {
		return nil, unreachable(source, err)
	}
	return archive, nil
}

// newRequest carries credentials only to the repository's own host: an index may point anywhere.
func (c *Client) newRequest(ctx context.Context, location string, source *spec.Chart, credentials Credentials) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, errors.New("the address is malformed")
	}
	request.Header.Set("User-Agent", version.UserAgent("controller-manager"))
	if repository, err := url.Parse(source.URL); err == nil && sameOrigin(repository, request.URL) &&
		(credentials.Username != "" || credentials.Password != "") {
		request.SetBasicAuth(credentials.Username, credentials.Password.Reveal())
	}
	return request, nil
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Host, b.Host)
}

func unreachable(source *spec.Chart, err error) error {
	var transport *url.Error
	if errors.As(err, &transport) {
		// Its text repeats the URL, which may carry a password.
		err = transport.Err
	}
	return &fault.Error{
		Reason: v1.ReasonRepositoryUnreachable,
		Op:     fmt.Sprintf("load chart %s", source),
		Hint:   "Check chart.url, DNS, proxy and certificates as seen from the operator's pod.",
		Retry:  true,
		Err:    mask(err, nil),
	}
}

func refusedByServer(source *spec.Chart, location string, status int) error {
	f := &fault.Error{
		Reason: v1.ReasonRepositoryUnreachable,
		Op:     fmt.Sprintf("load chart %s", source),
		Retry:  true,
		Err:    fmt.Errorf("GET %s answered %d %s", withoutQuery(location), status, http.StatusText(status)),
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Hint = "The repository refuses the credentials. Check chart.credentialSecret (keys HELM_USERNAME and HELM_PASSWORD unless set otherwise)."
	case http.StatusNotFound, http.StatusGone:
		f.Reason, f.Retry = v1.ReasonChartNotFound, false
		f.Hint = "There is nothing at that address. Check chart.url."
	default:
		f.Hint = "The repository has a problem of its own; it is asked again."
	}
	return f
}

// withoutQuery drops user and query: signed addresses are credentials.
func withoutQuery(location string) string {
	parsed, err := url.Parse(location)
	if err != nil {
		return "the address"
	}
	parsed.User, parsed.RawQuery, parsed.Fragment = nil, "", ""
	return parsed.String()
}

const maxIndexes = 16

func (c *indexCache) get(key string) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[key]
}

func (c *indexCache) put(key string, fresh *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxIndexes {
		c.entries = map[string]*index{}
	}
	c.entries[key] = fresh
}
