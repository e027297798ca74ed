package drift

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

const small = `{apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {a: one}}`

func TestFieldManagerIsThatOfReleases(t *testing.T) {
	if FieldManager != helm.FieldManager {
		t.Errorf("dry runs are made as %q, releases are applied as %q", FieldManager, helm.FieldManager)
	}
}

func TestKindsThatCannotBeWatchedArePolledAndNamed(t *testing.T) {
	const user = "limited"
	var granted string
	b := newBench(t, small+"\n---\n"+`{apiVersion: v1, kind: Secret, metadata: {name: secret}, stringData: {token: `+canary+`}}`, func(config *Config) {
		config.RESTConfig = testenv.As(t, user)
		config.Poll = 200 * time.Millisecond
		granted = config.Namespaces[0]
	}).install()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "patch"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list", "watch"}},
	}}
	_, err := b.kube.RbacV1().Roles(granted).Create(t.Context(), role, metav1.CreateOptions{})
	must(t, err)
	_, err = b.kube.RbacV1().RoleBindings(granted).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	must(t, err)
	report := b.await("a kind that is named", func(r Report) bool {
		return slices.Contains(r.Unwatched, "ConfigMap (forbidden)") && slices.Equal(r.Uncompared, []string{"Secret secret: Forbidden"})
	})
	if message := report.Message(); !strings.Contains(message, "ConfigMap (forbidden)") || !strings.Contains(message, "Secret secret: Forbidden") {
		t.Errorf("message is %q", message)
	}
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.await("drift of a kind that is polled", func(r Report) bool {
		return len(r.Drifted) == 1 && r.Drifted[0].Object == "ConfigMap config"
	})
	// Once the right is granted, the kind is watched and not named any more.
	role.Rules[0].Verbs = append(role.Rules[0].Verbs, "watch")
	_, err = b.kube.RbacV1().Roles(granted).Update(t.Context(), role, metav1.UpdateOptions{})
	must(t, err)
	b.await("a kind that is watched", func(r Report) bool { return len(r.Unwatched) == 0 })
}

func TestUnknownKindsStopNothing(t *testing.T) {
	b := newBench(t, small, nil).install()
	b.objects = append(b.objects, Object{APIVersion: "example.test/v1", Kind: "Widget", Name: "w", Content: map[string]any{"spec": map[string]any{"a": 1}}})
	report := b.await("a look", func(Report) bool { return true })
	want := Report{Unwatched: []string{"Widget (unknown)"}, Uncompared: []string{"Widget w: " + unknownKind}, CheckedAt: report.CheckedAt}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.await("drift of the other object", func(r Report) bool { return len(r.Drifted) == 1 })
}

func TestObjectsOfTwoNamespaces(t *testing.T) {
	watched, elsewhere := testenv.Namespace(t), testenv.Namespace(t)
	inNamespace := func(namespace string) string {
		return `{apiVersion: v1, kind: ConfigMap, metadata: {name: config, namespace: ` + namespace + `}, data: {a: one}}`
	}
	b := newBench(t, small+"\n---\n"+inNamespace(watched)+"\n---\n"+inNamespace(elsewhere), func(config *Config) {
		config.Namespaces = append(config.Namespaces, watched)
	}).install()
	report := b.awaitSync()
	if diff := cmp.Diff([]string{"ConfigMap (namespace not granted)"}, report.Unwatched); diff != "" {
		t.Errorf("unwatched (-want +got):\n%s", diff)
	}
	home := b.namespace
	b.namespace = watched
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.awaitDrift(appsv1.DriftStatus{Object: "ConfigMap " + watched + "/config", Change: "Changed", By: "kubectl-edit", Paths: []string{"/data/a"}})
	b.namespace = home
	b.correct()
	b.awaitSync()
}

