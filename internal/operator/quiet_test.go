package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// passes returns how many passes the operator has made over the resource.
func (i *installation) passes() float64 {
	i.t.Helper()
	families, err := ctrlmetrics.Registry.Gather()
	must(i.t, err)
	total := 0.0
	for _, family := range families {
		if family.GetName() != metricPasses {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "namespace" && label.GetValue() == i.namespace {
					total += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}

// rest waits until nothing has been written for a while.
func (i *installation) rest() {
	i.t.Helper()
	last, since := -1, time.Now()
	eventually(i.t, "rest", func() bool {
		if now := len(i.requests.written()); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 1500*time.Millisecond
	}, func() string { return fmt.Sprint(i.requests.written()) })
}

// TestPassThatChangesNothingWritesNothing wakes the operator by touching what it watches, without any change that matters.
func TestPassThatChangesNothingWritesNothing(t *testing.T) {
	i := newInstallation(t)
	i.running()
	i.rest()

	writes, passes, reads := len(i.requests.written()), i.passes(), i.requests.reads.Load()
	spent, counted := reconcileTime(t)
	const touches = 20
	for n := range touches {
		app := &k8sappsv1.Deployment{}
		must(t, i.api.Get(t.Context(), types.NamespacedName{Namespace: i.namespace, Name: "wandb-app"}, app))
		app.Labels["test"] = fmt.Sprint(n)
		must(t, i.api.Update(t.Context(), app))
		want := passes + float64(n) + 1
		eventually(t, "a pass", func() bool { return i.passes() >= want }, func() string { return fmt.Sprint(i.passes()) })
	}
	i.rest()
	made := i.passes() - passes
	if after := i.requests.written(); len(after) != writes {
		t.Errorf("%.0f passes wrote:\n%s", made, strings.Join(after[writes:], "\n"))
	}
	spentAfter, countedAfter := reconcileTime(t)
	t.Logf("%.0f passes, %.1f reads and %.1f ms each", made, float64(i.requests.reads.Load()-reads)/made,
		1000*(spentAfter-spent)/float64(countedAfter-counted))
}

// reconcileTime returns the seconds that passes have taken, and their number.
func reconcileTime(t *testing.T) (seconds float64, count uint64) {
	t.Helper()
	families, err := ctrlmetrics.Registry.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_time_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			seconds += metric.GetHistogram().GetSampleSum()
			count += metric.GetHistogram().GetSampleCount()
		}
	}
	return seconds, count
}

// TestStatusWriteWakesNobody holds the lesson of operators that woke themselves by writing status.
func TestStatusWriteWakesNobody(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.rest()
	before := i.passes()
	cr := i.get(key)
	cr.Status.NextStep = "somebody wrote this"
	must(t, i.api.Status().Update(t.Context(), cr))
	time.Sleep(2 * time.Second)
	if after := i.passes(); after != before {
		t.Errorf("a status write caused %.0f passes", after-before)
	}
}

func TestWipedStatusComesBackAndNothingElseHappens(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.stop()
	cr := i.get(key)
	cr.Status = appsv1.WeightsAndBiasesStatus{}
	must(t, i.api.Status().Update(t.Context(), cr))
	before := i.uids()
	i.start()
	cr = i.awaitReady(key)
	if diff := cmp.Diff([]string{"1 deployed"}, i.revisions()); diff != "" {
		t.Errorf("Helm's storage:\n%s", diff)
	}
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("what runs was touched:\n%s", diff)
	}
	if cr.Status.Release == nil || cr.Status.Release.Name != "v1" {
		t.Errorf("status.release = %+v", cr.Status.Release)
	}
}

// TestNobodySeesACredential puts canaries into every input and looks for them in everything that people read.
func TestNobodySeesACredential(t *testing.T) {
	i := newInstallation(t)
	const canary = "canary-5ecret-value"
	i.vendor.Publish("v1", "1.0.0", map[string]any{
		"image": map[string]any{"tag": "1"}, "global": map[string]any{"mysql": map[string]any{"password": canary + "-channel"}},
	})
	i.playKubelet()
	i.start()
	values := i.licensed()
	token := values["global"].(map[string]any)["license"].(string)
	values["smtp"] = map[string]any{"secretKey": canary + "-resource"}
	key := i.resource(values)
	i.awaitReady(key)
	user := i.secret("wandb-spec-user")
	user.Data["values"] = []byte(`{"auth":{"clientSecret":"` + canary + `-user"},"extraEnv":{"DB_PASSWORD":"` + canary + `-env"}}`)
	must(t, i.api.Update(t.Context(), user))
	i.await(key, "revision 2", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.Release != nil && cr.Status.Release.Revision == 2 && cr.Status.Phase == appsv1.PhaseCompleted
	})
	// A failure repeats values more readily than success does.
	i.addValue(key, "replicas", canary+"-wrong-type")
	i.await(key, "values refused", func(cr *appsv1.WeightsAndBiases) bool { return cr.Status.Phase == appsv1.PhaseInvalidConfig })
	i.addValue(key, "replicas", 1)
	i.addValue(key, "global", map[string]any{"license": token + "x"})
	i.await(key, "licence refused", func(cr *appsv1.WeightsAndBiases) bool { return cr.Status.Phase != appsv1.PhaseCompleted })

	status, err := json.Marshal(i.get(key).Status)
	must(t, err)
	list := &eventsv1.EventList{}
	must(t, i.api.List(t.Context(), list, client.InNamespace(i.namespace)))
	events, err := json.Marshal(list)
	must(t, err)
	families, err := ctrlmetrics.Registry.Gather()
	must(t, err)
	for where, text := range map[string]string{
		"logs": i.logs.String(), "status": string(status), "events": string(events), "metrics": fmt.Sprint(families),
	} {
		for _, secret := range []string{canary + "-channel", canary + "-resource", canary + "-user", canary + "-env", token} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s show a credential: …%s…", where, text[max(0, at-200):min(len(text), at+len(secret))])
			}
		}
	}
}
