package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/notify"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// maxMessage bounds a condition's message; the API server refuses more than 32 KiB.
	maxMessage = 2048
	// maxWarnings is the bound that the resource definition sets.
	maxWarnings = 64
)

// verdict is a condition before it has a time.
type verdict struct {
	status          metav1.ConditionStatus
	reason, message string
}

func holds(reason, message string) verdict { return verdict{metav1.ConditionTrue, reason, message} }
func fails(reason, message string) verdict { return verdict{metav1.ConditionFalse, reason, message} }
func unknown(reason, message string) verdict {
	return verdict{metav1.ConditionUnknown, reason, message}
}

func failsWith(err error) verdict {
	return fails(fault.Reason(err, appsv1.ReasonInternalError), fault.Message(err))
}

// writeStatus brings the status up to date with one patch, and tells events and metrics what changed. It writes nothing
// where nothing differs.
func (r *Reconciler) writeStatus(ctx context.Context, v *view, step release.Step) error {
	if warning := r.outdated.warning(ctx); warning != "" {
		v.warnings = append(v.warnings, warning)
	}
	wanted := statusOf(v, step)
	wanted.Operator = r.config.Namespace
	r.metrics.licensed(v.key, v.licence.ends())
	return r.patchStatus(ctx, v.cr, wanted)
}

// writeProblem shows one failure that keeps a pass from seeing anything else.
func (r *Reconciler) writeProblem(ctx context.Context, cr *appsv1.WeightsAndBiases, problem error) error {
	wanted := cr.Status.DeepCopy()
	wanted.ObservedGeneration = cr.Generation
	set := conditionSetter{status: wanted, generation: cr.Generation, now: r.now()}
	set.to(appsv1.ConditionReady, failsWith(problem))
	wanted.NextStep = "waiting until somebody has mended this"
	wanted.Phase = appsv1.PhaseInvalidConfig
	return r.patchStatus(ctx, cr, wanted)
}

func (r *Reconciler) patchStatus(ctx context.Context, cr *appsv1.WeightsAndBiases, wanted *appsv1.WeightsAndBiasesStatus) error {
	r.metrics.observe(cr, wanted)
	if equality.Semantic.DeepEqual(&cr.Status, wanted) {
		return nil
	}
	changed := cr.DeepCopy()
	changed.Status = *wanted
	// The resourceVersion makes a pass whose cache is behind fail rather than write an older status over a newer one.
	patch := client.MergeFromWithOptions(cr, client.MergeFromWithOptimisticLock{})
	if err := r.live.Status().Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	r.events.changed(cr, &cr.Status, wanted)
	return nil
}

// statusOf is pure: the same view and step give the same status, but for the times at which conditions change.
func statusOf(v *view, step release.Step) *appsv1.WeightsAndBiasesStatus {
	status := v.cr.Status.DeepCopy()
	status.ObservedGeneration = v.cr.Generation
	set := conditionSetter{status: status, generation: v.cr.Generation, now: v.now, mask: v.masked}
	deleting := !v.cr.DeletionTimestamp.IsZero()
	if !deleting {
		set.unless(v.licenceVerdict())
		set.unless(v.channelVerdict())
		set.unless(v.specVerdict())
		set.unless(v.preflightVerdict())
		set.unless(v.verifiedVerdict())
		set.unless(v.driftedVerdict())
		set.to(appsv1.ConditionUpToDate, v.upToDate(step))
		status.Channel = v.channelStatus(status.Channel)
		status.Warnings = v.shownWarnings()
		status.Layers = v.layersStatus(status.Layers)
		status.Preflight = v.preflightStatus(status.Preflight)
		status.Verification = v.verificationStatus()
		status.Drift = v.driftStatus()
	}
	set.to(appsv1.ConditionReleased, v.released(step))
	set.to(appsv1.ConditionReady, v.ready(step, deleting))
	reconciling, stalled := progress(step)
	set.to(appsv1.ConditionReconciling, reconciling)
	set.to(appsv1.ConditionStalled, stalled)
	status.Release = v.releaseStatus()
	status.Version = ""
	if v.current != nil {
		status.Version = v.current.AppVersion
	}
	status.Phase = phase(status.Conditions)
	status.NextStep = clip(v.masked(nextStep(step)))
	status.NextStepAt = v.nextStepAt(step, status.NextStepAt)
	status.Plan = v.planStatus(step)
	status.History = v.history()
	status.LastError = v.lastError(status.Conditions, status.LastError)
	return status
}

