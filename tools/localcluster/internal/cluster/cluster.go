package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/cgroup"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/image"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/progress"
)

// Cluster is one cluster of this machine, running or not.
type Cluster struct {
	layout Layout
	steps  *progress.Printer
	// hostsFile is the hosts file of the machine.
	hostsFile string

	// address is the cluster's loopback address, known once it has one.
	address string
	// pauseImage is the reference that the runtime pulls, known once pushed.
	pauseImage string
	// programs are the absolute paths of Debian's programs.
	programs map[string]string
}

// New returns the cluster of the layout; steps are printed to the printer.
func New(layout Layout, steps *progress.Printer, hostsFile string) *Cluster {
	return &Cluster{layout: layout, steps: steps, hostsFile: hostsFile, programs: map[string]string{}}
}

// group is the cluster's control group.
func (c *Cluster) group() (cgroup.Group, error) {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return cgroup.Group{}, err
	}
	return cgroup.Group{Name: c.layout.group(), Hierarchies: hierarchies}, nil
}

// Registry is the cluster's registry under both its addresses.
func (c *Cluster) Registry() image.Registry {
	return image.Registry{Push: c.address + ":" + registryPort, Pull: PullRegistry}
}

// findPrograms looks up what Debian installs.
func (c *Cluster) findPrograms() error {
	for _, name := range []string{"containerd"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if path, err = filepath.Abs(path); err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		c.programs[name] = path
	}
	return nil
}

func requireRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("run localcluster: it makes namespaces and control groups, which only root may; use sudo (you are user %d)", os.Geteuid())
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return content, nil
}

// tail returns the last lines of a log, for error messages.
func tail(path string, lines int) string {
	const most = 8 << 10
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	start := max(0, info.Size()-most)
	content := make([]byte, info.Size()-start)
	if n, err := file.ReadAt(content, start); err != nil && n == 0 {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
