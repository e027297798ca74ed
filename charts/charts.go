// Package charts embeds what a program needs of the Helm charts beside it.
package charts

import _ "embed" // for the manifest below

//go:embed operator/crds/apps.wandb.com_weightsandbiases.yaml
var resourceDefinition []byte

// ResourceDefinition returns the manifest of CustomResourceDefinition weightsandbiases.apps.wandb.com: the same file that
// the operator's chart installs.
func ResourceDefinition() []byte { return append([]byte(nil), resourceDefinition...) }