// licenceVerdict returns the type last, so that a condition that this pass says nothing about stays as it is.
func (v *view) licenceVerdict() (verdict, string, bool) {
	rejected := v.channel.asked && fault.Reason(v.channel.snapshot.Err, "") == appsv1.ReasonChannelRejected
	var result verdict
	switch {
	case !v.channel.asked:
		return result, appsv1.ConditionLicenseValid, false
	case fault.Reason(v.licence.err, "") == appsv1.ReasonLicenseIssuerUnknown && !rejected:
		result = unknown(appsv1.ReasonLicenseIssuerUnknown, fault.Message(v.licence.err))
	case v.licence.err != nil && !rejected:
		result = failsWith(v.licence.err)
	case rejected:
		result = fails(appsv1.ReasonLicenseRejected, fault.Message(v.channel.snapshot.Err))
	case v.licence.token == "":
		result = unknown(appsv1.ReasonLicenseMissing,
			"no layer sets a licence; releases come from channel stable. Set global.licenseSecret or global.license in spec.values.")
	default:
		result = holds(appsv1.ReasonLicenseValid, fmt.Sprintf("licence %s of %s is valid until %s",
			v.licence.claims.ID, v.licence.claims.Customer, v.licence.claims.ExpiresAt.UTC().Format(time.DateOnly)))
	}
	return result, appsv1.ConditionLicenseValid, true
}

func (v *view) channelVerdict() (verdict, string, bool) {
	snapshot := v.channel.snapshot
	var result verdict
	switch {
	case !v.channel.asked:
		return result, appsv1.ConditionChannelReachable, false
	case v.channel.airgapped:
		result = holds(appsv1.ReasonChannelAirgapped, "the operator is air-gapped and never asks the deploy server")
	case v.channel.err != nil:
		result = failsWith(v.channel.err)
	case v.channel.frozen:
		result = unknown(appsv1.ReasonChannelNotAsked, "the licence is over, so the deploy server is not asked for newer releases")
	case !v.licence.usable():
		result = unknown(appsv1.ReasonChannelNotAsked, "the deploy server is asked as soon as the licence can be read")
	case snapshot.Err != nil:
		result = failsWith(snapshot.Err)
		if snapshot.Release != nil && !strings.Contains(result.message, "stays in use") {
			result.message += " " + usedMeanwhile(snapshot.Release.Name())
		}
	case snapshot.Release != nil && !snapshot.FromCache:
		result = holds(appsv1.ReasonChannelReachable, "the deploy server answers")
	case snapshot.Release != nil:
		// The process has just started. What the condition said before is still the best answer, if it said anything.
		if meta.FindStatusCondition(v.cr.Status.Conditions, appsv1.ConditionChannelReachable) != nil {
			return result, appsv1.ConditionChannelReachable, false
		}
		result = unknown(appsv1.ReasonChannelCached, usedMeanwhile(snapshot.Release.Name()))
	default:
		result = unknown(appsv1.ReasonChannelNotAsked, "the deploy server has not answered yet")
	}
	return result, appsv1.ConditionChannelReachable, true
}

func usedMeanwhile(name string) string {
	return fmt.Sprintf("The last answer, release %s, stays in use.", cmp.Or(name, "without a name"))
}

func (v *view) specVerdict() (verdict, string, bool) {
	var result verdict
	switch {
	case v.specErr != nil && fault.Retryable(v.specErr) && v.noAnswerYet():
		result = unknown(appsv1.ReasonProgressing, "waiting for the release of the channel")
	case v.specErr != nil:
		result = failsWith(v.specErr)
	case v.chartErr != nil:
		result = unknown(fault.Reason(v.chartErr, appsv1.ReasonProgressing), "the chart is not there yet to check the values against")
	case v.observation.Desired != nil:
		result = holds(appsv1.ReasonSpecResolved, "the layers give one specification that the chart accepts")
	default:
		return result, appsv1.ConditionSpecResolved, false
	}
	return result, appsv1.ConditionSpecResolved, true
}

// noAnswerYet tells that the layer of the channel is missing, so that the layers as a whole cannot be judged.
func (v *view) noAnswerYet() bool {
	return v.channel.asked && !v.channel.airgapped && v.channel.snapshot.Release == nil
}

// upToDate compares what runs with what the layers ask for.
func (v *view) upToDate(step release.Step) verdict {
	desired := v.observation.Desired
	switch {
	case desired == nil && v.current == nil:
		return fails(appsv1.ReasonUpdatePending, "nothing is installed yet")
	case desired == nil:
		return unknown(appsv1.ReasonUpdateHeld, "the layers give no specification to compare with")
	case v.observation.Latest != nil && v.observation.Latest.Status == helm.StatusDeployed &&
		release.Installed(desired, v.observation.Latest, v.observation.Memory):
		return holds(appsv1.ReasonUpToDate, "what runs is what the layers ask for")
	case step.Action == release.Hold && waits(step.Reason):
		return fails(step.Reason, step.Message)
	case step.Action == release.Hold:
		return fails(appsv1.ReasonUpdateHeld, step.Message)
	default:
		return fails(appsv1.ReasonUpdatePending, cmp.Or(step.Message, "a newer specification is about to be installed"))
	}
}

