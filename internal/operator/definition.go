package operator

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// definitionOwner owns the fields of the definition: Helm, which installed it from the chart. Under another name, installing
// the chart again with a changed definition would end in a conflict.
const definitionOwner = "helm"

// establishTimeout is how long the API server may take to serve a changed definition.
const establishTimeout = 30 * time.Second

// ApplyDefinition brings the custom resource definition up to the one in manifest, and waits until it is served. Helm
// installs the definition of a chart once and never again. Resources and labels of others stay as they are. It needs the
// rights to get, create and patch the definition.
func ApplyDefinition(ctx context.Context, config *rest.Config, manifest []byte) error {
	wanted := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(manifest, &wanted.Object); err != nil {
		return fmt.Errorf("read definition: %w", err)
	}
	api, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if err := applyDefinition(ctx, api, wanted); err != nil {
		return fmt.Errorf("apply definition %s: %w", wanted.GetName(), err)
	}
	return nil
}

func applyDefinition(ctx context.Context, api client.Client, wanted *unstructured.Unstructured) error {
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(wanted.GroupVersionKind())
	err := api.Get(ctx, client.ObjectKeyFromObject(wanted), current)
	switch {
	case err == nil && current.GetDeletionTimestamp() != nil:
		return &fault.Error{
			Reason: "DefinitionDeleting", Op: "it is being deleted", Retry: true,
			Hint: "Wait until it is gone, then run the command again.",
		}
	case err == nil:
		err = inherit(ctx, api, current)
	case apierrors.IsNotFound(err):
		err = nil
	}
	if err != nil {
		return err // the caller names the definition
	}
	desired := client.ApplyConfigurationFromUnstructured(wanted.DeepCopy())
	if err := api.Apply(ctx, desired, client.FieldOwner(definitionOwner), client.ForceOwnership); err != nil {
		return err // the caller names the definition
	}
	return established(ctx, api, wanted)
}

// inherit makes the owner of the fields that others wrote by an update: an owner of the same field would meet the next
// version of the chart with a conflict, and fields that a new version no longer has would stay.
func inherit(ctx context.Context, api client.Client, current *unstructured.Unstructured) error {
	writers := sets.New[string]()
	for _, entry := range current.GetManagedFields() {
		if entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Subresource == "" {
			writers.Insert(entry.Manager)
		}
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(current, writers, definitionOwner)
	if err != nil {
		return fmt.Errorf("read who wrote it: %w", err)
	}
	if patch == nil {
		return nil
	}
	return api.Patch(ctx, current, client.RawPatch(types.JSONPatchType, patch))
}

func established(ctx context.Context, api client.Client, wanted *unstructured.Unstructured) error {
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(wanted.GroupVersionKind())
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, establishTimeout, true, func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(wanted), current); err != nil {
			return false, nil // asked again until the time is over
		}
		// A new definition has null here for a moment, which is no list.
		conditions, _, _ := unstructured.NestedSlice(current.Object, "status", "conditions")
		return hasCondition(conditions, "Established"), nil
	})
	if err != nil {
		return fmt.Errorf("wait until it is served: %w", err)
	}
	return nil
}

func hasCondition(conditions []any, kind string) bool {
	for _, each := range conditions {
		condition, ok := each.(map[string]any)
		if ok && condition["type"] == kind && condition["status"] == string(metav1.ConditionTrue) {
			return true
		}
	}
	return false
}
