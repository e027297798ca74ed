package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// maxEntry bounds one entry of a manifest, and everything outside of its contents.
	maxEntry = 1 << 20
	// maxEntries bounds what a commit holds in memory: 40 bytes each.
	maxEntries = 4 << 20
)

// entry is one path of a manifest.
type entry struct {
	path string
	// digest is the MD5 in base64 of bytes that are stored here, and anything of a reference.
	digest string
	// ref is the address of bytes that are kept elsewhere; "" for what is stored here.
	ref  string
	size int64
	// raw is the entry as it is written, with keys that mean nothing here.
	raw json.RawMessage
	// end is the place behind the entry in what was read.
	end int64
}

// wireEntry is the JSON of an entry. What is missing or null is empty.
type wireEntry struct {
	Digest string      `json:"digest"`
	Ref    string      `json:"ref"`
	Size   json.Number `json:"size"`
}

// header is what a manifest holds beside its contents, as it is written and in that order.
type header []field

type field struct {
	name  string
	value json.RawMessage
}

// readManifest calls visit with each entry, in the order of the text, and returns the rest. It holds one entry at a time.
func readManifest(r io.Reader, visit func(entry) error) (header, error) {
	d := newDecoder(r)
	if err := d.open('{'); err != nil {
		return nil, err
	}
	var rest header
	contents := false
	for d.More() {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		if name == "contents" {
			if contents {
				return nil, errors.New("the manifest has contents twice")
			}
			contents = true
			if err := d.contents(visit); err != nil {
				return nil, err
			}
			continue
		}
		var value json.RawMessage
		if err := d.value(&value); err != nil {
			return nil, err
		}
		rest = append(rest, field{name: name, value: value})
	}
	if err := d.close('}'); err != nil {
		return nil, err
	}
	if !contents {
		return nil, errors.New("the manifest has no contents")
	}
	return rest, nil
}

// readEntries calls visit with each entry of a text that begins inside of the contents of a manifest, behind an entry. The
// places of entries count from there.
func readEntries(r io.Reader, visit func(entry) error) error {
	var first [1]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	// What stands there is the comma before the next entry, or the end.
	switch first[0] {
	case '}':
		return nil
	case ',':
	default:
		return errors.New("no entry of the manifest ends there")
	}
	return newDecoder(io.MultiReader(bytes.NewReader([]byte{'{'}), r)).contents(visit)
}

// decoder reads JSON a piece at a time, none of which is longer than maxEntry.
type decoder struct {
	*json.Decoder
	source *bounded
}

func newDecoder(r io.Reader) *decoder {
	source := &bounded{r: r}
	d := &decoder{Decoder: json.NewDecoder(source), source: source}
	source.consumed = d.InputOffset
	return d
}

// bounded fails where the decoder has read far more than it has made something of.
type bounded struct {
	r        io.Reader
	n        int64
	consumed func() int64
}

var errTooLong = errors.New("an entry of the manifest is too long")

// Read reads up to the bound.
func (b *bounded) Read(p []byte) (int, error) {
	left := 2*maxEntry - (b.n - b.consumed())
	if left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), left)])
	b.n += int64(n)
	return n, err
}

func malformed(err error) error { return fmt.Errorf("the manifest is malformed: %w", err) }

func (d *decoder) open(want json.Delim) error { return d.delimiter(want) }

func (d *decoder) close(want json.Delim) error { return d.delimiter(want) }

func (d *decoder) delimiter(want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return malformed(err)
	}
	if token != want {
		return fmt.Errorf("the manifest is malformed: %v stands where %v should", token, want)
	}
	return nil
}

func (d *decoder) name() (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", malformed(err)
	}
	name, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("the manifest is malformed: %v stands where a name should", token)
	}
	return name, nil
}

func (d *decoder) value(into *json.RawMessage) error {
	if err := d.Decode(into); err != nil {
		return malformed(err)
	}
	if len(*into) > maxEntry {
		return errTooLong
	}
	return nil
}

func (d *decoder) contents(visit func(entry) error) error {
	if err := d.open('{'); err != nil {
		return err
	}
	for n := 0; d.More(); n++ {
		if n == maxEntries {
			return fmt.Errorf("the manifest has more than %d entries", maxEntries)
		}
		path, err := d.name()
		if err != nil {
			return err
		}
		e := entry{path: path}
		if err := d.value(&e.raw); err != nil {
			return err
		}
		if err := e.decode(); err != nil {
			return fmt.Errorf("the entry %q of the manifest is malformed: %w", path, err)
		}
		e.end = d.InputOffset()
		if err := visit(e); err != nil {
			return err
		}
	}
	return d.close('}')
}

func (e *entry) decode() error {
	if len(e.raw) == 0 || e.raw[0] != '{' {
		return errors.New("it is no object")
	}
	var wire wireEntry
	if err := json.Unmarshal(e.raw, &wire); err != nil {
		return err
	}
	e.digest, e.ref = wire.Digest, wire.Ref
	if wire.Size == "" {
		return nil
	}
	size, err := strconv.ParseInt(wire.Size.String(), 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("its size is %s", wire.Size)
	}
	e.size = size
	return nil
}
