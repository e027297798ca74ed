// Command kubectl-wandb is the command line of people who run the operator: `kubectl wandb`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubewandb/kubewandb/internal/kubectl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := kubectl.Execute(ctx, os.Args[1:], kubectl.Terminal())
	stop()
	os.Exit(code)
}
