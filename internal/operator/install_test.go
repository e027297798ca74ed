package operator

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

func TestInstallsWhatTheChannelOffers(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	cr := i.get(key)

	i.awaitConfig(map[string]string{"tag": "1", "color": "grey", "namespace": i.namespace})
	if diff := cmp.Diff([]string{"1 deployed"}, i.revisions()); diff != "" {
		t.Errorf("Helm's storage:\n%s", diff)
	}
	if !slices.Contains(cr.Finalizers, appsv1.Finalizer) {
		t.Errorf("finalizers %v lack ours", cr.Finalizers)
	}
	for kind, reason := range map[string]string{
		appsv1.ConditionLicenseValid: appsv1.ReasonLicenseValid, appsv1.ConditionChannelReachable: appsv1.ReasonChannelReachable,
		appsv1.ConditionSpecResolved: appsv1.ReasonSpecResolved, appsv1.ConditionReleased: appsv1.ReasonInstalled,
		appsv1.ConditionUpToDate: appsv1.ReasonUpToDate,
	} {
		i.awaitCondition(key, kind, metav1.ConditionTrue, reason)
	}
	for _, kind := range []string{appsv1.ConditionReconciling, appsv1.ConditionStalled} {
		i.awaitCondition(key, kind, metav1.ConditionFalse, appsv1.ReasonReady)
	}
	release, channel := cr.Status.Release, cr.Status.Channel
	if release == nil || release.ID != "id-v1" || release.Name != "v1" || release.Chart != "app" || release.ChartVersion != "1.0.0" || release.Revision != 1 {
		t.Errorf("status.release = %+v", release)
	}
	if channel == nil || channel.Name != "stable" || channel.ReleaseName != "v1" || channel.CheckedAt.IsZero() {
		t.Errorf("status.channel = %+v", channel)
	}
	if cr.Status.Phase != appsv1.PhaseCompleted || cr.Status.Version != "app-1.0.0" {
		t.Errorf("phase %q, version %q", cr.Status.Phase, cr.Status.Version)
	}
	i.checkCompanions()
	eventually(t, "the events of an installation", func() bool {
		events := i.events()
		return slices.Contains(events, "Normal Installed") && slices.Contains(events, "Normal ReleaseNoticed")
	}, func() string { return cmp.Diff(nil, i.events()) })
}

// checkCompanions looks at the Secrets that the operator makes. None may have an owner: it would be collected with the
// resource.
func (i *installation) checkCompanions() {
	i.t.Helper()
	for name, keys := range map[string][]string{
		"wandb-spec-user": {"values", "chart", "metadata"}, "wandb-password": {"password"}, "wandb-session-keys": {"console"},
		"wandb-installation": {"id", "key"}, "wandb-spec-active": {"values", "chart", "metadata", "origins", "applied", "failures"},
		"wandb-latest-cached-release": {"values", "chart", "metadata", "etag", "scope"},
	} {
		secret := i.secret(name)
		if len(secret.OwnerReferences) > 0 {
			i.t.Errorf("Secret %s has an owner: %v", name, secret.OwnerReferences)
		}
		for _, key := range keys {
			if len(secret.Data[key]) == 0 {
				i.t.Errorf("Secret %s lacks key %q", name, key)
			}
		}
	}
}

func TestTakesANewReleaseOfTheChannel(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	generation := i.awaitReady(key).Generation

	i.addChart("1.1.0", nil)
	published := time.Now()
	i.vendor.Publish("v2", "1.1.0", tagged("2"))
	i.await(key, "release v2 noticed", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.Channel != nil && cr.Status.Channel.ReleaseName == "v2"
	})
	noticed := time.Since(published)
	cr := i.await(key, "release v2 Ready", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.Release != nil && cr.Status.Release.Name == "v2" && cr.Status.Phase == appsv1.PhaseCompleted
	})
	t.Logf("noticed after %s, Ready after %s", noticed, time.Since(published))
	if noticed > 15*time.Second { // who is not woken asks after minutes
		t.Errorf("the release was noticed after %s", noticed)
	}
	if cr.Generation != generation {
		t.Errorf("generation went from %d to %d: something wrote the specification", generation, cr.Generation)
	}
	i.awaitConfig(map[string]string{"tag": "2"})
	if diff := cmp.Diff([]string{"1 superseded", "2 deployed"}, i.revisions()); diff != "" {
		t.Errorf("Helm's storage:\n%s", diff)
	}
}

