// Command demo runs the whole system on one machine: a real one-node Kubernetes, the vendor's deploy server, the
// operator, and the W&B Server that the operator installs. It is what `make demo` and the end-to-end tests run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", fault.Message(err))
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var settings Settings
	root := &cobra.Command{
		Use:           "demo",
		Short:         "Run the whole system on this machine, or on a cluster of yours",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&settings.Name, "name", "demo", "name of the local cluster; its hosts are wandb.<name>.test and deploy.<name>.test")
	flags.StringVar(&settings.Dir, "dir", "", "folder for keys, certificates and state (default: the cluster's name)")
	flags.StringVar(&settings.Context, "context", "", "use this context of your kubeconfig instead of a local cluster")
	flags.StringVar(&settings.ImageRepo, "image-repo", "", "with --context: registry and path to push the images to")
	flags.StringVar(&settings.Domain, "domain", "", "with --context: the hosts are wandb.<domain> and deploy.<domain> (default: <name>.test)")
	flags.StringVar(&settings.CAFile, "ca-file", "", "with --context: certificate authority of your ingress, where it is not a public one")

	add := func(use, short string, run func(*Demo, context.Context) error) {
		root.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			demo, err := New(settings, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return run(demo, cmd.Context())
		}})
	}
	add("up", "Start or repair the cluster, install everything and wait until it is Ready", (*Demo).Up)
	add("env", "Print export lines for a shell", (*Demo).Env)
	add("release", "Publish the next release and show it arriving", (*Demo).Release)
	add("down", "Remove everything again", (*Demo).Down)
	return root
}
