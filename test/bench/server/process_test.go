package server

import (
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// start runs this binary as a server of a kind, under another program where one is given, and waits until it is ready.
func start(tb testing.TB, kind, folder string, db store.Config, under ...string) *serverprocess.Process {
	tb.Helper()
	return serverprocess.Start(tb, serverprocess.Config{Kind: kind, DataDir: folder, Store: db, Under: under})
}

func wait(tb testing.TB, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tb.Context().Done():
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
