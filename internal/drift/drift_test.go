package drift

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const canary = "canary-7f3a-do-not-show"

// manifest of a small release. The quantities and the stringData are not as the API server stores them.
const manifest = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: config, labels: {app: demo}}, data: {a: one, b: "*** masked ***"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: secret}, stringData: {token: ` + canary + `}, data: {raw: AAEC/w==}}
---
{apiVersion: v1, kind: Service, metadata: {name: service}, spec: {selector: {app: demo}, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: role}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}, annotations: {kubewandb.io/secrets: abc}}
    spec:
      containers:
      - name: app
        image: example.test/app:1
        env: [{name: A, value: one}, {name: B, value: two}]
        resources: {limits: {cpu: 0.5, memory: 1024Mi}}
        ports: [{name: http, containerPort: 8080}]
`

const app = "Deployment app"

func (b *bench) patch(kind, name, patch string) {
	b.t.Helper()
	options := metav1.PatchOptions{FieldManager: "kubectl-edit"}
	data, ctx := []byte(patch), b.t.Context()
	var err error
	switch kind {
	case "ConfigMap":
		_, err = b.kube.CoreV1().ConfigMaps(b.namespace).Patch(ctx, name, types.MergePatchType, data, options)
	case "Secret":
		_, err = b.kube.CoreV1().Secrets(b.namespace).Patch(ctx, name, types.MergePatchType, data, options)
	case "Service":
		_, err = b.kube.CoreV1().Services(b.namespace).Patch(ctx, name, types.JSONPatchType, data, options)
	case "Role":
		_, err = b.kube.RbacV1().Roles(b.namespace).Patch(ctx, name, types.MergePatchType, data, options)
	case "Deployment":
		_, err = b.kube.AppsV1().Deployments(b.namespace).Patch(ctx, name, types.StrategicMergePatchType, data, options)
	}
	must(b.t, err)
}

func env(pairs string) string {
	return `{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[` + pairs + `]}]}}}}`
}

func TestChangesAreFoundNamedAndCorrected(t *testing.T) {
	b := newBench(t, manifest, nil).install().awaitWatches()
	edited := func(object string, paths ...string) appsv1.DriftStatus {
		return appsv1.DriftStatus{Object: object, Change: "Changed", By: "kubectl-edit", Paths: paths}
	}
	const containers = "/spec/template/spec/containers/0"
	for _, test := range []struct {
		name   string
		change func()
		want   appsv1.DriftStatus
	}{
		{"data of a ConfigMap", func() { b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`) }, edited("ConfigMap config", "/data/a")},
		{"data of a Secret", func() { b.patch("Secret", "secret", `{"data":{"token":"b3RoZXI=","raw":"AAAA"}}`) }, edited("Secret secret", "/data/raw", "/data/token")},
		{"replicas", func() { b.patch("Deployment", "app", `{"spec":{"replicas":7}}`) }, edited(app, "/spec/replicas")},
		{"a variable", func() { b.patch("Deployment", "app", env(`{"name":"A","value":"x"}`)) }, edited(app, containers+"/env/0/value")},
		{"a variable that was removed", func() { b.patch("Deployment", "app", env(`{"name":"B","$patch":"delete"}`)) }, appsv1.DriftStatus{Object: app, Change: "Changed", Paths: []string{containers + "/env"}}},
		{"a port that server-side apply would only add", func() {
			b.patch("Service", "service", `[{"op":"replace","path":"/spec/ports/0/port","value":81}]`)
		}, edited("Service service", "/spec/ports/0/port")},
		{"rules of a Role", func() {
			b.patch("Role", "role", `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`)
		}, edited("Role role", "/rules/0/apiGroups/0", "/rules/0/resources/0", "/rules/0/verbs/0")},
		{"a label that the manifest sets", func() { b.patch("ConfigMap", "config", `{"metadata":{"labels":{"app":null}}}`) }, appsv1.DriftStatus{Object: "ConfigMap config", Change: "Changed", Paths: []string{"/metadata/labels/app"}}},
		{"a label without which no watch sees the object", func() {
			b.patch("ConfigMap", "config", `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"me"}}}`)
		}, edited("ConfigMap config", "/metadata/labels/app.kubernetes.io~1managed-by")},
		{"an object that was removed", func() {
			must(t, b.kube.CoreV1().ConfigMaps(b.namespace).Delete(t.Context(), "config", metav1.DeleteOptions{}))
		}, appsv1.DriftStatus{Object: "ConfigMap config", Change: "Removed"}},
		{"a Deployment that was removed", func() {
			must(t, b.kube.AppsV1().Deployments(b.namespace).Delete(t.Context(), "app", metav1.DeleteOptions{}))
		}, appsv1.DriftStatus{Object: app, Change: "Removed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.t = t
			test.change()
			b.awaitDrift(test.want)
			correction := b.correct()
			if len(correction.Refused) > 0 || len(correction.Corrected) != 1 || correction.Corrected[0].Object != test.want.Object {
				t.Fatalf("correction is %+v", correction)
			}
			if text := fmt.Sprintf("%+v %s %+v", correction, correction.Message(), b.look()); strings.Contains(text, canary) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(canary))) {
				t.Errorf("a secret shows: %s", text)
			}
			b.awaitSync()
		})
	}
	b.t = t
	b.verifyContent()
}

