package kubectl_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/kubectl"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestExplainTellsWhereEachValueComesFrom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	if code, _, errs := b.run("explain"); code != kubectl.ExitError || !strings.Contains(errs, "none was applied yet") {
		t.Errorf("before the first release: exit code %d: %s", code, errs)
	}
	b.helmRelease()
	b.active()
	secret := b.userLayer()
	secret.Annotations = map[string]string{"kubewandb.io/last-edit": `{"by":"Grace","method":"password","at":"2026-11-25T09:00:00Z"}`}
	if err := b.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	want := `PATH                   VALUE                        LAYER     BELOW IT
app.env                ["a","b"]                    resource  merged with channel
app.pepper             [redacted]                   channel
app.replicas           2                            channel
global.host            "https://wandb.example.com"  resource  shadows user, channel
global.mysql.password  [redacted]                   user

Layer user was last edited by Grace (password) 3h ago (2026-11-25 09:00 UTC).
`
	if got := b.ok("explain"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for path, count := range map[string]int{"app": 3, "spec.values.global": 2, "global.mysql": 1, "app.env.x": 1} {
		var answer struct {
			Values []struct{ Path, Layer string }
		}
		if err := json.Unmarshal([]byte(b.ok("explain", path, "-o", "json")), &answer); err != nil || len(answer.Values) != count {
			t.Errorf("%s: %d values, want %d (%v)", path, len(answer.Values), count, err)
		}
	}
	for path, near := range map[string]string{"global.hsot": "global.host", "aap": "app", "Global.MySQL": "global.mysql"} {
		if code, _, errs := b.run("explain", path); code != kubectl.ExitError || !strings.Contains(errs, "Did you mean "+near+"?") {
			t.Errorf("%s: exit code %d: %s", path, code, errs)
		}
	}
	if code, _, errs := b.run("explain", "a..b"); code != kubectl.ExitError || !strings.Contains(errs, "dotted path") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestDiffTellsWhetherAPlanWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	if out := b.ok("diff"); out != "No plan waits.\n" {
		t.Errorf("got %q", out)
	}
	made := b.plan()
	code, out, errs := b.run("diff", "wandb")
	if code != kubectl.ExitNo || !strings.Contains(out, made.Digest) || !strings.Contains(out, "wandb/app:1 → wandb/app:2") || errs != "" {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
	if code, out, _ = b.run("diff", "-o", "json"); code != kubectl.ExitNo || !json.Valid([]byte(out)) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	b.status(func(status *appsv1.WeightsAndBiasesStatus) { status.Plan = nil })
	b.ok("diff")
}

func TestAdoptWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.wrap = func(next http.RoundTripper) http.RoundTripper { return readOnly{next} }
	if code, _, errs := b.run("adopt", "wandb"); code != kubectl.ExitError || !strings.Contains(errs, "does not exist") {
		t.Errorf("without a release: exit code %d: %s", code, errs)
	}
	b.helmRelease()
	if code, _, errs := b.run("adopt", "wandb"); code != kubectl.ExitError || !strings.Contains(errs, `"suspend":true`) {
		t.Errorf("without a resource: exit code %d: %s", code, errs)
	}
	if code, _, errs := b.run("adopt", "wandb", "--name", "other"); code != kubectl.ExitError || !strings.Contains(errs, "Give the resource the name wandb") {
		t.Errorf("with another name: exit code %d: %s", code, errs)
	}
	resource := b.resource(func(r *appsv1.WeightsAndBiases) { r.Spec.Suspend = true })
	if code, _, errs := b.run("adopt", "wandb"); code != kubectl.ExitError || !strings.Contains(errs, "no plan") {
		t.Errorf("without a plan: exit code %d: %s", code, errs)
	}
	b.plan()
	b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{{
		APIVersion: "apps.wandb.com/v1", Kind: "WeightsAndBiases", Name: "wandb", UID: resource.UID,
	}}}})
	code, out, errs := b.run("adopt", "wandb")
	if code != kubectl.ExitNo {
		t.Errorf("exit code %d, want %d because pods are replaced: %s", code, kubectl.ExitNo, errs)
	}
	for _, want := range []string{
		"removed from (1):\n  ConfigMap owned", "Stay as they are (2):\n  Service wandb-app\n  Secret wandb-session", "Are changed (1):\n  Deployment wandb-app",
		"Pods are replaced of (1):\n  Deployment wandb-app", "Nothing was written", "spec.suspend to false",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if set := b.requests(); set.Suspend != nil || set.Approve != nil {
		t.Errorf("requests were written: %+v", set)
	}
}

