package helm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// bench is a client of the real API server, with a namespace of its own.
type bench struct {
	*helm.Client
	kube      *kubernetes.Clientset
	namespace string
	traffic   *traffic
}

func newBench(t *testing.T, change func(*helm.Config)) *bench {
	t.Helper()
	b := &bench{namespace: testenv.Namespace(t), traffic: &traffic{}}
	config := helm.Config{RESTConfig: testenv.Start(t)}
	config.RESTConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return &tap{next: next, traffic: b.traffic} })
	if change != nil {
		change(&config)
	}
	var err error
	if b.Client, err = helm.New(config); err != nil {
		t.Fatal(err)
	}
	if b.kube, err = kubernetes.NewForConfig(testenv.Start(t)); err != nil {
		t.Fatal(err)
	}
	return b
}

// apply installs or upgrades release demo.
func (b *bench) apply(files map[string]string, values map[string]any) func(t *testing.T) helm.Apply {
	return func(t *testing.T) helm.Apply {
		t.Helper()
		return helm.Apply{Namespace: b.namespace, Name: "demo", Chart: localChart(t, files), Values: values, Timeout: time.Minute}
	}
}

func (b *bench) install(t *testing.T, files map[string]string, values map[string]any) *helm.Release {
	t.Helper()
	release, err := b.Install(t.Context(), b.apply(files, values)(t))
	if err != nil {
		t.Fatalf("install: %v", err)
	}
	return release
}

func (b *bench) config(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	object, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "demo-config", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// traffic records requests, and may stop or fail them.
type traffic struct {
	mu     sync.Mutex
	writes []string
	count  int
	before func(*http.Request) error
}

func (r *traffic) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = nil
}

func (r *traffic) written() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.writes...)
}

func (r *traffic) intercept(before func(*http.Request) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func (r *traffic) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

type tap struct {
	next    http.RoundTripper
	traffic *traffic
}

func (t *tap) RoundTrip(request *http.Request) (*http.Response, error) {
	t.traffic.mu.Lock()
	before := t.traffic.before
	t.traffic.count++
	if request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "selfsubject") {
		t.traffic.writes = append(t.traffic.writes, request.Method+" "+request.URL.Path)
	}
	t.traffic.mu.Unlock()
	if before != nil {
		if err := before(request); err != nil {
			return nil, err
		}
	}
	return t.next.RoundTrip(request)
}

func TestReleaseLife(t *testing.T) {
	b := newBench(t, nil)
	if release, err := b.Current(t.Context(), b.namespace, "demo"); release != nil || err != nil {
		t.Fatalf("a release that is not there: %v, %v; want nil, nil", release, err)
	}

	first := b.install(t, configMapChart("1.0.0"), map[string]any{"big": int64(67108864), "kmsKey": nil})
	if first.Revision != 1 || first.Status != helm.StatusDeployed || first.ChartVersion != "1.0.0" || first.AppVersion != "app-1.0.0" || first.DeployedAt.IsZero() {
		t.Errorf("first revision = %+v", first)
	}
	if want := spec.ValuesDigest(map[string]any{"big": int64(67108864), "kmsKey": nil}); first.ValuesDigest != want {
		t.Errorf("values digest %s, want that of the values given, %s", first.ValuesDigest, want)
	}
	if len(first.Objects) != 1 || first.Objects[0] != (helm.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: b.namespace, Name: "demo-config"}) {
		t.Errorf("objects = %v", first.Objects)
	}
	config := b.config(t)
	if got := config.Data["big"]; got != "67108864" {
		t.Errorf("an integer reached the template as %q", got)
	}
	if got := config.Data["kmsKey"]; strings.Contains(got, "from-chart") {
		t.Errorf("a null left the chart's default %q in place", got)
	}
	if owners := config.OwnerReferences; len(owners) != 0 {
		t.Errorf("ownerReferences = %v, want none", owners)
	}
	if manager := config.ManagedFields[0]; manager.Manager != helm.FieldManager || manager.Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("fields belong to %s by %s, want %s by Apply", manager.Manager, manager.Operation, helm.FieldManager)
	}

	second, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), map[string]any{"greeting": "again"})(t))
	if err != nil || second.Revision != 2 || second.ChartVersion != "1.1.0" {
		t.Fatalf("upgrade: %+v, %v", second, err)
	}
	if data := b.config(t).Data; data["greeting"] != "again" || data["big"] != "1" || data["kmsKey"] != "from-chart" {
		t.Errorf("data = %v: values of the revision before must not linger", data)
	}

	if err := b.MarkFailed(t.Context(), b.namespace, "demo", 2, "workloads did not become ready"); err != nil {
		t.Fatal(err)
	}
	if current, err := b.Current(t.Context(), b.namespace, "demo"); err != nil || current.Status != helm.StatusFailed || current.Description != "workloads did not become ready" {
		t.Errorf("after MarkFailed: %+v, %v", current, err)
	}
	third, err := b.Rollback(t.Context(), b.namespace, "demo", 1, time.Minute)
	if err != nil || third.Revision != 3 || third.Status != helm.StatusDeployed || third.ChartVersion != "1.0.0" {
		t.Fatalf("roll back: %+v, %v", third, err)
	}
	if got := b.config(t).Data["big"]; got != "67108864" {
		t.Errorf("after the rollback big = %q", got)
	}
	history, err := b.History(t.Context(), b.namespace, "demo")
	if err != nil || len(history) != 3 || history[0].Revision != 3 || history[1].Status != helm.StatusFailed || history[2].Status != helm.StatusSuperseded {
		t.Errorf("history = %v, %v", history, err)
	}

	if err := b.Uninstall(t.Context(), b.namespace, "demo", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "demo-config", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the ConfigMap is still there: %v", err)
	}
	if err := b.Uninstall(t.Context(), b.namespace, "demo", time.Minute); err != nil {
		t.Errorf("uninstalling what is gone: %v", err)
	}
	if current, err := b.Current(t.Context(), b.namespace, "demo"); current != nil || err != nil {
		t.Errorf("after uninstall: %v, %v", current, err)
	}
}

