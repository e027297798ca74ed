package kubectl_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/kubectl"
	"github.com/kubewandb/kubewandb/internal/request"
)

func TestRequestsAreWrittenWithWhoAndWhenAndLeaveTheRestAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	b.helmRelease()
	mark := request.Mark{By: caller, At: instant()}
	steps := []struct {
		does string
		args []string
		want func(request.Set) bool
	}{
		{"pin what runs", []string{"pin"}, func(s request.Set) bool { return s.Pin != nil && s.Pin.Mark == mark && s.Pin.Release == "" }},
		{"pin a release", []string{"pin", "wandb", "--release", "r-7"}, func(s request.Set) bool { return s.Pin != nil && s.Pin.Release == "r-7" }},
		{"unpin", []string{"unpin", "wandb"}, func(s request.Set) bool { return s.Pin == nil }},
		{"roll back", []string{"rollback", "3", "--unsafe"}, func(s request.Set) bool {
			return s.Rollback != nil && s.Rollback.Mark == mark && s.Rollback.Revision == 3 && s.Rollback.Unsafe
		}},
		{"retry", []string{"retry"}, func(s request.Set) bool { return s.Retry != nil && *s.Retry == mark }},
		{"force", []string{"force"}, func(s request.Set) bool { return s.Force != nil && *s.Force == mark }},
		{"suspend", []string{"suspend"}, func(s request.Set) bool { return s.Suspend != nil && *s.Suspend == mark }},
		{"resume", []string{"resume"}, func(s request.Set) bool { return s.Suspend == nil && s.Retry != nil && s.Rollback != nil }},
	}
	before := b.userLayer()
	for _, step := range steps {
		b.ok(step.args...)
		if set := b.requests(); !step.want(set) {
			t.Errorf("%s: requests are %+v", step.does, set)
		}
	}
	after := b.userLayer()
	for key, content := range before.Data {
		if string(after.Data[key]) != string(content) {
			t.Errorf("key %s changed", key)
		}
	}
	resource := &appsv1.WeightsAndBiases{}
	if err := b.client.Get(t.Context(), b.key("wandb"), resource); err != nil {
		t.Fatal(err)
	}
	for _, fields := range resource.ManagedFields {
		if fields.Manager == "kubectl-wandb" {
			t.Error("the command line wrote the resource, which a GitOps tool would revert")
		}
	}
	version := after.ResourceVersion
	if out := b.ok("resume"); !strings.Contains(out, "Nothing was suspended") || b.userLayer().ResourceVersion != version {
		t.Errorf("resuming twice wrote something, or did not say so: %s", out)
	}
}

func TestTheResourceWinsOverRequests(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*appsv1.WeightsAndBiases)
		args   []string
		field  string
	}{
		"suspend while spec.suspend is set":        {func(r *appsv1.WeightsAndBiases) { r.Spec.Suspend = true }, []string{"suspend"}, "spec.suspend"},
		"resume while spec.suspend is set":         {func(r *appsv1.WeightsAndBiases) { r.Spec.Suspend = true }, []string{"resume"}, "spec.suspend"},
		"retry while spec.suspend is set":          {func(r *appsv1.WeightsAndBiases) { r.Spec.Suspend = true }, []string{"retry"}, "spec.suspend"},
		"pin while the resource has a policy":      {func(r *appsv1.WeightsAndBiases) { r.Spec.Update = &appsv1.Update{Policy: "Automatic"} }, []string{"pin"}, "spec.update.policy"},
		"unpin while the resource names a release": {func(r *appsv1.WeightsAndBiases) { r.Spec.Update = &appsv1.Update{Policy: "Pinned", Release: "r"} }, []string{"unpin"}, "spec.update.release"},
		"approve while the resource approves a plan": {func(r *appsv1.WeightsAndBiases) {
			r.Spec.Update = &appsv1.Update{Approve: "sha256:" + strings.Repeat("0", 64)}
		}, []string{"approve", "--yes"}, "spec.update.approve"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.resource(c.change)
			code, _, errs := b.run(c.args...)
			if code != kubectl.ExitError || !strings.Contains(errs, c.field) || !strings.Contains(errs, "hint: ") {
				t.Errorf("exit code %d: %s", code, errs)
			}
			if _, written := b.userLayer().Data[request.Key]; written {
				t.Error("a request was written all the same")
			}
		})
	}
}

