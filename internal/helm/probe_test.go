package helm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/probe"
	"github.com/kubewandb/kubewandb/internal/probe/report"
)

// kubelet ends pods and Jobs as it is told, and serves their logs.
type kubelet struct {
	*bench

	mu   sync.Mutex
	ends map[string]ending // by name of Pod or Job
	// logErrors are answered before logs are.
	logErrors int
	logStatus int
	read      int64
}

// ending is how a pod ends, and what it printed.
type ending struct {
	log    string
	fails  bool
	never  bool
	vanish bool
}

func newKubelet(t *testing.T, ends map[string]ending) *kubelet {
	t.Helper()
	k := &kubelet{ends: ends, logStatus: http.StatusInternalServerError}
	k.bench = newBench(t, func(cfg *helm.Config) {
		cfg.RESTConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return logServer{kubelet: k, next: next} })
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return k
}

func (k *kubelet) ending(name string) (ending, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end, known := k.ends[name]
	return end, known
}

func (k *kubelet) set(name string, end ending) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ends[name] = end
}

func (k *kubelet) run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.endJobs(ctx)
		k.endPods(ctx)
	}
}

func (k *kubelet) endJobs(ctx context.Context) {
	jobs, err := k.kube.BatchV1().Jobs(k.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, job := range jobs.Items {
		end, known := k.ending(job.Name)
		if !known || end.never || len(job.Status.Conditions) > 0 {
			continue
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: job.Name + "-", Labels: map[string]string{batchv1.ControllerUidLabel: string(job.UID)}},
			Spec:       job.Spec.Template.Spec,
		}
		made, err := k.kube.CoreV1().Pods(k.namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			continue
		}
		k.endPod(ctx, made, end)
		now := metav1.Now()
		job.Status = batchv1.JobStatus{StartTime: &now}
		first, last := batchv1.JobSuccessCriteriaMet, batchv1.JobComplete
		if end.fails {
			first, last, job.Status.Failed = batchv1.JobFailureTarget, batchv1.JobFailed, 1
		} else {
			job.Status.CompletionTime, job.Status.Succeeded = &now, 1
		}
		for _, condition := range []batchv1.JobConditionType{first, last} {
			job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: "Test", Message: "as the test wants"})
		}
		_, _ = k.kube.BatchV1().Jobs(k.namespace).UpdateStatus(ctx, &job, metav1.UpdateOptions{})
	}
}