func TestReadingAReleaseThatHasNotChangedReadsMetadataOnly(t *testing.T) {
	b := newBench(t, nil)
	b.install(t, configMapChart("1.0.0"), nil)
	if _, err := b.Current(t.Context(), b.namespace, "demo"); err != nil {
		t.Fatal(err)
	}
	var requests []string
	b.traffic.intercept(func(r *http.Request) error {
		requests = append(requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Accept"))
		return nil
	})
	b.traffic.reset()
	for range 3 {
		if _, err := b.Current(t.Context(), b.namespace, "demo"); err != nil {
			t.Fatal(err)
		}
	}
	b.traffic.intercept(nil)
	if len(requests) != 3 {
		t.Errorf("three reads sent %d requests: %v", len(requests), requests)
	}
	for _, request := range requests {
		if !strings.Contains(request, "PartialObjectMetadata") {
			t.Errorf("request for whole Secrets: %s", request)
		}
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("reading wrote: %v", writes)
	}
}

func TestAFailedFirstInstallIsUpgradable(t *testing.T) {
	broken := with(configMapChart("1.0.0"), map[string]string{
		"templates/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: demo}\nspec: {ports: [{port: {{ .Values.port | default 99999 }}}]}\n",
	})
	for _, how := range []string{"by an upgrade", "by another install"} {
		t.Run(how, func(t *testing.T) {
			b := newBench(t, nil)
			failed, err := b.Install(t.Context(), b.apply(broken, nil)(t))
			if got := fault.Reason(err, ""); got != v1.ReasonHelmFailed {
				t.Fatalf("reason %q (%v), want %q", got, err, v1.ReasonHelmFailed)
			}
			if failed == nil || failed.Status != helm.StatusFailed || failed.Revision != 1 {
				t.Fatalf("recorded revision = %+v, want failed revision 1", failed)
			}
			repair := b.Upgrade
			if how == "by another install" {
				repair = b.Install
			}
			mended, err := repair(t.Context(), b.apply(broken, map[string]any{"port": int64(80)})(t))
			if err != nil || mended.Status != helm.StatusDeployed || mended.Revision != 2 {
				t.Fatalf("mended: %+v, %v", mended, err)
			}
		})
	}
}

func TestValuesAreCheckedBeforeAnythingIsWritten(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"values.schema.json": `{"type":"object","required":["greeting"],"properties":{"greeting":{"type":"string"},"size":{"enum":["small","large"]},"kmsKey":{"type":"string"}},"additionalProperties":false}`,
	})
	b.traffic.reset()
	release, err := b.Install(t.Context(), b.apply(files, map[string]any{"size": "huge"})(t))
	if fault.Reason(err, "") != v1.ReasonValuesInvalid || !strings.Contains(err.Error(), `size: must be one of "small", "large"`) || release != nil {
		t.Errorf("%+v, %v", release, err)
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("wrote %v", writes)
	}
	if _, err := b.Install(t.Context(), b.apply(files, map[string]any{"kmsKey": nil, "unknown": true, "greeting": nil})(t)); fault.Reason(err, "") != v1.ReasonValuesInvalid || !strings.Contains(err.Error(), "needs greeting") {
		t.Errorf("a null takes the default away, and the schema requires the key: %v", err)
	}
	if _, err := b.Install(t.Context(), b.apply(files, map[string]any{"kmsKey": nil, "unknown": true})(t)); err != nil {
		t.Errorf("a null, and a key that the chart does not know, are no reason to refuse: %v", err)
	}
}

