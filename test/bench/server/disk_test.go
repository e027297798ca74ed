package server

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// disk is what a machine that loses power would find in a folder that one program changes: of each file what its last completed sync covered, under
// the names that the last completed sync of their folder covered. It knows no more than the system promises: that a file was
// synced says nothing of its name, and a rename replaces a name only with the sync of the folder.
type disk struct {
	folder string
	// top and here are the root and the working folder of the program, as far as the trace tells.
	top, here string

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

// load takes what is in the folder for synced.
func (d *disk) load() error { return d.root.load(d.folder) }

func (n *node) load(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path, child := filepath.Join(folder, entry.Name()), &node{}
		switch {
		case entry.IsDir():
			child = newFolder()
			err = child.load(path)
		case entry.Type().IsRegular():
			child.stable, err = os.ReadFile(path)
			child.size = int64(len(child.stable))
		default:
			continue // the socket of a database
		}
		if err != nil {
			return err
		}
		n.names[entry.Name()], n.synced[entry.Name()] = child, child
	}
	return nil
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
	case "write", "pwrite64", "ftruncate", "fallocate", "lseek":
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
	case "dup", "dup2", "dup3":
		return d.doubled(call, arguments)
	case "chdir", "fchdir", "chroot":
		return d.moved(call.name, arguments[0])
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
		return open.node.truncate(arguments[1])
	case "fallocate":
		return open.node.allocate(arguments[1], arguments[2], arguments[3])
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

func (n *node) truncate(argument string) error {
	size, err := strconv.ParseInt(argument, 10, 64)
	if err != nil {
		return err
	}
	if size > n.size {
		n.zero(n.size, size)
		return nil
	}
	n.write(change{at: size})
	return nil
}

func (n *node) zero(from, to int64) { n.write(change{from, make([]byte, to-from)}) }

func (n *node) allocate(mode, from, length string) error {
	at, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return err
	}
	switch mode {
	case "FALLOC_FL_KEEP_SIZE": // nothing that anybody reads
	case "0":
		if at+size > n.size {
			n.zero(n.size, at+size)
		}
	case "FALLOC_FL_ZERO_RANGE":
		n.zero(at, at+size)
	case "FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE":
		if at < n.size {
			n.zero(at, min(at+size, n.size))
		}
	default:
		return errNotFollowed
	}
	return nil
}

func (d *disk) doubled(call *systemCall, arguments []string) error {
	fd, _ := described(arguments[0])
	open := d.open[fd]
	if open == nil && d.mine(call) {
		return errNoFile
	}
	delete(d.open, strconv.FormatInt(call.result, 10))
	if open != nil {
		d.open[strconv.FormatInt(call.result, 10)] = open
	}
	return nil
}

func (d *disk) moved(how, to string) (err error) {
	path := ""
	if _, path = described(to); how != "fchdir" {
		if path, err = strconv.Unquote(to); err != nil {
			return fmt.Errorf("read a path: %w", err)
		}
		path = d.absolute("AT_FDCWD", path)
	}
	if how == "chroot" {
		d.top = path
	} else {
		d.here = path
	}
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

// absolute is a path as this machine sees it.
func (d *disk) absolute(folder, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Join(d.top, path)
	}
	_, base := described(folder)
	if base == "" {
		base = d.here
	}
	return filepath.Join(base, path)
}

// resolve finds the folder of a path, nil where it is not in the folder that is followed, and the path's last name.
func (d *disk) resolve(folder, quoted string) (parent *node, name string, err error) {
	path, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, "", fmt.Errorf("read a path: %w", err)
	}
	path = d.absolute(folder, path)
	if !filepath.IsAbs(path) {
		return nil, "", errNotFollowed
	}
	relative, err := filepath.Rel(d.folder, path)
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

// unsynced is how many changes no sync has covered of files whose names end so.
func (d *disk) unsynced(ending string) int { return d.root.unsynced(ending) }

func (n *node) unsynced(ending string) (count int) {
	for name, child := range n.names {
		if strings.HasSuffix(name, ending) {
			count += len(child.pending)
		}
		count += child.unsynced(ending)
	}
	return count
}

// image is what is on a disk: files with what they hold, and folders, whose names end with a slash.
type image map[string][]byte

// image returns what is on the disk. It holds until the next moment is applied.
func (d *disk) image() image {
	found := image{}
	d.collect("", d.root, found)
	return found
}

func (d *disk) collect(path string, n *node, into image) {
	for name, child := range n.synced {
		at := path + name
		if child.isFolder {
			into[at+"/"] = nil
			d.collect(at+"/", child, into)
			continue
		}
		content, own := child.stable, false
		for _, c := range child.pending {
			if d.survives == nil || !d.survives() {
				continue
			}
			if !own {
				content, own = slices.Clone(content), true
			}
			content = c.surviving(content)
		}
		into[at] = content
	}
}

// surviving applies a change of which those before it may be missing.
func (c change) surviving(content []byte) []byte {
	if c.data == nil && c.at > int64(len(content)) {
		return content
	}
	return c.on(content)
}
