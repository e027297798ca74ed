// Package command is the command line of localcluster.
package command

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/cluster"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/hosts"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/progress"
)

// defaultName is the cluster of `make demo`.
const defaultName = "demo"

// Run executes the command line and returns the exit status.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot(out, errOut)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(errOut, "localcluster: %v\n", err)
		return 1
	}
	return 0
}

// line is what every verb shares.
type line struct {
	name   string
	source string
	out    io.Writer
	steps  *progress.Printer
}

func newRoot(out, errOut io.Writer) *cobra.Command {
	l := &line{out: out, steps: progress.New(errOut)}
	root := &cobra.Command{
		Use:   "localcluster",
		Short: "Run a real one-node Kubernetes on this machine",
		Long: `Run a real one-node Kubernetes on this machine: etcd, the control plane, kubelet,
kube-proxy, cluster DNS, a default StorageClass, an ingress controller and an
image registry, with containers in containerd and runc. It lives in a network
namespace without a way out. Root is needed.

Built programs are kept in $XDG_CACHE_HOME/kubewandb (~/.cache/kubewandb), a
cluster's files in $XDG_STATE_HOME/kubewandb/clusters/<name> (~/.local/state/…).`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&l.name, "name", defaultName, "cluster to work on")
	root.PersistentFlags().StringVar(&l.source, "source", "", "folder of the node's module (default: found from the working directory)")
	root.AddCommand(l.up(), l.down(), l.status(), l.load(), l.kubeconfig(), l.assets(), l.logs(), l.env())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// open returns the cluster that --name means.
func (l *line) open() (*cluster.Cluster, cluster.Layout, error) {
	layout, err := cluster.NewLayout(l.name)
	if err != nil {
		return nil, cluster.Layout{}, err
	}
	return cluster.New(layout, l.steps, hosts.Path), layout, nil
}

func (l *line) up() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or what is missing of it",
		Long: `Start the cluster, or what is missing of it: what runs and is well is left alone.
The first up on a machine installs Debian packages and builds Kubernetes, which
takes minutes; later ones take seconds. Steps and durations go to standard error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, layout, err := l.open()
			if err != nil {
				return err
			}
			if err := c.Up(cmd.Context(), l.source); err != nil {
				return err
			}
			l.steps.Note("cluster %s is up: https://%s, KUBECONFIG=%s", layout.Name, layout.Names()[0], layout.Kubeconfig())
			return nil
		},
	}
}

func (l *line) down() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the cluster and remove what it made",
		Long: `End the cluster and remove what it made: processes, containers, mounts, network
namespace, control groups, the block in /etc/hosts, and its data, volumes, images
and logs. Two things stay for the next up, so that browsers and kubeconfigs that
trust the cluster keep working: its certificate authority and its loopback
address. --purge removes them too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			return c.Down(cmd.Context(), purge)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "also remove the certificate authority and give back the address")
	return cmd
}

func (l *line) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the components and the node; fails when one is not well",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			return c.Status(cmd.Context(), l.out)
		},
	}
}

func (l *line) load() *cobra.Command {
	return &cobra.Command{
		Use:   "load <archive>...",
		Short: "Push image archives to the cluster's registry",
		Long: `Push image archives to the cluster's registry: docker archives and OCI image
layouts, as tar files (also compressed with gzip) or, for layouts, as folders. For each
image one line repository@digest is printed, as pods refer to it. An image also
keeps its tag, and answers to its original name whatever registry that names.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			for _, archive := range args {
				if err := l.steps.Step("load "+filepath.Base(archive), func() error {
					pushed, err := c.Load(cmd.Context(), archive)
					for _, one := range pushed {
						if _, err := fmt.Fprintln(l.out, one.Reference()); err != nil {
							return fmt.Errorf("write reference: %w", err)
						}
					}
					return err
				}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (l *line) kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the cluster's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, layout, err := l.open()
			if err != nil {
				return err
			}
			if _, err := c.Env(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(l.out, layout.Kubeconfig())
			return err
		},
	}
}

func (l *line) assets() *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Print a folder for KUBEBUILDER_ASSETS, building it when needed",
		Long: `Print a folder with etcd, kube-apiserver and kubectl for envtest, building them
when they are not in the cache. No cluster is needed, nor root.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			dir, err := c.Assets(cmd.Context(), l.source)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(l.out, dir)
			return err
		},
	}
}

func (l *line) logs() *cobra.Command {
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs <component>",
		Short: "Show the end of a component's log",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			return c.Logs(cmd.Context(), args[0], lines, follow, l.out)
		},
	}
	cmd.Flags().IntVar(&lines, "tail", 50, "number of lines")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is added")
	return cmd
}

func (l *line) env() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print how to use the cluster, for eval in a shell",
		Long: `Print shell commands that set:
  KUBECONFIG     administrator's kubeconfig
  CA_FILE        certificate authority of the API server and the ingress
  ADDRESS        loopback address of the cluster on this machine
  REGISTRY       registry as pods and the node know it
  REGISTRY_HOST  the same registry as this machine reaches it
  BIN            folder with kubectl and the node's programs`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, _, err := l.open()
			if err != nil {
				return err
			}
			variables, err := c.Env()
			if err != nil {
				return err
			}
			for _, v := range variables {
				if _, err := fmt.Fprintf(l.out, "export %s=%s\n", v.Name, v.Value); err != nil {
					return fmt.Errorf("write variable: %w", err)
				}
			}
			return nil
		},
	}
}
