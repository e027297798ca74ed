package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names under which the API server knows the resource.
const (
	GroupName = "apps.wandb.com"
	Version   = "v1"
	Kind      = "WeightsAndBiases"
	Resource  = "weightsandbiases"
	// CRDName is the name of the CustomResourceDefinition.
	CRDName = Resource + "." + GroupName
)

// Finalizer holds a resource back until its Helm release is uninstalled. "app", not "apps": resources in the field carry
// this spelling.
const Finalizer = "finalizer.app.wandb.com"

// GroupVersion returns apps.wandb.com/v1.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: GroupName, Version: Version}
}

// GroupVersionKind returns the kind of the custom resource.
func GroupVersionKind() schema.GroupVersionKind { return GroupVersion().WithKind(Kind) }

// AddToScheme makes scheme know the custom resource and its list.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion(), &WeightsAndBiases{}, &WeightsAndBiasesList{})
	metav1.AddToGroupVersion(scheme, GroupVersion())
	return nil
}
