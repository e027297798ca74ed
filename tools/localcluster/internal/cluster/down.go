package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/hosts"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/lock"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/mount"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/process"
)

// killTime is how long killed processes may take to be gone.
const killTime = 20 * time.Second

// Down ends the cluster and removes what it made. The certificate authority and
// the address stay for the next up, unless purge asks for their removal. It
// works on whatever part of a cluster there is.
func (c *Cluster) Down(ctx context.Context, purge bool) error {
	if err := requireRoot(); err != nil {
		return err
	}
	release, err := c.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	group, err := c.group()
	if err != nil {
		return err
	}
	// Every step runs, whatever became of the one before: half of a cluster is
	// harder to explain than one message too many.
	return errors.Join(
		c.steps.Step("end processes", func() error {
			stopErr := c.stopAll(ctx)
			sockets := c.shimSockets()
			killErr := group.Kill(killTime)
			for _, socket := range sockets {
				_ = os.Remove(socket)
			}
			return errors.Join(stopErr, killErr)
		}),
		c.steps.Step("remove mounts, network, control groups", func() error {
			return errors.Join(
				mount.DetachBelow(c.layout.Dir()),
				c.layout.Namespace().Delete(ctx),
				group.Remove(),
				c.removeHosts(ctx),
			)
		}),
		c.steps.Step("remove files", func() error { return c.removeFiles(ctx, purge) }),
	)
}

// stopAll asks every recorded process to end, all at once, and kills those that
// have not within the grace. They need no order: nothing they hold is kept.
func (c *Cluster) stopAll(ctx context.Context) error {
	records, err := filepath.Glob(c.layout.record("*"))
	if err != nil {
		return fmt.Errorf("list process records: %w", err)
	}
	failures := make([]error, len(records))
	var group sync.WaitGroup
	for i, file := range records {
		group.Go(func() {
			record, err := process.Load(file)
			if err == nil {
				err = record.Stop(ctx, stopGrace)
			}
			failures[i] = err
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// shimSockets lists the sockets of the cluster's container shims, which lie in a
// folder that all containerd processes of the machine share. A killed shim
// leaves its own behind.
func (c *Cluster) shimSockets() []string {
	files, err := filepath.Glob(c.layout.path("run", "containerd", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return nil
	}
	var sockets []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if socket, ok := strings.CutPrefix(strings.TrimSpace(string(content)), "unix://"); ok {
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

func (c *Cluster) removeHosts(ctx context.Context) error {
	release, err := lock.Acquire(ctx, filepath.Join(c.layout.Root, ".hosts.lock"))
	if err != nil {
		return err
	}
	defer release()
	_, err = hosts.Rewrite(c.hostsFile, func(content []byte) []byte {
		return hosts.Without(content, c.layout.Name)
	})
	return err
}

func (c *Cluster) removeFiles(ctx context.Context, purge bool) error {
	// Removing below a mount would empty what is mounted.
	points, err := mount.Below(c.layout.Dir())
	if err != nil {
		return err
	}
	if len(points) > 0 {
		return fmt.Errorf("remove files: %d mounts are left below %s, the first at %s; run down again", len(points), c.layout.Dir(), points[0])
	}
	if purge {
		return errors.Join(c.release(ctx), removeAll(c.layout.Dir()))
	}
	entries, err := os.ReadDir(c.layout.Dir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the cluster's folder: %w", err)
	}
	keep := map[string]bool{filepath.Base(c.layout.Authority()): true, filepath.Base(c.layout.authorityKey()): true}
	for _, entry := range entries {
		if keep[entry.Name()] {
			continue
		}
		if err := removeAll(c.layout.path(entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// release gives the cluster's address back.
func (c *Cluster) release(ctx context.Context) error {
	release, err := lock.Acquire(ctx, c.layout.indexLock())
	if err != nil {
		return err
	}
	defer release()
	return c.layout.Index().Release(c.layout.Name)
}

func removeAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