func TestLayersWinInTheirOrder(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", map[string]any{"color": "red", "image": map[string]any{"tag": "1"}, "list": []any{"a", "b"}})
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.awaitReady(key)
	i.awaitConfig(map[string]string{"color": "red", "list": "a,b"})

	user := i.secret("wandb-spec-user")
	user.Data["values"] = []byte(`{"color":"green","list":["c"]}`)
	changed := time.Now()
	must(t, i.api.Update(t.Context(), user))
	i.awaitConfig(map[string]string{"color": "green", "list": "c", "tag": "1"})
	t.Logf("a change of the user layer was applied after %s", time.Since(changed))

	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		values := i.licensed()
		values["color"] = "blue"
		cr.Spec.Values, _ = appsv1.ObjectOf(values)
	})
	i.awaitConfig(map[string]string{"color": "blue", "list": "c"})

	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Unset = []string{"list"} })
	i.awaitConfig(map[string]string{"color": "blue", "list": ""})
	cr := i.awaitReady(key)
	if cr.Status.Release.Revision != 4 {
		t.Errorf("four specifications made revision %d", cr.Status.Release.Revision)
	}
}

func TestPinnedReleaseStays(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.awaitReady(key)
	i.awaitConfig(map[string]string{"tag": "2"})

	user := i.secret("wandb-spec-user")
	user.Data["values"] = []byte(`{"_releaseId":"id-v1"}`)
	must(t, i.api.Update(t.Context(), user))
	i.awaitConfig(map[string]string{"tag": "1"})

	user = i.secret("wandb-spec-user")
	user.Data["values"] = []byte(`{"_releaseId":"gone"}`)
	must(t, i.api.Update(t.Context(), user))
	i.awaitCondition(key, appsv1.ConditionChannelReachable, metav1.ConditionFalse, appsv1.ReasonChannelReleaseNotFound)
	i.awaitConfig(map[string]string{"tag": "1"})
}

func TestAirgappedNeverAsks(t *testing.T) {
	i := newInstallation(t, func(c *Config) { c.Airgapped = true })
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(tagged("mine"))
	message := i.awaitCondition(key, appsv1.ConditionSpecResolved, metav1.ConditionFalse, appsv1.ReasonChartMissing)
	t.Log(message)
	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		cr.Spec.Chart, _ = appsv1.ObjectOf(map[string]any{"url": i.vendor.Repository(), "name": "app", "version": "1.0.0"})
	})
	i.awaitReady(key)
	i.awaitConfig(map[string]string{"tag": "mine"})
	if asked := i.vendor.Passwords(); len(asked) > 0 {
		t.Errorf("the deploy server was asked %d times", len(asked))
	}
}

func TestSuspendChangesNothing(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Suspend = true })
	i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionTrue, appsv1.ReasonSuspended)
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionFalse, appsv1.ReasonUpdateHeld)
	i.awaitConfig(map[string]string{"tag": "1"})
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Suspend = false })
	i.awaitConfig(map[string]string{"tag": "2"})
}

func TestResourceElsewhereIsToldHowToGrant(t *testing.T) {
	i := newInstallation(t, func(c *Config) { c.Isolated = false })
	i.start()
	elsewhere := newInstallation(t)
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere.namespace, Name: "wandb"}}
	must(t, i.api.Create(t.Context(), cr))
	key := client.ObjectKeyFromObject(cr)
	message := i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionFalse, appsv1.ReasonNamespaceNotGranted)
	names := []string{i.namespace, elsewhere.namespace}
	slices.Sort(names)
	want := "helm upgrade operator wandb/operator -n " + i.namespace + " --reuse-values --set 'watchNamespaces={" + names[0] + "," + names[1] + "}'"
	if !contains(message, want) {
		t.Errorf("message %q lacks the line %q", message, want)
	}
	for _, write := range i.requests.written() {
		if !contains(write, "/weightsandbiases/wandb/status") {
			t.Errorf("the operator wrote %s", write)
		}
	}
}

// Two operators in one cluster, each with rights in its own namespace, used to write over each other's status, and the
// stranger dropped the finalizer of a resource whose release was still installed.
func TestTwoOperatorsLeaveEachOthersResourcesAlone(t *testing.T) {
	i, stranger := newInstallation(t), newInstallation(t)
	key := i.running()

	stranger.start()
	mark := stranger.resource(nil)
	stranger.awaitCondition(mark, appsv1.ConditionReady, metav1.ConditionFalse, appsv1.ReasonChannelReleaseNotFound)
	i.addValue(key, "color", "blue")
	i.awaitConfig(map[string]string{"color": "blue"})
	i.awaitReady(key)
	for _, write := range stranger.requests.written() {
		if contains(write, "/namespaces/"+i.namespace+"/") {
			t.Errorf("the stranger wrote %s", write)
		}
	}
	i.delete(key)
	i.awaitGone(key)
	if got := i.revisions(); len(got) > 0 {
		t.Errorf("the release was left behind: %v", got)
	}
}
