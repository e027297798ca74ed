package release

import (
	"cmp"
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
	// Prepare makes the plan of a change and checks what it needs, and applies nothing.
	Prepare Action = "Prepare"
	// Rollback puts an earlier revision in the place of the newest.
	Rollback Action = "Rollback"
	// RunProbe runs the release's own probe.
	RunProbe Action = "Probe"
	// Correct takes back what somebody else changed.
	Correct Action = "Correct"
	// Rotate restarts the pods that use credentials which have changed.
	Rotate Action = "Rotate"
	// Uninstall the release.
	Uninstall Action = "Uninstall"
)

// Writes tells that applying the action changes the cluster.
func (a Action) Writes() bool {
	switch a {
	case Install, Upgrade, Retry, Unlock, Fail, Recover, Uninstall, Prepare, Rollback, RunProbe, Correct, Rotate:
		return true
	default:
		return false
	}
}

// Quiet tells that what runs is not touched, so that its conditions stay as they are meanwhile.
func (a Action) Quiet() bool { return a == Prepare || a == RunProbe || a == Correct }

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
	// Serving tells that what runs is as good as before, whatever the step waits for.
	Serving bool
	// Look is when to look again for what runs, while the step itself waits for something else; zero for never.
	Look time.Duration
	// About tells that the step is about what runs, while a newer specification waits: see Observation.Applied.
	About bool
	// Revision is the one that a Rollback puts in place, and By who asked for it; empty where nobody did.
	Revision int
	By       string
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
	if o.Running != nil && !o.Running.Action.Quiet() {
		return Step{Action: Wait, Reason: appsv1.ReasonProgressing, Message: doing(o.Running.Action)}
	}
	step := decide(o, now)
	if o.Running != nil && step.Action.Writes() {
		return Step{
			Action: Hold, Reason: appsv1.ReasonProgressing, Message: doing(o.Running.Action), Serving: o.serving(),
		}
	}
	return step
}

// serving tells that the newest revision is deployed and ready.
func (o Observation) serving() bool {
	return o.Latest != nil && o.Latest.Status == helm.StatusDeployed && o.Health.Ready
}

func decide(o Observation, now time.Time) Step {
	switch o.Intent {
	case Leave:
		return Step{Action: Nothing, Reason: appsv1.ReasonDeleting, Message: "the workloads stay"}
	case Remove:
		return decideRemove(o, now)
	case Suspend:
		if unplanned(o) {
			if _, held := holdAttempt(o, now); !held {
				return Step{Action: Prepare, Reason: appsv1.ReasonSuspended, Message: doing(Prepare), Serving: o.serving()}
			}
		}
		return Step{
			Action: Hold, Reason: appsv1.ReasonSuspended,
			Message: cmp.Or(o.Why, "spec.suspend is set; set it to false to go on"),
		}
	case Run:
	}
	if o.Lock.HeldByOther() {
		return lockedByOther(o.Lock)
	}
	if o.Latest != nil && o.Latest.Status.Pending() {
		if o.Desired == nil && (o.Problem == nil || o.Problem.Reason == appsv1.ReasonProgressing) {
			// Whose revision was interrupted is not known before the specification is, and a stranger's failure is counted as
			// one: the next attempt would wait a minute for nothing.
			return Step{Action: Hold, Reason: appsv1.ReasonProgressing, Message: "looking for the specification of the interrupted revision"}
		}
		return decideInterrupted(o, now)
	}
	if wanted, ok := rollbackWish(o, now); ok {
		return wanted
	}
	if o.Problem != nil {
		return alongside(o, Step{Action: Hold, Reason: o.Problem.Reason, Message: o.Problem.Message, Stalled: o.Problem.Final}, now)
	}
	if o.Desired == nil {
		return Step{Action: Hold, Reason: appsv1.ReasonProgressing, Message: "there is no specification yet"}
	}
	return decideRun(o, now)
}

// unplanned tells that nobody can see yet what would happen if the suspension ended.
func unplanned(o Observation) bool {
	return o.Desired != nil && o.Problem == nil && !o.Lock.HeldByOther() && !Installed(o.Desired, o.Latest, o.Memory) &&
		(o.Latest == nil || !o.Latest.Status.Pending()) && !o.planned()
}

func decideRun(o Observation, now time.Time) Step {
	switch {
	case o.Latest == nil || o.Latest.Status == helm.StatusUninstalled:
		if held, ok := holdBack(o, now); ok {
			return held
		}
		return gate(o, Step{Action: Install, Reason: appsv1.ReasonProgressing, Message: doing(Install)}, now)
	case !Installed(o.Desired, o.Latest, o.Memory):
		return decideUpgrade(o, now)
	case o.Latest.Status == helm.StatusDeployed:
		return decideDeployed(o, now)
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
	if adoption(o) {
		return Step{
			Action: Nothing, Reason: appsv1.ReasonDeleting,
			Message: "the release was made by somebody else and never taken over, so it stays",
		}
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
	case Prepare:
		return "planning the change and checking what it needs"
	case Rollback:
		return "rolling the release back"
	case RunProbe:
		return "probing the release"
	case Rotate:
		return "restarting the pods that use changed credentials"
	case Correct:
		return "taking back what somebody else changed"
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
