package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/address"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/build"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/debian"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/hosts"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/image"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/kernel"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/lock"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/process"
)

const (
	// lockTime is how long a command waits for another one on the same cluster.
	lockTime = 20 * time.Minute
	// startTime bounds the start of one component: seconds on an idle machine,
	// several times that on a busy one.
	startTime = 3 * time.Minute
	// stuckTime is what a component that runs already gets to become healthy
	// before it is started anew.
	stuckTime = 20 * time.Second
	// stopGrace is what a component gets to end when it is asked to.
	stopGrace = 3 * time.Second
)

// Up brings the cluster up, or what is missing of it. source is the folder of
// the node's module, or empty to look for it.
func (c *Cluster) Up(ctx context.Context, source string) error {
	if err := requireRoot(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	release, err := c.hold(ctx)
	if err != nil {
		return err
	}
	defer release()

	out, err := c.prepare(ctx, source)
	if err != nil {
		return err
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	var procs string
	if err := c.steps.Step("network, control groups, certificates", func() error {
		if err := kernel.RaiseLimits(); err != nil {
			return err
		}
		if !c.layout.Namespace().Exists() {
			// What may be left of an older run lives in a network that nobody can
			// reach any more; the kubelet would take its pods for well.
			if err := group.Kill(killTime); err != nil {
				return err
			}
		}
		if err := c.layout.Namespace().Ensure(ctx, nodeBridge, nodePrefix); err != nil {
			return err
		}
		if procs, err = group.Ensure(); err != nil {
			return err
		}
		return errors.Join(c.writeCertificates(), c.linkPrograms(out), c.writeHosts())
	}); err != nil {
		return err
	}
	started, err := c.startStages(ctx, out, procs)
	if err != nil {
		return err
	}
	return c.verify(ctx, started)
}

// hold takes the cluster's lock, so that up and down of one cluster never mix.
func (c *Cluster) hold(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	return lock.Acquire(ctx, c.layout.Lock())
}

// prepare installs and builds what the cluster runs, and finds its address.
func (c *Cluster) prepare(ctx context.Context, source string) (build.Output, error) {
	if packages := debian.Missing(); len(packages) > 0 {
		if err := c.steps.Step("install "+strings.Join(packages, " "), func() error {
			log, err := c.openLog("apt")
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			if err := debian.Install(ctx, packages, log); err != nil {
				return fmt.Errorf("%w (see %s)", err, c.layout.log("apt"))
			}
			return nil
		}); err != nil {
			return build.Output{}, err
		}
	}
	if err := c.findPrograms(); err != nil {
		return build.Output{}, err
	}
	if err := c.allocate(ctx); err != nil {
		return build.Output{}, err
	}
	return c.build(ctx, source)
}

// Assets builds the programs and returns the folder for envtest.
func (c *Cluster) Assets(ctx context.Context, source string) (string, error) {
	out, err := c.build(ctx, source)
	return out.Kubernetes, err
}

func (c *Cluster) build(ctx context.Context, source string) (build.Output, error) {
	found, err := build.FindSource(source)
	if err != nil {
		return build.Output{}, err
	}
	if err := os.MkdirAll(c.layout.Cache, 0o755); err != nil {
		return build.Output{}, fmt.Errorf("create cache folder: %w", err)
	}
	logFile := filepath.Join(c.layout.Cache, "build.log")
	log, err := os.Create(logFile)
	if err != nil {
		return build.Output{}, fmt.Errorf("create build log: %w", err)
	}
	defer func() { _ = log.Close() }()
	builder := build.Builder{Source: found, Cache: c.layout.Cache, Log: log}
	missing, err := builder.Missing()
	if err != nil {
		return build.Output{}, err
	}
	if len(missing) == 0 {
		return builder.Ensure(ctx)
	}
	var out build.Output
	err = c.steps.Step("build "+strings.Join(missing, ", ")+" (once)", func() error {
		out, err = builder.Ensure(ctx)
		return err
	})
	return out, err
}

// allocate finds or chooses the cluster's loopback address.
func (c *Cluster) allocate(ctx context.Context) error {
	release, err := lock.Acquire(ctx, c.layout.indexLock())
	if err != nil {
		return err
	}
	defer release()
	n, err := c.layout.Index().Allocate(c.layout.Name, func(n int) bool {
		listener, err := net.Listen("tcp", address.Loopback(n)+":6443")
		if err != nil {
			return false
		}
		return listener.Close() == nil
	})
	if err != nil {
		return err
	}
	c.address = address.Loopback(n)
	return nil
}

func (c *Cluster) writeHosts() error {
	release, err := lock.Acquire(context.Background(), filepath.Join(c.layout.Root, ".hosts.lock"))
	if err != nil {
		return err
	}
	defer release()
	_, err = hosts.Rewrite(c.hostsFile, func(content []byte) []byte {
		return hosts.With(content, c.layout.Name, c.address, c.layout.Names())
	})
	return err
}

// linkPrograms fills the bin folder.
func (c *Cluster) linkPrograms(out build.Output) error {
	if err := os.RemoveAll(c.layout.Bin()); err != nil {
		return fmt.Errorf("clear program folder: %w", err)
	}
	if err := os.MkdirAll(c.layout.Bin(), 0o755); err != nil {
		return fmt.Errorf("create program folder: %w", err)
	}
	entries, err := os.ReadDir(out.Kubernetes)
	if err != nil {
		return fmt.Errorf("list built programs: %w", err)
	}
	for _, entry := range entries {
		if err := os.Symlink(filepath.Join(out.Kubernetes, entry.Name()), filepath.Join(c.layout.Bin(), entry.Name())); err != nil {
			return fmt.Errorf("link program: %w", err)
		}
	}
	return nil
}

// startStages starts what does not run, stage by stage, and returns how many
// components it started.
func (c *Cluster) startStages(ctx context.Context, out build.Output, procs string) (int, error) {
	var started atomic.Int32
	for number := range c.stages(out) {
		// The second stage has the runtime, whose configuration names the pause
		// image by the digest that the first stage's registry gives it.
		if number == 1 {
			if err := c.pushPause(ctx, filepath.Join(out.Services, "pause")); err != nil {
				return 0, err
			}
			if err := c.writeConfigs(); err != nil {
				return 0, err
			}
		}
		if number == 2 {
			if err := c.bootstrap(ctx); err != nil {
				return 0, err
			}
		}
		var group sync.WaitGroup
		members := c.stages(out)[number]
		failures := make([]error, len(members))
		for i, member := range members {
			group.Go(func() {
				fresh, err := c.ensure(ctx, member, procs)
				failures[i] = err
				if fresh {
					started.Add(1)
				}
			})
		}
		group.Wait()
		if err := errors.Join(failures...); err != nil {
			return 0, err
		}
	}
	return int(started.Load()), nil
}

// ensure leaves a healthy component with the same digest alone and starts any
// other; fresh says that it was started.
func (c *Cluster) ensure(ctx context.Context, x component, procs string) (fresh bool, err error) {
	network, err := namespaceIdentity(c.layout.Namespace().Path())
	if err != nil {
		return false, err
	}
	digest, err := c.digest(x, network)
	if err != nil {
		return false, err
	}
	record, err := process.Load(c.layout.record(x.name))
	if err != nil {
		return false, err
	}
	if record.Alive() && record.Digest == digest {
		if await(ctx, stuckTime, nil, x.healthy) == nil {
			return false, nil
		}
	}
	return true, c.steps.Step(x.name, func() error {
		if err := record.Stop(ctx, stopGrace); err != nil {
			return err
		}
		return c.start(ctx, x, procs, digest)
	})
}

func (c *Cluster) start(ctx context.Context, x component, procs, digest string) error {
	files, err := listen(ctx, x.listens)
	if err != nil {
		return err
	}
	defer func() {
		for _, file := range files {
			_ = file.Close()
		}
	}()
	record, ended, err := process.Start(process.Spec{
		Argv: x.argv, Namespace: c.layout.Namespace().Path(), Log: c.layout.log(x.name),
		Files: files, Cgroup: procs, Digest: digest,
	})
	if err != nil {
		return err
	}
	if err := record.Save(c.layout.record(x.name)); err != nil {
		return err
	}
	if err := await(ctx, startTime, ended, x.healthy); err != nil {
		return fmt.Errorf("wait for %s: %w; the end of its log %s:\n%s", x.name, err, c.layout.log(x.name), tail(c.layout.log(x.name), 8))
	}
	return nil
}

// listen opens listeners on the machine, for a process to inherit.
func listen(ctx context.Context, addresses []string) ([]*os.File, error) {
	var files []*os.File
	for _, one := range addresses {
		file, err := listenOne(ctx, one)
		if err != nil {
			for _, opened := range files {
				_ = opened.Close()
			}
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func listenOne(ctx context.Context, one string) (*os.File, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", one)
	if err != nil {
		return nil, fmt.Errorf("listen on the machine (does another program use %s?): %w", one, err)
	}
	defer func() { _ = listener.Close() }()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listen on %s: not a TCP listener", one)
	}
	file, err := tcp.File()
	if err != nil {
		return nil, fmt.Errorf("hand over listener %s: %w", one, err)
	}
	return file, nil
}

// pushPause puts the image of each pod's first process into the registry.
func (c *Cluster) pushPause(ctx context.Context, program string) error {
	pushed, err := image.PushPause(ctx, program, c.Registry())
	if err != nil {
		return err
	}
	c.pauseImage = pushed.Reference()
	return nil
}

// bootstrap applies what the cluster's own programs need in the API.
func (c *Cluster) bootstrap(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	objects, err := render("bootstrap.yaml", c.settings())
	if err != nil {
		return err
	}
	// The built-in roles and namespaces appear moments after the API server is
	// ready for the first time.
	return await(ctx, startTime, nil, func(context.Context) error { return client.Apply(ctx, objects) })
}

// namespaceIdentity tells one network namespace from another of the same name:
// a process in an older one has to be started anew.
func namespaceIdentity(path string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return "", fmt.Errorf("inspect network namespace: %w", err)
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), nil
}

func (c *Cluster) openLog(name string) (*os.File, error) {
	if err := os.MkdirAll(c.layout.Logs(), 0o755); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	file, err := os.OpenFile(c.layout.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return file, nil
}
