package operator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/probe"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// This file words what status says beyond the conditions of the release itself: plans, history, checks, drift.

// preflightVerdict speaks about the newest preflight of this process; one of an earlier process stays as it was said.
func (v *view) preflightVerdict() (verdict, string, bool) {
	if v.checked.Desired == "" {
		return verdict{}, appsv1.ConditionPreflight, false
	}
	status, reason, message := v.checked.Report.Verdict()
	return verdict{status, reason, message}, appsv1.ConditionPreflight, true
}

func (v *view) verifiedVerdict() (verdict, string, bool) {
	enabled, _ := verifies(v.cr)
	probed := v.observation.Memory.Probed
	latest := v.observation.Latest
	switch {
	case latest == nil || latest.Status != helm.StatusDeployed:
		return verdict{}, appsv1.ConditionVerified, false
	case !enabled:
		return unknown(appsv1.ReasonProbeOff, "spec.verify.enabled is false"), appsv1.ConditionVerified, true
	case !v.probed:
		return unknown(appsv1.ReasonNoProbe, "the release declares no probe"), appsv1.ConditionVerified, true
	case probed.Revision != latest.Number:
		return unknown(appsv1.ReasonProgressing, "the probe runs once every workload is ready"), appsv1.ConditionVerified, true
	case probed.Problem != "":
		return unknown(appsv1.ReasonProbeUnusable, probed.Problem), appsv1.ConditionVerified, true
	default:
		found := probe.Judge(probed.Report)
		return verdict{found.Status, found.Reason, found.Message}, appsv1.ConditionVerified, true
	}
}

func (v *view) driftedVerdict() (verdict, string, bool) {
	latest := v.observation.Latest
	switch {
	case latest == nil || latest.Status != helm.StatusDeployed:
		return verdict{}, appsv1.ConditionDrifted, false
	case driftMode(v.cr) == appsv1.DriftOff:
		return unknown(appsv1.ReasonDriftOff, "spec.drift.mode is Off"), appsv1.ConditionDrifted, true
	case v.foreignRevision():
		return holds(appsv1.ReasonForeignRevision, fmt.Sprintf(
			"somebody else made revision %d with Helm; `kubectl wandb force` applies the specification again", latest.Number)), appsv1.ConditionDrifted, true
	case len(v.drift.Drifted) > 0:
		return holds(appsv1.ReasonObjectsChanged, v.drift.Message()), appsv1.ConditionDrifted, true
	case v.drift.CheckedAt.IsZero():
		return verdict{}, appsv1.ConditionDrifted, false
	default:
		return fails(appsv1.ReasonInSync, cmp.Or(v.drift.Message(), "the objects are as installed")), appsv1.ConditionDrifted, true
	}
}

// foreignRevision tells that the newest revision is one of Helm by hand, on top of one of ours. While a step of ours is at
// work its own revision is not written down yet.
func (v *view) foreignRevision() bool {
	return v.observation.Running == nil && release.Foreign(v.observation)
}

// planStatus shows a plan only while something waits for it.
func (v *view) planStatus(step release.Step) *appsv1.PlanStatus {
	made, desired := v.observation.Plan, v.observation.Desired
	if made == nil || desired == nil || made.Desired != desired.Digest || step.Action != release.Hold {
		return nil
	}
	if release.Installed(desired, v.observation.Latest, v.observation.Memory) && step.Reason != appsv1.ReasonAwaitingApproval {
		return nil
	}
	status := made.Status
	status.Approved = v.observation.Wishes.Approved == made.Digest
	return &status
}

func (v *view) history() []appsv1.HistoryEntry {
	entries := v.observation.Memory.History
	shown := make([]appsv1.HistoryEntry, 0, len(entries))
	for _, entry := range slices.Backward(entries) {
		shown = append(shown, appsv1.HistoryEntry{
			Release: entry.ReleaseName, ChartVersion: entry.Version, Revision: int64(entry.Revision), Digest: entry.Digest,
			Started: wholeSecond(entry.Started), Ended: wholeSecond(entry.Ended), Outcome: entry.Outcome, Why: clip(v.masked(entry.Why)),
		})
	}
	return shown
}

func wholeSecond(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	// A status keeps whole seconds; more would differ from itself after a round trip.
	return &metav1.Time{Time: at.Truncate(time.Second)}
}

// layersStatus counts what each layer sets.
func (v *view) layersStatus(before []appsv1.LayerStatus) []appsv1.LayerStatus {
	if v.resolved == nil {
		return before
	}
	sets, shadowed := map[string]int32{}, map[string]int32{}
	for _, origin := range v.resolved.Origins {
		sets[origin.Layer]++
		for _, layer := range origin.Shadowed {
			shadowed[layer]++
		}
	}
	var shown []appsv1.LayerStatus
	for _, layer := range []string{spec.LayerOperator, spec.LayerChannel, spec.LayerUser, spec.LayerResource} {
		if sets[layer]+shadowed[layer] > 0 {
			shown = append(shown, appsv1.LayerStatus{Name: layer, Sets: sets[layer], Shadowed: shadowed[layer]})
		}
	}
	return shown
}

func (v *view) preflightStatus(before []appsv1.CheckStatus) []appsv1.CheckStatus {
	if v.checked.Desired == "" {
		return before
	}
	return v.maskedChecks(v.checked.Report.Status())
}

func (v *view) verificationStatus() []appsv1.CheckStatus {
	if !v.probed {
		return nil
	}
	return v.maskedChecks(probe.Status(v.observation.Memory.Probed.Report))
}

func (v *view) maskedChecks(checks []appsv1.CheckStatus) []appsv1.CheckStatus {
	if len(checks) == 0 {
		return nil
	}
	for i := range checks {
		checks[i].Message = clip(v.masked(checks[i].Message))
	}
	return checks
}

func (v *view) driftStatus() []appsv1.DriftStatus {
	if driftMode(v.cr) == appsv1.DriftOff || len(v.drift.Drifted) == 0 {
		return nil
	}
	return v.drift.Drifted
}

// lastError is the newest failure. It stays while the operator tries again, until the release runs.
func (v *view) lastError(conditions []metav1.Condition, before *appsv1.LastError) *appsv1.LastError {
	for _, kind := range []string{
		appsv1.ConditionReleased, appsv1.ConditionSpecResolved, appsv1.ConditionPreflight, appsv1.ConditionLicenseValid,
		appsv1.ConditionChannelReachable, appsv1.ConditionReady,
	} {
		condition := meta.FindStatusCondition(conditions, kind)
		if condition == nil || condition.Status != metav1.ConditionFalse || quiet(condition.Reason) {
			continue
		}
		message, hint, _ := strings.Cut(condition.Message, ". ")
		if before != nil && before.Reason == condition.Reason && before.Message == message && before.Hint == hint {
			return before
		}
		return &appsv1.LastError{Reason: condition.Reason, Message: message, Hint: hint, At: wholeSecond(v.now)}
	}
	if meta.IsStatusConditionTrue(conditions, appsv1.ConditionReady) {
		return nil
	}
	return before
}

// nextStepAt is when the step is due, where time alone decides.
func (v *view) nextStepAt(step release.Step, before *metav1.Time) *metav1.Time {
	if step.Action != release.Hold || step.After <= 0 {
		return nil
	}
	due := v.now.Add(step.After).Truncate(time.Second)
	if before != nil && due.Sub(before.Time).Abs() <= 2*time.Second {
		return before // rounding must not make a pass write
	}
	return &metav1.Time{Time: due}
}