// released speaks about the newest specification: whether Helm took it and its workloads became ready.
func (v *view) released(step release.Step) verdict {
	latest, memory := v.observation.Latest, v.observation.Memory
	switch {
	case step.Action == release.Wait || (step.Action.Writes() && !step.Serving):
		return unknown(appsv1.ReasonProgressing, step.Message)
	case step.Action == release.Hold && step.Reason == appsv1.ReasonProgressing && !step.Serving:
		return unknown(appsv1.ReasonProgressing, step.Message)
	case step.Action == release.Hold && aboutRelease(step.Reason):
		return fails(step.Reason, step.Message)
	case latest != nil && memory.RolledBack(latest.Number) && latest.Status == helm.StatusDeployed:
		return fails(appsv1.ReasonRolledBack, fmt.Sprintf("revision %d runs an earlier release again: %s",
			latest.Number, cmp.Or(memory.Failure(memory.Applied.From).Message, "the newer one failed")))
	case v.foreignRevision() && step.Action == release.Hold:
		return unknown(step.Reason, step.Message)
	case latest != nil && memory.SettledAt(latest.Number) && latest.Status == helm.StatusDeployed:
		reason := appsv1.ReasonUpgraded
		if latest.Number == 1 {
			reason = appsv1.ReasonInstalled
		}
		return holds(reason, fmt.Sprintf("revision %d of %s %s was deployed and became ready",
			latest.Number, v.current.Chart, v.current.ChartVersion))
	case latest == nil:
		return fails(step.Reason, "nothing is installed: "+step.Message)
	default:
		return fails(cmp.Or(step.Reason, appsv1.ReasonHelmFailed), cmp.Or(step.Message, latest.Description))
	}
}

// aboutRelease tells the reasons that speak about chart and Helm from those of the conditions before.
func aboutRelease(reason string) bool {
	switch reason {
	case appsv1.ReasonChartNotFound, appsv1.ReasonRepositoryUnreachable, appsv1.ReasonChartNotAllowed,
		appsv1.ReasonPermissionMissing, appsv1.ReasonClusterObjectRefused, appsv1.ReasonHelmFailed,
		appsv1.ReasonHelmLocked, appsv1.ReasonWorkloadsNotReady, appsv1.ReasonUninstallFailed,
		appsv1.ReasonVerificationFailed, appsv1.ReasonRollbackUnsafe, appsv1.ReasonRollbackFailed, appsv1.ReasonPreflightFailed:
		return true
	default:
		return false
	}
}

// waits tells the reasons for which an update waits while what runs is as good as ever.
func waits(reason string) bool {
	switch reason {
	case appsv1.ReasonUpdateHeld, appsv1.ReasonAwaitingApproval, appsv1.ReasonOutsideWindow, appsv1.ReasonReleaseFailed,
		appsv1.ReasonAdoptionNeedsConsent:
		return true
	default:
		return false
	}
}

// undisturbed tells that a step leaves what runs as it is, and that it runs well.
func undisturbed(step release.Step) bool {
	return step.Serving && (waits(step.Reason) || step.Action.Quiet() || step.Reason == appsv1.ReasonProgressing)
}

// ready sums up. What runs and is healthy stays Ready while only the way to newer releases is closed; a licence that is not
// good is shown here too, because nobody looks for it elsewhere.
func (v *view) ready(step release.Step, deleting bool) verdict {
	switch {
	case deleting:
		return fails(appsv1.ReasonDeleting, step.Message)
	case step.Reason == appsv1.ReasonSuspended:
		if v.running() {
			return holds(appsv1.ReasonSuspended, "the workloads are ready; "+step.Message)
		}
		return fails(appsv1.ReasonSuspended, step.Message)
	case step.Action == release.Nothing && step.Reason == appsv1.ReasonReady:
		if v.licence.err != nil && fault.Reason(v.licence.err, "") != appsv1.ReasonLicenseIssuerUnknown {
			return failsWith(v.licence.err)
		}
		if fault.Reason(v.channel.snapshot.Err, "") == appsv1.ReasonChannelRejected {
			return fails(appsv1.ReasonLicenseRejected, fault.Message(v.channel.snapshot.Err))
		}
		return holds(appsv1.ReasonReady, step.Message)
	case step.Action == release.Nothing:
		return fails(step.Reason, step.Message)
	case undisturbed(step):
		return holds(appsv1.ReasonReady, "the workloads are ready; "+step.Message)
	case step.Action == release.Wait || step.Action.Writes() || step.Reason == appsv1.ReasonProgressing:
		return unknown(appsv1.ReasonProgressing, step.Message)
	default:
		return fails(step.Reason, step.Message)
	}
}

