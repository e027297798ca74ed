package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// state makes a status with conditions given as "Type=Status Reason".
func state(conditions ...string) *appsv1.WeightsAndBiasesStatus {
	status := &appsv1.WeightsAndBiasesStatus{}
	for _, each := range conditions {
		kind, rest, _ := strings.Cut(each, "=")
		value, reason, _ := strings.Cut(rest, " ")
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: "about " + reason,
			LastTransitionTime: metav1.NewTime(noon),
		})
	}
	return status
}

func with(status *appsv1.WeightsAndBiasesStatus, change func(*appsv1.WeightsAndBiasesStatus)) *appsv1.WeightsAndBiasesStatus {
	change(status)
	return status
}

// entry of a history; its digest is that of the specification's letter.
func entry(revision int64, specification string, outcome appsv1.Outcome) appsv1.HistoryEntry {
	return appsv1.HistoryEntry{
		Release: "release-" + specification, ChartVersion: "1.0.0", Revision: revision, Digest: "sha256:" + specification, Outcome: outcome,
	}
}

func history(entries ...appsv1.HistoryEntry) *appsv1.WeightsAndBiasesStatus {
	return &appsv1.WeightsAndBiasesStatus{History: entries}
}

func planned(status *appsv1.WeightsAndBiasesStatus, digest string) *appsv1.WeightsAndBiasesStatus {
	status.Plan = &appsv1.PlanStatus{Digest: digest, Release: "next", Changed: 3}
	return status
}

func warned(ends time.Time, now time.Time) *appsv1.WeightsAndBiasesStatus {
	return &appsv1.WeightsAndBiasesStatus{Warnings: []string{"another warning", LicenceWarning(ends, now)}}
}

func broken(reason string) func(*appsv1.WeightsAndBiasesStatus) {
	return func(s *appsv1.WeightsAndBiasesStatus) {
		s.LastError = &appsv1.LastError{Reason: reason, Message: "it broke", Hint: "Run this."}
	}
}

