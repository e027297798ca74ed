package release

import (
	"strings"
	"testing"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

// TestDecideLifecycle holds what people can say about changes: approval, windows, rollback, rotation, probe, drift.
func TestDecideLifecycle(t *testing.T) {
	a, b := desired("a"), desired("b")
	strange := func(number int, status helm.Status, from *Desired) *Revision {
		revision := revisionFrom(number, status, from)
		revision.Ours = false
		return revision
	}
	running := Observation{Desired: a, Latest: revisionFrom(1, helm.StatusDeployed, a), Health: Health{Ready: true}, Memory: settledMemory(1, a)}
	pending := running
	pending.Desired = b
	with := func(o Observation, change func(*Observation)) Observation {
		change(&o)
		return o
	}
	plan := &Plan{Digest: "sha256:plan", Desired: b.Digest, Base: 1, Summary: "release b waits", Replaces: []string{"Deployment app"}}
	failedB := settledMemory(1, a).WithFailure(b, appsv1.ReasonWorkloadsNotReady, "app is not ready", 2, noon)
	broken := Observation{
		Desired: b, Latest: revisionFrom(2, helm.StatusFailed, b), Memory: failedB, Rules: Rules{Rollback: 1},
		Earlier: &Earlier{Number: 1, Name: "a", Safe: true},
	}
	rolledBack := Observation{
		Desired: b, Latest: revisionFrom(3, helm.StatusDeployed, a), Health: Health{Ready: true},
		Memory: failedB.WithRollback(b, 3, 1, "app is not ready", noon),
	}

	tests := map[string]struct {
		observation Observation
		after       time.Duration
		want        Action
		wantReason  string
		wantMessage string
		wantServing bool
		wantStalled bool
		wantSettled bool
	}{
		"should plan a change that somebody has to approve": {
			observation: with(pending, func(o *Observation) { o.Rules.Approval = true }),
			want:        Prepare, wantReason: appsv1.ReasonUpdatePending, wantServing: true,
		},
		"should plan a first installation that somebody has to approve": {
			observation: Observation{Desired: a, Rules: Rules{Approval: true}}, want: Prepare, wantReason: appsv1.ReasonUpdatePending,
		},
		"should wait for the approval of exactly that plan": {
			observation: with(pending, func(o *Observation) {
				o.Rules.Approval, o.Plan, o.Wishes.Approved = true, plan, "sha256:another"
			}),
			want: Hold, wantReason: appsv1.ReasonAwaitingApproval, wantMessage: "kubectl wandb approve", wantServing: true,
		},
		"should apply an approved plan": {
			observation: with(pending, func(o *Observation) { o.Rules.Approval, o.Plan, o.Wishes.Approved = true, plan, plan.Digest }),
			want:        Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should plan anew where the plan starts from an earlier revision": {
			observation: with(pending, func(o *Observation) {
				o.Rules.Approval, o.Plan, o.Wishes.Approved = true, plan, plan.Digest
				o.Latest = revisionFrom(2, helm.StatusDeployed, a)
				o.Memory = settledMemory(2, a)
			}),
			want: Prepare, wantReason: appsv1.ReasonUpdatePending, wantServing: true,
		},
		"should plan while it is suspended, so that people can look": {
			observation: with(pending, func(o *Observation) { o.Intent = Suspend }), want: Prepare, wantReason: appsv1.ReasonSuspended,
			wantServing: true,
		},
		"should apply nothing while it is suspended": {
			observation: with(pending, func(o *Observation) { o.Intent, o.Plan = Suspend, plan }), want: Hold, wantReason: appsv1.ReasonSuspended,
		},
		"should wait for the next window": {
			observation: with(pending, func(o *Observation) {
				o.Rules.Windowed, o.Rules.Opens, o.Plan = true, noon.Add(time.Hour), plan
			}),
			want: Hold, wantReason: appsv1.ReasonOutsideWindow, wantMessage: "2026-05-01T13:00:00Z", wantServing: true,
		},
		"should not plan by itself while a window is open": {
			observation: with(pending, func(o *Observation) { o.Rules.Windowed = true }), want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should not make a first installation wait for a window": {
			observation: Observation{Desired: a, Rules: Rules{Windowed: true, Opens: noon.Add(time.Hour)}}, want: Install,
			wantReason: appsv1.ReasonProgressing,
		},
		"should not wait for a window when somebody forces": {
			observation: with(pending, func(o *Observation) {
				o.Rules.Windowed, o.Rules.Opens, o.Wishes.Force = true, noon.Add(time.Hour), noon.Add(time.Minute)
			}),
			after: 2 * time.Minute, want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should force once only": {
			observation: with(running, func(o *Observation) { o.Wishes.Force, o.Memory.Handled.Force = noon, noon }), want: Nothing,
			wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should not do what was asked for in another life of the installation": {
			observation: with(running, func(o *Observation) {
				o.Wishes.Force, o.Wishes.RollbackTo, o.Wishes.RollbackAt = noon.Add(-time.Hour), 7, noon.Add(-time.Hour)
			}),
			want: Nothing, wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should roll a failed upgrade back": {
			observation: broken, want: Rollback, wantReason: appsv1.ReasonProgressing, wantMessage: "revision 1 (a)",
		},
		"should try again before it rolls back where it may fail twice": {
			observation: with(broken, func(o *Observation) { o.Rules.Rollback = 2 }), after: 2 * time.Minute, want: Retry,
			wantReason: appsv1.ReasonProgressing,
		},
		"should not roll back where nobody wants it": {
			observation: with(broken, func(o *Observation) { o.Rules.Rollback = 0 }), after: time.Second, want: Hold,
			wantReason: appsv1.ReasonWorkloadsNotReady,
		},
		"should stop where the earlier release cannot read the data": {
			observation: with(broken, func(o *Observation) { o.Earlier = &Earlier{Number: 1, Name: "a", Why: "the data has version 2"} }),
			want:        Hold, wantReason: appsv1.ReasonRollbackUnsafe, wantMessage: "the data has version 2", wantStalled: true,
		},
		"should not roll back what a killed process has interrupted": {
			observation: with(broken, func(o *Observation) {
				o.Memory = settledMemory(1, a).WithFailure(b, appsv1.ReasonHelmLocked, "interrupted", 2, noon)
			}),
			want: Retry, wantReason: appsv1.ReasonProgressing,
		},
		"should not try a release again that was rolled back": {
			observation: with(rolledBack, func(o *Observation) { o.Memory.Applied.Settled = true }), after: 1000 * time.Hour, want: Hold,
			wantReason: appsv1.ReasonReleaseFailed, wantMessage: "kubectl wandb retry", wantServing: true, wantStalled: true,
		},
		"should try it again when somebody asks": {
			observation: with(rolledBack, func(o *Observation) {
				o.Memory.Applied.Settled = true
				o.Wishes.Retry = noon.Add(time.Minute)
			}),
			after: 2 * time.Minute, want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should take another release after a rollback": {
			observation: with(rolledBack, func(o *Observation) {
				o.Memory.Applied.Settled = true
				o.Desired = desired("c")
			}),
			want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should wait for the workloads of the earlier release": {
			observation: with(rolledBack, func(o *Observation) { o.Health = Health{Message: "Deployment app: 0/1"} }), want: Wait,
			wantReason: appsv1.ReasonProgressing, wantMessage: "the earlier release",
		},
		"should say that the earlier release does not run either": {
			observation: with(rolledBack, func(o *Observation) { o.Health = Health{Message: "Deployment app: 0/1"} }), after: time.Hour,
			want: Hold, wantReason: appsv1.ReasonRollbackFailed, wantStalled: true,
		},
		"should roll back when somebody asks": {
			observation: with(running, func(o *Observation) {
				o.Wishes.RollbackTo, o.Wishes.RollbackBy, o.Wishes.RollbackAt = 7, "ada", noon.Add(time.Minute)
			}),
			after: 2 * time.Minute, want: Rollback, wantReason: appsv1.ReasonProgressing, wantMessage: "as ada asked",
		},
		"should try a rollback again that could not begin": {
			observation: with(running, func(o *Observation) {
				o.Wishes.RollbackTo, o.Wishes.RollbackBy, o.Wishes.RollbackAt = 7, "ada", noon
				o.Attempt = &Attempt{Action: Rollback, Count: 1, At: noon, Reason: appsv1.ReasonHelmLocked, Message: "connection refused"}
			}),
			after: time.Minute, want: Rollback, wantReason: appsv1.ReasonProgressing,
		},
		"should not roll back twice for one request": {
			observation: with(running, func(o *Observation) {
				o.Wishes.RollbackTo, o.Wishes.RollbackAt, o.Memory.Handled.Rollback = 7, noon, noon
			}),
			want: Nothing, wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should leave a revision of somebody else alone": {
			observation: with(running, func(o *Observation) { o.Latest = revisionFrom(2, helm.StatusDeployed, b) }), want: Hold,
			wantReason: appsv1.ReasonUpdateHeld, wantMessage: "somebody else made revision 2", wantServing: true,
		},
		"should overrule it where drift is corrected": {
			observation: with(running, func(o *Observation) { o.Latest, o.Rules.Overrule = revisionFrom(2, helm.StatusDeployed, b), true }),
			after:       time.Hour, want: Upgrade, wantReason: appsv1.ReasonProgressing, wantMessage: "somebody else",
		},
		"should plan before it takes a release over": {
			observation: Observation{Desired: a, Latest: strange(4, helm.StatusDeployed, b), Health: Health{Ready: true}}, want: Prepare,
			wantReason: appsv1.ReasonUpdatePending, wantServing: true,
		},
		"should take a release over at once where no pod is replaced": {
			observation: Observation{
				Desired: a, Latest: strange(4, helm.StatusDeployed, b), Health: Health{Ready: true},
				Plan: &Plan{Digest: "sha256:x", Desired: a.Digest, Base: 4},
			},
			want: Upgrade, wantReason: appsv1.ReasonProgressing,
		},
		"should ask before it replaces pods of a release that it takes over": {
			observation: Observation{
				Desired: a, Latest: strange(4, helm.StatusDeployed, b), Health: Health{Ready: true},
				Plan: &Plan{Digest: "sha256:x", Desired: a.Digest, Base: 4, Replaces: []string{"Deployment app"}},
			},
			want: Hold, wantReason: appsv1.ReasonAdoptionNeedsConsent, wantMessage: "Deployment app", wantServing: true,
		},
		"should restart pods whose credentials have changed, whatever else waits": {
			observation: with(running, func(o *Observation) {
				o.Rotated, o.Rules.Approval = []string{"mysql"}, true
			}),
			want: Rotate, wantReason: appsv1.ReasonProgressing, wantMessage: "mysql",
		},
		"should restart them while an update waits for approval": {
			observation: with(pending, func(o *Observation) {
				o.Rotated, o.Rules.Approval, o.Plan = []string{"mysql"}, true, plan
			}),
			want: Rotate, wantReason: appsv1.ReasonProgressing, wantMessage: "mysql",
		},
		"should mark a rollout failed though a newer specification waits": {
			observation: with(pending, func(o *Observation) {
				o.Rules.Approval, o.Plan, o.Health, o.Memory.Applied.Settled = true, plan, Health{Message: "Deployment app: 0/1"}, false
			}),
			after: RolloutTimeout, want: Fail, wantReason: appsv1.ReasonWorkloadsNotReady,
		},
		"should roll a failed revision back though a newer specification waits": {
			observation: Observation{
				Desired: desired("c"), Latest: revisionFrom(2, helm.StatusFailed, b), Memory: failedB, Rules: Rules{Rollback: 1, Approval: true},
				Earlier: &Earlier{Number: 1, Name: "a", Safe: true}, Plan: &Plan{Digest: "sha256:c", Desired: desired("c").Digest, Base: 2},
			},
			want: Rollback, wantReason: appsv1.ReasonProgressing,
		},
		"should settle what runs while a layer has to be mended": {
			observation: with(running, func(o *Observation) {
				o.Desired, o.Memory.Applied.Settled = nil, false
				o.Problem = &Problem{Reason: appsv1.ReasonValuesInvalid, Message: "values are wrong", Final: true}
			}),
			want: Hold, wantReason: appsv1.ReasonValuesInvalid, wantStalled: true, wantSettled: true,
		},
		"should not restart pods into a Secret that may be what is wrong": {
			observation: with(running, func(o *Observation) {
				o.Desired, o.Rotated = nil, []string{"licence"}
				o.Problem = &Problem{Reason: appsv1.ReasonLicenseMalformed, Message: "no licence", Final: true}
			}),
			want: Hold, wantReason: appsv1.ReasonLicenseMalformed, wantStalled: true,
		},
		"should say at once why the release that was rolled back does not come back": {
			observation: rolledBack, want: Hold, wantReason: appsv1.ReasonReleaseFailed, wantMessage: "kubectl wandb retry",
			wantServing: true, wantStalled: true, wantSettled: true,
		},
		"should show the problem rather than pods that start": {
			observation: with(running, func(o *Observation) {
				o.Desired, o.Memory.Applied.Settled, o.Health = nil, false, Health{Message: "Deployment app: 0/1"}
				o.Problem = &Problem{Reason: appsv1.ReasonValuesInvalid, Message: "values are wrong", Final: true}
			}),
			want: Hold, wantReason: appsv1.ReasonValuesInvalid, wantStalled: true,
		},
		"should leave the release of somebody else when the resource is deleted": {
			observation: Observation{Intent: Remove, Desired: a, Latest: strange(4, helm.StatusDeployed, b), RemovedAt: noon},
			want:        Nothing, wantReason: appsv1.ReasonDeleting, wantMessage: "somebody else",
		},
		"should probe a new release before it counts as ready": {
			observation: with(running, func(o *Observation) { o.Probe, o.Memory.Applied.Settled = Probe{Declared: true}, false }),
			want:        RunProbe, wantReason: appsv1.ReasonProgressing,
		},
		"should fail a release that broke what worked before": {
			observation: with(running, func(o *Observation) {
				o.Probe, o.Memory.Applied.Settled = Probe{Declared: true, Revision: 1, Broken: "inside/api"}, false
			}),
			want: Fail, wantReason: appsv1.ReasonVerificationFailed, wantMessage: "inside/api",
		},
		"should not blame the release for a probe that fails later": {
			observation: with(running, func(o *Observation) {
				o.Probe = Probe{Declared: true, Revision: 1, Broken: "inside/api", At: noon, Every: time.Hour}
			}),
			after: time.Minute, want: Nothing, wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should probe again when it is time": {
			observation: with(running, func(o *Observation) { o.Probe = Probe{Declared: true, Revision: 1, At: noon, Every: time.Hour} }),
			after:       time.Hour, want: RunProbe, wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should stay as it is while the probe runs": {
			observation: with(running, func(o *Observation) {
				o.Probe, o.Running = Probe{Declared: true, Revision: 1, At: noon, Every: time.Hour}, &Running{Action: RunProbe}
			}),
			after: time.Hour, want: Hold, wantReason: appsv1.ReasonProgressing, wantServing: true,
		},
		"should only tell about drift": {
			observation: with(running, func(o *Observation) { o.Drift = Drift{Summary: "Deployment app was changed"} }), want: Nothing,
			wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should take drift back where that is wanted": {
			observation: with(running, func(o *Observation) { o.Drift = Drift{Summary: "Deployment app was changed", Correct: true} }),
			want:        Correct, wantReason: appsv1.ReasonReady, wantServing: true,
		},
		"should not fight over an object": {
			observation: with(running, func(o *Observation) {
				o.Drift = Drift{Summary: "Deployment app was changed", Correct: true, Corrected: 3, At: noon}
			}),
			after: time.Minute, want: Nothing, wantReason: appsv1.ReasonReady, wantServing: true, wantMessage: "it was taken back before",
		},
		"should not hammer a probe that cannot run": {
			observation: with(running, func(o *Observation) {
				o.Probe = Probe{Declared: true, Revision: 1, At: noon, Every: time.Hour}
				o.Attempt = &Attempt{Action: RunProbe, Count: 1, At: noon.Add(time.Hour), Reason: appsv1.ReasonHelmLocked}
			}),
			after: time.Hour, want: Nothing, wantReason: appsv1.ReasonReady, wantServing: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			step := Decide(test.observation, noon.Add(test.after))
			if step.Action != test.want || step.Reason != test.wantReason {
				t.Errorf("Decide gave %s, %s (%s), want %s, %s", step.Action, step.Reason, step.Message, test.want, test.wantReason)
			}
			if !strings.Contains(step.Message, test.wantMessage) {
				t.Errorf("message %q lacks %q", step.Message, test.wantMessage)
			}
			if test.wantSettled && !step.Settled {
				t.Error("the revision is not settled")
			}
			if step.Serving != test.wantServing || step.Stalled != test.wantStalled {
				t.Errorf("serving %t, stalled %t; want %t, %t", step.Serving, step.Stalled, test.wantServing, test.wantStalled)
			}
		})
	}
}