// between calls something before the first write of a Secret.
type between struct {
	http.RoundTripper
	do func()
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut && b.do != nil {
		do := b.do
		b.do = nil
		do()
	}
	return b.RoundTripper.RoundTrip(r)
}

func TestARequestSurvivesSomebodyElsesWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	b.wrap = func(next http.RoundTripper) http.RoundTripper {
		return &between{RoundTripper: next, do: func() {
			secret := b.userLayer()
			secret.Data["yaml"] = []byte("written meanwhile")
			secret.Data[request.Key] = []byte(`{"pin":{"by":"bob","at":"2026-01-02T03:04:05Z"}}`)
			if err := b.client.Update(t.Context(), secret); err != nil {
				t.Error(err)
			}
		}}
	}
	b.ok("suspend")
	set := b.requests()
	if set.Suspend == nil || set.Pin == nil || set.Pin.By != "bob" || string(b.userLayer().Data["yaml"]) != "written meanwhile" {
		t.Errorf("one of the two writes was lost: %+v", set)
	}
}

func TestUnreadableRequestsAreReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	secret := b.userLayer()
	secret.Data[request.Key] = []byte("{")
	if err := b.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if out := b.ok("suspend"); !strings.Contains(out, "cannot be read") || b.requests().Suspend == nil {
		t.Errorf("got %s", out)
	}
}

func TestApproveTakesExactlyTheNewestPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(func(r *appsv1.WeightsAndBiases) { r.Spec.Update = &appsv1.Update{Policy: appsv1.UpdateApproval} })
	if code, _, errs := b.run("approve", "--yes"); code != kubectl.ExitError || !strings.Contains(errs, "no plan waits") {
		t.Errorf("without a plan: exit code %d: %s", code, errs)
	}
	made := b.plan()
	hex := strings.TrimPrefix(made.Digest, "sha256:")
	for _, other := range []string{strings.Repeat("f", 64), hex[:3], "sha256:" + strings.Repeat("0", 12)} {
		if code, _, errs := b.run("approve", "--yes", "--plan", other); code != kubectl.ExitError || b.requests().Approve != nil {
			t.Errorf("plan %s: exit code %d: %s", other, code, errs)
		}
	}
	for _, answer := range []string{"", "no\n", "y\n"} {
		b.input = answer
		if code, out, _ := b.run("approve"); code != kubectl.ExitNo || b.requests().Approve != nil || !strings.Contains(out, "1 to change") {
			t.Errorf("answer %q: exit code %d: %s", answer, code, out)
		}
	}
	b.input = "yes\n"
	b.ok("approve")
	if got := b.requests().Approve; got == nil || got.Plan != made.Digest || got.By != caller {
		t.Errorf("approval is %+v", got)
	}
	b.ok("approve", "--yes", "--plan", hex[:8])
}

func TestUnpinLeavesThePinOfTheConsoleToTheConsole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	secret := b.userLayer()
	secret.Data["values"] = []byte(`{"_releaseId":"r-1"}`)
	if err := b.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := b.run("unpin"); code != kubectl.ExitError || !strings.Contains(errs, "System Console") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestRollbackRefusesWhatHelmDoesNotKeep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(func(r *appsv1.WeightsAndBiases) {
		r.Status.Release = &appsv1.ReleaseStatus{Revision: 3}
	})
	b.helmRelease()
	for revision, want := range map[string]string{"3": "it is what runs", "9": "no such revision", "x": "numbers from 1", "0": "numbers from 1"} {
		if code, _, errs := b.run("rollback", revision); code != kubectl.ExitError || !strings.Contains(errs, want) {
			t.Errorf("revision %s: exit code %d: %s", revision, code, errs)
		}
	}
}

