package charts

import (
	"bytes"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/tools/chart/archive"
)

func TestTheProbeIsAHelmTestWhoseLogStays(t *testing.T) {
	out := render(t, "operator-wandb", input{values: parse(t, "global: {host: 'https://a.test', customCACerts: [A]}")})
	job := out.find(t, "Job", "wandb-probe")
	if got := job.GetAnnotations(); got["helm.sh/hook"] != "test" || got["helm.sh/hook-delete-policy"] != "before-hook-creation" {
		t.Errorf("annotations %v: a Job that is deleted on success takes its report with it", got)
	}
	var decoded batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(job.Object, &decoded); err != nil {
		t.Fatal(err)
	}
	if ttl := decoded.Spec.TTLSecondsAfterFinished; ttl == nil || *ttl < 3600 {
		t.Errorf("it goes %v seconds after its end: nobody could read its log", ttl)
	}
	if retries := decoded.Spec.BackoffLimit; retries == nil || *retries != 0 {
		t.Errorf("it is tried %v times again: the program itself repeats what fails", retries)
	}
	pod := out.pods(t)["Job/wandb-probe"]
	selector, _, _ := unstructured.NestedStringMap(out.find(t, "Service", "wandb-app").Object, "spec", "selector")
	if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
		t.Error("the Service sends requests to the probe")
	}
	if mounted := pod.Spec.AutomountServiceAccountToken; mounted == nil || *mounted {
		t.Error("the probe gets a token of Kubernetes")
	}
	container := pod.Spec.Containers[0]
	if diff := cmp.Diff([]string{"probe", "--inside-url=http://wandb-app:8080", "--host=https://a.test", "--timeout=30s"}, container.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	for _, variable := range container.Env {
		if variable.Name == "API_KEY" && (variable.Value != "" || variable.ValueFrom.SecretKeyRef.Optional == nil || !*variable.ValueFrom.SecretKeyRef.Optional) {
			t.Errorf("without its Secret the probe would not start: %+v", variable)
		}
	}
	if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "ca-certs" }) {
		t.Error("the probe does not trust the authorities of global.customCACerts")
	}
}

func TestTheProbeFollowsItsValues(t *testing.T) {
	arguments := func(values string) []string {
		pod, found := render(t, "operator-wandb", input{values: parse(t, values)}).pods(t)["Job/wandb-probe"]
		if !found {
			return nil
		}
		return pod.Spec.Containers[0].Args
	}
	for sentence, test := range map[string]struct {
		values, want string
	}{
		"turned off":              {"probe: {enabled: false}", ""},
		"without the application": {"app: {install: false}", ""},
		"inside only":             {"probe: {outside: false}", "--host="},
		"with more time":          {"probe: {timeoutSeconds: 90}", "--timeout=90s"},
	} {
		got := arguments(test.values)
		if test.want == "" && got != nil || test.want != "" && !slices.Contains(got, test.want) {
			t.Errorf("%s: arguments %q, want %q", sentence, got, test.want)
		}
	}
	out := render(t, "operator-wandb", input{values: parse(t, "probe: {apiKeySecret: {name: mine, key: token}, env: {HTTPS_PROXY: 'http://p'}}")})
	text := describe(t, out.pods(t)["Job/wandb-probe"])
	for _, want := range []string{`"name":"mine","key":"token"`, `"HTTPS_PROXY","value":"http://p"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the pod lacks %s: %s", want, text)
		}
	}
}

// A migration that nobody states would let the operator go back to a release that cannot read the data.
func TestTheChartStatesTheSchemaOfTheServer(t *testing.T) {
	migrations, err := filepath.Glob(filepath.Join(root, "internal/server/store/migrations/*.sql"))
	if err != nil || len(migrations) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	number, _, _ := strings.Cut(filepath.Base(slices.Max(migrations)), "_")
	newest, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	stated, err := helm.ParseStatement(load(t, "operator-wandb").Metadata.Annotations)
	if err != nil || !stated.Known || stated.Schema != newest {
		t.Errorf("Chart.yaml states %+v (%v), the newest migration is %d: see docs/guides/release-engineering.md", stated, err, newest)
	}
	if stated.ReadableBy != store.ReadableBy {
		t.Errorf("Chart.yaml states that releases from schema %d on can read the data, the server states %d", stated.ReadableBy, store.ReadableBy)
	}
	packed, err := archive.Pack(filepath.Join(root, "charts/operator-wandb"), archive.Release{
		Version: "1.2.3", AppVersion: "1.2.3", Annotations: map[string]string{helm.AnnotationSchemaNote: "Adds an index: a minute."},
	})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.LoadArchive(bytes.NewReader(packed.Data))
	if err != nil {
		t.Fatal(err)
	}
	want := stated
	want.Note = "Adds an index: a minute."
	if got, err := helm.ParseStatement(loaded.Metadata.Annotations); err != nil || got != want {
		t.Errorf("the packed chart states %+v (%v), want %+v", got, err, want)
	}
}

func TestTheOperatorMayRunEveryProbe(t *testing.T) {
	held := operatorRules(t, map[string]any{})
	for _, right := range []string{" pods create", " pods delete", " pods/log get", "batch jobs create", "batch jobs delete", "batch jobs watch"} {
		part := strings.Split(right, " ")
		if !allows(held, part[0], part[1], part[2]) {
			t.Errorf("the operator may not %s %s", part[2], part[1])
		}
	}
	for _, right := range []string{" pods/exec create", " pods update", " pods/attach create", " pods/portforward create"} {
		if part := strings.Split(right, " "); allows(held, part[0], part[1], part[2]) {
			t.Errorf("the operator may %s %s, which no probe needs", part[2], part[1])
		}
	}
}
