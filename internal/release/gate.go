package release

import (
	"fmt"
	"strings"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

// decideUpgrade handles a revision that was made from something else: an older specification, or by somebody else.
func decideUpgrade(o Observation, now time.Time) Step {
	if rolledBack := o.Memory.RolledBack(o.Latest.Number); rolledBack && o.Latest.Status == helm.StatusDeployed {
		if step, under := decideRolledBack(o, now); under {
			return step
		}
	}
	step := upgrade(o, now)
	if step.Action != Hold && step.Action != Prepare {
		return step
	}
	return alongside(o, step, now)
}

// upgrade is the way to another specification.
func upgrade(o Observation, now time.Time) Step {
	if held, ok := holdBack(o, now); ok {
		held.Serving = o.serving()
		return held
	}
	step := Step{Action: Upgrade, Reason: appsv1.ReasonProgressing, Message: doing(Upgrade)}
	if !Foreign(o) {
		return gate(o, step, now)
	}
	if !o.Rules.Overrule && !o.forced() {
		return Step{
			Action: Hold, Reason: appsv1.ReasonUpdateHeld, Serving: o.serving(),
			Message: fmt.Sprintf("somebody else made revision %d with Helm, and it stays until the specification changes; "+
				"`kubectl wandb force` applies the specification again", o.Latest.Number),
		}
	}
	// Two programs that both insist would take turns for ever: each time is further apart than the last.
	due := o.Memory.Applied.At.Add(backoff(o.Desired.Digest, o.Memory.Applied.Times, foreignBase, foreignCap))
	if now.Before(due) && !o.forced() {
		return Step{
			Action: Hold, Reason: appsv1.ReasonUpdateHeld, After: due.Sub(now), Serving: o.serving(),
			Message: fmt.Sprintf("somebody else made revision %d with Helm; the specification is applied again in %s",
				o.Latest.Number, round(due.Sub(now))),
		}
	}
	step.Message = fmt.Sprintf("applying the specification over revision %d, which somebody else made with Helm; set "+
		"spec.suspend to work by hand", o.Latest.Number)
	return gate(o, step, now)
}

// Applied is the specification that the newest revision was made from, as far as the memory tells; nil where the revision
// is none of ours.
func (o Observation) Applied() *Desired {
	applied := o.Memory.Applied
	if o.Latest == nil || applied.Revision != o.Latest.Number || applied.Digest == "" {
		return nil
	}
	return &Desired{
		Digest: applied.Digest, Source: applied.Source, ReleaseID: applied.ReleaseID, ReleaseName: applied.ReleaseName,
		Fingerprint: o.Latest.Fingerprint,
	}
}

// alongside looks after what runs while a newer specification waits, for a person or a window perhaps for days, or while
// there is none because somebody has to mend a layer: a rollout has to end, a failed one is rolled back, changed
// credentials reach the pods.
func alongside(o Observation, waiting Step, now time.Time) Step {
	applied := o.Applied()
	if applied == nil || o.Memory.RolledBack(o.Latest.Number) && !o.Memory.SettledAt(o.Latest.Number) {
		return waiting
	}
	o.Desired, o.Wishes.Force, o.Wishes.Retry = applied, time.Time{}, time.Time{}
	if o.Problem != nil {
		// What is wrong may be the very content of the Secret: pods that run must not be restarted into it.
		o.Rotated = nil
	}
	var step Step
	switch o.Latest.Status {
	case helm.StatusDeployed:
		step = decideDeployed(o, now)
	case helm.StatusFailed:
		step = decideFailed(o, now)
	default:
		return waiting
	}
	waiting.Look = step.After
	switch {
	case step.Settled && o.Memory.RolledBack(o.Latest.Number):
		return waiting // decideRolledBack has the word
	case step.Settled:
		waiting.Settled, waiting.About = true, true
		return waiting
	case waiting.Action == Prepare && step.Action != Fail && step.Action != Rollback && step.Action != Rotate:
		return waiting
	case o.Problem != nil && step.Action == Wait:
		return waiting // what is wrong is worth more than that pods are starting
	}
	switch step.Action {
	case Wait, Fail, Rollback, Recover, RunProbe, Rotate, Correct:
		step.About = true
		return step
	default:
		return waiting
	}
}

// Foreign tells that the specification had been installed already, and somebody else has put another revision on top.
func Foreign(o Observation) bool {
	applied := o.Memory.Applied
	return o.Desired != nil && o.Latest != nil && applied.Digest == o.Desired.Digest && o.Latest.Number > applied.Revision &&
		!Installed(o.Desired, o.Latest, o.Memory)
}

// wishAge is how much older than the newest revision a wish may be. The clocks of people and of the operator differ, and
// what somebody asked for in another life of the installation is not meant any more.
const wishAge = 5 * time.Minute

// asked tells that somebody asked for something that was not done yet.
func asked(at, handled time.Time, memory Memory) bool {
	return !at.IsZero() && !at.Equal(handled) && at.After(memory.Applied.At.Add(-wishAge))
}

// forced tells that somebody wants the specification to be applied now.
func (o Observation) forced() bool { return asked(o.Wishes.Force, o.Memory.Handled.Force, o.Memory) }

// retried tells that somebody wants a specification that failed to be tried again.
func (o Observation) retried() bool { return asked(o.Wishes.Retry, o.Memory.Handled.Retry, o.Memory) }

// gate lets a change through once its plan is there where one is needed, somebody has approved it, and a window is open.
// Most installations need none of that, and their plan is made by the very step that applies it.
func gate(o Observation, step Step, now time.Time) Step {
	adopting := adoption(o)
	if !adopting && !o.Rules.Approval && (!o.Rules.Windowed || o.Rules.Opens.IsZero()) {
		return step
	}
	if !adopting && !o.Rules.Approval && (step.Action == Install || o.forced()) {
		return step // nobody waits for a window to get the first installation
	}
	if !o.planned() {
		return Step{Action: Prepare, Reason: appsv1.ReasonUpdatePending, Message: doing(Prepare), Serving: o.serving()}
	}
	if o.Rules.Approval || (adopting && o.Plan.disturbs()) {
		if o.Wishes.Approved != o.Plan.Digest {
			return awaitApproval(o, adopting)
		}
	}
	if o.Rules.Windowed && !o.Rules.Opens.IsZero() && step.Action != Install && !o.forced() {
		return Step{
			Action: Hold, Reason: appsv1.ReasonOutsideWindow, After: o.Rules.Opens.Sub(now), Serving: o.serving(),
			Message: fmt.Sprintf("%s; the next window opens at %s, and `kubectl wandb force` does not wait for it",
				o.Plan.Summary, o.Rules.Opens.UTC().Format(time.RFC3339)),
		}
	}
	return step
}

// adoption tells that the newest revision was made by somebody else, and nothing of ours was ever applied.
func adoption(o Observation) bool {
	return o.Latest != nil && o.Latest.Status != helm.StatusUninstalled && !o.Latest.Ours && o.Memory.Applied.Revision == 0
}

// Gated tells that a person has a say in whether a plan is applied.
func (o Observation) Gated() bool { return o.Rules.Approval || adoption(o) }

// planned tells that there is a plan for the step from the newest revision to the wanted specification.
func (o Observation) planned() bool {
	return o.Plan != nil && o.Plan.Desired == o.Desired.Digest && o.Plan.Base == numberOf(o.Latest)
}

func (p *Plan) disturbs() bool { return len(p.Replaces) > 0 || p.Removes > 0 }

func awaitApproval(o Observation, adopting bool) Step {
	step := Step{
		Action: Hold, Reason: appsv1.ReasonAwaitingApproval, Serving: o.serving(),
		Message: fmt.Sprintf("%s; look with `kubectl wandb diff`, then approve plan %s with `kubectl wandb approve`",
			o.Plan.Summary, short(o.Plan.Digest)),
	}
	if adopting && !o.Rules.Approval {
		step.Reason = appsv1.ReasonAdoptionNeedsConsent
		step.Message = fmt.Sprintf("taking over revision %d, which somebody else made with Helm, would replace the pods of %s and remove %d objects; "+
			"look with `kubectl wandb diff`, then consent to plan %s with `kubectl wandb approve`",
			o.Latest.Number, listed(o.Plan.Replaces), o.Plan.Removes, short(o.Plan.Digest))
	}
	return step
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// short is as much of a digest as people compare.
func short(digest string) string {
	const enough = len("sha256:") + 12
	return digest[:min(len(digest), enough)]
}

func numberOf(revision *Revision) int {
	if revision == nil {
		return 0
	}
	return revision.Number
}
