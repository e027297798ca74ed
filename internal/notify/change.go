package notify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Changes returns what is worth telling about the way from one status to the next, in the order in which a person would
// tell it. It is pure, and reads nothing but its arguments: equal states give nothing, however often they are compared.
// Both states are of one resource; before may be nil. Namespace, Name, ID and Text are filled in by the Sender.
func Changes(before, after *appsv1.WeightsAndBiasesStatus, now time.Time) []Notification {
	if before == nil {
		before = &appsv1.WeightsAndBiasesStatus{}
	}
	if after == nil {
		return nil
	}
	found := releaseChanges(before, after)
	failed := len(found) > 0
	found = append(found, approvalChanges(before, after)...)
	found = append(found, licenceChanges(before, after)...)
	found = append(found, driftChanges(before, after)...)
	if verified := turned(before, after, appsv1.ConditionVerified, metav1.ConditionFalse); verified != nil && !failed {
		found = append(found, fromCondition(VerificationFailed, after, verified))
	}
	if !failed {
		found = append(found, recoveries(before, after)...)
	}
	for i := range found {
		found[i].At = now.UTC()
		found[i].Message, found[i].Hint = clip(found[i].Message), clip(found[i].Hint)
	}
	return found
}

// releaseChanges reads the history first, which names the revision, and the condition where a failure left no revision.
func releaseChanges(before, after *appsv1.WeightsAndBiasesStatus) []Notification {
	var found []Notification
	for i, entry := range slices.Backward(after.History) {
		if !newlyEnded(before, after, i) {
			continue
		}
		switch entry.Outcome {
		case appsv1.OutcomeRolledBack:
			found = append(found, fromHistory(RolledBack, after, entry))
		case appsv1.OutcomeFailed:
			if !retried(after.History, i) && !toldByCondition(before, entry.Revision) {
				found = append(found, fromHistory(ReleaseFailed, after, entry))
			}
		case appsv1.OutcomeRunning, appsv1.OutcomeSucceeded, appsv1.OutcomeSuperseded:
		}
	}
	released := meta.FindStatusCondition(after.Conditions, appsv1.ConditionReleased)
	if len(found) > 0 || released == nil || toldByHistory(after.History, released.Reason) ||
		same(meta.FindStatusCondition(before.Conditions, appsv1.ConditionReleased), released) {
		return found
	}
	switch {
	case released.Reason == appsv1.ReasonRolledBack:
		return []Notification{fromFailure(RolledBack, after, released)}
	case released.Status == metav1.ConditionFalse && !quiet(released.Reason) && !repeated(before, released):
		return []Notification{fromFailure(ReleaseFailed, after, released)}
	}
	return nil
}

// newlyEnded tells that the entry has an outcome which before did not show. Entries that are older than everything before
// knew were rebuilt from Helm's storage and are nothing new; where it knew nothing, only the newest counts.
func newlyEnded(before, after *appsv1.WeightsAndBiasesStatus, i int) bool {
	entry := after.History[i]
	if len(before.History) == 0 {
		return i == 0
	}
	for _, known := range before.History {
		if known.Revision == entry.Revision {
			return known.Outcome != entry.Outcome
		}
	}
	return entry.Revision > before.History[0].Revision
}

// retried tells that the revision before failed with the same specification, so that nothing new is to be told.
func retried(history []appsv1.HistoryEntry, i int) bool {
	entry := history[i]
	return entry.Digest != "" && i+1 < len(history) &&
		history[i+1].Digest == entry.Digest && history[i+1].Outcome == appsv1.OutcomeFailed
}

// toldByCondition tells that the condition was worth a notification before the history showed the failure.
func toldByCondition(before *appsv1.WeightsAndBiasesStatus, revision int64) bool {
	released := meta.FindStatusCondition(before.Conditions, appsv1.ConditionReleased)
	return released != nil && released.Status == metav1.ConditionFalse && !quiet(released.Reason) &&
		len(before.History) > 0 && before.History[0].Revision == revision
}

