package helm_test

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/plan"
)

func markedChart() map[string]string {
	workload := func(kind, name, more, pod string) string {
		return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec:\n  selector: {matchLabels: {app: x}}\n" + more +
			"  template:\n    metadata: {labels: {app: x}}\n    spec:\n      # a remark of the author\n" + pod + "---\n"
	}
	return with(configMapChart("1.0.0"), map[string]string{
		"templates/work.yaml": workload("Deployment", "uses", "  revisionHistoryLimit: 3\n", `      containers:
      - name: c
        image: i
        env: [{name: BIG, value: "9007199254740993"}, {name: SWITCH, value: "on"}, {name: P, valueFrom: {secretKeyRef: {name: db, key: p}}}]
      volumes: [{name: v, secret: {secretName: cert}}]
`) + workload("StatefulSet", "pulls", "  serviceName: x\n", "      imagePullSecrets: [{name: pull}]\n      containers: [{name: c, image: i}]\n") +
			"apiVersion: batch/v1\nkind: Job\nmetadata: {name: job, annotations: {helm.sh/resource-policy: keep}}\nspec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, envFrom: [{secretRef: {name: db}}]}]}}}\n---\n" +
			"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: apps/v1, kind: DaemonSet, metadata: {name: listed}, spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i, envFrom: [{secretRef: {name: other}}]}]}}}}\n",
	})
}

func TestOnlyWorkloadsThatUseASecretAreMarked(t *testing.T) {
	b := newBench(t, nil)
	chart := localChart(t, markedChart())
	plain, err := b.RenderExact(t.Context(), chart, nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if used := helm.SecretsUsed(plain.Objects); !slices.Equal(used, []string{"cert", "db", "other"}) {
		t.Errorf("Secrets used: %v", used)
	}
	before := plain.Text
	marks := func(value string) func([]string) string {
		return func(names []string) string { return value + strings.Join(names, "+") }
	}
	first, err := helm.WithSecretMarks(plain, marks("one:"))
	if err != nil {
		t.Fatal(err)
	}
	if plain.Text != before || first.Text == before {
		t.Error("the input was changed, or nothing was marked")
	}
	unmarked, err := helm.WithSecretMarks(plain, func([]string) string { return "" })
	if err != nil || unmarked.Text != before {
		t.Errorf("without marks the text is another one: %v", err)
	}
	apply := helm.Apply{Namespace: b.namespace, Name: "demo", Chart: chart, Rendered: first}
	if _, err := b.Install(t.Context(), apply); err != nil {
		t.Fatal(err)
	}
	stored, err := b.Manifest(t.Context(), b.namespace, "demo", 1)
	if err != nil || stored.Text != first.Text {
		t.Fatalf("stored another text: %v", err)
	}
	deployment, err := b.kube.AppsV1().Deployments(b.namespace).Get(t.Context(), "uses", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if got := deployment.Spec.Template.Annotations[plan.SecretsAnnotation]; got != "one:cert+db" || container.Env[0].Value != "9007199254740993" || container.Env[1].Value != "on" || *deployment.Spec.RevisionHistoryLimit != 3 {
		t.Errorf("mark %q, container %+v", got, container)
	}
	listed, err := b.kube.AppsV1().DaemonSets(b.namespace).Get(t.Context(), "listed", metav1.GetOptions{})
	if err != nil || listed.Spec.Template.Annotations[plan.SecretsAnnotation] != "one:other" {
		t.Errorf("in a List: %v, %v", listed.Spec.Template.Annotations, err)
	}
	pulls, err := b.kube.AppsV1().StatefulSets(b.namespace).Get(t.Context(), "pulls", metav1.GetOptions{})
	if err != nil || len(pulls.Spec.Template.Annotations) != 0 {
		t.Errorf("a pull secret counted: %v, %v", pulls.Spec.Template.Annotations, err)
	}

	second, err := helm.WithSecretMarks(plain, func(names []string) string {
		if slices.Contains(names, "db") {
			return "two"
		}
		return marks("one:")(names)
	})
	if err != nil {
		t.Fatal(err)
	}
	made := plan.Make(plan.Header{}, plan.Inputs{}, helm.PlanObjects(stored.Objects), helm.PlanObjects(second.Objects), plan.Options{})
	if len(made.Changes) != 0 || len(made.Restarts) != 1 || made.Restarts[0].Object != "Deployment uses" {
		t.Errorf("changes %v, restarts %v: want the restart alone", made.Changes, made.Restarts)
	}
}

func TestFingerprintsTellWhatChanged(t *testing.T) {
	b := newBench(t, nil)
	files := with(markedChart(), map[string]string{
		"templates/scaler.yaml": "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: s}\nspec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: pulls}}\n",
		"templates/hook.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: test}}\n",
	})
	rendered, err := b.RenderExact(t.Context(), localChart(t, files), nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	refs := append(helm.FingerprintRefs(rendered.Objects), helm.Ref{APIVersion: "no.such/v1", Kind: "Thing", Namespace: b.namespace, Name: "x"})
	if len(refs) != 6 {
		t.Errorf("refs = %v, want neither the hook nor what the autoscaler resizes", refs)
	}
	read := func() map[string]string {
		t.Helper()
		live, err := b.LiveFingerprints(t.Context(), refs)
		if err != nil || len(live) != len(refs) {
			t.Fatalf("%v, %v", live, err)
		}
		return live
	}
	for object, fingerprint := range read() {
		if fingerprint != helm.Absent {
			t.Errorf("before the install %s is %s", object, fingerprint)
		}
	}
	b.install(t, files, nil)
	before := b.traffic.total()
	first := read()
	if requests := b.traffic.total() - before; requests != 5 {
		t.Errorf("five kinds took %d requests", requests)
	}
	if second := read(); len((&plan.Plan{Header: plan.Header{Live: first}}).Moved(second)) != 0 {
		t.Errorf("nothing changed, but %v became %v", first, second)
	}
	config := b.config(t)
	config.Data["greeting"] = "by hand"
	if _, err := b.kube.CoreV1().ConfigMaps(b.namespace).Update(t.Context(), config, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	deployment, err := b.kube.AppsV1().Deployments(b.namespace).Get(t.Context(), "uses", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deployment.Status.ObservedGeneration = 1
	if deployment, err = b.kube.AppsV1().Deployments(b.namespace).UpdateStatus(t.Context(), deployment, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	moved := (&plan.Plan{Header: plan.Header{Live: first}}).Moved(read())
	if want := []string{"ConfigMap " + b.namespace + "/demo-config"}; !slices.Equal(moved, want) {
		t.Errorf("moved = %v, want %v: a status is no change", moved, want)
	}
	deployment.Spec.Paused = true
	if _, err := b.kube.AppsV1().Deployments(b.namespace).Update(t.Context(), deployment, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if moved := (&plan.Plan{Header: plan.Header{Live: first}}).Moved(read()); len(moved) != 2 {
		t.Errorf("moved = %v", moved)
	}
}

func TestTheAPIListHasOneDigest(t *testing.T) {
	b := newBench(t, nil)
	first, err := b.APIs()
	if err != nil || !strings.HasPrefix(first.Kubernetes, "v1.") || !strings.HasPrefix(first.Digest, "sha256:") {
		t.Fatalf("%+v, %v", first, err)
	}
	before := b.traffic.total()
	second, err := b.APIs()
	if err != nil || second != first || b.traffic.total() != before {
		t.Errorf("%+v, %v, after %d more requests", second, err, b.traffic.total()-before)
	}
	other, err := newBench(t, nil).APIs()
	if err != nil || other != first {
		t.Errorf("another client reads %+v, %v", other, err)
	}
}
