package server

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// disk is what a machine that loses power would find in a folder: of each file what its last completed sync covered, under
// the names that the last completed sync of their folder covered. It knows no more than the system promises: that a file was
// synced says nothing of its name, and a rename replaces a name only with the sync of the folder.
type disk struct {
	folder  string
	root    *node
	open    map[string]*description
	syncing map[*systemCall]func()
	// survives decides which changes that no sync has covered are on the disk nevertheless, as a machine may have written
	// them; nil for none.
	survives func() bool
}

// node is a file or a folder.
type node struct {
	isFolder bool
	// names are those of now, synced those on stable storage, as of a number of syncs begun.
	names, synced    map[string]*node
	begun, completed int

	stable           []byte
	pending          []change
	changed, settled int   // how many changes there were, and how many of them are stable
	size             int64 // of now
}

// change is a write, or where data is nil a new length.
type change struct {
	at   int64
	data []byte
}

// description is an open file.
type description struct {
	node   *node
	at     int64
	append bool
}

func newFolder() *node {
	return &node{isFolder: true, names: map[string]*node{}, synced: map[string]*node{}}
}

// newDisk follows a folder that exists and is empty.
func newDisk(folder string) *disk {
	return &disk{folder: folder, root: newFolder(), open: map[string]*description{}, syncing: map[*systemCall]func(){}}
}

var (
	errNotFollowed = errors.New("a file was changed in a way that is not understood")
	errNoFile      = errors.New("no such file")
)

// apply follows one moment. A descriptor is free when its close begins, everything else counts when it has ended; a sync
// covers what had ended when it began.
func (d *disk) apply(m moment) error {
	call := m.call
	if !m.ended {
		return d.begin(call)
	}
	if finish := d.syncing[call]; finish != nil {
		delete(d.syncing, call)
		if call.result == 0 {
			finish()
		}
		return nil
	}
	if call.result < 0 || call.name == "close" {
		return nil
	}
	if err := d.end(call, call.split()); err != nil {
		return fmt.Errorf("%s(%.300s): %w", call.name, call.arguments, err)
	}
	return nil
}

func (d *disk) begin(call *systemCall) error {
	fd, _ := described(call.split()[0])
	switch call.name {
	case "close":
		delete(d.open, fd)
	case "fsync", "fdatasync":
		if open := d.open[fd]; open != nil {
			d.syncing[call] = open.node.sync()
		} else if d.mine(call) {
			return fmt.Errorf("%s(%s): %w", call.name, call.arguments, errNoFile)
		}
	}
	return nil
}

// mine tells whether a call names something in the folder.
func (d *disk) mine(call *systemCall) bool {
	_, what := described(call.split()[0])
	return what == d.folder || strings.HasPrefix(what, d.folder+"/")
}

// sync begins to sync, and returns what ends it. Of several syncs at once any may end first.
func (n *node) sync() (finish func()) {
	n.begun++
	turn, names, changed := n.begun, maps.Clone(n.names), n.changed
	return func() {
		if n.isFolder && turn > n.completed {
			n.completed, n.synced = turn, names
		}
		for ; n.settled < changed; n.settled++ {
			n.stable, n.pending = n.pending[0].on(n.stable), n.pending[1:]
		}
	}
}

func (c change) on(content []byte) []byte {
	end := c.at + int64(len(c.data))
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	if c.data == nil {
		return content[:c.at]
	}
	copy(content[c.at:], c.data)
	return content
}

func (n *node) write(c change) {
	n.pending = append(n.pending, c)
	n.changed++
	if n.size = max(n.size, c.at+int64(len(c.data))); c.data == nil {
		n.size = c.at
	}
}

// end follows a call that succeeded.
func (d *disk) end(call *systemCall, arguments []string) error {
	switch call.name {
	case "open", "creat":
		return d.opened(call, slices.Insert(arguments, 0, "AT_FDCWD"))
	case "openat", "openat2":
		return d.opened(call, arguments)
	case "write", "pwrite64", "ftruncate", "lseek":
		return d.changed(call, arguments)
	case "rename":
		return d.renamed("AT_FDCWD", arguments[0], "AT_FDCWD", arguments[1], false)
	case "renameat", "renameat2":
		return d.renamed(arguments[0], arguments[1], arguments[2], arguments[3], false)
	case "link":
		return d.renamed("AT_FDCWD", arguments[0], "AT_FDCWD", arguments[1], true)
	case "linkat":
		return d.renamed(arguments[0], arguments[1], arguments[2], arguments[3], true)
	case "unlink", "rmdir":
		return d.unlinked("AT_FDCWD", arguments[0])
	case "unlinkat":
		return d.unlinked(arguments[0], arguments[1])
	case "mkdir":
		return d.made("AT_FDCWD", arguments[0])
	case "mkdirat":
		return d.made(arguments[0], arguments[1])
	}
	if strings.Contains(call.arguments, d.folder) {
		return errNotFollowed
	}
	return nil
}

