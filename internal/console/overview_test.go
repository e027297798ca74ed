package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/kubewandb/kubewandb/api/v1"
)

const statusOfARollout = `
observedGeneration: 1
nextStep: Wait until the workloads of revision 4 are ready.
release: {id: 7c1d, name: v1.2.0, chart: operator-wandb, chartVersion: 1.2.0, revision: 4, digest: "sha256:ab", deployedAt: "2026-01-31T12:00:00Z"}
channel: {name: stable, releaseId: 8e2f, releaseName: v1.3.0, checkedAt: "2026-01-31T12:01:00Z"}
conditions:
- {type: Ready, status: "False", reason: Progressing, message: Workloads are starting., lastTransitionTime: "2026-01-31T12:00:00Z"}
- {type: Reconciling, status: "True", reason: Progressing, message: "", lastTransitionTime: "2026-01-31T12:00:00Z"}
- {type: Stalled, status: "False", reason: Progressing, message: "", lastTransitionTime: "2026-01-31T12:00:00Z"}
- {type: Drifted, status: "False", reason: InSync, message: "", lastTransitionTime: "2026-01-31T12:00:00Z"}
- {type: Verified, status: Unknown, reason: NoProbe, message: "", lastTransitionTime: "2026-01-31T12:00:00Z"}
`

func TestOverview(t *testing.T) {
	c := newCluster(t)
	c.createResource(t, "wandb", "values: {global: {license: "+testLicense+"}}")
	c.createResource(t, "wandb-two", "values: {}")
	c.setStatus(t, "wandb", statusOfARollout)
	c.createPod(t, "wandb-console-1", "wandb", "console")
	c.createPod(t, "wandb-app-1", "wandb", "app")
	c.createPod(t, "wandb-two-app-1", "wandb-two", "app")
	now := time.Now().Truncate(time.Second)
	c.createEvent(t, "Pod", "wandb-app-1", "BackOff", "Back-off pulling image", now.Add(-time.Minute))
	c.createEvent(t, "Pod", "wandb-app-1", "BackOff", "Back-off pulling image", now)
	c.createEvent(t, "WeightsAndBiases", "wandb", "Upgraded", "Revision 4.", now.Add(-time.Hour))
	c.createEvent(t, "Pod", "wandb-two-app-1", "BackOff", "of another installation", now)
	c.createEvent(t, "Pod", "other", "BackOff", "of something else", now)
	for n := range 60 {
		c.createEvent(t, "Deployment", "wandb-app", "Scaled", fmt.Sprintf("Scaled %d", n), now.Add(-time.Duration(n+2)*time.Minute))
	}

	got := startConsole(t, c, nil).signedIn(t).get("/overview")
	if strings.Contains(got.body, testLicense) {
		t.Errorf("the overview holds the licence")
	}
	var view overview
	got.into(t, &view)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	later := at.Add(time.Minute)
	if view.Resource.CreatedAt == nil || time.Since(*view.Resource.CreatedAt) > time.Minute {
		t.Errorf("created at %v", view.Resource.CreatedAt)
	}
	view.Resource.CreatedAt = nil
	want := overview{
		Resource: resourceView{Name: "wandb", Namespace: c.namespace, Generation: 1, ObservedGeneration: 1},
		Conditions: []conditionView{
			{Type: "Ready", Status: "False", Reason: "Progressing", Message: "Workloads are starting.", LastTransitionTime: &at, Positive: true},
			{Type: "Reconciling", Status: "True", Reason: "Progressing", LastTransitionTime: &at},
			{Type: "Stalled", Status: "False", Reason: "Progressing", LastTransitionTime: &at},
			{Type: "Drifted", Status: "False", Reason: "InSync", LastTransitionTime: &at},
			{Type: "Verified", Status: "Unknown", Reason: "NoProbe", LastTransitionTime: &at, Positive: true},
		},
		Release: releaseView{ID: "7c1d", Name: "v1.2.0", Chart: "operator-wandb", ChartVersion: "1.2.0", Revision: 4, DeployedAt: &at},
		Channel: channelView{Name: "stable", Release: "v1.3.0", CheckedAt: &later},
		Pods: []podView{
			{Name: "wandb-app-1", Component: "app", Phase: "Pending", Images: []imageView{{Name: "app", Image: "example.com/app:1"}}},
			{Name: "wandb-console-1", Component: "console", Phase: "Pending", Images: []imageView{{Name: "console", Image: "example.com/console:1"}}},
		},
		Next: "Wait until the workloads of revision 4 are ready.",
	}
	events := view.Events
	view.Events = nil
	if diff := cmp.Diff(want, view); diff != "" {
		t.Errorf("overview (-want +got):\n%s", diff)
	}
	if len(events) != eventsShown {
		t.Fatalf("%d events, want the newest %d", len(events), eventsShown)
	}
	newest := now.UTC()
	if diff := cmp.Diff(eventView{Time: &newest, Type: "Warning", Reason: "BackOff", Object: "Pod/wandb-app-1", Message: "Back-off pulling image"}, events[0]); diff != "" {
		t.Errorf("newest event (-want +got):\n%s", diff)
	}
	for _, event := range events[1:] {
		if event.Reason == "BackOff" {
			t.Errorf("%+v: it is of another installation, or stands here twice", event)
		}
	}
}

