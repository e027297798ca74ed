// Package v1 holds the custom resource WeightsAndBiases of group apps.wandb.com, and the condition types and reasons that
// its status speaks in.
//
// The version is shared with the operator that came before this one: every resource that was valid there is valid here,
// field names and meanings stay, and everything added since is optional.
//
// +kubebuilder:object:generate=true
// +groupName=apps.wandb.com
package v1

//go:generate go tool controller-gen object crd paths=. output:crd:dir=../../charts/operator/crds
