package helm

import (
	"context"
	"fmt"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// definitionResource is what CustomResourceDefinitions are served as.
func definitionResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// replaceDefinitions brings the CustomResourceDefinitions of the chart's crds folders up to date, which Helm itself makes
// once and never changes. Nothing is ever removed: with a definition, every object of its kind would go.
func (c *Client) replaceDefinitions(ctx context.Context, chart *Chart) error {
	for _, file := range chart.parsed.CRDObjects() {
		for _, document := range releaseutil.SplitManifests(string(file.File.Data)) {
			if err := c.replaceDefinition(ctx, document); err != nil {
				return failed("apply the definitions of chart "+chart.Name, v1.ReasonHelmFailed, fmt.Errorf("%s: %w", file.Filename, err), nil)
			}
		}
	}
	return nil
}

func (c *Client) replaceDefinition(ctx context.Context, document string) error {
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
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	_, err := c.dynamic.Resource(definitionResource()).Apply(ctx, definition.GetName(), definition,
		metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s: %w", definition.GetName(), err)
	}
	return nil
}
