package testenv_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// resources returns a client of the custom resource in a namespace of the test's own.
func resources(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(testenv.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(v1.GroupVersion().WithResource(v1.Resource)).Namespace(testenv.Namespace(t))
}

func resource(t *testing.T, specText string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	text := "apiVersion: apps.wandb.com/v1\nkind: WeightsAndBiases\nmetadata: {name: wandb, labels: {app.kubernetes.io/name: weightsandbiases}}\n" + specText
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := object.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestTodaysResourcesAreAcceptedUnchanged(t *testing.T) {
	tests := map[string]string{
		"the documented minimum": `
spec:
  values:
    global:
      host: https://wandb.example.com
      license: eyJhbGciOi.x.y
      bucket: {provider: s3, name: my-bucket, region: us-east-1, kmsKey: null}
      mysql: {host: db, port: 3306, database: wandb_local, user: wandb, password: pw}
    ingress: {class: nginx, annotations: {nginx.ingress.kubernetes.io/proxy-body-size: "0"}}
    mysql: {install: false}
`,
		"no spec at all": "",
		"a chart of its own, with keys that nobody knows": `
spec:
  chart: {url: https://charts.wandb.ai, name: operator-wandb, version: 0.14.3, unknown: [1, {a: null}]}
  values: {}
`,
		"numbers of every kind": `
spec:
  values: {big: 9007199254740993, size: 67108864, ratio: 0.25, list: [null, 1, "1", true]}
`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			client := resources(t)
			want := resource(t, text)
			if _, err := client.Create(t.Context(), want, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
				t.Fatal(err)
			}
			got, err := client.Get(t.Context(), "wandb", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Object["spec"], want.Object["spec"]) {
				t.Errorf("stored as %v, want %v", got.Object["spec"], want.Object["spec"])
			}
			if strings.Contains(text, "kmsKey: null") {
				if value, found, _ := unstructured.NestedFieldNoCopy(got.Object, "spec", "values", "global", "bucket", "kmsKey"); !found || value != nil {
					t.Errorf("kmsKey = %v, found %v; want the null kept", value, found)
				}
			}
		})
	}
}

func TestExamplesOfTheSpecificationAreValid(t *testing.T) {
	raw, err := os.ReadFile("../../docs/spec/v1/weightsandbiases.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for i, block := range strings.Split(string(raw), "```yaml\n") {
		example, _, _ := strings.Cut(block, "```")
		if i == 0 || !strings.Contains(example, "kind: WeightsAndBiases") {
			continue
		}
		examples++
		content, err := yaml.YAMLToJSON([]byte(example))
		if err != nil {
			t.Errorf("%v in\n%s", err, example)
			continue
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(content); err != nil {
			t.Fatal(err)
		}
		object.SetNamespace("")
		if _, err := resources(t).Create(t.Context(), object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	if examples < 7 {
		t.Errorf("found %d examples", examples)
	}
}

func TestWrongResourcesAreRefusedWithAHelpfulMessage(t *testing.T) {
	tests := map[string]struct {
		spec  string
		parts []string
	}{
		"another rule for lists": {"spec: {merge: {lists: Append}}", []string{"spec.merge.lists", `"Replace", "Concat"`}},
		"another kind of trust":  {"spec: {update: {trust: None}}", []string{"spec.update.trust", `"TLS", "Signed"`}},
		"a text as values":       {"spec: {values: text}", []string{"spec.values", "must be of type object"}},
		"a list as chart":        {"spec: {chart: []}", []string{"spec.chart", "must be of type object"}},
		"an empty path":          {`spec: {unset: [""]}`, []string{"spec.unset[0]"}},
		"a path with a hole":     {`spec: {unset: ["a..b"]}`, []string{"spec.unset", "dotted path below spec.values, for example ingress.tls"}},
		"a path ending in a dot": {`spec: {unset: ["a.b."]}`, []string{"spec.unset", "dotted path"}},
		"a path given twice":     {`spec: {unset: [a, a]}`, []string{"spec.unset", "Duplicate"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := resources(t).Create(t.Context(), resource(t, test.spec), metav1.CreateOptions{})
			if !apierrors.IsInvalid(err) {
				t.Fatalf("error = %v, want a refusal", err)
			}
			for _, part := range test.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message %q lacks %q", err, part)
				}
			}
		})
	}
	t.Run("every new field at once is accepted", func(t *testing.T) {
		text := `spec: {unset: [ingress.tls, 'ingress.annotations.kubernetes\.io/x'], merge: {lists: Concat}, suspend: true, update: {trust: Signed}}`
		if _, err := resources(t).Create(t.Context(), resource(t, text), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Error(err)
		}
	})
}

func TestGetTellsTheStory(t *testing.T) {
	client := resources(t)
	created, err := client.Create(t.Context(), resource(t, "spec: {}"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: now}
	}
	status := v1.WeightsAndBiasesStatus{
		ObservedGeneration: 1, Phase: v1.PhaseInvalidConfig, Version: "0.57.2", NextStep: "Waits for the workloads.", Warnings: []string{"a: b"},
		Release: &v1.ReleaseStatus{ID: "id", Name: "v1.2", Chart: "operator-wandb", ChartVersion: "0.14.3", Revision: 3, Digest: "sha256:x", DeployedAt: &now},
		Channel: &v1.ChannelStatus{Name: "stable", ReleaseID: "id", ReleaseName: "v1.3", CheckedAt: &now},
		Conditions: []metav1.Condition{
			condition(v1.ConditionReady, metav1.ConditionFalse, v1.ReasonWorkloadsNotReady, "Deployment wandb/wandb-app: ImagePullBackOff"),
			condition(v1.ConditionUpToDate, metav1.ConditionTrue, v1.ReasonUpToDate, ""),
		},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Patch(t.Context(), "wandb", types.MergePatchType, patch, metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict}, "status"); err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(testenv.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := kube.RESTClient().Get().AbsPath("/apis/apps.wandb.com/v1/namespaces/"+created.GetNamespace()+"/weightsandbiases").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	shown, wide := map[string]string{}, map[string]string{}
	for i, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			shown[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
		} else {
			wide[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
		}
	}
	for name, want := range map[string]string{"Name": "wandb", "Ready": "False", "Release": "v1.2", "Chart version": "0.14.3", "Up to date": "True", "Reason": "WorkloadsNotReady"} {
		if shown[name] != want {
			t.Errorf("column %s shows %q, want %q", name, shown[name], want)
		}
	}
	if wide["Message"] != "Deployment wandb/wandb-app: ImagePullBackOff" {
		t.Errorf("-o wide shows %v", wide)
	}
}
