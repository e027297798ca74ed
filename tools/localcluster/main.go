// Command localcluster builds and runs a real one-node Kubernetes on a bare
// machine, for demonstrations and tests.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	status := command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
