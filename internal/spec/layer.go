package spec

// Names of the four layers, lowest first.
const (
	LayerOperator = "operator"
	LayerChannel  = "channel"
	LayerUser     = "user"
	LayerResource = "resource"
)

// Layer is one contribution to a specification. Integers in it are int64, other numbers float64.
type Layer struct {
	// Name appears in origins, warnings and errors.
	Name string
	// Values of the Helm chart. A nil value is a null: it overrides, and goes to Helm as null.
	Values map[string]any
	// Chart describes the chart in one of three forms (see ParseChart). Nil means that this layer names none; the highest
	// layer that names one wins as a whole.
	Chart map[string]any
	// Metadata of a release: channelName, releaseId and so on. The highest layer that has any wins as a whole.
	Metadata map[string]string
	// Unset lists dotted paths (see SplitPath) that this layer removes from everything below it, before its own values
	// are laid on top.
	Unset []string
}

// OperatorDefaults returns the lowest layer: what charts may rely on when an operator installs them.
func OperatorDefaults(namespace string) Layer {
	return Layer{
		Name: LayerOperator,
		Values: map[string]any{"global": map[string]any{"operator": map[string]any{
			"apiVersion": "apps.wandb.com/v1",
			"namespace":  namespace,
		}}},
	}
}
