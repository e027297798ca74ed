package kubectl

import "github.com/spf13/cobra"

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

	var flags preflightFlags
	before := &cobra.Command{
		Use: "preflight [name]", Short: "Check what a release needs of the cluster, with your own rights",
		Long: "Check what a release needs of the cluster and its surroundings, with your own rights: version of Kubernetes, classes, room on nodes, " +
			"database, bucket, licence and the way out. Values come from the layers of a resource, or from a file. Database and bucket are asked from " +
			"here; what only pods can reach is no finding.\n\nExit codes: 0 nothing stands in the way; 1 a check failed; 2 error.",
		Example: "  kubectl wandb preflight -f values.yaml\n  kubectl wandb preflight wandb -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.preflight(c.Context(), first(args), flags) },
	}
	before.Flags().StringVarP(&flags.file, "filename", "f", "", "file of Helm values, or of a WeightsAndBiases; - means standard input")
	before.Flags().StringVar(&flags.channel, "channel-url", "", "base URL of the deploy server, to check the way to it")
	before.Flags().BoolVar(&flags.airgapped, "airgapped", false, "nothing outside is ever asked")
	p.format(before, formatText, formatJSON, formatYAML)
	return []*cobra.Command{before, adopt}
}