func TestHistoryIsCapped(t *testing.T) {
	b := newBench(t, func(c *helm.Config) { c.MaxHistory = 3 })
	b.install(t, configMapChart("1.0.0"), nil)
	for i := range 5 {
		if _, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.0.0"), map[string]any{"greeting": fmt.Sprint(i)})(t)); err != nil {
			t.Fatal(err)
		}
	}
	history, err := b.History(t.Context(), b.namespace, "demo")
	if err != nil || len(history) != 3 || history[0].Revision != 6 {
		t.Errorf("history has %d revisions (%v), want 3 up to revision 6", len(history), err)
	}
}

func TestACancelledActionStopsWritingAndLeavesNothingPending(t *testing.T) {
	b := newBench(t, nil)
	b.install(t, configMapChart("1.0.0"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.traffic.intercept(func(r *http.Request) error {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/configmaps/demo-config") {
			cancel()
			<-r.Context().Done()
			return r.Context().Err()
		}
		return nil
	})
	release, err := b.Upgrade(ctx, b.apply(configMapChart("1.1.0"), nil)(t))
	b.traffic.intercept(nil)
	if !fault.Retryable(err) || !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "cancel") {
		t.Errorf("error = %v, want a retryable one that says it was cancelled", err)
	}
	if release == nil || release.Status != helm.StatusFailed || release.Revision != 2 {
		t.Errorf("recorded = %+v, want revision 2 failed", release)
	}
	b.traffic.reset()
	select {
	case <-time.After(500 * time.Millisecond):
	case <-t.Context().Done():
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("after the action had returned it wrote %v", writes)
	}
	if release, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t)); err != nil || release.Revision != 3 {
		t.Errorf("the next upgrade: %+v, %v", release, err)
	}
}

// editRelease edits Helm's storage as somebody else would.
func (b *bench) editRelease(t *testing.T, revision int, change func(*corev1.Secret)) {
	t.Helper()
	name := fmt.Sprintf("sh.helm.release.v1.demo.v%d", revision)
	secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(secret)
	if _, err := b.kube.CoreV1().Secrets(b.namespace).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAReleaseThatSomebodyElseTouchedMeanwhileIsNotOverwritten(t *testing.T) {
	b := newBench(t, nil)
	b.install(t, configMapChart("1.0.0"), nil)
	b.traffic.intercept(func(r *http.Request) error {
		if r.Method == http.MethodPatch {
			b.traffic.intercept(nil)
			b.editRelease(t, 2, func(s *corev1.Secret) { s.Labels["touched"] = "yes" })
		}
		return nil
	})
	_, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t))
	if !apierrors.IsConflict(err) || !fault.Retryable(err) {
		t.Errorf("error = %v, want a conflict", err)
	}
	secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), "sh.helm.release.v1.demo.v2", metav1.GetOptions{})
	if err != nil || secret.Labels["touched"] != "yes" {
		t.Errorf("labels = %v, %v: the other's write was overwritten", secret.Labels, err)
	}
}

var errKilled = errors.New("the process was killed")

func TestUnlock(t *testing.T) {
	b := newBench(t, nil)
	b.install(t, configMapChart("1.0.0"), nil)
	if release, err := b.Unlock(t.Context(), b.namespace, "demo", "x"); release != nil || err != nil {
		t.Errorf("nothing is pending: %v, %v", release, err)
	}
	// A process that is killed writes nothing any more: neither to the objects nor to the storage.
	ctx, cancel := context.WithCancel(t.Context())
	var dead sync.Once
	killed := false
	b.traffic.intercept(func(r *http.Request) error {
		if r.Method == http.MethodPatch {
			dead.Do(func() { killed = true; cancel() })
		}
		if killed {
			return errKilled
		}
		return nil
	})
	_, err := b.Upgrade(ctx, b.apply(configMapChart("1.1.0"), nil)(t))
	cancel()
	b.traffic.intercept(nil)
	if err == nil {
		t.Fatal("the killed upgrade succeeded")
	}
	current, err := b.Current(t.Context(), b.namespace, "demo")
	if err != nil || current.Status != helm.StatusPendingUpgrade || !current.Status.Pending() {
		t.Fatalf("after the kill: %+v, %v", current, err)
	}
	if _, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t)); fault.Reason(err, "") != v1.ReasonHelmLocked {
		t.Errorf("upgrade of a pending release: %v, want %s", err, v1.ReasonHelmLocked)
	}
	unlocked, err := b.Unlock(t.Context(), b.namespace, "demo", "the operator was restarted while it upgraded")
	if err != nil || unlocked == nil || unlocked.Status != helm.StatusFailed || unlocked.Revision != 2 {
		t.Fatalf("unlock: %+v, %v", unlocked, err)
	}
	if release, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t)); err != nil || release.Revision != 3 {
		t.Errorf("upgrade after unlock: %+v, %v", release, err)
	}
}

