package release

import (
	"fmt"
	"strings"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

// Action is the kind of a step.
type Action string

const (
	// Nothing is left to do.
	Nothing Action = "Nothing"
	// Wait for something that ends by itself: Helm at work, pods starting.
	Wait Action = "Wait"
	// Hold back until time has passed or somebody has changed something.
	Hold Action = "Hold"
	// Install the first revision.
	Install Action = "Install"
	// Upgrade to another specification.
	Upgrade Action = "Upgrade"
	// Retry a specification whose revision failed.
	Retry Action = "Retry"
	// Unlock marks a revision failed whose maker is gone.
	Unlock Action = "Unlock"
	// Fail marks a revision failed whose objects did not become ready in time.
	Fail Action = "Fail"
	// Recover marks a revision deployed again whose objects became ready after all.
	Recover Action = "Recover"
	// Uninstall the release.
	Uninstall Action = "Uninstall"
)

// Writes tells that applying the action changes the cluster.
func (a Action) Writes() bool {
	switch a {
	case Install, Upgrade, Retry, Unlock, Fail, Recover, Uninstall:
		return true
	default:
		return false
	}
}

// Step is the one thing to do next.
type Step struct {
	Action Action
	// Reason is a reason of api/v1, for conditions.
	Reason string
	// Message says in one sentence what is done or waited for.
	Message string
	// After is when to look again at the latest; zero where an event will tell.
	After time.Duration
	// Stalled tells that nothing happens any more until somebody changes something.
	Stalled bool
	// Settled tells that the newest revision has become ready and may be remembered as such.
	Settled bool
}

const (
	// RolloutTimeout is how long the objects of a new revision may take to become ready. Helm's own default is 5 minutes;
	// twice that leaves room to pull large images on a slow link.
	RolloutTimeout = 10 * time.Minute
	// PendingGrace is how long a pending revision without any Lease is left alone: whoever makes it uses Helm by hand,
	// whose default timeout is 5 minutes.
	PendingGrace = 10 * time.Minute
	// MaxFailures is how many revisions one specification may fail with, ever.
	MaxFailures = 5
	// UninstallTimeout is how long a failing uninstall may hold up the deletion of the owner. After it the owner goes, and
	// what could not be removed stays.
	UninstallTimeout = 10 * time.Minute

	lockPoll = 10 * time.Second

	// freeInterruptions is how often a specification is taken up again at once after its process was killed. Beyond it,
	// the specification itself may be what kills the process.
	freeInterruptions = 2
)

// Decide returns the next step. It is pure: it reads nothing but its arguments and changes none of them.
func Decide(o Observation, now time.Time) Step {
	if o.Running != nil {
		return Step{Action: Wait, Reason: appsv1.ReasonProgressing, Message: doing(o.Running.Action)}
	}
	switch o.Intent {
	case Leave:
		return Step{Action: Nothing, Reason: appsv1.ReasonDeleting, Message: "the workloads stay"}
	case Remove:
		return decideRemove(o, now)
	case Suspend:
		return Step{
			Action: Hold, Reason: appsv1.ReasonSuspended,
			Message: "spec.suspend is set; set it to false to go on",
		}
	case Run:
	}
	if o.Lock.HeldByOther() {
		return lockedByOther(o.Lock)
	}
	if o.Latest != nil && o.Latest.Status.Pending() {
		return decideInterrupted(o, now)
	}
	if o.Problem != nil {
		return Step{Action: Hold, Reason: o.Problem.Reason, Message: o.Problem.Message, Stalled: o.Problem.Final}
	}
	if o.Desired == nil {
		return Step{Action: Hold, Reason: appsv1.ReasonProgressing, Message: "there is no specification yet"}
	}
	return decideRun(o, now)
}

func decideRun(o Observation, now time.Time) Step {
	switch {
	case o.Latest == nil || o.Latest.Status == helm.StatusUninstalled:
		if held, ok := holdBack(o, now); ok {
			return held
		}
		return Step{Action: Install, Reason: appsv1.ReasonProgressing, Message: doing(Install)}
	case !Installed(o.Desired, o.Latest, o.Memory):
		return decideUpgrade(o, now)
	case o.Latest.Status == helm.StatusDeployed:
		return decideRollout(o, now)
	default:
		return decideFailed(o, now)
	}
}

// Installed tells that the revision was made from the specification. A revision that we remember is judged by its
// digest alone, because Helm may store values in another form than it was given.
func Installed(desired *Desired, latest *Revision, memory Memory) bool {
	if desired == nil || latest == nil {
		return false
	}
	if memory.Applied.Revision == latest.Number && memory.Applied.Digest != "" {
		return memory.Applied.Digest == desired.Digest
	}
	want, got := desired.Fingerprint, latest.Fingerprint
	return want.Values == got.Values &&
		(want.Chart == "" || want.Chart == got.Chart) &&
		(want.Version == "" || want.Version == got.Version)
}

// decideUpgrade handles a revision that was made from something else: an older specification, or by somebody else.
func decideUpgrade(o Observation, now time.Time) Step {
	if held, ok := holdBack(o, now); ok {
		return held
	}
	step := Step{Action: Upgrade, Reason: appsv1.ReasonProgressing, Message: doing(Upgrade)}
	if !foreign(o) {
		return step
	}
	// Two programs that both insist would take turns for ever: each time is further apart than the last.
	due := o.Memory.Applied.At.Add(backoff(o.Desired.Digest, o.Memory.Applied.Times, foreignBase, foreignCap))
	if now.Before(due) {
		return Step{
			Action: Hold, Reason: appsv1.ReasonUpdateHeld, After: due.Sub(now),
			Message: fmt.Sprintf("somebody else made revision %d with Helm; the specification is applied again in %s",
				o.Latest.Number, round(due.Sub(now))),
		}
	}
	step.Message = fmt.Sprintf("applying the specification over revision %d, which somebody else made with Helm; set "+
		"spec.suspend to work by hand", o.Latest.Number)
	return step
}

// foreign tells that the specification had been installed already, and somebody else has put another revision on top.
func foreign(o Observation) bool {
	applied := o.Memory.Applied
	return applied.Digest == o.Desired.Digest && o.Latest.Number > applied.Revision
}

// decideRollout handles a revision that Helm has finished with, and whose objects may still be starting.
func decideRollout(o Observation, now time.Time) Step {
	settled := o.Memory.SettledAt(o.Latest.Number)
	if o.Health.Ready {
		return Step{
			Action: Nothing, Reason: appsv1.ReasonReady, Message: "the specification runs and every workload is ready",
			Settled: !settled,
		}
	}
	if settled {
		return Step{
			Action: Nothing, Reason: appsv1.ReasonWorkloadsNotReady,
			Message: "waiting for " + o.Health.summary(),
		}
	}
	left := o.Latest.DeployedAt.Add(RolloutTimeout).Sub(now)
	if left > 0 && !o.Health.Failed {
		return Step{
			Action: Wait, Reason: appsv1.ReasonProgressing, After: left,
			Message: "waiting for " + o.Health.summary(),
		}
	}
	why := fmt.Sprintf("not ready after %s: %s", RolloutTimeout, o.Health.summary())
	if left > 0 {
		why = "will not become ready: " + o.Health.summary()
	}
	return Step{Action: Fail, Reason: appsv1.ReasonWorkloadsNotReady, Message: why}
}

// decideFailed handles a revision of this very specification that failed.
func decideFailed(o Observation, now time.Time) Step {
	if o.Health.Ready && o.Memory.Failure(o.Desired.Digest).Reason == appsv1.ReasonWorkloadsNotReady {
		return Step{
			Action: Recover, Reason: appsv1.ReasonProgressing,
			Message: "every workload has become ready after all",
		}
	}
	if held, ok := holdBack(o, now); ok {
		return held
	}
	return Step{Action: Retry, Reason: appsv1.ReasonProgressing, Message: doing(Retry)}
}

// holdBack keeps a specification that failed before from being applied too early or too often.
func holdBack(o Observation, now time.Time) (Step, bool) {
	digest := o.Desired.Digest
	failure := o.Memory.Failure(digest)
	if failure.Count == 0 && o.Latest != nil && o.Latest.Status == helm.StatusFailed && Installed(o.Desired, o.Latest, o.Memory) {
		// The process ended between Helm's failure and our note of it.
		failure = Failure{
			Digest: digest, Count: 1, At: o.Latest.DeployedAt,
			Reason: appsv1.ReasonHelmFailed, Message: o.Latest.Description,
		}
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
	if o.Attempt == nil || o.Attempt.Digest != o.Desired.Digest {
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

// decideInterrupted handles a revision that somebody was at work on. Nobody holds the Lease any more at this point.
func decideInterrupted(o Observation, now time.Time) Step {
	if o.Lock.Holder == "" {
		left := o.Latest.DeployedAt.Add(PendingGrace).Sub(now)
		if left > 0 {
			return Step{
				Action: Wait, Reason: appsv1.ReasonHelmLocked, After: left,
				Message: fmt.Sprintf("revision %d is %s; somebody may be at work on it with Helm by hand",
					o.Latest.Number, o.Latest.Status),
			}
		}
	}
	return Step{
		Action: Unlock, Reason: appsv1.ReasonHelmLocked,
		Message: fmt.Sprintf("revision %d is %s and nobody works on it any more", o.Latest.Number, o.Latest.Status),
	}
}

func decideRemove(o Observation, now time.Time) Step {
	if o.Latest == nil || o.Latest.Status == helm.StatusUninstalled {
		return Step{Action: Nothing, Reason: appsv1.ReasonDeleting, Message: "the release is uninstalled"}
	}
	overdue := !o.RemovedAt.IsZero() && now.Sub(o.RemovedAt) >= UninstallTimeout
	if o.Attempt != nil && o.Attempt.Action == Uninstall {
		if overdue {
			return Step{
				Action: Nothing, Reason: appsv1.ReasonUninstallFailed,
				Message: "giving up on the uninstall; what is left has to be removed by hand: " + o.Attempt.Message,
			}
		}
		due := o.Attempt.At.Add(backoff("", o.Attempt.Count, attemptBase, uninstallCap))
		if now.Before(due) {
			return Step{
				Action: Hold, Reason: appsv1.ReasonUninstallFailed, Message: o.Attempt.Message, After: due.Sub(now),
			}
		}
	}
	if o.Lock.HeldByOther() {
		return lockedByOther(o.Lock)
	}
	return Step{Action: Uninstall, Reason: appsv1.ReasonDeleting, Message: doing(Uninstall)}
}

func lockedByOther(lock Lock) Step {
	return Step{
		Action: Wait, Reason: appsv1.ReasonHelmLocked, After: lockPoll,
		Message: fmt.Sprintf("%s is at work on this release", lock.Holder),
	}
}

// doing describes an action under way; Message and Running use the same words, so that status does not flicker.
func doing(action Action) string {
	switch action {
	case Install:
		return "installing the release"
	case Upgrade:
		return "upgrading the release"
	case Retry:
		return "trying the release again"
	case Uninstall:
		return "uninstalling the release"
	case Unlock:
		return "unlocking the release"
	case Fail, Recover:
		return "recording the outcome of the rollout"
	case Nothing, Wait, Hold:
	}
	return string(action)
}

// summary names what is not ready.
func (h Health) summary() string {
	if h.Message == "" {
		return "the objects of the release"
	}
	return h.Message
}

func sentence(text string) string { return strings.TrimRight(text, ". ") }

func round(d time.Duration) time.Duration { return d.Round(time.Second) }