func (v *view) running() bool {
	latest := v.observation.Latest
	return latest != nil && latest.Status == helm.StatusDeployed && v.observation.Health.Ready
}

// progress gives the two conditions that kstatus reads: work under way, and work that waits for a person.
func progress(step release.Step) (reconciling, stalled verdict) {
	reconciling, stalled = fails(step.Reason, ""), fails(step.Reason, "")
	switch {
	case step.Stalled:
		stalled = holds(step.Reason, step.Message)
	case undisturbed(step):
	case step.Reason == appsv1.ReasonSuspended:
	case step.Action == release.Wait, step.Action.Writes(), step.Action == release.Hold:
		reconciling = holds(step.Reason, step.Message)
	}
	return reconciling, stalled
}

func (v *view) releaseStatus() *appsv1.ReleaseStatus {
	if v.current == nil {
		return nil
	}
	status := &appsv1.ReleaseStatus{
		Chart: v.current.Chart, ChartVersion: v.current.ChartVersion, Revision: int64(v.current.Revision),
	}
	if applied := v.observation.Memory.Applied; applied.Revision == v.current.Revision {
		status.ID, status.Name, status.Digest = applied.ReleaseID, applied.ReleaseName, applied.Digest
	}
	if !v.current.DeployedAt.IsZero() {
		// A status keeps whole seconds; more would differ from itself after a round trip.
		deployed := metav1.NewTime(v.current.DeployedAt.Truncate(time.Second))
		status.DeployedAt = &deployed
	}
	return status
}

func (v *view) channelStatus(before *appsv1.ChannelStatus) *appsv1.ChannelStatus {
	if !v.channel.asked {
		return before
	}
	offered := v.channel.snapshot.Release
	if v.channel.airgapped || offered == nil {
		return nil
	}
	status := &appsv1.ChannelStatus{Name: offered.Channel(), ReleaseID: offered.ID(), ReleaseName: offered.Name()}
	if before != nil && before.ReleaseID == status.ReleaseID && before.Name == status.Name && before.ReleaseName == status.ReleaseName {
		status.CheckedAt = before.CheckedAt
		return status
	}
	arrived := metav1.NewTime(v.now.Truncate(time.Second))
	status.CheckedAt = &arrived
	return status
}

func (v *view) shownWarnings() []string {
	shown := make([]string, 0, len(v.warnings))
	for _, warning := range v.warnings {
		shown = append(shown, clip(v.masked(warning)))
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	// This one is the memory of what people were told, so it may not fall out at the end.
	ending := notify.LicenceWarning(v.licence.ends(), v.now)
	if ending == "" {
		return orNil(shown[:min(len(shown), maxWarnings)])
	}
	return append([]string{ending}, shown[:min(len(shown), maxWarnings-1)]...)
}

// orNil is the absent list where there is nothing in it: a status is compared with what the API server gives back.
func orNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// masked replaces every credential of the specification. Messages hold none by themselves; this is the last line.
func (v *view) masked(text string) string {
	secrets := v.secrets()
	if v.licence.token != "" {
		secrets = append(secrets, v.licence.token)
	}
	if len(secrets) == 0 {
		return text
	}
	return spec.MaskText(text, secrets)
}

func phase(conditions []metav1.Condition) appsv1.Phase {
	ready := meta.FindStatusCondition(conditions, appsv1.ConditionReady)
	switch {
	case ready == nil:
		return appsv1.PhaseLoading
	case ready.Status == metav1.ConditionTrue:
		return appsv1.PhaseCompleted
	case meta.IsStatusConditionTrue(conditions, appsv1.ConditionStalled),
		meta.IsStatusConditionFalse(conditions, appsv1.ConditionSpecResolved):
		return appsv1.PhaseInvalidConfig
	default:
		return appsv1.PhaseLoading
	}
}

func nextStep(step release.Step) string {
	if step.Action == release.Nothing {
		return "nothing: " + step.Message
	}
	return step.Message
}

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// conditionSetter writes conditions and keeps the time of those that do not change.
type conditionSetter struct {
	status     *appsv1.WeightsAndBiasesStatus
	generation int64
	now        time.Time
	mask       func(string) string
}

func (s conditionSetter) to(kind string, wanted verdict) {
	message := wanted.message
	if s.mask != nil {
		message = s.mask(message)
	}
	meta.SetStatusCondition(&s.status.Conditions, metav1.Condition{
		Type: kind, Status: wanted.status, Reason: cmp.Or(wanted.reason, appsv1.ReasonInternalError), Message: clip(message),
		ObservedGeneration: s.generation, LastTransitionTime: metav1.NewTime(s.now.Truncate(time.Second)),
	})
}

// unless leaves a condition alone that the pass says nothing about.
func (s conditionSetter) unless(wanted verdict, kind string, known bool) {
	if known {
		s.to(kind, wanted)
	}
}