func (k *kubelet) endPods(ctx context.Context) {
	pods, err := k.kube.CoreV1().Pods(k.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, pod := range pods.Items {
		end, known := k.ending(pod.Name)
		if !known || pod.Status.Phase != corev1.PodPending {
			continue
		}
		switch {
		case end.vanish:
			_ = k.kube.CoreV1().Pods(k.namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
		case end.never && len(pod.Status.ContainerStatuses) == 0:
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}
			_, _ = k.kube.CoreV1().Pods(k.namespace).UpdateStatus(ctx, &pod, metav1.UpdateOptions{})
		case !end.never:
			k.endPod(ctx, &pod, end)
		}
	}
}

func (k *kubelet) endPod(ctx context.Context, pod *corev1.Pod, end ending) {
	code := int32(0)
	pod.Status.Phase = corev1.PodSucceeded
	if end.fails {
		code, pod.Status.Phase = 3, corev1.PodFailed
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}}
	_, _ = k.kube.CoreV1().Pods(k.namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

// logServer answers for logs, which an API server without nodes cannot.
type logServer struct {
	kubelet *kubelet
	next    http.RoundTripper
}

func (s logServer) RoundTrip(request *http.Request) (*http.Response, error) {
	dir, last := path.Split(request.URL.Path)
	if last != "log" || !strings.Contains(dir, "/pods/") {
		return s.next.RoundTrip(request)
	}
	k := s.kubelet
	k.mu.Lock()
	defer k.mu.Unlock()
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Request: request, Proto: "HTTP/1.1", ProtoMajor: 1}
	if k.logErrors > 0 {
		k.logErrors--
		answer.StatusCode = k.logStatus
		answer.Body = io.NopCloser(strings.NewReader("the kubelet does not answer"))
		return answer, nil
	}
	pod := path.Base(dir)
	for name, end := range k.ends {
		if pod == name || strings.HasPrefix(pod, name+"-") {
			answer.Body = io.NopCloser(&counting{reader: strings.NewReader(end.log), kubelet: k})
		}
	}
	if answer.Body == nil || request.URL.Query().Get("container") != "test" || request.URL.Query().Get("tailLines") == "" {
		return nil, fmt.Errorf("unexpected request for a log: %s", request.URL)
	}
	return answer, nil
}

type counting struct {
	reader  io.Reader
	kubelet *kubelet
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.reader.Read(b)
	c.kubelet.mu.Lock()
	defer c.kubelet.mu.Unlock()
	c.kubelet.read += int64(n)
	return n, err
}

// testHook is a template of a Pod or Job that `helm test` runs.
func testHook(kind, name, policy string) string {
	head := "metadata:\n  name: " + name + "\n  annotations:\n    helm.sh/hook: test\n"
	if policy != "" {
		head += "    helm.sh/hook-delete-policy: " + policy + "\n"
	}
	const pod = "restartPolicy: Never, automountServiceAccountToken: false, containers: [{name: test, image: test}]"
	if kind == "Pod" {
		return "apiVersion: v1\nkind: Pod\n" + head + "spec: {" + pod + "}\n"
	}
	return "apiVersion: batch/v1\nkind: Job\n" + head + "spec: {backoffLimit: 0, template: {spec: {" + pod + "}}}\n"
}

func chartWith(templates map[string]string) map[string]string {
	changes := map[string]string{}
	for name, content := range templates {
		changes["templates/"+name+".yaml"] = content
	}
	return with(configMapChart("1.0.0"), changes)
}

func reportLine(t *testing.T, checks ...probe.Check) string {
	t.Helper()
	line, err := probe.Report{Checks: checks}.Line()
	if err != nil {
		t.Fatal(err)
	}
	return "starting\n" + string(line) + "server: 1 of 2 checks failed\n"
}

var ignoreDuration = cmpopts.IgnoreFields(probe.Check{}, "Duration")

func TestProbe(t *testing.T) {
	ready := probe.Check{Name: "ready", Path: report.Inside, Result: report.Passed, Message: "took 3 tries"}
	broken := probe.Check{Name: "sign-in", Path: report.Outside, Result: report.Failed, Message: "see https://user:canary@example.com/x"}
	masked := broken
	masked.Message = strings.Replace(broken.Message, "user:canary", "[redacted]", 1)
	plain := func(result report.Result, message string) probe.Check {
		return probe.Check{Name: "demo-test", Path: report.Inside, Result: result, Message: message}
	}
	for sentence, test := range map[string]struct {
		kind    string
		end     ending
		timeout time.Duration
		want    []probe.Check
		reason  string
	}{
		"a Job with a report":                {kind: "Job", end: ending{log: reportLine(t, ready)}, want: []probe.Check{ready}},
		"a Pod with a report":                {kind: "Pod", end: ending{log: reportLine(t, ready)}, want: []probe.Check{ready}},
		"a failed Job with a report":         {kind: "Job", end: ending{log: reportLine(t, ready, broken), fails: true}, want: []probe.Check{ready, masked}},
		"a plain Helm test that passes":      {kind: "Pod", end: ending{log: "OK\n"}, want: []probe.Check{plain(report.Passed, "")}},
		"a plain Helm test that fails":       {kind: "Pod", end: ending{log: "wget: 500\n", fails: true}, want: []probe.Check{plain(report.Failed, "Pod demo-test failed: container test ended with exit code 3; see its log")}},
		"a plain Job that fails":             {kind: "Job", end: ending{fails: true}, want: []probe.Check{plain(report.Failed, "Job demo-test failed: container test ended with exit code 3; see its log")}},
		"it failed though its report passes": {kind: "Pod", end: ending{log: reportLine(t, ready), fails: true}, want: []probe.Check{ready, plain(report.Failed, "Pod demo-test failed: container test ended with exit code 3; see its log")}},
		"a report of a later version":        {kind: "Pod", end: ending{log: strings.Replace(reportLine(t, ready), `"version":1`, `"version":9`, 1)}, reason: v1.ReasonProbeUnusable},
		"it never ends":                      {kind: "Pod", end: ending{never: true}, timeout: 2 * time.Second, want: []probe.Check{plain(report.Failed, "Pod demo-test did not end within 2s: container test: no such image")}},
		"somebody deletes it":                {kind: "Pod", end: ending{vanish: true}, reason: v1.ReasonProbeUnusable},
		"a log without end":                  {kind: "Pod", end: ending{log: strings.Repeat("noise\n", 2<<20) + reportLine(t, ready)}, want: []probe.Check{plain(report.Passed, "")}},
	} {
		t.Run(sentence, func(t *testing.T) {
			k := newKubelet(t, map[string]ending{"demo-test": test.end})
			k.install(t, chartWith(map[string]string{"test": testHook(test.kind, "demo-test", "")}), nil)
			before := k.storage(t)
			timeout := test.timeout
			if timeout == 0 {
				timeout = time.Minute
			}
			got, err := k.Probe(t.Context(), k.namespace, "demo", timeout)
			if test.reason != "" {
				if fault.Reason(err, "") != test.reason {
					t.Errorf("error %v, want reason %s", err, test.reason)
				}
			} else if diff := cmp.Diff(test.want, got.Checks, ignoreDuration); err != nil || diff != "" {
				t.Errorf("%v, checks (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(before, k.storage(t)); diff != "" {
				t.Errorf("the probe changed Helm's storage (-before +after):\n%s", diff)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.read > 5<<20 {
				t.Errorf("%d bytes of a log were read", k.read)
			}
		})
	}
}

// storage returns the versions of the Secrets of Helm's storage.
func (b *bench) storage(t *testing.T) map[string]string {
	t.Helper()
	secrets, err := b.kube.CoreV1().Secrets(b.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, secret := range secrets.Items {
		versions[secret.Name] = secret.ResourceVersion
	}
	return versions
}

func TestAProbeIsRepeated(t *testing.T) {
	for _, kind := range []string{"Pod", "Job"} {
		for _, policy := range []string{"", "hook-succeeded", "hook-succeeded,hook-failed"} {
			t.Run(kind+" "+policy, func(t *testing.T) {
				k := newKubelet(t, map[string]ending{"demo-test": {}})
				k.install(t, chartWith(map[string]string{"test": testHook(kind, "demo-test", policy)}), nil)
				for i, want := range []report.Result{report.Passed, report.Failed, report.Failed, report.Passed} {
					k.set("demo-test", ending{fails: want == report.Failed})
					got, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute)
					if err != nil || len(got.Checks) != 1 || got.Checks[0].Result != want {
						t.Fatalf("run %d: %v, %v; want %s", i, got, err, want)
					}
					word := map[report.Result]string{report.Passed: "hook-succeeded", report.Failed: "hook-failed"}[want]
					if left := k.left(t, kind); left == strings.Contains(policy, word) {
						t.Errorf("run %d, which %s: the object is left: %v", i, want, left)
					}
				}
			})
		}
	}
}

// left tells whether the object of the probe is still there.
func (b *bench) left(t *testing.T, kind string) bool {
	t.Helper()
	_, err := b.kube.BatchV1().Jobs(b.namespace).Get(t.Context(), "demo-test", metav1.GetOptions{})
	if kind == "Pod" {
		_, err = b.kube.CoreV1().Pods(b.namespace).Get(t.Context(), "demo-test", metav1.GetOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestHooksRunInTheirOrderAndAllOfThem(t *testing.T) {
	k := newKubelet(t, map[string]ending{"a-late": {}, "b-early": {fails: true}})
	weigh := func(template, weight string) string {
		return strings.Replace(template, "helm.sh/hook: test\n", "helm.sh/hook: test\n    helm.sh/hook-weight: \""+weight+"\"\n", 1)
	}
	k.install(t, chartWith(map[string]string{
		"late": weigh(testHook("Pod", "a-late", ""), "2"), "early": weigh(testHook("Job", "b-early", ""), "1"),
		"setup": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: setup\n  annotations: {helm.sh/hook: test, helm.sh/hook-weight: \"-1\", helm.sh/hook-delete-policy: hook-succeeded}\n",
	}), nil)
	k.traffic.reset()
	got, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := []probe.Check{
		{Name: "b-early", Path: report.Inside, Result: report.Failed, Message: "Job b-early failed: container test ended with exit code 3; see its log"},
		{Name: "a-late", Path: report.Inside, Result: report.Passed},
	}
	if diff := cmp.Diff(want, got.Checks, ignoreDuration); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	var writes []string
	for _, write := range k.traffic.written() {
		method, url, _ := strings.Cut(write, " ")
		writes = append(writes, method+" "+path.Base(url))
	}
	if diff := cmp.Diff([]string{"POST configmaps", "POST jobs", "POST pods", "DELETE setup"}, writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestAProbeRemovesOnlyHooks(t *testing.T) {
	k := newKubelet(t, map[string]ending{})
	k.install(t, chartWith(map[string]string{"test": testHook("Pod", "demo-test", "")}), nil)
	foreign := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "demo-test"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "b"}}}}
	made, err := k.kube.CoreV1().Pods(k.namespace).Create(t.Context(), foreign, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute); fault.Reason(err, "") != v1.ReasonProbeUnusable || fault.Hint(err) == "" {
		t.Errorf("a pod that is no hook has the name of the hook: %v", err)
	}
	if err := k.ClearProbe(t.Context(), k.namespace, "demo"); err != nil {
		t.Error(err)
	}
	if left, err := k.kube.CoreV1().Pods(k.namespace).Get(t.Context(), "demo-test", metav1.GetOptions{}); err != nil || left.UID != made.UID {
		t.Errorf("the pod of somebody else is gone: %v", err)
	}
}

func TestWhatAProbeLeavesCanBeCleared(t *testing.T) {
	k := newKubelet(t, map[string]ending{"demo-test": {}})
	k.install(t, chartWith(map[string]string{"test": testHook("Job", "demo-test", "")}), nil)
	if _, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute); err != nil || !k.left(t, "Job") {
		t.Fatalf("the Job is left: %v, %v", k.left(t, "Job"), err)
	}
	for _, release := range []string{"demo", "demo", "another"} {
		if err := k.ClearProbe(t.Context(), k.namespace, release); err != nil || k.left(t, "Job") {
			t.Errorf("clearing %s: %v, the Job is left: %v", release, err, k.left(t, "Job"))
		}
	}
}

func TestAProbeStaysInItsNamespace(t *testing.T) {
	k := newKubelet(t, map[string]ending{})
	k.install(t, chartWith(map[string]string{"test": strings.Replace(testHook("Pod", "demo-test", ""), "  name:", "  namespace: default\n  name:", 1)}), nil)
	if _, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute); fault.Reason(err, "") != v1.ReasonClusterObjectRefused {
		t.Errorf("a hook in another namespace: %v", err)
	}
}

func TestAReleaseWithoutProbe(t *testing.T) {
	k := newKubelet(t, map[string]ending{})
	k.install(t, chartWith(map[string]string{"test": ""}), nil)
	if _, err := k.Upgrade(t.Context(), k.apply(chartWith(map[string]string{"test": testHook("Job", "demo-test", "")}), nil)(t)); err != nil {
		t.Fatal(err)
	}
	for revision, want := range map[int]bool{1: false, 2: true, 3: false} {
		for range 2 {
			if got, err := k.HasProbe(t.Context(), k.namespace, "demo", revision); err != nil || got != want {
				t.Errorf("revision %d has a probe: %v, %v; want %v", revision, got, err, want)
			}
		}
	}
	count := k.traffic.total()
	if _, err := k.HasProbe(t.Context(), k.namespace, "demo", 2); err != nil || k.traffic.total() != count+1 {
		t.Errorf("asking again took %d requests, %v; want 1", k.traffic.total()-count, err)
	}
	if err := k.Uninstall(t.Context(), k.namespace, "demo", time.Minute); err != nil {
		t.Fatal(err)
	}
	k.install(t, chartWith(map[string]string{"test": testHook("Job", "demo-test", "")}), nil)
	if got, err := k.HasProbe(t.Context(), k.namespace, "demo", 1); err != nil || !got {
		t.Errorf("revision 1 of a release that came again: %v, %v", got, err)
	}
	if _, err := k.Upgrade(t.Context(), k.apply(configMapChart("1.0.1"), nil)(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute); fault.Reason(err, "") != v1.ReasonNoProbe {
		t.Errorf("a probe of nothing: %v", err)
	}
}

func TestALogThatCannotBeRead(t *testing.T) {
	for sentence, test := range map[string]struct {
		errors, status int
		reason         string
	}{
		"for a moment":               {2, http.StatusInternalServerError, ""},
		"for ever":                   {1000, http.StatusInternalServerError, v1.ReasonProbeUnusable},
		"for want of a right":        {1, http.StatusForbidden, v1.ReasonPermissionMissing},
		"since the pod is gone":      {1000, http.StatusNotFound, ""},
		"since nothing ever started": {1000, http.StatusBadRequest, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			k := newKubelet(t, map[string]ending{"demo-test": {log: "OK"}})
			k.install(t, chartWith(map[string]string{"test": testHook("Pod", "demo-test", "")}), nil)
			k.mu.Lock()
			k.logErrors, k.logStatus = test.errors, test.status
			k.mu.Unlock()
			got, err := k.Probe(t.Context(), k.namespace, "demo", time.Minute)
			if fault.Reason(err, "") != test.reason || (err == nil) != (len(got.Checks) == 1) {
				t.Errorf("%v, %v; want reason %q", got, err, test.reason)
			}
		})
	}
}

func TestAProbeEndsWithItsContext(t *testing.T) {
	k := newKubelet(t, map[string]ending{"demo-test": {never: true}})
	k.install(t, chartWith(map[string]string{"test": testHook("Job", "demo-test", "hook-failed")}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	k.traffic.intercept(func(request *http.Request) error {
		if request.Method == http.MethodGet && request.URL.Query().Get("watch") != "" {
			cancel()
		}
		return nil
	})
	got, err := k.Probe(ctx, k.namespace, "demo", time.Hour)
	if !errors.Is(err, context.Canceled) || !fault.Retryable(err) || len(got.Checks) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if !k.left(t, "Job") {
		t.Error("a cancelled probe went on writing")
	}
}
