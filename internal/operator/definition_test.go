package operator

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/charts"
)

// Uninstalling a chart leaves its definition behind. Helm 4 then applies it server-side, as owner "helm" and without
// force: whoever else owns a field that changed makes every later installation fail.
func TestTheChartCanBeInstalledAgainAfterTheDefinitionWasUpgraded(t *testing.T) {
	i := newInstallation(t)
	definition := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(charts.ResourceDefinition(), &definition.Object))
	live := definition.DeepCopy()
	must(t, i.api.Get(t.Context(), client.ObjectKey{Name: appsv1.CRDName}, live))
	// Somebody edits it by hand, which an update of the chart takes back.
	printed(t, live, "Edited")
	must(t, i.api.Update(t.Context(), live, client.FieldOwner("kubectl-edit")))
	must(t, ApplyDefinition(t.Context(), i.config.RESTConfig, charts.ResourceDefinition()))
	for _, entry := range current(t, i, definition).GetManagedFields() {
		if entry.Subresource == "" && entry.Manager != definitionOwner {
			t.Errorf("%s (%s) still owns fields: %s", entry.Manager, entry.Operation, entry.FieldsV1)
		}
	}

	next := definition.DeepCopy()
	printed(t, next, "Newer")
	if err := i.api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(next), client.FieldOwner("helm")); err != nil {
		t.Fatalf("helm install of a newer chart: %v", err)
	}
	must(t, ApplyDefinition(t.Context(), i.config.RESTConfig, charts.ResourceDefinition()))
}

// printed changes the definition as a newer version of it would.
func printed(t *testing.T, definition *unstructured.Unstructured, column string) {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	must(t, err)
	versions[0].(map[string]any)["additionalPrinterColumns"] = []any{map[string]any{"name": column, "type": "string", "jsonPath": ".status.phase"}}
	must(t, unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"))
}

// current reads the live object.
func current(t *testing.T, i *installation, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live := object.DeepCopy()
	must(t, i.api.Get(t.Context(), client.ObjectKeyFromObject(object), live))
	return live
}