func TestUninstallKeepsVolumesAndWhatTheChartKeeps(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"templates/claim.yaml": "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n",
		"templates/kept.yaml":  "apiVersion: v1\nkind: Secret\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n",
	})
	b.install(t, files, nil)
	exists := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
	claims, secrets := b.kube.CoreV1().PersistentVolumeClaims(b.namespace), b.kube.CoreV1().Secrets(b.namespace)
	if _, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t)); err != nil {
		t.Fatal(err)
	}
	_, err := claims.Get(t.Context(), "data", metav1.GetOptions{})
	exists("the volume that the new chart dropped", err)
	if _, err := b.Upgrade(t.Context(), b.apply(files, nil)(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.Uninstall(t.Context(), b.namespace, "demo", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	claim, err := claims.Get(t.Context(), "data", metav1.GetOptions{})
	exists("the volume", err)
	if claim != nil && claim.DeletionTimestamp != nil {
		t.Error("the volume is being deleted")
	}
	_, err = secrets.Get(t.Context(), "kept", metav1.GetOptions{})
	exists("the kept Secret", err)
}

func TestErrorsAndHistoryShowNoSecrets(t *testing.T) {
	const canary = "canary-91c4"
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		// The API server repeats the offending value in its error.
		"templates/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: demo}\nspec: {type: {{ .Values.mysql.password }}, ports: [{port: 80}]}\n",
	})
	check := func(what, text string) {
		t.Helper()
		if strings.Contains(text, canary) {
			t.Errorf("%s shows the secret: %s", what, text)
		}
	}
	failed, err := b.Install(t.Context(), b.apply(files, map[string]any{"mysql": map[string]any{"password": canary}})(t))
	if err == nil || failed == nil {
		t.Fatalf("%v, %v: want a recorded failure", failed, err)
	}
	check("the error", fault.Message(err))
	check("the description", failed.Description)
	if !strings.Contains(err.Error(), redact.Mask) {
		t.Errorf("the error %q does not show where something was left out", err)
	}
	other := with(configMapChart("1.0.0"), map[string]string{
		"templates/fail.yaml": "{{ fail (printf \"no such user: %s\" .Values.account) }}",
	})
	apply := b.apply(other, map[string]any{"account": canary})(t)
	apply.Secrets = []redact.Secret{canary}
	_, err = b.Upgrade(t.Context(), apply)
	check("the error of a template", fault.Message(err))
	raw, err := json.Marshal(failed)
	if err != nil {
		t.Fatal(err)
	}
	check("the release", string(raw))
}

func TestChartsThatServerSideApplyCannotTypeAreAppliedAsBefore(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: demo}
spec:
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec:
      containers:
      - name: demo
        image: demo
        env: [{name: A, value: "1"}, {name: A, value: "2"}]
`,
	})
	release, err := b.Install(t.Context(), b.apply(files, nil)(t))
	if err != nil || release.Status != helm.StatusDeployed {
		t.Fatalf("install: %+v, %v", release, err)
	}
	if release, err = b.Upgrade(t.Context(), b.apply(files, map[string]any{"greeting": "x"})(t)); err != nil || release.Status != helm.StatusDeployed {
		t.Errorf("upgrade: %+v, %v", release, err)
	}
}

func TestAnObjectOfSomebodyElseIsNotTaken(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.kube.CoreV1().ConfigMaps(b.namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "demo-config"}, Data: map[string]string{"mine": "yes"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	release, err := b.Install(t.Context(), b.apply(configMapChart("1.0.0"), nil)(t))
	if release != nil || fault.Reason(err, "") != v1.ReasonHelmFailed || !strings.Contains(fault.Hint(err), "meta.helm.sh/release-name") {
		t.Errorf("%+v, %v, hint %q", release, err, fault.Hint(err))
	}
	if data := b.config(t).Data; data["mine"] != "yes" || len(data) != 1 {
		t.Errorf("data = %v", data)
	}
}

func TestAnUnreachableAPIServerIsWorthARetry(t *testing.T) {
	client, err := helm.New(helm.Config{RESTConfig: &rest.Config{Host: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Current(t.Context(), "default", "demo")
	if !fault.Retryable(err) {
		t.Errorf("error = %v, want a retryable one", err)
	}
}
