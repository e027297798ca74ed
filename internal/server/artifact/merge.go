package artifact

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// digestHeader begins the text that the digest of an artifact is taken of.
const digestHeader = "wandb-artifact-manifest-v1\n"

// overlay collects what several manifests change, of which a later one wins.
type overlay struct {
	header  header
	entries map[string]json.RawMessage
	digests map[string]string
}

func newOverlay() *overlay {
	return &overlay{entries: make(map[string]json.RawMessage), digests: make(map[string]string)}
}

// add reads a manifest.
func (o *overlay) add(r io.Reader) error {
	rest, err := readManifest(r, func(e entry) error {
		if len(o.entries) == maxEntries {
			return fmt.Errorf("the manifests have more than %d entries", maxEntries)
		}
		o.entries[e.path], o.digests[e.path] = e.raw, e.digest
		return nil
	})
	if err == nil {
		o.header = rest
	}
	return err
}

// digestLine is one line of the text that the digest of an artifact is taken of.
type digestLine struct{ path, digest string }

// write writes the manifest that the overlay makes of a base, which is nil for none, and returns the artifact's digest.
// Entries keep their text.
func (o *overlay) write(w io.Writer, base io.Reader) (string, error) {
	out := &manifestWriter{w: bufio.NewWriterSize(w, 64<<10)}
	out.begin(o.header)
	var lines []digestLine
	if base != nil {
		if _, err := readManifest(base, func(e entry) error {
			if _, replaced := o.entries[e.path]; replaced {
				return nil
			}
			lines = append(lines, digestLine{e.path, e.digest})
			return out.entry(e.path, e.raw)
		}); err != nil {
			return "", err
		}
	}
	for path, raw := range o.entries {
		lines = append(lines, digestLine{path, o.digests[path]})
		if err := out.entry(path, raw); err != nil {
			return "", err
		}
	}
	if err := out.end(); err != nil {
		return "", err
	}
	return digestOf(lines), nil
}

// digestOf is the digest of an artifact with these entries. The order of paths is that of their bytes.
func digestOf(lines []digestLine) string {
	slices.SortFunc(lines, func(a, b digestLine) int { return strings.Compare(a.path, b.path) })
	sum := md5.New()
	_, _ = io.WriteString(sum, digestHeader)
	for _, line := range lines {
		_, _ = io.WriteString(sum, line.path)
		_, _ = io.WriteString(sum, ":")
		_, _ = io.WriteString(sum, line.digest)
		_, _ = io.WriteString(sum, "\n")
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// manifestWriter writes a manifest an entry at a time.
type manifestWriter struct {
	w   *bufio.Writer
	n   int
	err error
}

func (m *manifestWriter) begin(rest header) {
	m.text("{")
	for _, f := range rest {
		m.member(f.name, f.value)
		m.text(",")
	}
	m.text(`"contents":{`)
}

func (m *manifestWriter) entry(path string, raw json.RawMessage) error {
	if m.n > 0 {
		m.text(",")
	}
	m.n++
	m.member(path, raw)
	return m.err
}

func (m *manifestWriter) end() error {
	m.text("}}")
	if m.err == nil {
		m.err = m.w.Flush()
	}
	return m.err
}

func (m *manifestWriter) member(name string, value json.RawMessage) {
	quoted, err := json.Marshal(name)
	if err != nil && m.err == nil {
		m.err = err
	}
	m.text(string(quoted))
	m.text(":")
	m.text(string(value))
}

func (m *manifestWriter) text(s string) {
	if m.err == nil {
		_, m.err = m.w.WriteString(s)
	}
}
