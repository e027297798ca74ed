package operator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientevents "k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/notify"
)

// Reasons of events that no condition has.
const (
	// eventReleaseNoticed: the channel offers another release.
	eventReleaseNoticed = "ReleaseNoticed"
)

// maxNote is the bound that events.k8s.io sets, in bytes.
const maxNote = 1000

// events tells people what changed: once for each change, because it speaks only where the status did.
type events struct {
	recorder clientevents.EventRecorder
	granted  map[string]bool
	// notices sends what people outside of the cluster hear of; nil sends nothing.
	notices *notify.Sender
}

// changed tells what lies between two states of a status.
func (e *events) changed(cr *appsv1.WeightsAndBiases, before, after *appsv1.WeightsAndBiasesStatus) {
	for _, each := range changes(before, after) {
		e.emit(cr, each.kind, each.reason, each.note)
	}
	e.notices.Tell(client.ObjectKeyFromObject(cr), before, after, time.Now())
}

func (e *events) warn(cr *appsv1.WeightsAndBiases, reason, note string) {
	e.emit(cr, corev1.EventTypeWarning, reason, note)
}

func (e *events) emit(cr *appsv1.WeightsAndBiases, kind, reason, note string) {
	if !e.granted[cr.Namespace] {
		return // events need a right in the namespace
	}
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "") // the API server refuses half a character
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

// changes is pure. A condition speaks when its status or reason changes: with a Warning where something failed, with a
// Normal event where something succeeded, is over, or waits for somebody. Each reason is said once; Ready sums up, and
// stays silent unless nobody else has said it.
func changes(before, after *appsv1.WeightsAndBiasesStatus) []change {
	var found []change
	if noticed, ok := releaseNoticed(before.Channel, after.Channel); ok {
		found = append(found, noticed)
	}
	said, warned := map[string]bool{}, false
	for _, kind := range []string{
		appsv1.ConditionLicenseValid, appsv1.ConditionChannelReachable, appsv1.ConditionSpecResolved, appsv1.ConditionPreflight,
		appsv1.ConditionReleased, appsv1.ConditionVerified, appsv1.ConditionDrifted, appsv1.ConditionUpToDate, appsv1.ConditionReady,
	} {
		was, is := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
		if is == nil || said[is.Reason] || same(was, is) && !anew(kind, before, after) {
			continue
		}
		severity := severityOf(was, is)
		if severity == "" || warned && kind == appsv1.ConditionUpToDate && severity == corev1.EventTypeWarning {
			continue
		}
		found = append(found, change{severity, is.Reason, is.Message})
		said[is.Reason] = true
		warned = warned || severity == corev1.EventTypeWarning
	}
	return found
}

// severityOf returns the type of the event for a condition that changed, or "" where the change is worth none.
func severityOf(was, is *metav1.Condition) string {
	bad, good := metav1.ConditionFalse, metav1.ConditionTrue
	if is.Type == appsv1.ConditionDrifted {
		bad, good = good, bad
	}
	wasBad := was != nil && was.Status == bad && !quiet(was.Reason)
	switch {
	case is.Reason == appsv1.ReasonRolledBack && is.Type == appsv1.ConditionReleased:
		return corev1.EventTypeWarning
	case is.Type == appsv1.ConditionUpToDate:
		return severityOfUpdate(is)
	case is.Status == bad && !quiet(is.Reason):
		return corev1.EventTypeWarning
	case is.Status != good || is.Type == appsv1.ConditionReady || is.Type == appsv1.ConditionSpecResolved:
		return ""
	case is.Type == appsv1.ConditionReleased:
		return corev1.EventTypeNormal
	case is.Type == appsv1.ConditionVerified && (was == nil || was.Status != good), wasBad:
		return corev1.EventTypeNormal
	default:
		return ""
	}
}

// severityOfUpdate: what waits for a person or a window is no failure; what will not be tried again is.
func severityOfUpdate(is *metav1.Condition) string {
	if is.Status != metav1.ConditionFalse {
		return ""
	}
	switch is.Reason {
	case appsv1.ReasonAwaitingApproval, appsv1.ReasonAdoptionNeedsConsent, appsv1.ReasonOutsideWindow:
		return corev1.EventTypeNormal
	case appsv1.ReasonReleaseFailed:
		return corev1.EventTypeWarning
	default:
		return ""
	}
}

// anew tells that a condition speaks about something else with the same words: another plan waits, or another object
// drifted.
func anew(kind string, before, after *appsv1.WeightsAndBiasesStatus) bool {
	switch kind {
	case appsv1.ConditionUpToDate:
		return awaitsApproval(after.Conditions) && before.Plan != nil && after.Plan != nil && before.Plan.Digest != after.Plan.Digest
	case appsv1.ConditionDrifted:
		return slices.ContainsFunc(after.Drift, func(drifted appsv1.DriftStatus) bool {
			return !slices.ContainsFunc(before.Drift, func(known appsv1.DriftStatus) bool { return known.Object == drifted.Object })
		})
	default:
		return false
	}
}

// awaitsApproval tells that a plan waits until somebody approves it.
func awaitsApproval(conditions []metav1.Condition) bool {
	condition := meta.FindStatusCondition(conditions, appsv1.ConditionUpToDate)
	return condition != nil && condition.Status != metav1.ConditionTrue &&
		(condition.Reason == appsv1.ReasonAwaitingApproval || condition.Reason == appsv1.ReasonAdoptionNeedsConsent)
}

func same(before, now *metav1.Condition) bool {
	return before != nil && before.Status == now.Status && before.Reason == now.Reason
}

// quiet are the reasons for which False is no failure.
func quiet(reason string) bool {
	switch reason {
	case appsv1.ReasonProgressing, appsv1.ReasonDeleting, appsv1.ReasonSuspended, appsv1.ReasonUpdatePending,
		appsv1.ReasonAwaitingApproval, appsv1.ReasonAdoptionNeedsConsent, appsv1.ReasonOutsideWindow:
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