func (d *disk) opened(call *systemCall, arguments []string) error {
	parent, name, err := d.resolve(arguments[0], arguments[1])
	if parent == nil || err != nil {
		return err
	}
	flags := strings.Join(arguments[2:], " ")
	n := d.root
	if name != "" {
		n = parent.names[name]
	}
	if n == nil {
		if !strings.Contains(flags, "O_CREAT") && call.name != "creat" {
			return errNoFile
		}
		n = &node{}
		parent.names[name] = n
	}
	if strings.Contains(flags, "O_TRUNC") || call.name == "creat" {
		n.write(change{})
	}
	d.open[strconv.FormatInt(call.result, 10)] = &description{node: n, append: strings.Contains(flags, "O_APPEND")}
	return nil
}

func (d *disk) changed(call *systemCall, arguments []string) error {
	fd, _ := described(arguments[0])
	open := d.open[fd]
	if open == nil {
		if d.mine(call) {
			return errNoFile
		}
		return nil
	}
	switch call.name {
	case "lseek":
		open.at = call.result
		return nil
	case "ftruncate":
		size, err := strconv.ParseInt(arguments[1], 10, 64)
		if err != nil {
			return err
		}
		if size > open.node.size { // zeros
			open.node.write(change{open.node.size, make([]byte, size-open.node.size)})
			return nil
		}
		open.node.write(change{at: size})
		return nil
	}
	text, err := strconv.Unquote(arguments[1])
	if err != nil {
		return fmt.Errorf("read what is written: %w", err)
	}
	c := change{open.at, []byte(text)[:call.result]}
	if call.name == "pwrite64" {
		if c.at, err = strconv.ParseInt(arguments[3], 10, 64); err != nil {
			return err
		}
		open.node.write(c)
		return nil
	}
	if open.append {
		c.at = open.node.size
	}
	open.node.write(c)
	open.at = c.at + call.result
	return nil
}

func (d *disk) renamed(fromFolder, from, toFolder, to string, keep bool) error {
	old, oldName, err := d.resolve(fromFolder, from)
	if err != nil {
		return err
	}
	parent, name, err := d.resolve(toFolder, to)
	if err != nil || old == nil && parent == nil {
		return err
	}
	if old == nil || parent == nil || old.names[oldName] == nil {
		return errNotFollowed
	}
	parent.names[name] = old.names[oldName]
	if !keep && (old != parent || oldName != name) {
		delete(old.names, oldName)
	}
	return nil
}

func (d *disk) unlinked(folder, path string) error {
	parent, name, err := d.resolve(folder, path)
	if parent == nil || err != nil {
		return err
	}
	delete(parent.names, name)
	return nil
}

func (d *disk) made(folder, path string) error {
	parent, name, err := d.resolve(folder, path)
	if parent == nil || err != nil {
		return err
	}
	parent.names[name] = newFolder()
	return nil
}

// resolve finds the folder of a path, nil where it is not in the folder that is followed, and the path's last name.
func (d *disk) resolve(folder, quoted string) (parent *node, name string, err error) {
	path, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, "", fmt.Errorf("read a path: %w", err)
	}
	if !filepath.IsAbs(path) {
		_, base := described(folder)
		path = filepath.Join(base, path)
	}
	relative, err := filepath.Rel(d.folder, filepath.Clean(path))
	if err != nil || relative == ".." || strings.HasPrefix(relative, "../") {
		return nil, "", nil
	}
	if relative == "." {
		return d.root, "", nil
	}
	steps := strings.Split(relative, "/")
	parent = d.root
	for _, step := range steps[:len(steps)-1] {
		if parent = parent.names[step]; parent == nil {
			return nil, "", errNoFile
		}
	}
	return parent, steps[len(steps)-1], nil
}

// image returns what is on the disk: files with what they hold, and folders, whose names end with a slash.
func (d *disk) image() map[string]string {
	found := map[string]string{}
	d.collect("", d.root, found)
	return found
}

func (d *disk) collect(path string, n *node, into map[string]string) {
	for name, child := range n.synced {
		at := path + name
		if child.isFolder {
			into[at+"/"] = ""
			d.collect(at+"/", child, into)
			continue
		}
		content := slices.Clone(child.stable)
		for _, c := range child.pending {
			if d.survives != nil && d.survives() {
				content = c.surviving(content)
			}
		}
		into[at] = string(content)
	}
}

// surviving applies a change of which those before it may be missing.
func (c change) surviving(content []byte) []byte {
	if c.data == nil && c.at > int64(len(content)) {
		return content
	}
	return c.on(content)
}
