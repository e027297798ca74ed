package kubectl

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

func condition(resource *appsv1.WeightsAndBiases, kind string) *metav1.Condition {
	return meta.FindStatusCondition(resource.Status.Conditions, kind)
}

// suspended tells that the operator stands still because it was asked to.
func suspended(resource *appsv1.WeightsAndBiases) bool {
	ready := condition(resource, appsv1.ConditionReady)
	return ready != nil && ready.Reason == appsv1.ReasonSuspended
}

// settled tells that nothing is under way any more.
func settled(resource *appsv1.WeightsAndBiases) bool {
	return !meta.IsStatusConditionTrue(resource.Status.Conditions, appsv1.ConditionReconciling)
}

// newRevision waits for a revision after the one that there was, and for its outcome. A rollback that follows upon its
// failure does not make it a success.
func newRevision(before *appsv1.WeightsAndBiases) seen {
	was := newestRevision(before)
	return func(resource *appsv1.WeightsAndBiases) (bool, error) {
		next := appsv1.HistoryEntry{}
		for _, entry := range resource.Status.History { // newest first
			if entry.Revision > was && entry.Outcome != appsv1.OutcomeSuperseded {
				next = entry
			}
		}
		switch next.Outcome {
		case appsv1.OutcomeSucceeded:
			return true, nil
		case appsv1.OutcomeFailed, appsv1.OutcomeRolledBack:
			return false, failedRevision(next, resource)
		case appsv1.OutcomeRunning, appsv1.OutcomeSuperseded:
		}
		return false, nil
	}
}

// applied waits until a plan has become a revision; another plan in its place makes the approval void.
func applied(before *appsv1.WeightsAndBiases, digest string) seen {
	was, revised := newestRevision(before), newRevision(before)
	return func(resource *appsv1.WeightsAndBiases) (bool, error) {
		if now := resource.Status.Plan; now != nil && now.Digest != digest && newestRevision(resource) <= was {
			return false, &failure{&appsv1.LastError{
				Reason: "PlanOutdated", Message: "plan " + short(now.Digest) + " took the place of the one that was approved",
				Hint: `Look at it with "kubectl wandb diff".`,
			}}
		}
		return revised(resource)
	}
}

func failedRevision(entry appsv1.HistoryEntry, resource *appsv1.WeightsAndBiases) error {
	last := resource.Status.LastError
	if last == nil {
		last = &appsv1.LastError{Reason: string(entry.Outcome), Message: fmt.Sprintf("revision %d: %s", entry.Revision, entry.Why)}
	}
	return &failure{last}
}

func newestRevision(resource *appsv1.WeightsAndBiases) int64 {
	var newest int64
	if resource.Status.Release != nil {
		newest = resource.Status.Release.Revision
	}
	for _, entry := range resource.Status.History {
		newest = max(newest, entry.Revision)
	}
	return newest
}

// runsRelease waits until a release runs and has settled.
func runsRelease(id string) seen {
	return func(resource *appsv1.WeightsAndBiases) (bool, error) {
		running := resource.Status.Release
		return running != nil && running.ID == id && settled(resource) &&
			meta.IsStatusConditionTrue(resource.Status.Conditions, appsv1.ConditionReady), nil
	}
}
