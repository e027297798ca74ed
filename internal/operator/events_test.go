package operator

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientevents "k8s.io/client-go/tools/events"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// shown makes a status with conditions given as "Type=Status Reason".
func shown(conditions ...string) *appsv1.WeightsAndBiasesStatus {
	status := &appsv1.WeightsAndBiasesStatus{}
	for _, each := range conditions {
		kind, rest, _ := strings.Cut(each, "=")
		value, reason, _ := strings.Cut(rest, " ")
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: "about " + reason,
		})
	}
	return status
}

// waitingPlan adds a plan to a status.
func waitingPlan(status *appsv1.WeightsAndBiasesStatus, digest string) *appsv1.WeightsAndBiasesStatus {
	created := metav1.NewTime(time.Unix(1_700_000_000, 0))
	status.Plan = &appsv1.PlanStatus{Digest: digest, CreatedAt: &created}
	return status
}

// drifted adds objects to the drift of a status.
func drifted(status *appsv1.WeightsAndBiasesStatus, objects ...string) *appsv1.WeightsAndBiasesStatus {
	for _, object := range objects {
		status.Drift = append(status.Drift, appsv1.DriftStatus{Object: object, Change: "Changed"})
	}
	return status
}

func TestEventsOfAChange(t *testing.T) {
	for name, c := range map[string]struct {
		before, after *appsv1.WeightsAndBiasesStatus
		want          []string
	}{
		"nothing changes": {
			shown("Ready=True Ready", "Released=True Upgraded"), shown("Ready=True Ready", "Released=True Upgraded"), nil,
		},
		"a failure goes on": {
			shown("Released=False HelmFailed", "Ready=False HelmFailed"), shown("Released=False HelmFailed", "Ready=False HelmFailed"), nil,
		},
		"an installation begins": {shown(), shown("Ready=Unknown Progressing", "Released=Unknown Progressing", "UpToDate=False UpdatePending"), nil},
		"an installation ends": {
			shown("Ready=Unknown Progressing", "Released=Unknown Progressing"), shown("Ready=True Ready", "Released=True Installed", "UpToDate=True UpToDate"),
			[]string{"Normal Installed"},
		},
		"a step fails, and its reason is said once": {
			shown("Ready=Unknown Progressing", "Released=Unknown Progressing"),
			shown("Ready=False HelmFailed", "Released=False HelmFailed", "UpToDate=False UpdateHeld"), []string{"Warning HelmFailed"},
		},
		"a failure is remembered in the same breath": {
			shown("Released=Unknown Progressing"), shown("Released=False WorkloadsNotReady", "UpToDate=False ReleaseFailed"),
			[]string{"Warning WorkloadsNotReady"},
		},
		"a failure is remembered later": {
			shown("Released=True Upgraded", "UpToDate=False UpdatePending"), shown("Released=True Upgraded", "UpToDate=False ReleaseFailed"),
			[]string{"Warning ReleaseFailed"},
		},
		"a release is rolled back": {
			shown("Released=Unknown Progressing", "Ready=Unknown Progressing"),
			shown("Released=True RolledBack", "UpToDate=False ReleaseFailed", "Ready=True Ready"), []string{"Warning RolledBack"},
		},
		"a rollback would lose data": {
			shown("Released=Unknown Progressing"), shown("Released=False RollbackUnsafe", "Ready=False RollbackUnsafe"), []string{"Warning RollbackUnsafe"},
		},
		"only Ready knows": {
			shown("Ready=True Ready"), shown("Ready=False NamespaceNotGranted"), []string{"Warning NamespaceNotGranted"},
		},
		"the preflight fails, and Ready repeats it": {
			shown("Preflight=Unknown Progressing"), shown("Preflight=False Failed", "Released=False PreflightFailed", "Ready=False PreflightFailed"),
			[]string{"Warning Failed", "Warning PreflightFailed"},
		},
		"the preflight passes again":    {shown("Preflight=False Failed"), shown("Preflight=True Passed"), []string{"Normal Passed"}},
		"the preflight passes as ever":  {shown("Preflight=Unknown Progressing"), shown("Preflight=True Passed"), nil},
		"the channel is away":           {shown("ChannelReachable=True Reachable"), shown("ChannelReachable=False Unreachable"), []string{"Warning Unreachable"}},
		"the channel is away otherwise": {shown("ChannelReachable=False Unreachable"), shown("ChannelReachable=False TimedOut"), []string{"Warning TimedOut"}},
		"the channel is back":           {shown("ChannelReachable=False Unreachable"), shown("ChannelReachable=True Reachable"), []string{"Normal Reachable"}},
		"the channel answers at first":  {shown("ChannelReachable=Unknown NotAsked"), shown("ChannelReachable=True Reachable"), nil},
		"a licence is over":             {shown("LicenseValid=True Valid"), shown("LicenseValid=False Expired", "Ready=False Expired"), []string{"Warning Expired"}},
		"a plan waits": {
			shown("UpToDate=True UpToDate"), waitingPlan(shown("UpToDate=False AwaitingApproval"), "sha256:1"), []string{"Normal AwaitingApproval"},
		},
		"a plan goes on waiting": {
			waitingPlan(shown("UpToDate=False AwaitingApproval"), "sha256:1"), waitingPlan(shown("UpToDate=False AwaitingApproval"), "sha256:1"), nil,
		},
		"another plan waits": {
			waitingPlan(shown("UpToDate=False AwaitingApproval"), "sha256:1"), waitingPlan(shown("UpToDate=False AwaitingApproval"), "sha256:2"),
			[]string{"Normal AwaitingApproval"},
		},
		"the first installation waits for approval": {
			shown(), shown("UpToDate=False AwaitingApproval", "Released=False AwaitingApproval", "Ready=False AwaitingApproval"),
			[]string{"Normal AwaitingApproval"},
		},
		"an adoption waits for consent": {shown(), shown("UpToDate=False AdoptionNeedsConsent"), []string{"Normal AdoptionNeedsConsent"}},
		"a window is waited for":        {shown("UpToDate=True UpToDate"), shown("UpToDate=False OutsideWindow"), []string{"Normal OutsideWindow"}},
		"objects drift": {
			shown("Drifted=False InSync"), drifted(shown("Drifted=True ObjectsChanged"), "Deployment a"), []string{"Warning ObjectsChanged"},
		},
		"the same objects stay drifted": {
			drifted(shown("Drifted=True ObjectsChanged"), "Deployment a", "Service b"), drifted(shown("Drifted=True ObjectsChanged"), "Deployment a"), nil,
		},
		"another object drifts": {
			drifted(shown("Drifted=True ObjectsChanged"), "Deployment a"), drifted(shown("Drifted=True ObjectsChanged"), "Deployment a", "Service b"),
			[]string{"Warning ObjectsChanged"},
		},
		"drift is over":        {shown("Drifted=True ObjectsChanged"), shown("Drifted=False InSync"), []string{"Normal InSync"}},
		"nothing drifted ever": {shown(), shown("Drifted=False InSync"), nil},
		"checks fail":          {shown("Verified=True Passed"), shown("Verified=False Failed"), []string{"Warning Failed"}},
		"checks pass":          {shown("Verified=Unknown Progressing"), shown("Verified=True Passed"), []string{"Normal Passed"}},
		"there is no probe":    {shown(), shown("Verified=Unknown NoProbe"), nil},
		"work is suspended":    {shown("Ready=True Ready"), shown("Ready=False Suspended", "Released=False Suspended"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, each := range changes(c.before, c.after) {
				got = append(got, each.kind+" "+each.reason)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if again := changes(c.after, c.after.DeepCopy()); len(again) > 0 {
				t.Errorf("the same state speaks again: %v", again)
			}
		})
	}
}

func TestLongNoteIsCutBetweenCharacters(t *testing.T) {
	recorder := clientevents.NewFakeRecorder(1)
	e := &events{recorder: recorder, granted: map[string]bool{"a": true}}
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "wandb"}}
	e.warn(cr, "HelmFailed", "x"+strings.Repeat("ä", maxNote))
	text := <-recorder.Events
	if !utf8.ValidString(text) || len(text) > maxNote+len("Warning HelmFailed ") {
		t.Errorf("the note has %d bytes, valid: %v", len(text), utf8.ValidString(text))
	}
}