func TestChanges(t *testing.T) {
	ok, failed, running, rolledBack := appsv1.OutcomeSucceeded, appsv1.OutcomeFailed, appsv1.OutcomeRunning, appsv1.OutcomeRolledBack
	for name, c := range map[string]struct {
		before, after *appsv1.WeightsAndBiasesStatus
		want          []Kind
	}{
		"nothing where nothing was and nothing is": {nil, nil, nil},
		"nothing about a resource that is new":     {nil, state("Ready=Unknown Progressing"), nil},
		"nothing where a healthy state stays": {
			state("Ready=True Ready", "Verified=True Passed"), state("Ready=True Ready", "Verified=True Passed"), nil,
		},
		"nothing where a bad state stays": {
			state("Released=False HelmFailed", "Drifted=True ObjectsChanged", "Verified=False Failed"),
			state("Released=False HelmFailed", "Drifted=True ObjectsChanged", "Verified=False Failed"), nil,
		},
		"a failure without a revision": {
			state("Released=Unknown Progressing"), state("Released=False ChartNotFound"), []Kind{ReleaseFailed},
		},
		"a failure without a revision, after an older release had failed": {
			history(entry(2, "b", ok), entry(1, "a", failed)),
			with(state("Released=False ChartNotFound"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(2, "b", ok), entry(1, "a", failed)).History
			}), []Kind{ReleaseFailed},
		},
		"an attempt that fails as the one before did": {
			with(state("Released=Unknown Progressing"), broken("ChartNotFound")),
			with(state("Released=False ChartNotFound"), broken("ChartNotFound")), nil,
		},
		"a hold is no failure": {
			state("Released=True Upgraded"), state("Released=False Suspended"), nil,
		},
		"a revision that failed": {
			history(entry(2, "b", running), entry(1, "a", ok)), history(entry(2, "b", failed), entry(1, "a", ok)), []Kind{ReleaseFailed},
		},
		"a revision that began and failed between two looks": {
			history(entry(1, "a", ok)), history(entry(2, "b", failed), entry(1, "a", ok)), []Kind{ReleaseFailed},
		},
		"a retry of the same specification that fails again": {
			history(entry(3, "b", running), entry(2, "b", failed)), history(entry(3, "b", failed), entry(2, "b", failed)), nil,
		},
		"the condition follows the history": {
			with(state("Released=Unknown Progressing"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", failed)).History }),
			with(state("Released=False HelmFailed"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", failed)).History }), nil,
		},
		"the history follows the condition": {
			with(state("Released=False HelmFailed"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", running)).History }),
			with(state("Released=False HelmFailed"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", failed)).History }), nil,
		},
		"a failed revision that is rolled back": {
			history(entry(2, "b", failed), entry(1, "a", ok)),
			history(entry(3, "a", running), entry(2, "b", rolledBack), entry(1, "a", ok)), []Kind{RolledBack},
		},
		"a rollback that the condition repeats when it has ended": {
			with(state("Released=Unknown Progressing"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(3, "a", running), entry(2, "b", rolledBack)).History
			}),
			with(state("Released=True RolledBack", "Ready=True Ready"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(3, "a", ok), entry(2, "b", rolledBack)).History
			}), nil,
		},
		"a rollback that only the condition tells": {
			state("Released=Unknown Progressing"), state("Released=True RolledBack"), []Kind{RolledBack},
		},
		"a history that was rebuilt tells nothing old": {
			with(state("Ready=True Ready"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(4, "d", ok)).History }),
			with(state("Ready=True Ready"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(4, "d", ok), entry(3, "c", failed), entry(2, "b", rolledBack)).History
			}), nil,
		},
		"a history that appears tells its newest failure only": {
			nil, history(entry(4, "d", failed), entry(3, "c", failed), entry(2, "b", rolledBack)), []Kind{ReleaseFailed},
		},
		"a plan that waits": {
			state("UpToDate=True UpToDate"), planned(state("UpToDate=False AwaitingApproval"), "sha256:1"), []Kind{NeedsApproval},
		},
		"a plan that goes on waiting": {
			planned(state("UpToDate=False AwaitingApproval"), "sha256:1"), planned(state("UpToDate=False AwaitingApproval"), "sha256:1"), nil,
		},
		"another plan in its place": {
			planned(state("UpToDate=False AwaitingApproval"), "sha256:1"), planned(state("UpToDate=False AwaitingApproval"), "sha256:2"),
			[]Kind{NeedsApproval},
		},
		"an adoption that needs consent": {
			nil, planned(state("UpToDate=False AdoptionNeedsConsent"), "sha256:1"), []Kind{NeedsApproval},
		},
		"a window is nobody's business": {
			state("UpToDate=True UpToDate"), state("UpToDate=False OutsideWindow"), nil,
		},
		"a licence that comes into its last month": {
			state(), warned(noon.Add(30*day), noon), []Kind{LicenceEnding},
		},
		"a licence within the same stage": {
			warned(noon.Add(13*day), noon), warned(noon.Add(13*day), noon.Add(day)), nil,
		},
		"a licence that comes into the next stage": {
			warned(noon.Add(7*day+time.Hour), noon), warned(noon.Add(7*day+time.Hour), noon.Add(2*time.Hour)), []Kind{LicenceEnding},
		},
		"a licence that is renewed": {
			warned(noon.Add(day), noon), state("LicenseValid=True Valid"), nil,
		},
		"a licence that is over": {
			warned(noon.Add(day), noon), state("LicenseValid=False Expired"), []Kind{LicenceEnding},
		},
		"a licence that is none is no ending": {
			state("LicenseValid=True Valid"), state("LicenseValid=False Malformed"), nil,
		},
		"drift":          {state("Drifted=False InSync"), state("Drifted=True ObjectsChanged"), []Kind{DriftDetected}},
		"drift is over":  {state("Drifted=True ObjectsChanged"), state("Drifted=False InSync"), []Kind{Recovered}},
		"checks fail":    {state("Verified=True Passed"), state("Verified=False Failed"), []Kind{VerificationFailed}},
		"checks pass":    {state("Verified=False Failed"), state("Verified=True Passed"), []Kind{Recovered}},
		"no more checks": {state("Verified=False Failed"), state("Verified=Unknown NoProbe"), nil},
		"a release that its checks fail is told once": {
			with(state("Verified=True Passed"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", running)).History }),
			with(state("Verified=False Failed"), func(s *appsv1.WeightsAndBiasesStatus) { s.History = history(entry(2, "b", failed)).History }),
			[]Kind{ReleaseFailed},
		},
		"workloads come back":         {state("Ready=False WorkloadsNotReady"), state("Ready=True Ready"), []Kind{Recovered}},
		"an installation has begun":   {state("Ready=False Progressing"), state("Ready=True Ready"), nil},
		"a suspension is no recovery": {state("Ready=False HelmFailed"), state("Ready=True Suspended"), nil},
		"a later release works": {
			with(state("Ready=Unknown Progressing"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(3, "c", running), entry(2, "b", failed)).History
			}),
			with(state("Ready=True Ready"), func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = history(entry(3, "c", ok), entry(2, "b", failed)).History
			}), []Kind{Recovered},
		},
		"the last error is over": {
			with(state("Ready=Unknown Progressing"), broken("ChartNotFound")), state("Ready=True Ready"), []Kind{Recovered},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, kindsOf(Changes(c.before, c.after, noon))); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			if c.after == nil {
				return
			}
			// A restarted operator compares the stored status with an equal one.
			if again := Changes(c.after, c.after.DeepCopy(), noon.Add(time.Hour)); len(again) > 0 {
				t.Errorf("the same state tells %v once more", kindsOf(again))
			}
		})
	}
}

func kindsOf(found []Notification) []Kind {
	var kinds []Kind
	for _, n := range found {
		kinds = append(kinds, n.Kind)
	}
	return kinds
}

func TestChangeCarriesWhatAPersonNeeds(t *testing.T) {
	after := with(history(entry(2, "b", appsv1.OutcomeFailed)), broken("HelmFailed"))
	after.History[0].Why = "Job <migrate> failed & stopped"
	got := Changes(history(entry(2, "b", appsv1.OutcomeRunning)), after, noon)
	if len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	n := got[0].about("team", "wandb")
	want := Notification{
		ID: n.ID, Kind: ReleaseFailed, Namespace: "team", Name: "wandb", Release: "release-b", Reason: "HelmFailed",
		Message: "Job <migrate> failed & stopped", Hint: "Run this.", At: noon,
		Text: "team/wandb: release release-b failed (HelmFailed): Job &lt;migrate&gt; failed &amp; stopped. Run this.",
	}
	if diff := cmp.Diff(want, n, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".subject" }, cmp.Ignore())); diff != "" {
		t.Errorf("notification (-want +got):\n%s", diff)
	}
	if len(n.ID) != 32 || n.ID != got[0].about("team", "wandb").ID || n.ID == got[0].about("team", "other").ID {
		t.Errorf("ID %q does not name this change of this resource alone", n.ID)
	}
	after.History[0].Why = strings.Repeat("ä", maxField)
	if long := Changes(nil, after, noon)[0].Message; len(long) > maxField+len("…") || strings.ContainsRune(long, '\uFFFD') {
		t.Errorf("a long message has %d bytes", len(long))
	}
}

