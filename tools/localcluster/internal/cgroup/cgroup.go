// Package cgroup gives a cluster control groups of its own.
//
// Each hierarchy of the machine, of version 1 and 2 alike, gets one group with
// the cluster's name. Kubernetes puts its pods below it; the cluster's own
// programs live in its child "system" of one hierarchy, so that whatever they
// start, container shims above all, can be found again.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Hierarchy is one mounted control group tree.
type Hierarchy struct {
	Mount string
	// Unified is true for version 2.
	Unified bool
	// Controllers are the names of a version 1 tree.
	Controllers []string
}

// Hierarchies lists the trees of the machine.
func Hierarchies() ([]Hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list control groups: %w", err)
	}
	defer func() { _ = file.Close() }()
	return parse(file)
}

// parse reads mountinfo lines: the mount point is the fifth field; type, source
// and options follow a lone dash.
func parse(mountinfo io.Reader) ([]Hierarchy, error) {
	const pointField = 4
	var found []Hierarchy
	scanner := bufio.NewScanner(mountinfo)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		dash := slices.Index(fields, "-")
		if dash < 0 || len(fields) < dash+4 || len(fields) <= pointField {
			continue
		}
		point := fields[pointField]
		// Only the machine's own trees count; a container's view of them may be
		// mounted below other folders.
		if !strings.HasPrefix(point, "/sys/fs/cgroup") {
			continue
		}
		switch fields[dash+1] {
		case "cgroup2":
			found = append(found, Hierarchy{Mount: point, Unified: true})
		case "cgroup":
			found = append(found, Hierarchy{Mount: point, Controllers: strings.Split(fields[dash+3], ",")})
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read control group mounts: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New("find control groups: none is mounted below /sys/fs/cgroup; mount cgroup2 there")
	}
	return found, nil
}

// Group is the cluster's group in every hierarchy.
type Group struct {
	Name        string
	Hierarchies []Hierarchy
}

// Ensure makes the group in every hierarchy and returns the cgroup.procs file
// of the child in which the cluster's programs live.
func (g Group) Ensure() (procs string, err error) {
	for _, h := range g.Hierarchies {
		dir := filepath.Join(h.Mount, g.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("create control group: %w", err)
		}
		// A new version 1 cpuset is empty and accepts no process.
		if slices.Contains(h.Controllers, "cpuset") {
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := inherit(h.Mount, dir, file); err != nil {
					return "", err
				}
			}
		}
	}
	dir := filepath.Join(g.tracking().Mount, g.Name, "system")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create control group of the cluster's programs: %w", err)
	}
	return filepath.Join(dir, "cgroup.procs"), nil
}

// tracking is the hierarchy that follows the cluster's programs: version 2
// where there is one, since joining it changes no resource limit.
func (g Group) tracking() Hierarchy {
	for _, h := range g.Hierarchies {
		if h.Unified {
			return h
		}
	}
	for _, h := range g.Hierarchies {
		if slices.Contains(h.Controllers, "pids") {
			return h
		}
	}
	return g.Hierarchies[0]
}

// Processes lists the ids of the processes in the group, in any hierarchy.
func (g Group) Processes() ([]int, error) {
	seen := map[int]bool{}
	for _, h := range g.Hierarchies {
		err := filepath.WalkDir(filepath.Join(h.Mount, g.Name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
				return err
			}
			for _, line := range strings.Fields(string(content)) {
				if pid, err := strconv.Atoi(line); err == nil && pid > 1 {
					seen[pid] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list processes of control group: %w", err)
		}
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// Kill ends every process in the group and waits until none is left.
func (g Group) Kill(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		pids, err := g.Processes()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("end the processes of control group %s: %v are left after %s", g.Name, pids, limit)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d of control group %s: %w", pid, g.Name, err)
			}
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// Remove removes the empty group from every hierarchy.
func (g Group) Remove() error {
	var failed []error
	for _, h := range g.Hierarchies {
		if err := removeTree(filepath.Join(h.Mount, g.Name)); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Exists tells whether the group is left in any hierarchy.
func (g Group) Exists() bool {
	for _, h := range g.Hierarchies {
		if _, err := os.Stat(filepath.Join(h.Mount, g.Name)); err == nil {
			return true
		}
	}
	return false
}

// removeTree removes a group with its children: only the folders can be
// removed, deepest first, and the kernel may need a moment after the last
// process has gone.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list control group: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	const attempts = 100
	for range attempts {
		err = unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove control group %s: %w", dir, err)
}

func inherit(parent, child, file string) error {
	current, err := os.ReadFile(filepath.Join(child, file))
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if strings.TrimSpace(string(current)) != "" {
		return nil
	}
	value, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return fmt.Errorf("read %s of the parent: %w", file, err)
	}
	if err := os.WriteFile(filepath.Join(child, file), value, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