func TestOverviewWithoutResource(t *testing.T) {
	c := newCluster(t)
	got := startConsole(t, c, nil).signedIn(t).get("/overview")
	if got.status != http.StatusOK || !strings.Contains(got.body, "There is no WeightsAndBiases wandb") {
		t.Errorf("%d %s, want 200 that says what is missing", got.status, got.body)
	}
	for _, list := range []string{`"conditions":[]`, `"pods":[]`, `"events":[]`} {
		if !strings.Contains(got.body, list) {
			t.Errorf("%s is missing from %s: pages read a list", list, got.body)
		}
	}
}

func TestPodMessages(t *testing.T) {
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	ended := func(reason string, code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Message: "last line of a log: " + testPassword}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	tests := map[string]struct {
		status corev1.PodStatus
		want   string
	}{
		"a pod that works": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: running, Ready: true}}}},
		"a pod that starts": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: waiting("ContainerCreating", "")}}}},
		"an image that cannot be pulled": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: waiting("ImagePullBackOff", `Back-off pulling image "x"`)}}},
			want: `Container app: ImagePullBackOff: Back-off pulling image "x"`},
		"a container that crashes": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: waiting("CrashLoopBackOff", "back-off 5m0s"), LastTerminationState: ended("OOMKilled", 137)}}},
			want: "Container app: CrashLoopBackOff: OOMKilled (exit code 137)"},
		"a container that was restarted and is not ready yet": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: running, LastTerminationState: ended("Error", 1)}}},
			want: "Container app: restarted after Error (exit code 1)"},
		"a container that was restarted and works": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: running, Ready: true, LastTerminationState: ended("Error", 1)}}}},
		"an init container first": {status: corev1.PodStatus{
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "wait", State: ended("Error", 2)}},
			ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", State: waiting("PodInitializing", "")}}},
			want: "Container wait: Error (exit code 2)"},
		"a job that ended well": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "job", State: ended("Completed", 0)}}}},
		"a pod without a node": {status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available."}}},
			want: "Unschedulable: 0/1 nodes are available."},
		"an evicted pod": {status: corev1.PodStatus{Reason: "Evicted", Message: "The node was low on resource: memory."},
			want: "Evicted: The node was low on resource: memory."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := podMessage(&corev1.Pod{Status: test.status}); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestStatusOfAnotherVersionDoesNotHideThePods(t *testing.T) {
	resource := &apiv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Name: "wandb"}}
	resource.Status.NextStep = "?"
	deleted := metav1.Now()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "wandb-app-1", DeletionTimestamp: &deleted}}
	view := observation{name: "wandb", resources: []*apiv1.WeightsAndBiases{resource}, pods: []*corev1.Pod{pod}}.overview()
	if len(view.Pods) != 1 || view.Pods[0].Phase != podTerminating || view.Next != "?" {
		t.Errorf("%+v, want one pod that is terminating", view)
	}
}
