package release

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func desired(name string) *Desired {
	return &Desired{
		Digest: "digest-" + name, Source: "source-" + name,
		Fingerprint: Fingerprint{Chart: "operator-wandb", Version: "1.0.0", Values: "values-" + name},
	}
}

// revisionFrom is a revision that was made from a specification at noon.
func revisionFrom(number int, status helm.Status, from *Desired) *Revision {
	return &Revision{Number: number, Status: status, DeployedAt: noon, Fingerprint: from.Fingerprint, Ours: true}
}

func settledMemory(revision int, from *Desired) Memory {
	return Memory{}.WithSettled(revision, from, noon)
}

func TestDecide(t *testing.T) {
	a, b := desired("a"), desired("b")
	deployed := revisionFrom(1, helm.StatusDeployed, a)
	healthy := Health{Ready: true}
	failedOnce := Memory{}.WithFailure(a, appsv1.ReasonHelmFailed, "hook failed", 1, noon)
	unready := Memory{}.WithFailure(a, appsv1.ReasonWorkloadsNotReady, "not ready", 1, noon)
	givenUp := Memory{}
	for range MaxFailures {
		givenUp = givenUp.WithFailure(a, appsv1.ReasonHelmFailed, "hook failed", 1, noon)
	}
	otherAtWork := Lock{Holder: "ns/other/1", Expired: true}

	tests := map[string]struct {
		observation Observation
		after       time.Duration
		want        Action
		wantReason  string
		// wantMessage is part of the message; empty for any.
		wantMessage string
		wantStalled bool
	}{
		"should install where nothing is there": {
			observation: Observation{Desired: a}, want: Install, wantReason: appsv1.ReasonProgressing,
		},
		"should install again after an uninstallation that kept its history": {
			observation: Observation{Desired: a, Latest: revisionFrom(3, helm.StatusUninstalled, a)}, want: Install,
			wantReason: appsv1.ReasonProgressing,
		},
		"should wait while a step is at work, whatever else is true": {
			observation: Observation{Desired: b, Latest: deployed, Running: &Running{Action: Upgrade}, Intent: Remove},
			want:        Wait, wantReason: appsv1.ReasonProgressing, wantMessage: "upgrading",
		},
		"should rest when everything is as wanted": {
			observation: Observation{Desired: a, Latest: deployed, Health: healthy, Memory: settledMemory(1, a)},
			want:        Nothing, wantReason: appsv1.ReasonReady,
		},
		"should upgrade to another specification": {
			observation: Observation{Desired: b, Latest: deployed, Health: healthy, Memory: settledMemory(1, a)},
			want:        Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should wait for workloads of a new revision": {
			observation: Observation{Desired: a, Latest: deployed, Health: Health{Message: "Deployment app: 0/1"}},
			after:       time.Minute, want: Wait, wantReason: appsv1.ReasonProgressing, wantMessage: "Deployment app: 0/1",
		},
		"should fail a revision whose workloads are not ready in time": {
			observation: Observation{Desired: a, Latest: deployed, Health: Health{Message: "Deployment app: 0/1"}},
			after:       RolloutTimeout, want: Fail, wantReason: appsv1.ReasonWorkloadsNotReady, wantMessage: "Deployment app: 0/1",
		},
		"should fail a revision at once whose workload says it cannot become ready": {
			observation: Observation{Desired: a, Latest: deployed, Health: Health{Failed: true, Message: "Deployment app: deadline exceeded"}},
			after:       time.Second, want: Fail, wantReason: appsv1.ReasonWorkloadsNotReady,
		},
		"should not blame the release for pods that die later": {
			observation: Observation{Desired: a, Latest: deployed, Health: Health{Message: "Pod app-1: evicted"}, Memory: settledMemory(1, a)},
			after:       24 * time.Hour, want: Nothing, wantReason: appsv1.ReasonWorkloadsNotReady, wantMessage: "evicted",
		},
		"should hold a failed specification back": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a), Memory: failedOnce},
			after:       time.Second, want: Hold, wantReason: appsv1.ReasonHelmFailed, wantMessage: "hook failed. Attempt 2 of 5",
		},
		"should retry a failed specification when its time has come": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a), Memory: failedOnce},
			after:       2 * time.Minute, want: Retry, wantReason: appsv1.ReasonProgressing,
		},
		"should give up after the last attempt": {
			observation: Observation{Desired: a, Latest: revisionFrom(5, helm.StatusFailed, a), Memory: givenUp},
			after:       1000 * time.Hour, want: Hold, wantReason: appsv1.ReasonHelmFailed, wantMessage: "Given up after 5 attempts", wantStalled: true,
		},
		"should take another specification at once though the last one was given up": {
			observation: Observation{Desired: b, Latest: revisionFrom(5, helm.StatusFailed, a), Memory: givenUp},
			after:       time.Second, want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should take a failed revision for good when its workloads became ready after all": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a), Memory: unready, Health: healthy},
			after:       time.Second, want: Recover, wantReason: appsv1.ReasonProgressing,
		},
		"should not take ready workloads for a passed hook": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a), Memory: failedOnce, Health: healthy},
			after:       time.Second, want: Hold, wantReason: appsv1.ReasonHelmFailed,
		},
		"should hold a failure that nobody wrote down": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a)},
			after:       time.Second, want: Hold, wantReason: appsv1.ReasonHelmFailed,
		},
		"should go on at once after its process was killed": {
			observation: Observation{
				Desired: a, Latest: revisionFrom(1, helm.StatusFailed, a),
				Memory: Memory{}.WithFailure(a, appsv1.ReasonHelmLocked, "interrupted", 1, noon),
			},
			after: time.Second, want: Retry, wantReason: appsv1.ReasonProgressing,
		},
		"should overrule what somebody else made with Helm": {
			observation: Observation{Desired: a, Latest: revisionFrom(2, helm.StatusDeployed, b), Memory: settledMemory(1, a), Health: healthy, Rules: Rules{Overrule: true}},
			after:       time.Minute, want: Upgrade, wantReason: appsv1.ReasonProgressing, wantMessage: "revision 2, which somebody else made",
		},
		"should not take turns with somebody who insists": {
			observation: Observation{
				Desired: a, Latest: revisionFrom(12, helm.StatusDeployed, b), Health: healthy,
				Memory: Memory{Applied: Applied{Revision: 11, Digest: a.Digest, At: noon, Times: 8, Settled: true}},
				Rules:  Rules{Overrule: true},
			},
			after: time.Minute, want: Hold, wantReason: appsv1.ReasonUpdateHeld, wantMessage: "somebody else made revision 12",
		},
		"should take its own failed revision for its own": {
			observation: Observation{
				Desired: a, Latest: revisionFrom(2, helm.StatusFailed, b), Health: healthy,
				Memory: settledMemory(1, a).WithFailure(b, appsv1.ReasonHelmFailed, "hook failed", 2, noon),
			},
			after: time.Second, want: Upgrade, wantReason: appsv1.ReasonProgressing, wantMessage: "upgrading the release",
		},
		"should adopt a revision of the same content that an older operator made": {
			observation: Observation{Desired: a, Latest: deployed, Health: healthy}, after: 10000 * time.Hour,
			want: Nothing, wantReason: appsv1.ReasonReady,
		},
		"should wait while another process holds the Lease": {
			observation: Observation{Desired: b, Latest: deployed, Lock: Lock{Holder: "ns/other/1"}}, want: Wait,
			wantReason: appsv1.ReasonHelmLocked, wantMessage: "ns/other/1",
		},
		"should not unlock while the holder's pod exists, though its Lease ran out": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusPendingUpgrade, a), Lock: otherAtWork},
			after:       time.Hour, want: Wait, wantReason: appsv1.ReasonHelmLocked,
		},
		"should unlock when the Lease ran out and the pod is gone": {
			observation: Observation{
				Desired: a, Latest: revisionFrom(1, helm.StatusPendingUpgrade, a),
				Lock: Lock{Holder: "ns/other/1", Expired: true, HolderGone: true},
			},
			after: time.Second, want: Unlock, wantReason: appsv1.ReasonHelmLocked,
		},
		"should leave a person alone who uses Helm by hand": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusPendingUpgrade, a)}, after: time.Minute,
			want: Wait, wantReason: appsv1.ReasonHelmLocked, wantMessage: "by hand",
		},
		"should unlock what nobody has touched for long": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusPendingInstall, a)}, after: PendingGrace,
			want: Unlock, wantReason: appsv1.ReasonHelmLocked,
		},
		"should unlock an uninstallation that was interrupted, rather than end it": {
			observation: Observation{Desired: a, Latest: revisionFrom(1, helm.StatusUninstalling, a)}, after: PendingGrace,
			want: Unlock, wantReason: appsv1.ReasonHelmLocked,
		},
		"should change nothing while suspended": {
			observation: Observation{Intent: Suspend, Plan: &Plan{Desired: b.Digest, Base: 1}, Desired: b, Latest: deployed}, want: Hold, wantReason: appsv1.ReasonSuspended,
		},
		"should hold on a problem, and leave what runs alone": {
			observation: Observation{
				Latest: deployed, Memory: settledMemory(1, a), Health: healthy,
				Problem: &Problem{Reason: appsv1.ReasonLicenseMalformed, Message: "mend it", Final: true},
			},
			want: Hold, wantReason: appsv1.ReasonLicenseMalformed, wantStalled: true,
		},
		"should hold where there is no specification": {
			observation: Observation{Latest: deployed}, want: Hold, wantReason: appsv1.ReasonProgressing,
		},
		"should space out attempts that wrote nothing": {
			observation: Observation{Desired: a, Attempt: &Attempt{
				Digest: a.Digest, Action: Install, Reason: appsv1.ReasonChartNotFound, Message: "no such chart", Count: 3, At: noon, Final: true,
			}},
			after: time.Second, want: Hold, wantReason: appsv1.ReasonChartNotFound, wantStalled: true,
		},
		"should try again what a person may have mended meanwhile": {
			observation: Observation{Desired: a, Attempt: &Attempt{
				Digest: a.Digest, Action: Install, Reason: appsv1.ReasonChartNotFound, Count: 3, At: noon, Final: true,
			}},
			after: 20 * time.Minute, want: Install, wantReason: appsv1.ReasonProgressing,
		},
		"should not hold a specification back for the attempts of another": {
			observation: Observation{Desired: b, Attempt: &Attempt{Digest: a.Digest, Count: 9, At: noon}}, want: Install,
			wantReason: appsv1.ReasonProgressing,
		},
		"should uninstall what was deleted": {
			observation: Observation{Intent: Remove, Latest: deployed, RemovedAt: noon}, want: Uninstall, wantReason: appsv1.ReasonDeleting,
		},
		"should uninstall a pending release too": {
			observation: Observation{Intent: Remove, Latest: revisionFrom(1, helm.StatusPendingInstall, a), RemovedAt: noon},
			want:        Uninstall, wantReason: appsv1.ReasonDeleting,
		},
		"should be done where nothing is left to uninstall": {
			observation: Observation{Intent: Remove, RemovedAt: noon}, want: Nothing, wantReason: appsv1.ReasonDeleting,
		},
		"should try an uninstallation again later": {
			observation: Observation{
				Intent: Remove, Latest: deployed, RemovedAt: noon, Attempt: &Attempt{Action: Uninstall, Count: 1, At: noon, Message: "hook failed"},
			},
			after: time.Second, want: Hold, wantReason: appsv1.ReasonUninstallFailed, wantMessage: "hook failed",
		},
		"should let the owner go in the end, though the uninstallation fails": {
			observation: Observation{
				Intent: Remove, Latest: deployed, RemovedAt: noon, Attempt: &Attempt{Action: Uninstall, Count: 9, At: noon, Message: "hook failed"},
			},
			after: UninstallTimeout, want: Nothing, wantReason: appsv1.ReasonUninstallFailed,
		},
		"should touch nothing when it is told to leave": {
			observation: Observation{Intent: Leave, Latest: deployed}, want: Nothing, wantReason: appsv1.ReasonDeleting,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			step := Decide(test.observation, noon.Add(test.after))
			if step.Action != test.want || step.Reason != test.wantReason || step.Stalled != test.wantStalled {
				t.Errorf("Decide = %s %s stalled=%t, want %s %s stalled=%t\n%+v",
					step.Action, step.Reason, step.Stalled, test.want, test.wantReason, test.wantStalled, step)
			}
			if !strings.Contains(step.Message, test.wantMessage) {
				t.Errorf("message %q does not contain %q", step.Message, test.wantMessage)
			}
		})
	}
}

