package helm_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// installAsBefore makes a release as the operator of version 1.x does: client-side, under the name of its binary, and with
// an ownerReference from each object to the custom resource.
func (b *bench) installAsBefore(t *testing.T, files map[string]string) {
	t.Helper()
	kube.ManagedFieldsManager = "manager"
	defer func() { kube.ManagedFieldsManager = helm.FieldManager }()
	config := testenv.Start(t)
	flags := genericclioptions.NewConfigFlags(false)
	flags.Namespace = &b.namespace
	flags.WrapConfigFn = func(*rest.Config) *rest.Config { return config }
	configuration := action.NewConfiguration()
	if err := configuration.Init(flags, b.namespace, "secret"); err != nil {
		t.Fatal(err)
	}
	chart, err := loader.LoadArchive(bytes.NewReader(archive(t, files)))
	if err != nil {
		t.Fatal(err)
	}
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace, install.ServerSideApply = "demo", b.namespace, false
	install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, time.Minute
	if _, err := install.Run(chart, nil); err != nil {
		t.Fatal(err)
	}
	object := b.config(t)
	object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps.wandb.com/v1", Kind: "WeightsAndBiases", Name: "demo", UID: "0f0e7f6a-0000-4000-8000-000000000000"}}
	if _, err := b.kube.CoreV1().ConfigMaps(b.namespace).Update(t.Context(), object, metav1.UpdateOptions{FieldManager: "manager"}); err != nil {
		t.Fatal(err)
	}
}

func TestAReleaseOfTheFormerOperatorIsTakenOver(t *testing.T) {
	b := newBench(t, nil)
	b.installAsBefore(t, configMapChart("1.0.0"))
	before := b.config(t)
	if len(before.OwnerReferences) != 1 || !slices.ContainsFunc(before.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == "manager" && e.Operation == metav1.ManagedFieldsOperationUpdate
	}) {
		t.Fatalf("this is no release of the former operator: %+v", before.ObjectMeta)
	}
	files := configMapChart("1.1.0")
	files["templates/config.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo-config}\ndata: {greeting: {{ .Values.greeting }}}\n"
	if _, err := b.Upgrade(t.Context(), b.apply(files, nil)(t)); err != nil {
		t.Fatal(err)
	}
	after := b.config(t)
	if after.UID != before.UID {
		t.Error("the object was made anew")
	}
	if len(after.Data) != 1 {
		t.Errorf("data = %v: what the chart no longer sets is still there", after.Data)
	}
	if len(after.OwnerReferences) != 0 {
		t.Errorf("ownerReferences = %v: deleting the custom resource would delete the object", after.OwnerReferences)
	}
	for _, entry := range after.ManagedFields {
		if entry.Manager != helm.FieldManager {
			t.Errorf("fields still belong to %s (%s)", entry.Manager, entry.Operation)
		}
	}
}

func TestAReleaseWhoseKindIsGoneCanBeRemoved(t *testing.T) {
	b := newBench(t, nil)
	client, err := dynamic.NewForConfig(testenv.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "names": map[string]any{"kind": "Widget", "plural": "widgets"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		},
	}}
	if _, err := definitions.Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	files := with(configMapChart("1.0.0"), map[string]string{"templates/widget.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: demo}\n"})
	eventually(t, "the kind can be installed", func() bool {
		_, err := b.Install(t.Context(), b.apply(files, nil)(t))
		return err == nil
	})
	if err := definitions.Delete(t.Context(), "widgets.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kind is gone", func() bool {
		_, err := definitions.Get(t.Context(), "widgets.example.com", metav1.GetOptions{})
		return err != nil
	})
	// A process that was started since has never known the kind.
	restarted, err := helm.New(helm.Config{RESTConfig: testenv.Start(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := restarted.Uninstall(t.Context(), b.namespace, "demo", 20*time.Second); err != nil {
		t.Errorf("uninstall: %v", err)
	}
	if current, err := restarted.Current(t.Context(), b.namespace, "demo"); current != nil || err != nil {
		t.Errorf("still there: %+v, %v", current, err)
	}
}
