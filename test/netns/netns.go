// Package netns lets what a test starts live inside the network namespace of a local cluster, where its pods reach it.
package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Place is an address that pods of a local cluster reach.
type Place struct {
	// Namespace is the file of a network namespace; "" is that of the test.
	Namespace string
	// Bind is an address of that namespace.
	Bind string
}

// Node is the address of the node of a local cluster with this name.
func Node(cluster string) Place {
	return Place{Namespace: "/var/run/netns/kubewandb-" + cluster, Bind: "10.88.0.1"}
}

// Enter puts the calling thread into the namespace. The goroutine must have locked its thread, and must end without
// unlocking it: the thread ends with it.
func (p Place) Enter() error {
	if p.Namespace == "" {
		return nil
	}
	file, err := os.Open(p.Namespace)
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	return nil
}

// Dial connects from within the namespace.
func (p Place) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = p.Enter(); err != nil {
			return
		}
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
	}()
	<-done
	return conn, err
}
