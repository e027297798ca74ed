package kubectl

import (
	"github.com/spf13/cobra"
)

// checks are the commands that look at what the operator would meet.
func (p *plugin) checks() []*cobra.Command {
	var resource string
	adopt := &cobra.Command{
		Use: "adopt <helm release>", Short: "Tell what taking over a Helm release would do",
		Long: "Tell what it would do if the operator took over an existing Helm release: which objects stay as they are, which are " +
			"changed or removed, whose pods are replaced, and which owner references of the former operator are removed first. Nothing is written.\n\n" +
			"The operator itself renders the new chart: make the resource with spec.suspend: true first, and it plans without applying anything. " +
			"Without a resource, the command shows one to begin with.\n\n" +
			"Exit codes: 0 no pod is replaced and nothing removed; 1 something is; 2 it cannot be told.",
		Example:           "  kubectl wandb adopt wandb -n wandb",
		Args:              cobra.ExactArgs(1),
		RunE:              func(c *cobra.Command, args []string) error { return p.adopt(c.Context(), args[0], resource) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	adopt.Flags().StringVar(&resource, "name", "", "name of the resource that takes it over; default: the name of the release")
	p.format(adopt, formatText, formatJSON, formatYAML)
	return []*cobra.Command{adopt}
}
