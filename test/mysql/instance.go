package mysql

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// PrepareInstance makes a server that does not run yet. Its folder is removed when the test ends.
func PrepareInstance(t testing.TB) *Instance {
	t.Helper()
	s, err := prepareServer(t.Context(), netns.Place{Bind: "127.0.0.1"})
	if err != nil {
		t.Fatalf("prepare MySQL: %v", err)
	}
	i := &Instance{server: s}
	t.Cleanup(func() { i.discard(t) })
	return i
}

func (i *Instance) discard(t testing.TB) {
	s := i.server
	if s.run != nil {
		<-s.run.started
		_ = s.run.cmd.Process.Kill()
		<-s.run.ended
	}
	_ = s.admin.Close() // fails where the server has gone
	if err := errors.Join(os.RemoveAll(s.folder), os.Remove(s.folder+".lock"), s.lock.Close()); err != nil {
		t.Errorf("remove what MySQL left: %v", err)
	}
}

// Folder is where its data are. Until it runs they may be replaced by those of another one.
func (i *Instance) Folder() string { return i.server.folder }

// Run starts it, under another program where one is given, such as one that traces it.
func (i *Instance) Run(t testing.TB, under ...string) {
	t.Helper()
	i.server.under = under
	if err := i.server.launch(context.WithoutCancel(t.Context())); err != nil {
		t.Fatalf("start MySQL: %v", err)
	}
}

// Shutdown ends it in good order, and returns once the program above it has ended as well. Its databases stay.
func (i *Instance) Shutdown(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startTimeout)
	defer cancel()
	if _, err := i.server.admin.ExecContext(ctx, "SHUTDOWN"); err != nil {
		t.Fatalf("shut MySQL down: %v", err)
	}
	select {
	case <-i.server.run.ended:
		i.server.run = nil
	case <-ctx.Done():
		t.Fatal("MySQL does not end")
	}
}

// Holding is how a database is reached that this server has because its folder was that of another one.
func (i *Instance) Holding(db Database) Database { return i.server.reach(db) }

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
