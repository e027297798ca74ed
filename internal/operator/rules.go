package operator

import (
	"cmp"
	"fmt"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/window"
)

const (
	// defaultRollbackAttempts: a release that failed once rarely works the second time, and meanwhile people wait.
	defaultRollbackAttempts = 1
	// defaultProbeInterval is how often the probe runs on a release that works.
	defaultProbeInterval = time.Hour
)

// suspended tells whether people want nothing to be changed, and who says so. The resource counts more than a request,
// though its field cannot say no.
func suspended(cr *appsv1.WeightsAndBiases, wanted request.Set) (string, bool) {
	switch {
	case cr.Spec.Suspend:
		return "spec.suspend is set; set it to false to go on", true
	case wanted.Suspend != nil:
		return fmt.Sprintf("%s has suspended it; `kubectl wandb resume` goes on", cmp.Or(wanted.Suspend.By, "somebody")), true
	default:
		return "", false
	}
}

// pinOf returns the one release to follow; empty follows the channel. The resource counts more than a request, and a
// request more than the key that today's console writes.
func pinOf(cr *appsv1.WeightsAndBiases, wanted request.Set, values map[string]any, running string) string {
	update := cr.Spec.Update
	switch {
	case update != nil && (update.Policy == appsv1.UpdatePinned || update.Release != ""):
		return cmp.Or(update.Release, running)
	case update != nil && update.Policy != "":
		return ""
	case wanted.Pin != nil:
		return cmp.Or(wanted.Pin.Release, running)
	default:
		return text(values, pinKey)
	}
}

// rulesOf reads what people said about how changes are applied.
func rulesOf(cr *appsv1.WeightsAndBiases, now time.Time) (release.Rules, error) {
	rules := release.Rules{Rollback: defaultRollbackAttempts}
	if update := cr.Spec.Update; update != nil {
		rules.Approval = update.Policy == appsv1.UpdateApproval
		windows, err := window.Parse(update.Windows)
		if err != nil {
			return rules, err // a fault that names the entry
		}
		if rules.Windowed = len(windows) > 0; rules.Windowed && !windows.Open(now) {
			// Windows that never open again hold for as long as anybody looks.
			rules.Opens = windows.Next(now)
			if rules.Opens.IsZero() {
				rules.Opens = now.Add(neverOpens)
			}
		}
	}
	if rollback := cr.Spec.Rollback; rollback != nil {
		if rollback.Attempts > 0 {
			rules.Rollback = int(rollback.Attempts)
		}
		if rollback.Enabled != nil && !*rollback.Enabled {
			rules.Rollback = 0
		}
	}
	rules.Overrule = driftMode(cr) == appsv1.DriftCorrect
	if cr.Spec.Timeout != nil {
		rules.Timeout = cr.Spec.Timeout.Duration
	}
	return rules, nil
}

const neverOpens = 365 * 24 * time.Hour

// wishesOf reads what people asked for once. An approval names the plan by digest and by when it was made: one that was
// voided and made anew looks the same. One that stands in the resource has no time, and names its plan alone.
func wishesOf(cr *appsv1.WeightsAndBiases, wanted request.Set, newest *release.Plan) release.Wishes {
	var wishes release.Wishes
	switch {
	case cr.Spec.Update != nil && cr.Spec.Update.Approve != "":
		wishes.Approved = cr.Spec.Update.Approve
	case wanted.Approve != nil && newest != nil && wanted.Approve.MadeAt.Equal(newest.MadeAt):
		wishes.Approved = wanted.Approve.Plan
	}
	if wanted.Retry != nil {
		wishes.Retry = wanted.Retry.At
	}
	if wanted.Force != nil {
		wishes.Force = wanted.Force.At
	}
	if wanted.Rollback != nil {
		wishes.RollbackTo, wishes.RollbackAt = wanted.Rollback.Revision, wanted.Rollback.At
		wishes.RollbackBy, wishes.Unsafe = cmp.Or(wanted.Rollback.By, "somebody"), wanted.Rollback.Unsafe
	}
	return wishes
}

func driftMode(cr *appsv1.WeightsAndBiases) appsv1.DriftMode {
	if cr.Spec.Drift == nil || cr.Spec.Drift.Mode == "" {
		return appsv1.DriftWarn
	}
	return cr.Spec.Drift.Mode
}

// verifies tells whether the probe runs, and how often.
func verifies(cr *appsv1.WeightsAndBiases) (bool, time.Duration) {
	verify := cr.Spec.Verify
	if verify == nil {
		return true, defaultProbeInterval
	}
	every := defaultProbeInterval
	if verify.Interval != nil {
		every = verify.Interval.Duration
	}
	return verify.Enabled == nil || *verify.Enabled, every
}

func keeps(cr *appsv1.WeightsAndBiases) bool {
	return cr.Spec.Retention != nil && cr.Spec.Retention.OnDelete == appsv1.DeletionKeep
}