func TestDecideSettlesARevisionOnce(t *testing.T) {
	a := desired("a")
	observation := Observation{Desired: a, Latest: revisionFrom(1, helm.StatusDeployed, a), Health: Health{Ready: true}}
	if step := Decide(observation, noon); !step.Settled {
		t.Fatalf("a revision that became ready is not settled: %+v", step)
	}
	observation.Memory = settledMemory(1, a)
	if step := Decide(observation, noon); step.Settled {
		t.Fatalf("a settled revision is settled again, which would write on every pass: %+v", step)
	}
}

// world is a cluster as far as Decide can see it, with failures drawn from a seed.
type world struct {
	random      *rand.Rand
	observation Observation
	now         time.Time
	revisions   map[string]int
}

// apply does what a step says, or fails at it in one of the ways in which steps fail.
func (w *world) apply(t *testing.T, step Step) {
	o := &w.observation
	switch step.Action {
	case Install, Upgrade, Retry:
		number := 1
		if o.Latest != nil {
			number = o.Latest.Number + 1
		}
		switch w.random.IntN(5) {
		case 0:
			attempt := Attempt{Digest: o.Desired.Digest, Action: step.Action, Reason: appsv1.ReasonChartNotFound, Message: "no such chart", At: w.now, Count: 1}
			if o.Attempt != nil {
				attempt.Count = o.Attempt.Count + 1
			}
			o.Attempt = &attempt
			return
		case 1:
			o.Latest = revisionFrom(number, helm.StatusFailed, o.Desired)
			o.Memory = o.Memory.WithFailure(o.Desired, appsv1.ReasonHelmFailed, "hook failed", number, w.now)
		case 2:
			o.Latest = revisionFrom(number, helm.StatusPendingUpgrade, o.Desired)
			o.Lock = Lock{Holder: "ns/pod/old", Expired: true, HolderGone: true}
		default:
			o.Latest = revisionFrom(number, helm.StatusDeployed, o.Desired)
			o.Memory = o.Memory.WithApplied(number, o.Desired, w.now)
		}
		o.Latest.DeployedAt, o.Attempt = w.now, nil
		o.Health = Health{Ready: w.random.IntN(3) > 0, Message: "Deployment app: 0/1"}
		w.revisions[o.Desired.Digest]++
	case Unlock:
		o.Latest.Status, o.Lock = helm.StatusFailed, Lock{}
		if o.Desired != nil && o.Latest.Fingerprint == o.Desired.Fingerprint {
			o.Memory = o.Memory.WithFailure(o.Desired, appsv1.ReasonHelmLocked, "interrupted", o.Latest.Number, w.now)
		}
	case Fail:
		o.Latest.Status = helm.StatusFailed
		o.Memory = o.Memory.WithFailure(o.Desired, appsv1.ReasonWorkloadsNotReady, step.Message, o.Latest.Number, w.now)
	case Recover:
		o.Latest.Status = helm.StatusDeployed
	case Rollback:
		if w.random.IntN(3) == 0 {
			attempt := Attempt{Action: Rollback, Reason: appsv1.ReasonHelmFailed, Message: "connection refused", At: w.now, Count: 1}
			if o.Attempt != nil {
				attempt.Count = o.Attempt.Count + 1
			}
			o.Attempt = &attempt
			return
		}
		number := o.Latest.Number + 1
		o.Latest = revisionFrom(number, helm.StatusDeployed, desired("old"))
		o.Latest.DeployedAt, o.Attempt = w.now, nil
		o.Memory = o.Memory.WithRollback(o.Desired, number, step.Revision, step.Message, w.now)
		o.Health = Health{Ready: w.random.IntN(3) > 0, Message: "Deployment app: 0/1"}
	case Uninstall:
		if w.random.IntN(2) == 0 {
			o.Attempt = &Attempt{Action: Uninstall, Message: "hook failed", Count: 1, At: w.now}
			return
		}
		o.Latest, o.Attempt = nil, nil
	case Nothing:
		if step.Settled {
			o.Memory = o.Memory.WithSettled(o.Latest.Number, o.Desired, o.Latest.DeployedAt)
		}
	case Wait, Hold:
		if step.Settled {
			o.Memory = o.Memory.WithSettled(o.Latest.Number, o.Desired, o.Latest.DeployedAt)
		}
		if step.After == 0 && !step.Stalled && step.Reason != appsv1.ReasonSuspended && o.Problem == nil {
			t.Fatalf("nothing would ever wake this: %+v", step)
		}
		w.now = w.now.Add(max(step.After, time.Second))
		return
	default:
		t.Fatalf("Decide gave action %q", step.Action)
	}
	w.now = w.now.Add(time.Second)
}

