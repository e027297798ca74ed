package release

import (
	"fmt"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// decideDeployed handles a revision of the wanted specification that Helm has finished with: its objects may still be
// starting, and once they are ready the release is probed, watched and kept in step with its credentials.
func decideDeployed(o Observation, now time.Time) Step {
	settled := o.Memory.SettledAt(o.Latest.Number)
	if len(o.Rotated) > 0 && o.Latest.Ours {
		if held, ok := spaced(o, Rotate, now); ok {
			return held
		}
		return Step{
			Action: Rotate, Reason: appsv1.ReasonProgressing,
			Message: "restarting the pods that use " + listed(o.Rotated) + ", whose content has changed",
		}
	}
	if o.forced() {
		return gate(o, Step{Action: Upgrade, Reason: appsv1.ReasonProgressing, Message: "applying the specification again, as somebody asked"}, now)
	}
	if !o.Health.Ready {
		return decideStarting(o, settled, now)
	}
	if o.Probe.Declared && !settled {
		if o.Probe.Revision != o.Latest.Number {
			if held, ok := spaced(o, RunProbe, now); ok {
				held.Action, held.Reason = Wait, appsv1.ReasonProgressing
				return held
			}
			return Step{Action: RunProbe, Reason: appsv1.ReasonProgressing, Message: doing(RunProbe)}
		}
		if o.Probe.Broken != "" {
			return Step{
				Action: Fail, Reason: appsv1.ReasonVerificationFailed,
				Message: "passed before this release and fails since: " + o.Probe.Broken,
			}
		}
	}
	return decideSteady(o, settled, now)
}

// decideStarting handles objects that are not ready: of a new revision, or because something has happened since.
func decideStarting(o Observation, settled bool, now time.Time) Step {
	if settled {
		step := Step{
			Action: Nothing, Reason: appsv1.ReasonWorkloadsNotReady,
			Message: "waiting for " + o.Health.summary(),
		}
		if corrected, ok := correct(o, now); ok {
			return corrected // what somebody has removed is why it is not ready
		}
		return step
	}
	limit := o.Rules.timeout()
	left := o.Latest.DeployedAt.Add(limit).Sub(now)
	if left > 0 && !o.Health.Failed {
		return Step{
			Action: Wait, Reason: appsv1.ReasonProgressing, After: left,
			Message: "waiting for " + o.Health.summary(),
		}
	}
	why := fmt.Sprintf("not ready after %s: %s", limit, o.Health.summary())
	if left > 0 {
		why = "will not become ready: " + o.Health.summary()
	}
	return Step{Action: Fail, Reason: appsv1.ReasonWorkloadsNotReady, Message: why}
}

// decideSteady handles a release that runs as it should.
func decideSteady(o Observation, settled bool, now time.Time) Step {
	step := Step{
		Action: Nothing, Reason: appsv1.ReasonReady, Message: "the specification runs and every workload is ready",
		Settled: !settled, Serving: true,
	}
	if !settled {
		return step
	}
	if corrected, ok := correct(o, now); ok {
		return corrected
	}
	if !o.Probe.Declared {
		return step
	}
	due := o.Probe.due(o.Latest.Number)
	if held, ok := spaced(o, RunProbe, now); ok {
		step.After = held.After
		return step
	}
	if !now.Before(due) {
		return Step{Action: RunProbe, Reason: appsv1.ReasonReady, Message: doing(RunProbe), Serving: true}
	}
	step.After = due.Sub(now)
	return step
}

// correct takes back what somebody else changed. Two programs that both insist would take turns for ever: each correction
// of the same objects is further apart than the last.
func correct(o Observation, now time.Time) (Step, bool) {
	if !o.Drift.Correct || o.Drift.Summary == "" {
		return Step{}, false
	}
	if held, ok := spaced(o, Correct, now); ok {
		held.Action, held.Reason = Nothing, readyReason(o)
		held.Message = o.Drift.Summary + "; taking it back failed: " + held.Message
		return held, true
	}
	due := o.Drift.At.Add(backoff("drift", o.Drift.Corrected, foreignBase, foreignCap))
	if now.Before(due) {
		return Step{
			Action: Nothing, Reason: readyReason(o), After: due.Sub(now), Serving: o.serving(),
			Message: fmt.Sprintf("%s; it was taken back before, and is again in %s", o.Drift.Summary, round(due.Sub(now))),
		}, true
	}
	return Step{Action: Correct, Reason: readyReason(o), Message: "taking back: " + o.Drift.Summary, Serving: o.serving()}, true
}

func readyReason(o Observation) string {
	if o.Health.Ready {
		return appsv1.ReasonReady
	}
	return appsv1.ReasonWorkloadsNotReady
}
