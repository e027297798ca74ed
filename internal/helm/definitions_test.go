package helm_test

import (
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// kinds reads definitions, and objects of the kinds that they define.
type kinds struct {
	dynamic.Interface
}

func newKinds(t *testing.T) kinds {
	t.Helper()
	client, err := dynamic.NewForConfig(testenv.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	return kinds{client}
}

// definitionOf defines a kind of group example.com whose objects have the given fields. Its plural is the kind in lower
// case with an s.
func definitionOf(kind string, fields ...string) string {
	plural := strings.ToLower(kind) + "s"
	text := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + plural + ".example.com}\n" +
		"spec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: " + kind + ", plural: " + plural + "}\n" +
		"  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n"
	for _, field := range fields {
		text += "          " + field + ": {type: string}\n"
	}
	return text
}

// fields returns the names of a kind's fields; none where the kind is not defined.
func (k kinds) fields(t *testing.T, plural string) map[string]any {
	t.Helper()
	resource := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	live, err := k.Resource(resource).Get(t.Context(), plural+".example.com", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(live.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("versions %v, %v", versions, err)
	}
	fields, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties")
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func (k kinds) objects(namespace, plural string) dynamic.ResourceInterface {
	return k.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: plural}).Namespace(namespace)
}

// act installs or upgrades release demo with a policy for definitions.
func (b *bench) act(t *testing.T, policy v1.DefinitionPolicy, files map[string]string) (*helm.Release, error) {
	t.Helper()
	apply := b.apply(files, nil)(t)
	apply.Definitions = policy
	current, err := b.Current(t.Context(), b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if current == nil {
		return b.Install(t.Context(), apply)
	}
	return b.Upgrade(t.Context(), apply)
}

func (b *bench) mustAct(t *testing.T, policy v1.DefinitionPolicy, files map[string]string) {
	t.Helper()
	if _, err := b.act(t, policy, files); err != nil {
		t.Fatal(err)
	}
}

func TestDefinitionsAreMadeOnceByPolicyCreate(t *testing.T) {
	for name, policy := range map[string]v1.DefinitionPolicy{"Gadget": v1.DefinitionsCreate, "Gear": ""} {
		t.Run("policy "+string(policy), func(t *testing.T) {
			b, k, plural := newBench(t, nil), newKinds(t), strings.ToLower(name)+"s"
			b.mustAct(t, policy, with(configMapChart("1.0.0"), map[string]string{
				"crds/first.yaml":       definitionOf(name, "size"),
				"templates/object.yaml": "apiVersion: example.com/v1\nkind: " + name + "\nmetadata: {name: of-the-chart}\nsize: small\n",
			}))
			if fields := k.fields(t, plural); len(fields) != 1 || fields["size"] == nil {
				t.Fatalf("after the installation the fields are %v", fields)
			}
			b.mustAct(t, policy, with(configMapChart("1.1.0"), map[string]string{
				"crds/first.yaml": definitionOf(name, "size", "color"), "crds/second.yaml": definitionOf("New"+name, "size"),
			}))
			if fields := k.fields(t, plural); len(fields) != 1 {
				t.Errorf("a newer chart changed a definition that exists: %v", fields)
			}
			other := newBench(t, nil)
			other.mustAct(t, policy, with(configMapChart("1.1.0"), map[string]string{"crds/first.yaml": definitionOf(name, "weight")}))
			if fields := k.fields(t, plural); len(fields) != 1 || fields["size"] == nil {
				t.Errorf("another release changed a definition that exists: %v", fields)
			}
			if k.fields(t, "new"+plural) == nil {
				t.Error("a definition that the newer chart adds was not made")
			}
		})
	}
}

func TestDefinitionsAreBroughtUpToDateByPolicyCreateReplace(t *testing.T) {
	b, k := newBench(t, nil), newKinds(t)
	b.mustAct(t, v1.DefinitionsCreateReplace, with(configMapChart("1.0.0"), map[string]string{"crds/all.yaml": definitionOf("Lever", "size")}))
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Lever", "metadata": map[string]any{"name": "mine"}, "size": "large",
	}}
	var made *unstructured.Unstructured
	eventually(t, "the kind is served", func() bool {
		var err error
		made, err = k.objects(b.namespace, "levers").Create(t.Context(), object, metav1.CreateOptions{})
		return err == nil
	})
	newer := with(configMapChart("1.1.0"), map[string]string{
		"crds/all.yaml": "# several in one file\n" + definitionOf("Lever", "size", "color") + "---\n" + definitionOf("Wheel", "size"),
	})
	b.mustAct(t, v1.DefinitionsCreateReplace, newer)
	if fields := k.fields(t, "levers"); len(fields) != 2 || fields["color"] == nil {
		t.Errorf("after the upgrade the fields are %v", fields)
	}
	if k.fields(t, "wheels") == nil {
		t.Error("a definition that the newer chart adds was not made")
	}
	kept, err := k.objects(b.namespace, "levers").Get(t.Context(), "mine", metav1.GetOptions{})
	if err != nil || kept.GetUID() != made.GetUID() || kept.Object["size"] != "large" {
		t.Errorf("the object of the kind is %v, %v", kept, err)
	}
	b.mustAct(t, v1.DefinitionsCreateReplace, configMapChart("1.2.0"))
	if err := b.Uninstall(t.Context(), b.namespace, "demo", 0); err != nil {
		t.Fatal(err)
	}
	if k.fields(t, "levers") == nil {
		t.Error("a definition went with the chart that brought it")
	}
}

func TestDefinitionsAreLeftAloneByPolicySkip(t *testing.T) {
	b, k := newBench(t, nil), newKinds(t)
	b.traffic.reset()
	for _, version := range []string{"1.0.0", "1.1.0"} {
		b.mustAct(t, v1.DefinitionsSkip, with(configMapChart(version), map[string]string{"crds/all.yaml": definitionOf("Pulley", "size")}))
	}
	if k.fields(t, "pulleys") != nil {
		t.Error("a definition was made")
	}
	for _, write := range b.traffic.written() {
		if strings.Contains(write, "customresourcedefinitions") {
			t.Errorf("wrote %s", write)
		}
	}
}

func TestOnlyDefinitionsMayBeInTheFolderOfDefinitions(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"crds/empty.yaml": "# nothing\n",
		"crds/other.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: stowaway}\n",
	})
	b.traffic.reset()
	release, err := b.act(t, v1.DefinitionsCreateReplace, files)
	if release != nil || fault.Reason(err, "") != v1.ReasonChartInvalid || !strings.Contains(err.Error(), "Namespace") || fault.Hint(err) == "" {
		t.Errorf("%+v, %v", release, err)
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("wrote %v", writes)
	}
}

func TestARefusedDefinitionStopsBeforeTheRelease(t *testing.T) {
	b := newBench(t, nil)
	b.traffic.intercept(func(r *http.Request) error {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "customresourcedefinitions") {
			return errReadOnly
		}
		return nil
	})
	release, err := b.act(t, v1.DefinitionsCreateReplace, with(configMapChart("1.0.0"), map[string]string{"crds/all.yaml": definitionOf("Crank", "size")}))
	b.traffic.intercept(nil)
	if release != nil || fault.Reason(err, "") != v1.ReasonHelmFailed || !strings.Contains(err.Error(), "cranks.example.com") {
		t.Errorf("%+v, %v", release, err)
	}
	if current, err := b.Current(t.Context(), b.namespace, "demo"); current != nil || err != nil {
		t.Errorf("the release is %+v, %v", current, err)
	}
}