func TestVolumeClaimsNeverShrink(t *testing.T) {
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{GenerateName: "growing-"}, Provisioner: "example.test/none", AllowVolumeExpansion: ptr.To(true)}
	b := newBench(t, small, nil)
	class, err := b.kube.StorageV1().StorageClasses().Create(t.Context(), class, metav1.CreateOptions{})
	must(t, err)
	b.objects[0] = Object{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: "data", Content: parse(t,
		`{metadata: {labels: {app: demo}}, spec: {storageClassName: `+class.Name+`, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`)}
	b.install()
	claims := b.kube.CoreV1().PersistentVolumeClaims(b.namespace)
	claim, err := claims.Get(t.Context(), "data", metav1.GetOptions{})
	must(t, err)
	claim.Status.Phase, claim.Status.Capacity = corev1.ClaimBound, claim.Spec.Resources.Requests
	claim, err = claims.UpdateStatus(t.Context(), claim, metav1.UpdateOptions{})
	must(t, err)
	b.awaitWatches()
	claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
	claim, err = claims.Update(t.Context(), claim, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	must(t, err)
	const size = "/spec/resources/requests/storage"
	b.awaitDrift(appsv1.DriftStatus{Object: "PersistentVolumeClaim data", Change: "Changed", By: "kubectl-edit", Paths: []string{size}})
	if diff := cmp.Diff(Correction{Refused: []string{"PersistentVolumeClaim data: a volume claim never shrinks"}}, b.correct()); diff != "" {
		t.Errorf("correction (-want +got):\n%s", diff)
	}
	claim.Labels["app"] = "other"
	_, err = claims.Update(t.Context(), claim, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	must(t, err)
	b.awaitDrift(appsv1.DriftStatus{Object: "PersistentVolumeClaim data", Change: "Changed", By: "kubectl-edit", Paths: []string{"/metadata/labels/app", size}})
	b.correct()
	claim, err = claims.Get(t.Context(), "data", metav1.GetOptions{})
	must(t, err)
	if got := claim.Spec.Resources.Requests[corev1.ResourceStorage]; got.String() != "2Gi" || claim.Labels["app"] != "demo" {
		t.Errorf("size %s, labels %v", got.String(), claim.Labels)
	}
}

func TestListsThatServerSideApplyCannotMerge(t *testing.T) {
	b := newBench(t, small, nil)
	content := parse(t, `
metadata: {labels: {app.kubernetes.io/managed-by: Helm}}
spec:
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: app, image: "example.test/app:1", env: [{name: A, value: one}, {name: A, value: two}]}]}
`)
	b.objects[0] = Object{APIVersion: "apps/v1", Kind: "Deployment", Name: "app", Content: content}
	// So did the operator of version 1.x: by an update, which takes duplicates.
	container := corev1.Container{Name: "app", Image: "example.test/app:1", Env: []corev1.EnvVar{{Name: "A", Value: "one"}, {Name: "A", Value: "two"}}}
	labels := map[string]string{"app": "demo"}
	deployments := b.kube.AppsV1().Deployments(b.namespace)
	_, err := deployments.Create(t.Context(), &k8sappsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: map[string]string{managedByLabel: managedByHelm}, Annotations: map[string]string{releaseNameAnnotation: "demo", releaseNamespaceAnnotation: b.namespace}},
		Spec: k8sappsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}},
		}},
	}, metav1.CreateOptions{FieldManager: "helm"})
	must(t, err)
	b.awaitWatches()
	b.patch("Deployment", "app", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"example.test/app:2"}]}}}}`)
	b.awaitDrift(appsv1.DriftStatus{Object: app, Change: "Changed", By: "kubectl-edit", Paths: []string{"/spec/template/spec/containers/0/image"}})
	if correction := b.correct(); len(correction.Corrected) != 1 {
		t.Fatalf("correction is %+v", correction)
	}
	b.awaitSync()
	deployment, err := deployments.Get(t.Context(), "app", metav1.GetOptions{})
	must(t, err)
	if got := deployment.Spec.Template.Spec.Containers[0]; got.Image != container.Image || len(got.Env) != 2 {
		t.Errorf("container is %+v", got)
	}
}

// cut fails every request once it is closed.
type cut struct {
	next   http.RoundTripper
	closed *atomic.Bool
}

func (c *cut) RoundTrip(request *http.Request) (*http.Response, error) {
	if c.closed.Load() {
		return nil, errors.New("the line is cut")
	}
	return c.next.RoundTrip(request)
}

func TestAnAPIServerThatIsAwayKeepsWhatWasKnown(t *testing.T) {
	closed := &atomic.Bool{}
	b := newBench(t, small, func(config *Config) {
		config.RESTConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return &cut{next: next, closed: closed} })
	}).install().awaitWatches()
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	before := b.await("drift", func(r Report) bool { return len(r.Drifted) == 1 })
	closed.Store(true)
	b.release.Ignore = []appsv1.DriftRule{{Kind: "Service"}}
	report, err := b.watcher.Look(t.Context(), b.release)
	if fault.Reason(err, "") == "" || !fault.Retryable(err) || fault.Hint(err) == "" {
		t.Errorf("error %v is no fault that tells what to do", err)
	}
	if diff := cmp.Diff(before, report); diff != "" {
		t.Errorf("report (-before +after):\n%s", diff)
	}
}

func TestHooksAndExpiringJobsAreNeverMadeAgain(t *testing.T) {
	b := newBench(t, small, nil)
	const job = `{apiVersion: batch/v1, kind: Job, metadata: {name: NAME, annotations: {ANNOTATION}}, spec: {TTL template: {spec: {restartPolicy: Never, containers: [{name: a, image: "example.test/a:1"}]}}}}`
	for _, replacer := range []*strings.Replacer{
		strings.NewReplacer("NAME", "hook", "ANNOTATION", "helm.sh/hook: pre-upgrade", "TTL", ""),
		strings.NewReplacer("NAME", "expires", "ANNOTATION", "", "TTL", "ttlSecondsAfterFinished: 60,"),
	} {
		content := parse(t, replacer.Replace(job))
		b.objects = append(b.objects, Object{APIVersion: "batch/v1", Kind: "Job", Name: inner(content, "metadata")["name"].(string), Content: content})
	}
	b.awaitDrift(appsv1.DriftStatus{Object: "ConfigMap config", Change: "Removed"})
	b.correct()
	b.awaitSync()
	jobs, err := b.kube.BatchV1().Jobs(b.namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if len(jobs.Items) > 0 {
		t.Errorf("jobs were made: %+v", jobs.Items)
	}
}

// What Helm adds to objects, and how it sends them, is Helm's own business; this test tells when that changes.
func TestWhatHelmInstalledIsClean(t *testing.T) {
	b := newBench(t, manifest, nil)
	charts := t.TempDir()
	for name, content := range map[string]string{"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0}", "templates/all.yaml": manifest} {
		path := filepath.Join(charts, "demo", name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o750))
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	client, err := helm.New(helm.Config{RESTConfig: b.admin, ChartsDir: charts})
	must(t, err)
	chart, err := client.LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: "demo"}, helm.Credentials{})
	must(t, err)
	_, err = client.Install(t.Context(), helm.Apply{Namespace: b.namespace, Name: b.release.Key.Name, Chart: chart, Timeout: patience})
	must(t, err)
	if report := b.await("a look", func(Report) bool { return true }); len(report.Drifted)+len(report.Uncompared)+len(report.Unwatched) > 0 {
		t.Errorf("a release as Helm made it differs: %+v", report)
	}
	b.patch("ConfigMap", "config", `{"data":{"a":"two"}}`)
	b.await("drift", func(r Report) bool { return len(r.Drifted) == 1 })
	if correction := b.correct(); len(correction.Corrected) != 1 {
		t.Errorf("correction is %+v", correction)
	}
	b.verifyContent()
}