// toldByHistory tells that the reason speaks of a revision, which was told about when that revision ended.
func toldByHistory(history []appsv1.HistoryEntry, reason string) bool {
	switch reason {
	case appsv1.ReasonRolledBack:
		return slices.ContainsFunc(history[:min(len(history), 2)], func(entry appsv1.HistoryEntry) bool {
			return entry.Outcome == appsv1.OutcomeRolledBack
		})
	case appsv1.ReasonHelmFailed, appsv1.ReasonWorkloadsNotReady, appsv1.ReasonVerificationFailed, appsv1.ReasonReleaseFailed,
		appsv1.ReasonRollbackUnsafe, appsv1.ReasonRollbackFailed:
		return len(history) > 0 && history[0].Outcome == appsv1.OutcomeFailed
	default:
		return false
	}
}

// repeated tells that a step fails again as it failed before: the last error stays until a step succeeds.
func repeated(before *appsv1.WeightsAndBiasesStatus, released *metav1.Condition) bool {
	return before.LastError != nil && before.LastError.Reason == released.Reason
}

func approvalChanges(before, after *appsv1.WeightsAndBiasesStatus) []Notification {
	waiting := awaitsApproval(after)
	if waiting == nil {
		return nil
	}
	if awaitsApproval(before) != nil && digest(before) == digest(after) {
		return nil
	}
	n := fromCondition(NeedsApproval, after, waiting)
	if plan := after.Plan; plan != nil {
		n.subject = plan.Digest
		n.Release = cmp.Or(plan.Release, plan.ChartVersion)
		n.Message = fmt.Sprintf("%s (%d added, %d changed, %d removed)", waiting.Message, plan.Added, plan.Changed, plan.Removed)
	}
	return []Notification{n}
}

func awaitsApproval(status *appsv1.WeightsAndBiasesStatus) *metav1.Condition {
	condition := meta.FindStatusCondition(status.Conditions, appsv1.ConditionUpToDate)
	if condition == nil || condition.Status == metav1.ConditionTrue {
		return nil
	}
	switch condition.Reason {
	case appsv1.ReasonAwaitingApproval, appsv1.ReasonAdoptionNeedsConsent:
		return condition
	default:
		return nil
	}
}

func digest(status *appsv1.WeightsAndBiasesStatus) string {
	if status.Plan == nil {
		return ""
	}
	return status.Plan.Digest
}

func licenceChanges(before, after *appsv1.WeightsAndBiasesStatus) []Notification {
	var found []Notification
	if warning := licenceWarning(after.Warnings); warning != "" && warning != licenceWarning(before.Warnings) {
		found = append(found, Notification{Kind: LicenceEnding, Reason: "Ending", Message: warning, subject: warning})
	}
	over := turned(before, after, appsv1.ConditionLicenseValid, metav1.ConditionFalse)
	if over != nil && over.Reason == appsv1.ReasonLicenseExpired {
		found = append(found, fromCondition(LicenceEnding, after, over))
	}
	return found
}

func driftChanges(before, after *appsv1.WeightsAndBiasesStatus) []Notification {
	if drifted := turned(before, after, appsv1.ConditionDrifted, metav1.ConditionTrue); drifted != nil {
		return []Notification{fromCondition(DriftDetected, after, drifted)}
	}
	return nil
}