// verifyContent asserts that what is stored is what the manifest says, byte for byte.
func (b *bench) verifyContent() {
	b.t.Helper()
	secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(b.t.Context(), "secret", metav1.GetOptions{})
	must(b.t, err)
	if diff := cmp.Diff(map[string][]byte{"token": []byte(canary), "raw": {0, 1, 2, 255}}, secret.Data); diff != "" {
		b.t.Errorf("data of the Secret (-want +got):\n%s", diff)
	}
	config, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(b.t.Context(), "config", metav1.GetOptions{})
	must(b.t, err)
	if diff := cmp.Diff(map[string]string{"a": "one", "b": "*** masked ***"}, config.Data); diff != "" {
		b.t.Errorf("data of the ConfigMap (-want +got):\n%s", diff)
	}
	service, err := b.kube.CoreV1().Services(b.namespace).Get(b.t.Context(), "service", metav1.GetOptions{})
	must(b.t, err)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 80 {
		b.t.Errorf("ports of the Service are %+v", service.Spec.Ports)
	}
	for _, entry := range service.ManagedFields {
		if entry.Manager == FieldManager && entry.Operation != metav1.ManagedFieldsOperationApply {
			b.t.Errorf("fields are left to an update of ours: %+v", entry)
		}
	}
}

func TestNothingChangedCostsNothing(t *testing.T) {
	b := newBench(t, manifest, nil).install().awaitWatches()
	before := b.traffic.count()
	for range 20 {
		b.awaitSync()
	}
	deployment, err := b.kube.AppsV1().Deployments(b.namespace).Get(t.Context(), "app", metav1.GetOptions{})
	must(t, err)
	deployment.Status = k8sappsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1}
	deployment, err = b.kube.AppsV1().Deployments(b.namespace).UpdateStatus(t.Context(), deployment, metav1.UpdateOptions{FieldManager: "controller"})
	must(t, err)
	// A change of another object that the watch reports later tells that the status was seen.
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.awaitDrift(appsv1.DriftStatus{Object: "ConfigMap config", Change: "Changed", By: "kubectl-edit", Paths: []string{"/data/a"}})
	if got := b.traffic.count() - before; got != 2 {
		t.Errorf("%d requests, want one read and one dry run of the ConfigMap: %v", got, b.traffic.requests[before:])
	}
	if deployment.Status.Replicas != 1 {
		t.Error("the status was not written")
	}
}

func TestWhatOthersAddIsNoDrift(t *testing.T) {
	b := newBench(t, manifest, nil).install().awaitWatches()
	b.patch("ConfigMap", "config", `{"metadata":{"labels":{"team":"x"},"annotations":{"note":"y"}},"data":{"other":"z"}}`)
	b.patch("Deployment", "app", env(`{"name":"INJECTED","value":"x"}`))
	b.patch("Deployment", "app", `{"spec":{"template":{"metadata":{"annotations":{"kubewandb.io/secrets":"def"}}}}}`)
	b.patch("Role", "role", `{"rules":[]}`)
	b.awaitDrift(appsv1.DriftStatus{Object: "Role role", Change: "Changed", By: "kubectl-edit", Paths: []string{"/rules"}})
	// What was added stays when something else is corrected.
	b.correct()
	b.awaitSync()
	config, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "config", metav1.GetOptions{})
	must(t, err)
	if config.Data["other"] != "z" || config.Labels["team"] != "x" || config.Annotations["note"] != "y" {
		t.Errorf("what others added is gone: %+v", config)
	}
}