// FuzzDecide runs a release through failures of every kind. From any of them it comes to rest, with a bounded number of
// revisions of one specification, and the same observation always gives the same step.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, false)
	}
	f.Add(uint64(7), true)
	f.Fuzz(func(t *testing.T, seed uint64, remove bool) {
		w := &world{random: rand.New(rand.NewPCG(seed, 1)), now: noon, revisions: map[string]int{}}
		w.observation.Desired = desired(fmt.Sprint(seed % 3))
		if remove {
			w.observation.Intent, w.observation.RemovedAt = Remove, noon
			w.observation.Latest = revisionFrom(1, helm.StatusDeployed, w.observation.Desired)
		} else if seed%2 == 0 {
			// An upgrade of a release that works, with a way back.
			old := desired("old")
			w.observation.Latest, w.observation.Memory = revisionFrom(1, helm.StatusDeployed, old), settledMemory(1, old)
			w.observation.Rules.Rollback = 1 + int(seed%3)
		}
		for range 500 {
			w.lookBack()
			before := w.observation
			step := Decide(w.observation, w.now)
			if diff := cmp.Diff(before, w.observation); diff != "" {
				t.Fatalf("Decide changed its argument:\n%s", diff)
			}
			if again := Decide(w.observation, w.now); again != step {
				t.Fatalf("Decide gave %+v, then %+v", step, again)
			}
			if step.Action == "" || step.Reason == "" || step.Message == "" {
				t.Fatalf("step without action, reason or message: %+v", step)
			}
			if (step.Action == Nothing || step.Stalled) && !step.Settled {
				w.checkRest(t, step)
				return
			}
			w.apply(t, step)
		}
		t.Fatalf("no rest after 500 steps: %+v", w.observation)
	})
}