func TestHistoryTellsWhatBecameOfEachRevision(t *testing.T) {
	a, b := desired("a"), desired("b")
	a.ReleaseName, b.ReleaseName = "v1", "v2"
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	memory := Memory{}.WithApplied(1, a, at(0)).WithSettled(1, a, at(1))
	memory = memory.WithApplied(2, b, at(2)).WithFailure(b, appsv1.ReasonWorkloadsNotReady, "app is not ready", 2, at(3))
	if got := memory.LastGood(2, b.Digest); got.Revision != 1 || got.ReleaseName != "v1" {
		t.Errorf("the last good revision is %+v", got)
	}
	memory = memory.WithRollback(b, 3, 1, "app is not ready", at(4)).WithSettled(3, a, at(5))
	want := []struct {
		name    string
		outcome appsv1.Outcome
		ended   time.Time
	}{
		{"v1", appsv1.OutcomeSucceeded, at(1)}, {"v2", appsv1.OutcomeRolledBack, at(3)}, {"v1", appsv1.OutcomeSucceeded, at(5)},
	}
	if len(memory.History) != len(want) {
		t.Fatalf("the history is %+v", memory.History)
	}
	for i, entry := range memory.History {
		if entry.Revision != i+1 || entry.ReleaseName != want[i].name || entry.Outcome != want[i].outcome || !entry.Ended.Equal(want[i].ended) {
			t.Errorf("entry %d is %+v, want %+v", i, entry, want[i])
		}
	}
	if !memory.Failure(b.Digest).RolledBack || memory.Applied.Digest != a.Digest || memory.Applied.From != b.Digest {
		t.Errorf("the memory is %+v", memory)
	}
	data, err := memory.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeMemory(data)
	if err != nil {
		t.Fatal(err)
	}
	if again.Applied.From != b.Digest || len(again.History) != 3 {
		t.Errorf("after a round trip it is %+v", again)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	memory := Memory{}
	for number := 1; number <= 50; number++ {
		memory = memory.WithApplied(number, desired("a"), noon)
	}
	if first := memory.History[0]; first.Outcome != appsv1.OutcomeSuperseded || first.Ended.IsZero() {
		t.Errorf("a revision that another one has replaced is %+v", first)
	}
	if len(memory.History) != maxHistory || memory.History[maxHistory-1].Revision != 50 {
		t.Errorf("the history has %d entries, the last is %+v", len(memory.History), memory.History[len(memory.History)-1])
	}
}