// recoveries tells that a failure is over. What only passes through a short unavailability of workloads counts too: it
// was Ready=False, and a monitoring system has told about it.
func recoveries(before, after *appsv1.WeightsAndBiasesStatus) []Notification {
	for _, each := range []struct {
		kind      string
		bad, good metav1.ConditionStatus
	}{
		{appsv1.ConditionReady, metav1.ConditionFalse, metav1.ConditionTrue},
		{appsv1.ConditionVerified, metav1.ConditionFalse, metav1.ConditionTrue},
		{appsv1.ConditionDrifted, metav1.ConditionTrue, metav1.ConditionFalse},
	} {
		was, is := meta.FindStatusCondition(before.Conditions, each.kind), meta.FindStatusCondition(after.Conditions, each.kind)
		if was != nil && is != nil && was.Status == each.bad && is.Status == each.good && !quiet(was.Reason) && !quiet(is.Reason) {
			return []Notification{fromCondition(Recovered, after, is)}
		}
	}
	ready := meta.FindStatusCondition(after.Conditions, appsv1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionTrue || quiet(ready.Reason) {
		return nil
	}
	if succeededAfterFailure(before, after) || before.LastError != nil && after.LastError == nil {
		return []Notification{fromCondition(Recovered, after, ready)}
	}
	return nil
}

// succeededAfterFailure tells that the newest revision has just succeeded, and the one before it had failed.
func succeededAfterFailure(before, after *appsv1.WeightsAndBiasesStatus) bool {
	return len(after.History) > 1 && len(before.History) > 0 && newlyEnded(before, after, 0) &&
		after.History[0].Outcome == appsv1.OutcomeSucceeded && after.History[1].Outcome == appsv1.OutcomeFailed
}

// turned returns the condition where it has the status now, and had another status or reason before.
func turned(before, after *appsv1.WeightsAndBiasesStatus, kind string, wanted metav1.ConditionStatus) *metav1.Condition {
	now := meta.FindStatusCondition(after.Conditions, kind)
	if now == nil || now.Status != wanted || same(meta.FindStatusCondition(before.Conditions, kind), now) {
		return nil
	}
	return now
}

func same(before, now *metav1.Condition) bool {
	return before != nil && before.Status == now.Status && before.Reason == now.Reason
}

// quiet are reasons for which False is no failure.
func quiet(reason string) bool {
	switch reason {
	case appsv1.ReasonProgressing, appsv1.ReasonDeleting, appsv1.ReasonSuspended, appsv1.ReasonUpdatePending,
		appsv1.ReasonAwaitingApproval, appsv1.ReasonOutsideWindow, appsv1.ReasonAdoptionNeedsConsent, appsv1.ReasonUpdateHeld:
		return true
	default:
		return false
	}
}

func fromHistory(kind Kind, after *appsv1.WeightsAndBiasesStatus, entry appsv1.HistoryEntry) Notification {
	n := Notification{
		Kind: kind, Release: cmp.Or(entry.Release, entry.ChartVersion), Message: entry.Why,
		subject: fmt.Sprintf("revision %d %s", entry.Revision, entry.Digest),
	}
	if last := after.LastError; last != nil {
		n.Reason, n.Hint = last.Reason, last.Hint
		n.Message = cmp.Or(n.Message, last.Message)
	}
	if released := meta.FindStatusCondition(after.Conditions, appsv1.ConditionReleased); released != nil {
		n.Reason = cmp.Or(n.Reason, released.Reason)
		n.Message = cmp.Or(n.Message, released.Message)
	}
	n.Reason = cmp.Or(n.Reason, appsv1.ReasonReleaseFailed)
	return n
}

// fromFailure names the release that failed, which is not the one that runs; where no plan names it, nothing does.
func fromFailure(kind Kind, after *appsv1.WeightsAndBiasesStatus, condition *metav1.Condition) Notification {
	n := fromCondition(kind, after, condition)
	n.Release = ""
	if plan := after.Plan; plan != nil {
		n.Release = cmp.Or(plan.Release, plan.ChartVersion)
	}
	return n
}

func fromCondition(kind Kind, after *appsv1.WeightsAndBiasesStatus, condition *metav1.Condition) Notification {
	n := Notification{
		Kind: kind, Reason: condition.Reason, Message: condition.Message,
		subject: fmt.Sprintf("%s %s %s", condition.Type, condition.Reason, condition.LastTransitionTime.UTC().Format(time.RFC3339)),
	}
	if running := after.Release; running != nil {
		n.Release = cmp.Or(running.Name, running.ChartVersion)
	}
	if last := after.LastError; last != nil && last.Reason == condition.Reason {
		n.Hint = last.Hint
	}
	return n
}