func TestPreflightReadsValuesWithTheCallersRights(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.wrap = func(next http.RoundTripper) http.RoundTripper { return readOnly{next} }
	values := filepath.Join(t.TempDir(), "values.yaml")
	write := func(text string) {
		if err := os.WriteFile(values, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ingress: {install: false, create: false}\n")
	if code, out, errs := b.run("preflight", "-f", values, "--airgapped"); code == kubectl.ExitError || !strings.Contains(out, "✓ kubernetes-version") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
	write("global: {license: " + canary + "}\n")
	code, out, errs := b.run("preflight", "-f", values, "--airgapped", "-o", "json")
	if code != kubectl.ExitNo || !json.Valid([]byte(out)) || strings.Contains(out+errs, canary) {
		t.Errorf("a malformed licence: exit code %d:\n%s%s", code, out, errs)
	}
	write("- no\n- object " + canary + "\n")
	if code, out, errs := b.run("preflight", "-f", values); code != kubectl.ExitError || strings.Contains(out+errs, canary) {
		t.Errorf("no object: exit code %d:\n%s%s", code, out, errs)
	}
	b.resource(nil)
	if code, out, errs := b.run("preflight", "wandb", "--airgapped"); code == kubectl.ExitError || !strings.Contains(out, "kubernetes-version") {
		t.Errorf("of a resource: exit code %d:\n%s%s", code, out, errs)
	}
}

func TestTheResourceIsFoundOrNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code, _, errs := b.run("status"); code != kubectl.ExitError || !strings.Contains(errs, "there is none") || !strings.Contains(errs, "hint: ") {
		t.Errorf("none: exit code %d: %s", code, errs)
	}
	b.resource(nil)
	b.ok("status")
	b.create(&appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	if code, _, errs := b.run("status"); code != kubectl.ExitError || !strings.Contains(errs, "other, wandb") {
		t.Errorf("two: exit code %d: %s", code, errs)
	}
	if code, _, errs := b.run("status", "nobody"); code != kubectl.ExitError || !strings.Contains(errs, "does not exist") {
		t.Errorf("unknown: exit code %d: %s", code, errs)
	}
}

// shown collects what a command writes while it runs, and tells of each write.
type shown struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{}
}

func (s *shown) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return s.text.Write(data)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestStatusWatchesUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	out, errs := &shown{wrote: make(chan struct{}, 1)}, &shown{}
	code := make(chan int, 1)
	go func() {
		code <- kubectl.Execute(ctx, []string{"status", "--watch", "--kubeconfig", b.kubeconfig, "-n", b.namespace},
			kubectl.Streams{In: strings.NewReader(""), Out: out, Err: errs})
	}()
	<-out.wrote
	b.status(func(status *appsv1.WeightsAndBiasesStatus) { status.NextStep = "the next step is new" })
	for !strings.Contains(out.String(), "the next step is new") {
		select {
		case <-out.wrote:
		case <-ctx.Done():
			t.Fatalf("the change was not shown:\n%s", out)
		}
	}
	cancel()
	if got := <-code; got != kubectl.ExitDone || errs.String() != "" {
		t.Errorf("exit code %d: %s", got, errs)
	}
}

func TestMissingRightsComeWithAHint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	b.active()
	if err := os.WriteFile(b.kubeconfig, kubeconfigOf(t, testenv.As(t, "mallory-"+b.namespace)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := b.run("status"); code != kubectl.ExitError || !strings.Contains(errs, "auth can-i") {
		t.Errorf("without any right: exit code %d: %s", code, errs)
	}
	b.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"apps.wandb.com"}, Resources: []string{"weightsandbiases"}, Verbs: []string{"get", "list"},
	}}})
	b.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory-" + b.namespace}},
	})
	until := time.Now().Add(deadline)
	for { // the API server learns of a new binding a moment later
		code, _, errs := b.run("status")
		if code == kubectl.ExitDone {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("with the right to read resources: exit code %d: %s", code, errs)
		}
	}
	for _, command := range []string{"explain", "suspend"} {
		if code, out, errs := b.run(command); code != kubectl.ExitError || !strings.Contains(errs, "auth can-i") || out != "" {
			t.Errorf("%s: exit code %d: %s%s", command, code, out, errs)
		}
	}
}

func TestVerifyShowsTheProbe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resource(nil)
	if out := b.ok("verify"); !strings.Contains(out, "has not run yet") {
		t.Errorf("got %s", out)
	}
	b.status(func(status *appsv1.WeightsAndBiasesStatus) {
		status.Conditions = []metav1.Condition{condition(appsv1.ConditionVerified, metav1.ConditionFalse, appsv1.ReasonFailed)}
		status.Verification = []appsv1.CheckStatus{{Name: "sign-in", Result: "Passed"}, {Name: "cors", Result: "Failed", Message: "no header"}}
	})
	code, out, _ := b.run("verify")
	if code != kubectl.ExitNo || !strings.Contains(out, "✗  cors") || !strings.Contains(out, "✓  sign-in") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestNoCommandShowsACredential(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	values, err := appsv1.ObjectOf(map[string]any{"global": map[string]any{"license": canary + "-resource"}})
	if err != nil {
		t.Fatal(err)
	}
	b.resource(func(r *appsv1.WeightsAndBiases) { r.Spec.Values = values })
	b.helmRelease()
	b.active()
	b.plan()
	ran := 0
	for _, command := range kubectl.Command(kubectl.Streams{In: strings.NewReader("")}).Commands() {
		arguments := map[string][]string{
			"rollback": {"rollback", "3"}, "adopt": {"adopt", "wandb"}, "approve": {"approve", "--yes"},
			"preflight": {"preflight", "--airgapped"},
		}[command.Name()]
		if arguments == nil {
			arguments = []string{command.Name()}
		}
		formats := []string{""}
		if command.Flags().Lookup("output") != nil {
			formats = []string{"text", "json", "yaml"}
		}
		for _, format := range formats {
			line := arguments
			if format != "" {
				line = append(line[:len(line):len(line)], "-o", format)
			}
			code, out, errs := b.run(line...)
			if strings.Contains(out+errs, canary) {
				t.Errorf("%v shows a credential:\n%s%s", line, out, errs)
			}
			// Commands that find nothing to show would pass for nothing.
			if code == kubectl.ExitError && command.Name() != "force" && command.Name() != "retry" && command.Name() != "rollback" {
				t.Errorf("%v: exit code %d: %s", line, code, errs)
			}
			ran++
		}
	}
	if ran < 20 {
		t.Errorf("only %d command lines ran", ran)
	}
}