// lookBack finds the revision to go back to, as the operator does.
func (w *world) lookBack() {
	o := &w.observation
	o.Earlier = nil
	if o.Latest == nil || o.Latest.Status != helm.StatusFailed {
		return
	}
	if good := o.Memory.LastGood(o.Latest.Number, o.Desired.Digest); good.Revision > 0 {
		o.Earlier = &Earlier{Number: good.Revision, Name: good.ReleaseName, Safe: o.Rules.Rollback < 3, Why: "the data has version 2"}
	}
}

func (w *world) checkRest(t *testing.T, step Step) {
	for digest, count := range w.revisions {
		// Every failure is one revision, and one more may succeed; interruptions count as failures.
		if count > MaxFailures+1 {
			t.Fatalf("%d revisions of %s, at most %d may exist", count, digest, MaxFailures+1)
		}
	}
	if w.observation.Intent == Remove && w.observation.Latest != nil && step.Reason != appsv1.ReasonUninstallFailed {
		t.Fatalf("the owner goes while the release is there: %+v", step)
	}
}

func TestBackoffGrowsToItsCapAndSpreads(t *testing.T) {
	last := time.Duration(0)
	for count := 1; count <= 12; count++ {
		wait := backoff("digest", count, failureBase, failureCap)
		if wait < last*8/10 {
			t.Errorf("wait %d is %s after %s", count, wait, last)
		}
		if wait > failureCap*11/10 || wait < failureBase*9/10 {
			t.Errorf("wait %d is %s, outside of its bounds", count, wait)
		}
		last = wait
	}
	if backoff("one", 3, failureBase, failureCap) == backoff("two", 3, failureBase, failureCap) {
		t.Error("two specifications wait equally long, so that a fleet would move in step")
	}
	if wait := backoff("digest", 1<<40, failureBase, failureCap); wait > failureCap*11/10 {
		t.Errorf("a huge count waits %s", wait)
	}
}
