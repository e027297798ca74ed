// Package hosts keeps one marked block per cluster in a hosts file.
//
// Programs built without a C library, Python and browsers agree on only one
// source of names that a tool can extend without a resolver of its own: the
// hosts file. Everything outside the cluster's own block stays byte for byte.
package hosts

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Path is the hosts file of the machine.
const Path = "/etc/hosts"

// maxSize bounds what is read: a larger hosts file is not one.
const maxSize = 4 << 20

func begin(cluster string) string {
	return "# BEGIN kubewandb localcluster " + cluster
}

func end(cluster string) string {
	return "# END kubewandb localcluster " + cluster
}

// With returns content with the cluster's block, which maps names to address,
// in place of any block the cluster had before.
func With(content []byte, cluster, address string, names []string) []byte {
	kept := Without(content, cluster)
	if len(kept) > 0 && kept[len(kept)-1] != '\n' {
		kept = append(kept, '\n')
	}
	block := fmt.Sprintf("%s\n%s %s\n%s\n", begin(cluster), address, strings.Join(names, " "), end(cluster))
	return append(kept, block...)
}

// Without returns content without the cluster's blocks. A block whose end is
// missing, left by a torn write, reaches only to the last line that the tool
// itself could have written: an entry of a loopback address in 127.77.0.0/16.
func Without(content []byte, cluster string) []byte {
	var kept []byte
	inside := false
	for _, line := range bytes.SplitAfter(content, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		switch {
		case text == begin(cluster):
			inside = true
		case inside && text == end(cluster):
			inside = false
		case inside && strings.HasPrefix(text, "127.77."):
		default:
			inside = false
			kept = append(kept, line...)
		}
	}
	return kept
}

// Has tells whether content holds a block of the cluster.
func Has(content []byte, cluster string) bool {
	return !bytes.Equal(Without(content, cluster), content)
}

// Rewrite applies edit to the file at path and reports whether it changed. The
// file is written in place: a rename would fail where the file is a bind mount,
// and would detach it from what is mounted elsewhere.
func Rewrite(path string, edit func([]byte) []byte) (changed bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("open hosts file: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close hosts file: %w", closeErr)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("inspect hosts file: %w", err)
	}
	if info.Size() > maxSize {
		return false, fmt.Errorf("read hosts file %s: %d bytes are more than a hosts file has; check the path", path, info.Size())
	}
	before := make([]byte, info.Size())
	if n, err := file.ReadAt(before, 0); err != nil && n != len(before) {
		return false, fmt.Errorf("read hosts file: %w", err)
	}
	after := edit(bytes.Clone(before))
	if bytes.Equal(before, after) {
		return false, nil
	}
	if _, err := file.WriteAt(after, 0); err != nil {
		return false, fmt.Errorf("write hosts file: %w", err)
	}
	if err := file.Truncate(int64(len(after))); err != nil {
		return false, fmt.Errorf("shorten hosts file: %w", err)
	}
	return true, nil
}
