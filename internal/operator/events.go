package operator

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientevents "k8s.io/client-go/tools/events"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Reasons of events that no condition has.
const (
	// eventReleaseNoticed: the channel offers another release.
	eventReleaseNoticed = "ReleaseNoticed"
)

// maxNote is the bound that events.k8s.io sets.
const maxNote = 1000

// events tells people what changed: once for each change, because it speaks only where the status did.
type events struct {
	recorder clientevents.EventRecorder
	granted  map[string]bool
}

// changed emits what lies between two states of a status.
func (e *events) changed(cr *appsv1.WeightsAndBiases, before, after *appsv1.WeightsAndBiasesStatus) {
	for _, each := range changes(before, after) {
		e.emit(cr, each.kind, each.reason, each.note)
	}
}

func (e *events) warn(cr *appsv1.WeightsAndBiases, reason, note string) {
	e.emit(cr, corev1.EventTypeWarning, reason, note)
}

func (e *events) emit(cr *appsv1.WeightsAndBiases, kind, reason, note string) {
	if !e.granted[cr.Namespace] {
		return // events need a right in the namespace
	}
	if len(note) > maxNote {
		note = note[:maxNote]
	}
	e.recorder.Eventf(referred(cr), nil, kind, reason, "Reconcile", "%s", note)
}

// referred fills in the kind, which objects out of a cache lack.
func referred(cr *appsv1.WeightsAndBiases) runtime.Object {
	named := &appsv1.WeightsAndBiases{}
	named.SetGroupVersionKind(appsv1.GroupVersionKind())
	named.Name, named.Namespace, named.UID, named.ResourceVersion = cr.Name, cr.Namespace, cr.UID, cr.ResourceVersion
	return named
}

type change struct{ kind, reason, note string }

// changes is pure. A condition speaks when its status or reason changes; Ready only sums up and stays silent unless
// nobody else has said it.
func changes(before, after *appsv1.WeightsAndBiasesStatus) []change {
	var found []change
	if noticed, ok := releaseNoticed(before.Channel, after.Channel); ok {
		found = append(found, noticed)
	}
	said := map[string]bool{}
	for _, kind := range []string{
		appsv1.ConditionLicenseValid, appsv1.ConditionChannelReachable, appsv1.ConditionSpecResolved,
		appsv1.ConditionReleased, appsv1.ConditionReady,
	} {
		now := meta.FindStatusCondition(after.Conditions, kind)
		if now == nil || same(meta.FindStatusCondition(before.Conditions, kind), now) || said[now.Reason] {
			continue
		}
		switch {
		case now.Status == metav1.ConditionFalse && !quiet(now.Reason):
			found = append(found, change{corev1.EventTypeWarning, now.Reason, now.Message})
			said[now.Reason] = true
		case now.Status == metav1.ConditionTrue && kind == appsv1.ConditionReleased:
			found = append(found, change{corev1.EventTypeNormal, now.Reason, now.Message})
		}
	}
	return found
}

func same(before, now *metav1.Condition) bool {
	return before != nil && before.Status == now.Status && before.Reason == now.Reason
}

// quiet are the reasons for which False is no failure.
func quiet(reason string) bool {
	switch reason {
	case appsv1.ReasonProgressing, appsv1.ReasonDeleting, appsv1.ReasonSuspended, appsv1.ReasonUpdatePending:
		return true
	default:
		return false
	}
}

func releaseNoticed(before, after *appsv1.ChannelStatus) (change, bool) {
	if after == nil || (before != nil && before.ReleaseID == after.ReleaseID && before.ReleaseName == after.ReleaseName) {
		return change{}, false
	}
	return change{
		corev1.EventTypeNormal, eventReleaseNoticed,
		fmt.Sprintf("channel %s offers release %s (%s)", after.Name, after.ReleaseName, after.ReleaseID),
	}, true
}