// operate plays the operator: when the user layer holds what awaited tells, it writes status. The test waits for its end.
func (b *bench) operate(group *sync.WaitGroup, awaited func(request.Set) bool, changes ...func(*appsv1.WeightsAndBiasesStatus)) {
	group.Go(func() {
		ctx, cancel := context.WithTimeout(b.t.Context(), deadline)
		defer cancel()
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			secret := &corev1.Secret{}
			if b.client.Get(ctx, b.key("wandb-spec-user"), secret) != nil {
				return // the test is over
			}
			if set, err := request.Decode(secret.Data); err == nil && awaited(set) {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
		for _, change := range changes {
			b.status(change)
		}
	})
}

func condition(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.Time{Time: instant().Add(-time.Hour)}}
}

func TestWaitEndsWhenTheOperatorHasActed(t *testing.T) {
	t.Parallel()
	entry := func(revision int64, outcome appsv1.Outcome) appsv1.HistoryEntry {
		return appsv1.HistoryEntry{ChartVersion: "1.0.0", Revision: revision, Outcome: outcome, Why: "asked for"}
	}
	forced := func(s request.Set) bool { return s.Force != nil }
	cases := map[string]struct {
		args    []string
		asked   func(request.Set) bool
		changes []func(*appsv1.WeightsAndBiasesStatus)
		code    int
		says    string
	}{
		"suspend: the operator stands still": {
			[]string{"suspend"}, func(s request.Set) bool { return s.Suspend != nil },
			[]func(*appsv1.WeightsAndBiasesStatus){func(s *appsv1.WeightsAndBiasesStatus) {
				s.Conditions = []metav1.Condition{condition(appsv1.ConditionReady, metav1.ConditionTrue, appsv1.ReasonSuspended)}
			}}, kubectl.ExitDone, "has acted",
		},
		"force: a new revision succeeds": {
			[]string{"force"}, forced,
			[]func(*appsv1.WeightsAndBiasesStatus){
				func(s *appsv1.WeightsAndBiasesStatus) {
					s.NextStep = "waiting for Deployment wandb-app"
					s.History = []appsv1.HistoryEntry{entry(1, appsv1.OutcomeRunning)}
				},
				func(s *appsv1.WeightsAndBiasesStatus) {
					s.History = []appsv1.HistoryEntry{entry(1, appsv1.OutcomeSucceeded)}
				},
			}, kubectl.ExitDone, "has acted",
		},
		"force: a rollback after a failure is no success": {
			[]string{"force"}, forced,
			[]func(*appsv1.WeightsAndBiasesStatus){func(s *appsv1.WeightsAndBiasesStatus) {
				s.History = []appsv1.HistoryEntry{entry(2, appsv1.OutcomeSucceeded), entry(1, appsv1.OutcomeRolledBack)}
			}}, kubectl.ExitNo, "revision 1",
		},
		"force: a new error comes with its hint": {
			[]string{"force"}, forced,
			[]func(*appsv1.WeightsAndBiasesStatus){func(s *appsv1.WeightsAndBiasesStatus) {
				s.LastError = &appsv1.LastError{Reason: "HelmFailed", Message: "no room", Hint: "Make room."}
			}}, kubectl.ExitNo, "Make room.",
		},
		"force: nothing happens in time": {
			[]string{"force", "--timeout", "1s"}, func(request.Set) bool { return false }, nil, kubectl.ExitTimeout, "within 1s",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.resource(nil)
			var operator sync.WaitGroup
			if c.changes != nil {
				b.operate(&operator, c.asked, c.changes...)
			}
			code, out, errs := b.run(append(c.args, "--wait")...)
			operator.Wait()
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("exit code %d, want %d:\n%s%s", code, c.code, out, errs)
			}
		})
	}
}

// errReadOnly is what readOnly answers to writes.
var errReadOnly = errors.New("this transport fails all writes")

// readOnly fails every request that could write.
type readOnly struct{ http.RoundTripper }

func (r readOnly) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return nil, errReadOnly
	}
	return r.RoundTripper.RoundTrip(q)
}
