package kubectl

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/request"
)

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: now().Add(-d)} }

func condition1(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: *ago(90 * time.Minute)}
}

func views() map[string]statusView {
	const digest = "sha256:1f0c2d3e4a5b6c7d8e9f1f0c2d3e4a5b6c7d8e9f1f0c2d3e4a5b6c7d8e9f0123"
	mark := request.MarkOf("ada@example.com", now().Add(-3*time.Hour))
	waiting := appsv1.WeightsAndBiasesStatus{
		ObservedGeneration: 3,
		Conditions: []metav1.Condition{
			condition1(appsv1.ConditionUpToDate, metav1.ConditionFalse, appsv1.ReasonAwaitingApproval, "plan 1f0c2d3e4a5b waits for approval"),
			condition1("FromTheFuture", metav1.ConditionTrue, "New", "a condition of a newer operator"),
			condition1(appsv1.ConditionReady, metav1.ConditionTrue, appsv1.ReasonReady, "the specification runs and every workload is ready"),
			condition1(appsv1.ConditionVerified, metav1.ConditionUnknown, appsv1.ReasonNoProbe, "the release declares no probe"),
			condition1(appsv1.ConditionStalled, metav1.ConditionFalse, appsv1.ReasonReady, ""),
			condition1(appsv1.ConditionDrifted, metav1.ConditionTrue, appsv1.ReasonObjectsChanged, "1 object differs"),
			condition1(appsv1.ConditionReconciling, metav1.ConditionTrue, appsv1.ReasonProgressing, "waiting\x1b[31m for\npods"),
		},
		Release: &appsv1.ReleaseStatus{
			ID: "r-1", Name: "2026.1", Chart: "operator-wandb", ChartVersion: "1.0.0", Revision: 4, DeployedAt: ago(72 * time.Hour),
		},
		Channel:  &appsv1.ChannelStatus{Name: "stable", ReleaseID: "r-2", ReleaseName: "2026.2"},
		NextStep: "apply plan 1f0c2d3e4a5b when it is approved", NextStepAt: &metav1.Time{Time: now().Add(14 * time.Hour)},
		LastError: &appsv1.LastError{Reason: appsv1.ReasonHelmFailed, Message: "hook migrate failed", Hint: "Look at its log: kubectl logs job/migrate", At: ago(2 * time.Hour)},
		Plan: &appsv1.PlanStatus{
			Digest: digest, Release: "2026.2", Added: 1, Changed: 2, Restarts: []string{"Deployment wandb-app", "Deployment wandb-console"},
			Schema: "version 4 to 5; release 2026.1 can still read it",
		},
		History: []appsv1.HistoryEntry{
			{Release: "2026.1", ChartVersion: "1.0.0", Revision: 4, Started: ago(72 * time.Hour), Ended: ago(72*time.Hour - 90*time.Second), Outcome: appsv1.OutcomeSucceeded, Why: "rolled back from revision 3"},
			{Release: "2026.2", ChartVersion: "2.0.0", Revision: 3, Started: ago(73 * time.Hour), Ended: ago(73*time.Hour - 10*time.Minute), Outcome: appsv1.OutcomeRolledBack, Why: "not ready after 10m0s"},
			{ChartVersion: "0.9.0", Revision: 2, Outcome: appsv1.OutcomeRunning},
		},
		Layers: []appsv1.LayerStatus{{Name: "operator", Sets: 2}, {Name: "channel", Sets: 40, Shadowed: 3}, {Name: "user", Sets: 1}, {Name: "resource", Sets: 5}},
		Preflight: []appsv1.CheckStatus{
			{Name: "mysql-version", Result: "Warning", Message: "MariaDB 10.11 is not MySQL"}, {Name: "capacity", Result: "Skipped", Message: "needs: list nodes"},
		},
		Verification: []appsv1.CheckStatus{{Name: "api", Result: "Passed"}, {Name: "cors", Result: "Failed", Message: "the header is missing"}},
		Drift:        []appsv1.DriftStatus{{Object: "Deployment wandb-app", Change: "Changed", Paths: []string{"/spec/replicas", "/metadata/labels/a"}, By: "kubectl-edit"}},
		Warnings:     []string{"global.hots: the chart does not know this key; did you mean \"host\"?"},
	}
	return map[string]statusView{
		"new": {Name: "wandb", Namespace: "default", Generation: 1},
		"waiting": {
			Name: "wandb", Namespace: "default", Generation: 4, Status: waiting,
			Requests: &request.Set{
				Suspend: &mark, Pin: &request.Pin{Mark: mark}, Approve: &request.Approve{Mark: mark, Plan: digest},
				Rollback: &request.Rollback{Mark: mark, Revision: 2, Unsafe: true}, Retry: &mark, Force: &mark,
			},
		},
	}
}

func TestStatusTellsTheStory(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	for name, view := range views() {
		for suffix, colors := range map[string]paint{"": false, "-color": true} {
			path := filepath.Join("testdata", "status-"+name+suffix+".txt")
			got := statusText(view, now(), colors)
			if update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (write it with -update):\n%s", path, diff)
			}
		}
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestCleanTextsCannotMoveTheCursor(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\tc":  "a b c",
		"\x1b[2Jx": "�[2Jx",
		"\u202ex":  "�x",
		"✓ wörter": "✓ wörter",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
