package helm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxParsedCharts bounds memory: a large chart takes some tens of megabytes once unpacked.
const maxParsedCharts = 8

// chartCache keeps charts by digest: parsed ones in memory, archives on disk. What is read back from disk is checked
// against its digest, so that a damaged cache costs a download and nothing else.
type chartCache struct {
	dir string

	mu     sync.Mutex
	parsed map[string]*Chart
	order  []string
	// resolved maps a reference (repository, name, version) to the digest that it had last.
	resolved map[string]string
	// schemas holds one copy of each schema that a release was made with.
	schemas map[[sha256.Size]byte][]byte

	indexes indexCache
}

func newChartCache(dir string) *chartCache {
	return &chartCache{dir: dir, parsed: map[string]*Chart{}, resolved: map[string]string{}, schemas: map[[sha256.Size]byte][]byte{}}
}

// maxSharedSchemas bounds memory: the schema of a large chart takes some hundred kilobytes.
const maxSharedSchemas = 16

// sharedSchema returns the one copy of a schema, so that 1,000 releases of a chart do not keep 1,000.
func (c *chartCache) sharedSchema(schema []byte) []byte {
	if len(schema) == 0 {
		return nil
	}
	sum := sha256.Sum256(schema)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.schemas[sum]; ok {
		return known
	}
	if len(c.schemas) >= maxSharedSchemas {
		clear(c.schemas)
	}
	c.schemas[sum] = schema
	return schema
}

// get returns the chart of a digest; nil where it has to be fetched.
func (c *chartCache) get(digest string) *Chart {
	if !isDigest(digest) {
		return nil
	}
	c.mu.Lock()
	known := c.parsed[digest]
	c.mu.Unlock()
	if known != nil || c.dir == "" {
		return known
	}
	archive, err := readFile(c.archivePath(digest), maxChartSize)
	if err != nil || digestOf(archive) != digest {
		return nil
	}
	chart, err := parseArchive(archive, digest)
	if err != nil {
		return nil
	}
	c.remember(chart)
	return chart
}

// put keeps a chart. That the disk is full or read-only costs a download later, and is no failure.
func (c *chartCache) put(chart *Chart, archive []byte) {
	c.remember(chart)
	if c.dir != "" && archive != nil {
		_ = writeFile(c.archivePath(chart.Digest), archive)
	}
}

func (c *chartCache) remember(chart *Chart) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.parsed[chart.Digest]; known {
		return
	}
	c.parsed[chart.Digest] = chart
	c.order = append(c.order, chart.Digest)
	if len(c.order) > maxParsedCharts {
		delete(c.parsed, c.order[0])
		c.order = c.order[1:]
	}
}

// resolve remembers, on disk as well, which digest a reference had, for the time when its repository is away.
func (c *chartCache) resolve(reference, digest string) {
	c.mu.Lock()
	unchanged := c.resolved[reference] == digest
	c.resolved[reference] = digest
	c.mu.Unlock()
	if !unchanged && c.dir != "" {
		_ = writeFile(c.referencePath(reference), []byte(digest))
	}
}

// lastResolved returns the digest that a reference had last, or "".
func (c *chartCache) lastResolved(reference string) string {
	c.mu.Lock()
	digest := c.resolved[reference]
	c.mu.Unlock()
	if digest != "" || c.dir == "" {
		return digest
	}
	content, err := readFile(c.referencePath(reference), 256)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func (c *chartCache) archivePath(digest string) string {
	return filepath.Join(c.dir, "charts", strings.TrimPrefix(digest, "sha256:")+".tgz")
}

func (c *chartCache) referencePath(reference string) string {
	return filepath.Join(c.dir, "references", strings.TrimPrefix(digestOf([]byte(reference)), "sha256:"))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func isDigest(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok || len(digits) != sha256.Size*2 {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) // the path is the cache's own or was checked to lie in the charts folder
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = file.Close() }()
	return readBounded(file, limit)
}

// writeFile replaces a file as a whole, so that a reader never sees half of it.
func writeFile(path string, content []byte) error {
	const (
		dirMode  fs.FileMode = 0o700
		fileMode fs.FileMode = 0o600
	)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(content)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), fileMode)
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}
