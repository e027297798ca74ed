package mysql

import (
	"context"
	"fmt"
	"testing"

	"github.com/kubewandb/kubewandb/test/netns"
)

// Instance is a server of a test's own, which it may kill.
type Instance struct{ server *server }

// StartInstance starts a server of its own. It ends with the process of the test.
func StartInstance(t testing.TB) *Instance {
	t.Helper()
	s, err := start(netns.Place{Bind: "127.0.0.1"})
	if err != nil {
		t.Fatalf("start MySQL: %v", err)
	}
	return &Instance{server: s}
}

// Database returns an empty database, which is dropped when the test ends.
func (i *Instance) Database(t testing.TB) Database {
	t.Helper()
	return i.server.database(t)
}

// Restart kills the server in the midst of what it does, and starts it again at the same address on what it left.
func (i *Instance) Restart(ctx context.Context) error {
	<-i.server.run.started
	if err := i.server.run.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill MySQL: %w", err)
	}
	select {
	case <-i.server.run.ended:
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of MySQL: %w", ctx.Err())
	}
	// The process outlives the call that starts it.
	if err := i.server.launch(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start MySQL again: %w", err)
	}
	return nil
}
