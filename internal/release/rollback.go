package release

import (
	"fmt"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

// decideFailed handles a revision of this very specification that failed.
func decideFailed(o Observation, now time.Time) Step {
	failure := o.failure()
	if o.Health.Ready && failure.Reason == appsv1.ReasonWorkloadsNotReady {
		return Step{
			Action: Recover, Reason: appsv1.ReasonProgressing,
			Message: "every workload has become ready after all",
		}
	}
	if step, ok := rollBack(o, failure, now); ok {
		return step
	}
	if held, ok := holdBack(o, now); ok {
		return held
	}
	return gate(o, Step{Action: Retry, Reason: appsv1.ReasonProgressing, Message: doing(Retry)}, now)
}

// rollBack puts the last revision that worked in the place of one that has failed often enough, where that revision can
// still read the data. Where it cannot, a person has to choose, and nothing more is tried until he has.
func rollBack(o Observation, failure Failure, now time.Time) (Step, bool) {
	if o.Rules.Rollback == 0 || failure.Count < o.Rules.Rollback || o.Earlier == nil || failure.Reason == appsv1.ReasonHelmLocked {
		return Step{}, false
	}
	if o.retried() {
		return Step{}, false
	}
	if !o.Earlier.Safe {
		return Step{
			Action: Hold, Reason: appsv1.ReasonRollbackUnsafe, Stalled: true,
			Message: fmt.Sprintf("%s. It is not rolled back to revision %d (%s): %s. Mend the cause and run `kubectl wandb retry`, publish a "+
				"newer release, or restore a backup of the data and run `kubectl wandb rollback %d --unsafe`",
				sentence(failure.Message), o.Earlier.Number, o.Earlier.Name, o.Earlier.Why, o.Earlier.Number),
		}, true
	}
	if held, ok := spaced(o, Rollback, now); ok {
		return held, true
	}
	return Step{
		Action: Rollback, Reason: appsv1.ReasonProgressing, Revision: o.Earlier.Number,
		Message: fmt.Sprintf("rolling back to revision %d (%s): %s", o.Earlier.Number, o.Earlier.Name, sentence(failure.Message)),
	}, true
}

// rollbackWish is a person's wish for an earlier revision, which counts more than the specification until that changes.
func rollbackWish(o Observation, now time.Time) (Step, bool) {
	w := o.Wishes
	if w.RollbackTo == 0 || !asked(w.RollbackAt, o.Memory.Handled.Rollback, o.Memory) || o.Latest == nil || o.Latest.Number == w.RollbackTo {
		return Step{}, false
	}
	if held, ok := spaced(o, Rollback, now); ok {
		return held, true
	}
	if o.Earlier != nil && o.Earlier.Number == w.RollbackTo && !o.Earlier.Safe && !w.Unsafe {
		return Step{
			Action: Hold, Reason: appsv1.ReasonRollbackUnsafe, Stalled: true, Serving: o.serving(),
			Message: fmt.Sprintf("revision %d (%s) is not put in place: %s. `kubectl wandb rollback %d --unsafe` does it nevertheless",
				o.Earlier.Number, o.Earlier.Name, o.Earlier.Why, o.Earlier.Number),
		}, true
	}
	return Step{
		Action: Rollback, Reason: appsv1.ReasonProgressing, Revision: w.RollbackTo, By: w.RollbackBy,
		Message: fmt.Sprintf("rolling back to revision %d, as %s asked", w.RollbackTo, w.RollbackBy),
	}, true
}

// decideRolledBack watches the revision that a rollback made. It has nothing to say once that revision is ready.
func decideRolledBack(o Observation, now time.Time) (Step, bool) {
	number := o.Latest.Number
	if o.Health.Ready {
		if o.Memory.SettledAt(number) {
			return Step{}, false
		}
		step, held := holdBack(o, now)
		if !held {
			// Another specification is wanted by now; this pass only notes that the earlier one works.
			step = Step{Action: Hold, Reason: appsv1.ReasonUpdatePending, Message: "the earlier release runs again", After: time.Second}
		}
		step.Settled, step.Serving = true, true
		return step, true
	}
	if o.Memory.SettledAt(number) {
		return Step{}, false
	}
	limit := o.Rules.timeout()
	left := o.Latest.DeployedAt.Add(limit).Sub(now)
	if left > 0 && !o.Health.Failed {
		return Step{
			Action: Wait, Reason: appsv1.ReasonProgressing, After: left,
			Message: "waiting for the earlier release: " + o.Health.summary(),
		}, true
	}
	return Step{
		Action: Hold, Reason: appsv1.ReasonRollbackFailed, Stalled: true,
		Message: fmt.Sprintf("revision %d, which a rollback made, is not ready: %s", number, o.Health.summary()),
	}, true
}

// failure is the record of the wanted specification. A failed revision that nobody wrote down counts as well: the process
// ended between Helm's failure and our note of it.
func (o Observation) failure() Failure {
	failure := o.Memory.Failure(o.Desired.Digest)
	if failure.Count == 0 && o.Latest != nil && o.Latest.Status == helm.StatusFailed && Installed(o.Desired, o.Latest, o.Memory) {
		return Failure{
			Digest: o.Desired.Digest, Count: 1, At: o.Latest.DeployedAt,
			Reason: appsv1.ReasonHelmFailed, Message: o.Latest.Description,
		}
	}
	return failure
}

// holdBack keeps a specification that failed before from being applied too early, too often, or at all.
func holdBack(o Observation, now time.Time) (Step, bool) {
	digest := o.Desired.Digest
	failure := o.failure()
	if failure.Count > 0 && o.retried() {
		return holdAttempt(o, now)
	}
	if failure.RolledBack {
		return Step{
			Action: Hold, Reason: appsv1.ReasonReleaseFailed, Stalled: true,
			Message: sentence(failure.Message) + ". It is not tried again until something changes; `kubectl wandb retry` tries it as it is",
		}, true
	}
	if failure.Count >= MaxFailures {
		return Step{
			Action: Hold, Reason: failure.Reason, Stalled: true,
			Message: fmt.Sprintf("%s. Given up after %d attempts: change the specification", sentence(failure.Message), failure.Count),
		}, true
	}
	interrupted := failure.Reason == appsv1.ReasonHelmLocked && failure.Count <= freeInterruptions
	if failure.Count > 0 && !interrupted {
		due := failure.At.Add(backoff(digest, failure.Count, failureBase, failureCap))
		if now.Before(due) {
			return Step{
				Action: Hold, Reason: failure.Reason, After: due.Sub(now),
				Message: fmt.Sprintf("%s. Attempt %d of %d follows at %s", sentence(failure.Message), failure.Count+1, MaxFailures,
					due.UTC().Format(time.RFC3339)),
			}, true
		}
	}
	return holdAttempt(o, now)
}

// holdAttempt spaces out attempts that never reached Helm's storage. What only a person can mend is tried again too, for
// nothing tells us when a chart was published or a right was granted.
func holdAttempt(o Observation, now time.Time) (Step, bool) {
	if o.Attempt == nil || o.Attempt.Digest != o.Desired.Digest || !o.Wishes.Retry.Equal(o.Attempt.Retry) {
		return Step{}, false
	}
	base := attemptBase
	if o.Attempt.Final {
		base = failureBase
	}
	due := o.Attempt.At.Add(backoff(o.Desired.Digest, o.Attempt.Count, base, attemptCap))
	if !now.Before(due) {
		return Step{}, false
	}
	return Step{
		Action: Hold, Reason: o.Attempt.Reason, Message: o.Attempt.Message, Stalled: o.Attempt.Final, After: due.Sub(now),
	}, true
}

// spaced keeps a step that could not even begin from being tried again at once.
func spaced(o Observation, action Action, now time.Time) (Step, bool) {
	if o.Attempt == nil || o.Attempt.Action != action {
		return Step{}, false
	}
	due := o.Attempt.At.Add(backoff(string(action), o.Attempt.Count, attemptBase, attemptCap))
	if !now.Before(due) {
		return Step{}, false
	}
	return Step{
		Action: Hold, Reason: o.Attempt.Reason, Message: o.Attempt.Message, Stalled: o.Attempt.Final, After: due.Sub(now),
		Serving: o.serving(),
	}, true
}
