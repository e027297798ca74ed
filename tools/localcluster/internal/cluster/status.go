package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/address"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/build"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/image"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/process"
)

// ErrNotRunning is returned for a cluster that is down, or not wholly up.
var ErrNotRunning = errors.New("the cluster does not run; start it with `localcluster up`")

// locate finds the address of a cluster that up has made.
func (c *Cluster) locate() error {
	n, ok, err := c.layout.Index().Lookup(c.layout.Name)
	if err != nil {
		return err
	}
	if _, statErr := os.Stat(c.layout.Kubeconfig()); !ok || statErr != nil {
		return ErrNotRunning
	}
	c.address = address.Loopback(n)
	return nil
}

// Status writes a table of the components; the error tells whether one of them,
// or the node, is not well.
func (c *Cluster) Status(ctx context.Context, out io.Writer) error {
	if err := c.locate(); err != nil {
		return err
	}
	checks := map[string]check{}
	for _, members := range c.stages(build.Output{}) {
		for _, member := range members {
			checks[member.name] = member.healthy
		}
	}
	const unit = 1 << 20
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "COMPONENT\tPID\tMIB\tSTATE")
	var sick []error
	for _, name := range componentNames() {
		record, err := process.Load(c.layout.record(name))
		if err != nil {
			return err
		}
		state := "ok"
		switch {
		case !record.Alive():
			state = "not running"
		default:
			once, cancel := context.WithTimeout(ctx, checkTime)
			if err := checks[name](once); err != nil {
				state = err.Error()
			}
			cancel()
		}
		if state != "ok" {
			sick = append(sick, fmt.Errorf("%s: %s", name, state))
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", name, record.PID, record.ResidentBytes()/unit, state)
	}
	once, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	state := "Ready"
	if err := c.nodeReady(once); err != nil {
		state = err.Error()
		sick = append(sick, fmt.Errorf("node: %s", state))
	}
	_, _ = fmt.Fprintf(table, "node\t\t\t%s\n", state)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	if err := errors.Join(sick...); err != nil {
		return fmt.Errorf("the cluster is not well; `localcluster up` repairs it: %w", err)
	}
	return nil
}

// Variable is one line of Env.
type Variable struct{ Name, Value string }

// Env lists what programs need to know to use the cluster.
func (c *Cluster) Env() ([]Variable, error) {
	if err := c.locate(); err != nil {
		return nil, err
	}
	registry := c.Registry()
	return []Variable{
		{"KUBECONFIG", c.layout.Kubeconfig()},
		{"CA_FILE", c.layout.Authority()},
		{"ADDRESS", c.address},
		{"REGISTRY", registry.Pull},
		{"REGISTRY_HOST", registry.Push},
		{"BIN", c.layout.Bin()},
	}, nil
}

// Load pushes an image archive to the cluster's registry.
func (c *Cluster) Load(ctx context.Context, archive string) ([]image.Pushed, error) {
	if err := c.locate(); err != nil {
		return nil, err
	}
	return image.Load(ctx, archive, c.Registry())
}

// Logs copies the last lines of a component's log to out and, when follow is
// set, what is added until ctx ends.
func (c *Cluster) Logs(ctx context.Context, name string, lines int, follow bool, out io.Writer) error {
	path := c.layout.log(name)
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		known, _ := filepath.Glob(filepath.Join(c.layout.Logs(), "*.log"))
		for i := range known {
			known[i] = filepath.Base(known[i][:len(known[i])-len(".log")])
		}
		return fmt.Errorf("find the log of %q: there are %v", name, known)
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := fmt.Fprintln(out, tail(path, lines)); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	if !follow {
		return nil
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	const pause = 300 * time.Millisecond
	for {
		if _, err := io.Copy(out, file); err != nil {
			return fmt.Errorf("copy log: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
