// Command kubectl-wandb is the command line of people who run the operator: `kubectl wandb`.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubewandb/kubewandb/internal/kubectl"
)

func main() {
	// The Helm SDK prints what it finds odd about values through the standard logger, the values included.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := kubectl.Execute(ctx, os.Args[1:], kubectl.Terminal())
	stop()
	os.Exit(code)
}
