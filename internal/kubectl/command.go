package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/version"
)

// Exit codes.
const (
	// ExitDone: it is done, or there is nothing to tell.
	ExitDone = 0
	// ExitNo: the answer is no: a plan waits, a check failed, the operator acted and failed, or nobody agreed.
	ExitNo = 1
	// ExitError: the command could not do what it was asked.
	ExitError = 2
	// ExitTimeout: --wait saw no end in time. The request stays.
	ExitTimeout = 3
)

// verdict is an exit code that is no failure of the command; everything there is to say was printed.
type verdict struct{ code int }

func (v *verdict) Error() string { return fmt.Sprintf("exit code %d", v.code) }

func no() error { return &verdict{ExitNo} }

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Color allows colours in Out.
	Color bool

	// Seams for tests.

	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Wrap is laid around the transport of every request to the API server; nil leaves it alone.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Terminal returns the streams of the process. Colours are shown on a terminal only, and not with NO_COLOR.
func Terminal() Streams {
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Color: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

// Execute runs one command line and returns the exit code. Errors are printed with their hint.
func Execute(ctx context.Context, arguments []string, streams Streams) int {
	root := Command(streams)
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	var ended *verdict
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &ended):
		return ended.code
	}
	err = explained(err)
	_, _ = fmt.Fprintf(streams.Err, "error: %s\n", clean(err.Error()))
	if hint := fault.Hint(err); hint != "" {
		_, _ = fmt.Fprintf(streams.Err, "hint: %s\n", clean(hint))
	}
	return ExitError
}

// Command returns the command line.
func Command(streams Streams) *cobra.Command {
	if streams.Now == nil {
		streams.Now = time.Now
	}
	p := &plugin{streams: streams, flags: connectionFlags()}
	root := &cobra.Command{
		Use:   "kubectl-wandb",
		Short: "See what the operator of W&B Server does, and ask it for something else",
		Long: "See what the operator of W&B Server does, and ask it for something else.\n\n" +
			"Every command takes the name of the resource WeightsAndBiases; without it the only one of the namespace is meant.\n\n" +
			"Exit codes: 0 done; 1 the answer is no (a plan waits, a check failed, the operator failed, nobody agreed); " +
			"2 the command could not do what it was asked; 3 --wait saw no end in time.",
		Version: version.Version, SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl wandb"},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	p.flags.AddFlags(root.PersistentFlags())
	for _, command := range slicesOf(p.looks(), p.asks(), p.checks()) {
		command.ValidArgsFunction = p.complete(command.ValidArgsFunction)
		root.AddCommand(command)
	}
	return root
}

func slicesOf(groups ...[]*cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

// connectionFlags are those of kubectl that choose cluster, namespace and identity.
func connectionFlags() *genericclioptions.ConfigFlags {
	all := genericclioptions.NewConfigFlags(true)
	return &genericclioptions.ConfigFlags{
		KubeConfig: all.KubeConfig, Context: all.Context, Namespace: all.Namespace, ClusterName: all.ClusterName,
		AuthInfoName: all.AuthInfoName, Impersonate: all.Impersonate, ImpersonateGroup: all.ImpersonateGroup,
		ImpersonateUID: all.ImpersonateUID, Timeout: all.Timeout,
	}
}

// looks are the commands that show something.
func (p *plugin) looks() []*cobra.Command {
	var watch, whole bool
	status := &cobra.Command{
		Use: "status [name]", Short: "Tell the story at a glance",
		Long: "Tell the story at a glance: conditions, what runs, what is available, the next step and when, the last error with " +
			"what to do about it, checks that did not pass, drift, and the last ten releases.",
		Example: "  kubectl wandb status\n  kubectl wandb status wandb -n wandb --watch\n  kubectl wandb status -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.status(c.Context(), first(args), watch)
		},
	}
	status.Flags().BoolVarP(&watch, "watch", "w", false, "tell it again whenever something changes")
	p.format(status, formatText, formatJSON, formatYAML)

	var explainName string
	explain := &cobra.Command{
		Use: "explain [path]", Short: "Say which layer each value comes from",
		Long: "Say which layer each value of the specification that was applied last comes from, which lower layers it shadows or is " +
			"merged with, and who edited the user layer last. The path is dotted, as below spec.values; a dot inside a key is written \"\\.\". " +
			"Credentials are masked.",
		Example: "  kubectl wandb explain\n  kubectl wandb explain global.host\n  kubectl wandb explain app.resources -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.explain(c.Context(), explainName, first(args), whole)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	explain.Flags().StringVar(&explainName, "name", "", "name of the resource; default: the only one of the namespace")
	explain.Flags().BoolVar(&whole, "whole", false, "show long values whole")
	p.format(explain, formatText, formatJSON, formatYAML)

	diff := &cobra.Command{
		Use: "diff [name]", Short: "Show the newest plan: what is going to change",
		Long: "Show the newest plan: objects that are added, changed and removed, images, pods that are replaced, rights, and what " +
			"happens to the database's schema. Credentials are masked.\n\nExit codes: 0 no plan waits, or it changes nothing; 1 a plan with changes waits; 2 error.",
		Example: "  kubectl wandb diff\n  kubectl wandb diff wandb -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.diff(c.Context(), first(args)) },
	}
	p.format(diff, formatText, formatJSON, formatYAML)

	verify := &cobra.Command{
		Use: "verify [name]", Short: "Show what the release's own probe found",
		Long: "Show what the release's own probe found when it ran last: after the release, and then every hour.\n\n" +
			"Exit codes: 0 no check failed; 1 a check failed; 2 error.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return p.verify(c.Context(), first(args)) },
	}
	p.format(verify, formatText, formatJSON, formatYAML)

	versions := &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		RunE:              func(*cobra.Command, []string) error { return p.version() },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	p.format(versions, formatText, formatJSON, formatYAML)
	return []*cobra.Command{status, explain, diff, verify, versions}
}

// complete offers names of resources where a command has no words of its own.
func (p *plugin) complete(own cobra.CompletionFunc) cobra.CompletionFunc {
	if own != nil {
		return own
	}
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return p.names(c.Context()), cobra.ShellCompDirectiveNoFileComp
	}
}

func first(arguments []string) string {
	if len(arguments) == 0 {
		return ""
	}
	return arguments[0]
}