func TestIgnoredFieldsStayAsTheyAre(t *testing.T) {
	b := newBench(t, manifest, nil).install()
	b.release.Ignore = []appsv1.DriftRule{
		{Kind: "Deployment", Name: "app", Paths: []string{"/spec/template/spec/containers/0/env/0"}},
		{Kind: "Service"},
	}
	b.release.Generated = map[Ref][]string{{APIVersion: "v1", Kind: "Secret", Name: "secret"}: {"/stringData/token"}}
	b.awaitSync()
	b.patch("Deployment", "app", env(`{"name":"A","value":"mine"}`))
	b.patch("Secret", "secret", `{"data":{"token":"bWluZQ==","raw":"AAAA"}}`)
	b.patch("Service", "service", `[{"op":"replace","path":"/spec/ports/0/port","value":81}]`)
	b.patch("Deployment", "app", `{"spec":{"replicas":9}}`)
	b.awaitDrift(
		appsv1.DriftStatus{Object: "Secret secret", Change: "Changed", By: "kubectl-edit", Paths: []string{"/data/raw"}},
		appsv1.DriftStatus{Object: app, Change: "Changed", By: "kubectl-edit", Paths: []string{"/spec/replicas"}},
	)
	if correction := b.correct(); len(correction.Corrected) != 2 || len(correction.Refused) > 0 {
		t.Fatalf("correction is %+v", correction)
	}
	b.awaitSync()
	deployment, err := b.kube.AppsV1().Deployments(b.namespace).Get(t.Context(), "app", metav1.GetOptions{})
	must(t, err)
	if got := deployment.Spec.Template.Spec.Containers[0].Env; got[0].Value != "mine" || *deployment.Spec.Replicas != 2 {
		t.Errorf("replicas %d, variables %+v", *deployment.Spec.Replicas, got)
	}
	secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), "secret", metav1.GetOptions{})
	must(t, err)
	if diff := cmp.Diff(map[string][]byte{"token": []byte("mine"), "raw": {0, 1, 2, 255}}, secret.Data); diff != "" {
		t.Errorf("data of the Secret (-want +got):\n%s", diff)
	}
	// Once the rules are gone, what they hid shows.
	b.release.Ignore, b.release.Generated = nil, nil
	b.await("what the rules hid", func(r Report) bool { return len(r.Drifted) == 3 })
}

func TestReplicasBelongToTheAutoscaler(t *testing.T) {
	const scaler = `
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: app}, spec: {minReplicas: 1, maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}}`
	b := newBench(t, strings.TrimRight(manifest, "\n")+scaler, nil).install().awaitWatches()
	b.patch("Deployment", "app", `{"spec":{"replicas":5}}`)
	b.patch("Deployment", "app", env(`{"name":"A","value":"x"}`))
	b.awaitDrift(appsv1.DriftStatus{Object: app, Change: "Changed", By: "kubectl-edit", Paths: []string{"/spec/template/spec/containers/0/env/0/value"}})
	if correction := b.correct(); len(correction.Corrected) != 1 {
		t.Fatalf("correction is %+v", correction)
	}
	b.awaitSync()
	deployment, err := b.kube.AppsV1().Deployments(b.namespace).Get(t.Context(), "app", metav1.GetOptions{})
	must(t, err)
	if *deployment.Spec.Replicas != 5 {
		t.Errorf("the correction set %d replicas, the autoscaler 5", *deployment.Spec.Replicas)
	}
}

func TestANewRevisionIsLookedAtAsAWhole(t *testing.T) {
	b := newBench(t, manifest, nil).install().awaitWatches()
	b.objects[0].Content = parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: config, labels: {app: demo}}, data: {a: new}}`)
	b.release.ID = "2"
	if report := b.look(); !report.CheckedAt.IsZero() {
		t.Errorf("the former revision's report is shown for the new one: %+v", report)
	}
	b.awaitDrift(appsv1.DriftStatus{Object: "ConfigMap config", Change: "Changed", Paths: []string{"/data/a", "/data/b"}})
	b.watcher.Forget(b.release.Key)
	b.watcher.mu.Lock()
	defer b.watcher.mu.Unlock()
	b.watcher.informers.mu.Lock()
	defer b.watcher.informers.mu.Unlock()
	if len(b.watcher.index) > 0 || len(b.watcher.informers.running) > 0 {
		t.Errorf("%d objects and %d watches outlive the release", len(b.watcher.index), len(b.watcher.informers.running))
	}
}

func TestObjectsThatWriteThemselvesAreComparedLessAndLess(t *testing.T) {
	b := newBench(t, manifest, nil).install().awaitWatches()
	b.watcher.mu.Lock()
	object := b.watcher.releases[b.release.Key].objects[0]
	b.watcher.mu.Unlock()
	for i := range 3 {
		b.patch("ConfigMap", "config", fmt.Sprintf(`{"metadata":{"annotations":{"beat":"%d"}}}`, i))
		b.await("another comparison", func(Report) bool {
			b.watcher.mu.Lock()
			defer b.watcher.mu.Unlock()
			return object.streak > i
		})
	}
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.await("drift", func(r Report) bool { return len(r.Drifted) == 1 })
	b.watcher.mu.Lock()
	defer b.watcher.mu.Unlock()
	if object.streak != 0 {
		t.Errorf("streak is %d after a difference", object.streak)
	}
}
