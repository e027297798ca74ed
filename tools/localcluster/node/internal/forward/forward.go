// Package forward copies connections from listeners of the machine's network to
// addresses of the node's.
//
// The process lives in the node's network namespace and inherits listeners that
// were opened outside: a socket stays in the namespace in which it was made. So
// no thread ever changes its namespace, and the machine and the node share
// neither an interface nor a route.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// firstDescriptor is the first one after standard input, output and error.
const firstDescriptor = 3

// dialTime bounds a connection to the node: it is on the same machine.
const dialTime = 5 * time.Second

// Run serves descriptor 3+i by connecting to targets[i], until ctx ends.
func Run(ctx context.Context, targets []string, log *slog.Logger) error {
	listeners := make([]net.Listener, 0, len(targets))
	for i, target := range targets {
		file := os.NewFile(uintptr(firstDescriptor+i), target)
		listener, err := net.FileListener(file)
		if err != nil {
			return fmt.Errorf("take over the listener of %s (descriptor %d): %w", target, firstDescriptor+i, err)
		}
		_ = file.Close()
		listeners = append(listeners, listener)
	}
	return Serve(ctx, listeners, targets, log)
}

// Serve copies what listeners[i] accepts to and from targets[i].
func Serve(ctx context.Context, listeners []net.Listener, targets []string, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(listeners))
	for i, listener := range listeners {
		go func() { failed <- accept(ctx, listener, targets[i], log) }()
	}
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-failed:
	}
	for _, listener := range listeners {
		_ = listener.Close()
	}
	return err
}

func accept(ctx context.Context, listener net.Listener, target string, log *slog.Logger) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return ctx.Err()
			}
			// Out of descriptors, most likely: others will close theirs.
			log.Warn("accept connection", "target", target, "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go join(ctx, conn, target, log)
	}
}

// join connects the two sides and passes on each side's end of data, so that
// half-closed connections keep working.
func join(ctx context.Context, client net.Conn, target string, log *slog.Logger) {
	defer func() { _ = client.Close() }()
	dialCtx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	server, err := (&net.Dialer{}).DialContext(dialCtx, "tcp", target)
	if err != nil {
		log.Warn("connect to the node", "target", target, "error", err)
		return
	}
	defer func() { _ = server.Close() }()
	var both sync.WaitGroup
	both.Go(func() { send(server, client) })
	both.Go(func() { send(client, server) })
	both.Wait()
}

// send copies until the source ends. When the copy fails the source is closed
// as well, so that the other direction does not wait for ever.
func send(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = from.Close()
		_ = to.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
