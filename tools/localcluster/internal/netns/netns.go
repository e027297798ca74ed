// Package netns makes the network namespace in which a cluster lives and dials
// into it from the outside.
//
// The namespace holds a bridge that carries the node's address, and nothing
// else: no pair to the host, so no packet can leave.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// folder is where iproute2 keeps named namespaces.
const folder = "/run/netns"

// commandTime bounds each call of ip(8), which takes milliseconds.
const commandTime = 20 * time.Second

// Namespace is a named network namespace.
type Namespace struct{ Name string }

// Path is the file that stands for the namespace.
func (n Namespace) Path() string { return filepath.Join(folder, n.Name) }

// Exists tells whether the namespace is there and usable: the file alone, left
// by a torn delete, is no namespace.
func (n Namespace) Exists() bool {
	var fs unix.Statfs_t
	return unix.Statfs(n.Path(), &fs) == nil && fs.Type == unix.NSFS_MAGIC
}

// Ensure makes the namespace with a bridge of the given name that carries
// address (with prefix length). A namespace that is there already is completed.
func (n Namespace) Ensure(ctx context.Context, bridge, address string) error {
	if !n.Exists() {
		if err := n.Delete(ctx); err != nil {
			return err
		}
		if err := ip(ctx, "netns", "add", n.Name); err != nil {
			return err
		}
	}
	gateway, _, err := net.ParseCIDR(address)
	if err != nil {
		return fmt.Errorf("parse node address: %w", err)
	}
	if err := ip(ctx, "-n", n.Name, "link", "set", "lo", "up"); err != nil {
		return err
	}
	if err := ip(ctx, "-n", n.Name, "link", "show", "dev", bridge); err != nil {
		if err := ip(ctx, "-n", n.Name, "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"address", "replace", address, "dev", bridge},
		{"link", "set", bridge, "up"},
		// Components look for a default route to learn the node's address. This
		// one leads onto the bridge, where nobody else is.
		{"route", "replace", "default", "dev", bridge, "src", gateway.String()},
	} {
		if err := ip(ctx, append([]string{"-n", n.Name}, args...)...); err != nil {
			return err
		}
	}
	return n.inside(func() error {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			return fmt.Errorf("switch on forwarding: %w", err)
		}
		return nil
	})
}

// Delete removes the namespace with every interface in it.
func (n Namespace) Delete(ctx context.Context) error {
	if _, err := os.Lstat(n.Path()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if n.Exists() {
		return ip(ctx, "netns", "delete", n.Name)
	}
	if err := os.Remove(n.Path()); err != nil {
		return fmt.Errorf("remove stale namespace file: %w", err)
	}
	return nil
}

// DialContext dials from inside the namespace. The connection works from any
// thread afterwards: a socket keeps the namespace in which it was made.
func (n Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := n.inside(func() error {
		var dialErr error
		// A literal address is dialled on the calling goroutine, which is bound
		// to the thread that has entered the namespace.
		conn, dialErr = (&net.Dialer{}).DialContext(ctx, network, address)
		return dialErr
	})
	return conn, err
}

// inside runs work on a thread that has entered the namespace.
func (n Namespace) inside(work func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, so no other
		// goroutine can find itself in the namespace.
		runtime.LockOSThread()
		file, err := os.Open(n.Path())
		if err != nil {
			result <- fmt.Errorf("open network namespace: %w", err)
			return
		}
		defer func() { _ = file.Close() }()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter network namespace %s (root is needed): %w", n.Name, err)
			return
		}
		result <- work()
	}()
	return <-result
}

func ip(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
