package helm

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// definitionResource is what CustomResourceDefinitions are served as.
func definitionResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// establishTimeout is how long the API server may take to serve a definition.
const establishTimeout = 60 * time.Second

// applyDefinitions looks after the CustomResourceDefinitions of the chart's crds folders, before anything else is written.
// Helm's own way does not keep what the policies promise: its server-side apply changes definitions that exist when a
// release is installed, and it makes none when a release is upgraded. Nothing is ever removed: with a definition, every
// object of its kind would go.
func (c *Client) applyDefinitions(ctx context.Context, chart *Chart, policy v1.DefinitionPolicy) error {
	if policy == v1.DefinitionsSkip {
		return nil
	}
	for _, file := range chart.parsed.CRDObjects() {
		for _, document := range splitDocuments(string(file.File.Data)) {
			if err := c.applyDefinition(ctx, document.content, policy == v1.DefinitionsCreateReplace); err != nil {
				return failed("apply the definitions of chart "+chart.Name, v1.ReasonHelmFailed, fmt.Errorf("%s: %w", file.Filename, err), nil)
			}
		}
	}
	return nil
}

func (c *Client) applyDefinition(ctx context.Context, document string, replace bool) error {
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &definition.Object); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if len(definition.Object) == 0 {
		return nil
	}
	if definition.GetKind() != "CustomResourceDefinition" {
		return &fault.Error{
			Reason: v1.ReasonChartInvalid, Op: "the folder crds holds a " + definition.GetKind(),
			Hint: "The folder is for CustomResourceDefinitions; ask whoever publishes the chart.",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, establishTimeout)
	defer cancel()
	name, definitions := definition.GetName(), c.dynamic.Resource(definitionResource())
	if !replace {
		_, err := definitions.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	// Made by an apply too, so that a later one may take fields away.
	if _, err := definitions.Apply(ctx, name, definition, metav1.ApplyOptions{FieldManager: FieldManager, Force: true}); err != nil {
		return fmt.Errorf("apply %s: %w", name, err)
	}
	return c.established(ctx, name)
}

// established waits until objects of the kind can be made: the chart may bring some.
func (c *Client) established(ctx context.Context, name string) error {
	err := wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		live, err := c.dynamic.Resource(definitionResource()).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil // asked again until the time is over
		}
		// A new definition has null here for a moment, which is no list.
		conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
		return slices.ContainsFunc(conditions, func(each any) bool {
			condition, ok := each.(map[string]any)
			return ok && condition["type"] == "Established" && condition["status"] == string(metav1.ConditionTrue)
		}), nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s is served: %w", name, err)
	}
	return nil
}
