package operator

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// TestStatusIsWhatOthersRead shows what Flux, and every tool that computes kstatus, make of the shapes of our status.
func TestStatusIsWhatOthersRead(t *testing.T) {
	deleted := metav1.Now()
	for name, c := range map[string]struct {
		observed   int64
		deletion   *metav1.Time
		conditions []string
		want       status.Status
	}{
		"an older generation is seen": {1, nil, []string{"Ready=True Ready", "Reconciling=False Ready", "Stalled=False Ready"}, status.InProgressStatus},
		"it runs":                     {2, nil, []string{"Ready=True Ready", "Reconciling=False Ready", "Stalled=False Ready"}, status.CurrentStatus},
		"Helm is at work": {
			2, nil, []string{"Ready=Unknown Progressing", "Reconciling=True Progressing", "Stalled=False Progressing"}, status.InProgressStatus,
		},
		"a failure is tried again": {
			2, nil, []string{"Ready=False HelmFailed", "Reconciling=True HelmFailed", "Stalled=False HelmFailed"}, status.InProgressStatus,
		},
		"somebody has to mend it": {
			2, nil, []string{"Ready=False ValuesInvalid", "Reconciling=False ValuesInvalid", "Stalled=True ValuesInvalid"}, status.FailedStatus,
		},
		"workloads broke later": {
			2, nil, []string{"Ready=False WorkloadsNotReady", "Reconciling=False WorkloadsNotReady", "Stalled=False WorkloadsNotReady"}, status.InProgressStatus,
		},
		"it runs, and the next release waits": {
			2, nil, []string{"Ready=True Ready", "UpToDate=False AwaitingApproval", "Reconciling=False AwaitingApproval", "Stalled=False AwaitingApproval"},
			status.CurrentStatus,
		},
		"suspended while it runs": {
			2, nil, []string{"Ready=True Suspended", "Reconciling=False Suspended", "Stalled=False Suspended"}, status.CurrentStatus,
		},
		"drifted, and it runs": {
			2, nil, []string{"Ready=True Ready", "Drifted=True ObjectsChanged", "Reconciling=False Ready", "Stalled=False Ready"}, status.CurrentStatus,
		},
		"it is being deleted": {2, &deleted, []string{"Ready=False Deleting", "Reconciling=True Deleting"}, status.TerminatingStatus},
	} {
		t.Run(name, func(t *testing.T) {
			cr := &appsv1.WeightsAndBiases{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "wandb", Generation: 2, DeletionTimestamp: c.deletion},
				Status:     *shown(c.conditions...),
			}
			cr.SetGroupVersionKind(appsv1.GroupVersionKind())
			cr.Status.ObservedGeneration = c.observed
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cr)
			must(t, err)
			result, err := status.Compute(&unstructured.Unstructured{Object: content})
			must(t, err)
			if result.Status != c.want {
				t.Errorf("kstatus is %s (%s), want %s", result.Status, result.Message, c.want)
			}
		})
	}
}

// A resource that no operator has seen yet is under way: without any status, kstatus would take it for done.
func TestFreshResourceIsInProgress(t *testing.T) {
	i := newInstallation(t)
	cr := i.get(i.resource(nil))
	cr.SetGroupVersionKind(appsv1.GroupVersionKind())
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cr)
	must(t, err)
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	must(t, err)
	if result.Status != status.InProgressStatus {
		t.Errorf("kstatus is %s (%s), want %s", result.Status, result.Message, status.InProgressStatus)
	}
}
