package operator

import (
	"context"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// establishTimeout is how long the API server may take to serve a changed definition.
const establishTimeout = 30 * time.Second

// ApplyDefinition brings the custom resource definition up to the one in manifest, and waits until it is served. Helm
// installs the definition of a chart once and never again. Resources and labels of others stay as they are.
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
	case apierrors.IsNotFound(err):
		err = api.Create(ctx, wanted.DeepCopy())
	case err == nil && current.GetDeletionTimestamp() != nil:
		return &fault.Error{
			Reason: "DefinitionDeleting", Op: "it is being deleted", Retry: true,
			Hint: "Wait until it is gone, then run the command again.",
		}
	case err == nil:
		err = replaceDefinition(ctx, api, current, wanted)
	}
	if err != nil {
		return err //nolint:wrapcheck // the caller names the definition
	}
	return established(ctx, api, wanted)
}

// replaceDefinition takes the specification as a whole, so that a field that the new version no longer has goes as well.
func replaceDefinition(ctx context.Context, api client.Client, current, wanted *unstructured.Unstructured) error {
	current.Object["spec"] = wanted.DeepCopy().Object["spec"]
	current.SetLabels(overlaid(current.GetLabels(), wanted.GetLabels()))
	current.SetAnnotations(overlaid(current.GetAnnotations(), wanted.GetAnnotations()))
	return api.Update(ctx, current)
}

func overlaid(below, above map[string]string) map[string]string {
	result := maps.Clone(below)
	if result == nil {
		return maps.Clone(above)
	}
	maps.Copy(result, above)
	return result
}

func established(ctx context.Context, api client.Client, wanted *unstructured.Unstructured) error {
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(wanted.GroupVersionKind())
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, establishTimeout, true, func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(wanted), current); err != nil {
			return false, nil //nolint:nilerr // asked again until the time is over
		}
		conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
		if err != nil {
			return false, err //nolint:wrapcheck // says which field
		}
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