func TestFailureWithoutARevisionDoesNotBlameWhatRuns(t *testing.T) {
	after := state("Released=False ChartNotFound")
	after.Release = &appsv1.ReleaseStatus{Name: "runs", ChartVersion: "1.0.0"}
	if got := Changes(nil, after, noon); len(got) != 1 || got[0].Release != "" {
		t.Errorf("without a plan: %+v", got)
	}
	after.Plan = &appsv1.PlanStatus{Digest: "sha256:1", ChartVersion: "9.9.9"}
	if got := Changes(nil, after, noon); len(got) != 1 || got[0].Release != "9.9.9" {
		t.Errorf("with a plan: %+v", got)
	}
}

// The decision reads the status alone: however often a sequence of passes is repeated or broken off by a restart, each
// stage is told once.
func TestLicenceIsToldOncePerStage(t *testing.T) {
	ends := noon.Add(40 * day)
	status, now, told, passes := &appsv1.WeightsAndBiasesStatus{}, noon, 0, 0
	for ; now.Before(ends); passes++ {
		next := warned(ends, now)
		told += len(Changes(status, next, now))
		status = next
		step := 6 * time.Hour
		if stage := NextLicenceStage(ends, now); stage > 0 {
			step = min(step, stage+time.Second)
		}
		now = now.Add(step)
	}
	if want := len(licenceDays()); told != want {
		t.Errorf("told %d times in %d passes, want %d", told, passes, want)
	}
	for _, silent := range []time.Time{{}, noon.Add(31 * day), noon, noon.Add(-day)} {
		if warning := LicenceWarning(silent, noon); warning != "" {
			t.Errorf("a licence that ends at %s gives %q", silent, warning)
		}
	}
	if got := NextLicenceStage(noon.Add(40*day), noon); got != 10*day {
		t.Errorf("the first stage comes in %s, want 10 days", got)
	}
	if got := NextLicenceStage(noon.Add(12*time.Hour), noon); got != 12*time.Hour {
		t.Errorf("the end comes in %s, want 12h", got)
	}
}
