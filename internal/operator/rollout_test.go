package operator

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

func (i *installation) app() *k8sappsv1.Deployment {
	i.t.Helper()
	found := &k8sappsv1.Deployment{}
	must(i.t, i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: "wandb-app"}, found))
	return found
}

func (i *installation) awaitRevisions(want ...string) {
	i.t.Helper()
	eventually(i.t, "Helm's storage "+strings.Join(want, ", "), func() bool { return cmp.Equal(i.revisions(), want) },
		func() string { return cmp.Diff(want, i.revisions()) })
}

// held are values of a release whose Deployment nobody makes ready.
func held(tag string) map[string]any {
	values := tagged(tag)
	values["hold"] = "yes"
	return values
}

func TestReadyMeansThatTheWorkloadsAreReady(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", held("1"))
	i.start()
	key := i.resource(i.licensed())
	i.awaitRevisions("1 deployed")
	i.await(key, "a status that names what is waited for", func(cr *appsv1.WeightsAndBiases) bool {
		return strings.Contains(cr.Status.NextStep, "wandb-app")
	})
	for _, kind := range []string{appsv1.ConditionReleased, appsv1.ConditionReady} {
		i.awaitCondition(key, kind, metav1.ConditionUnknown, appsv1.ReasonProgressing)
	}
	i.awaitCondition(key, appsv1.ConditionReconciling, metav1.ConditionTrue, appsv1.ReasonProgressing)
	app := i.app()
	app.Status = readyStatus(*app)
	changed := time.Now()
	must(t, i.api.Status().Update(t.Context(), app))
	i.awaitReady(key)
	if took := time.Since(changed); took > 20*time.Second {
		t.Errorf("ready workloads were noticed after %s", took)
	}
	i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionTrue, appsv1.ReasonInstalled)
}

func TestFailedRolloutIsMarkedInHelmAndRecoversByItself(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", held("1"))
	i.start()
	key := i.resource(i.licensed())
	i.awaitRevisions("1 deployed")
	app := i.app()
	app.Status = k8sappsv1.DeploymentStatus{
		ObservedGeneration: app.Generation, Replicas: 1, UpdatedReplicas: 1, UnavailableReplicas: 1,
		Conditions: []k8sappsv1.DeploymentCondition{{
			Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
		}},
	}
	must(t, i.api.Status().Update(t.Context(), app))
	message := i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonWorkloadsNotReady)
	i.awaitRevisions("1 failed")
	if !strings.Contains(message, "wandb-app") || !strings.Contains(message, "Attempt 2 of 5") {
		t.Errorf("message %q says neither what failed nor what follows", message)
	}
	if description := i.storedRelease(1)["info"].(map[string]any)["description"].(string); !strings.Contains(description, "wandb-app") {
		t.Errorf("helm history says %q", description)
	}
	i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionFalse, appsv1.ReasonWorkloadsNotReady)
	eventually(t, "a warning", func() bool { return slices.Contains(i.events(), "Warning WorkloadsNotReady") },
		func() string { return strings.Join(i.events(), "\n") })

	app = i.app()
	app.Status = readyStatus(*app)
	must(t, i.api.Status().Update(t.Context(), app))
	i.awaitReady(key)
	i.awaitRevisions("1 deployed")
}

func TestFailedSpecificationGivesWayToAnother(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	// A Service of that name exists and belongs to somebody else: Helm refuses after its first write.
	must(t, i.api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "taken"}}))
	i.addChart("2.0.0", map[string]string{
		"templates/taken.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: taken}\ndata: {mine: \"yes\"}\n",
	})
	i.vendor.Publish("v2", "2.0.0", tagged("2"))
	i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonHelmFailed)
	if taken := i.configMap("taken"); taken.Data["mine"] != "" || len(taken.Annotations) > 0 {
		t.Errorf("somebody else's object was changed: %v", taken)
	}
	i.vendor.Publish("v3", "1.0.0", tagged("3"))
	i.awaitConfig(map[string]string{"tag": "3"})
	i.awaitReady(key)
}

// storedRelease reads a revision from Helm's storage.
func (i *installation) storedRelease(revision int) map[string]any {
	i.t.Helper()
	secret := i.secret("sh.helm.release.v1.wandb.v" + string(rune('0'+revision)))
	raw, err := base64.StdEncoding.DecodeString(string(secret.Data["release"]))
	must(i.t, err)
	unzipped, err := gzip.NewReader(bytes.NewReader(raw))
	must(i.t, err)
	text, err := io.ReadAll(unzipped)
	must(i.t, err)
	var stored map[string]any
	must(i.t, json.Unmarshal(text, &stored))
	return stored
}

// interrupt leaves a revision as a process leaves it that is killed inside Helm.
func (i *installation) interrupt(revision int, status string) {
	i.t.Helper()
	stored := i.storedRelease(revision)
	stored["info"].(map[string]any)["status"] = status
	text, err := json.Marshal(stored)
	must(i.t, err)
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	_, err = writer.Write(text)
	must(i.t, err)
	must(i.t, writer.Close())
	secret := i.secret("sh.helm.release.v1.wandb.v" + string(rune('0'+revision)))
	secret.Data["release"] = []byte(base64.StdEncoding.EncodeToString(zipped.Bytes()))
	secret.Labels["status"] = status
	must(i.t, i.api.Update(i.t.Context(), secret))
}

func (i *installation) lease(holder string, renewed time.Time) {
	i.t.Helper()
	lease := &coordinationv1.Lease{}
	must(i.t, i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: "wandb-helm"}, lease))
	lease.Spec.HolderIdentity = &holder
	lease.Spec.LeaseDurationSeconds = ptr.To[int32](15)
	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(renewed))
	must(i.t, i.api.Update(i.t.Context(), lease))
}

// TestOperatorKilledInsideHelmIsTakenUpAgain: killed between pending and the end, the next start unlocks and finishes.
func TestOperatorKilledInsideHelmIsTakenUpAgain(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.stop()
	i.interrupt(1, "pending-install")
	i.lease(i.namespace+"/operator-that-was/1", time.Now().Add(-time.Minute))
	before := i.uids()

	i.start()
	// Helm calls a failed revision superseded as soon as a later one succeeds; its description stays.
	i.awaitRevisions("1 superseded", "2 deployed")
	i.awaitReady(key)
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("what ran was replaced:\n%s", diff)
	}
	if description := i.storedRelease(1)["info"].(map[string]any)["description"].(string); !strings.Contains(description, "nobody works on it") {
		t.Errorf("helm history says %q", description)
	}
}

func TestPendingReleaseOfALivingProcessIsLeftAlone(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.stop()
	i.interrupt(1, "pending-install")
	// The Lease ran out, but the pod is there: it may be paused, and come back.
	must(t, i.api.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "operator-that-is"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
	}))
	i.lease(i.namespace+"/operator-that-is/1", time.Now().Add(-time.Minute))
	i.start()
	i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionUnknown, appsv1.ReasonProgressing)
	i.rest()
	i.awaitRevisions("1 pending-install")
}

// TestManualUpgradeIsOverruledAndSaid: somebody uses Helm by hand on a release of ours.
// upgradeByHand makes a revision as an administrator does with Helm.
func (i *installation) upgradeByHand(color string) {
	t := i.t
	t.Helper()
	byHand, err := helm.New(helm.Config{RESTConfig: i.config.RESTConfig})
	must(t, err)
	chart, err := byHand.LoadChart(t.Context(), &spec.Chart{
		Form: spec.FormRepo, URL: i.vendor.Repository(), Name: "app", Version: "1.0.0",
	}, helm.Credentials{})
	must(t, err)
	_, err = byHand.Upgrade(t.Context(), helm.Apply{
		Namespace: i.namespace, Name: "wandb", Chart: chart,
		Values: map[string]any{"color": color, "global": map[string]any{"operator": map[string]any{"namespace": "x"}}},
	})
	must(t, err)
	i.awaitConfig(map[string]string{"color": color})
}

// Somebody upgrades by hand: it is seen and said, it stays, and one command applies the specification again.
func TestManualUpgradeIsSeenAndStaysUntilSomebodyForces(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.upgradeByHand("pink")
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionFalse, appsv1.ReasonUpdateHeld)
	i.awaitCondition(key, appsv1.ConditionDrifted, metav1.ConditionTrue, appsv1.ReasonForeignRevision)
	message := i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionTrue, appsv1.ReasonReady)
	if !strings.Contains(message, "somebody else made revision 2") {
		t.Errorf("message %q does not say so", message)
	}
	i.awaitConfig(map[string]string{"color": "pink"})
	i.ask(func(s *request.Set) { s.Force = markNow() })
	i.awaitConfig(map[string]string{"color": "grey"})
	i.awaitRevisions("1 superseded", "2 superseded", "3 deployed")
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionTrue, appsv1.ReasonUpToDate)
}

func TestManualUpgradeIsOverruledWhereDriftIsCorrected(t *testing.T) {
	i := newInstallation(t)
	i.running(func(cr *appsv1.WeightsAndBiases) { cr.Spec.Drift = &appsv1.Drift{Mode: appsv1.DriftCorrect} })
	i.upgradeByHand("pink")
	i.awaitConfig(map[string]string{"color": "grey"})
	i.awaitRevisions("1 superseded", "2 superseded", "3 deployed")
}

func TestTwoProcessesNeverHoldOneLease(t *testing.T) {
	i := newInstallation(t)
	key := types.NamespacedName{Namespace: i.namespace, Name: "wandb"}
	lost := make(chan error, 2)
	locker := func(pod string) *release.Locker {
		return &release.Locker{
			Client: i.api, RenewEvery: 50 * time.Millisecond, Lost: func(err error) { lost <- err },
			Identity: release.Identity{Namespace: i.namespace, Pod: pod, Start: "1"},
		}
	}
	first, second := locker("one"), locker("two")
	held, err := first.Acquire(t.Context(), key)
	must(t, err)
	if _, err := second.Acquire(t.Context(), key); err == nil {
		t.Fatal("two processes hold the Lease")
	}
	if lock, err := second.Observe(t.Context(), key); err != nil || !lock.HeldByOther() {
		t.Errorf("the second process sees %+v, %v", lock, err)
	}
	// Somebody takes the Lease by force: the first process has to know.
	i.lease("somebody", time.Now())
	select {
	case err := <-lost:
		if !strings.Contains(err.Error(), "somebody") {
			t.Errorf("the process was told %v", err)
		}
	case <-time.After(patience):
		t.Error("the process does not notice that it lost its Lease")
	}
	_ = held.Release(t.Context())
	if lock, err := second.Observe(t.Context(), key); err != nil || lock.Holder != "somebody" {
		t.Errorf("freeing a lost Lease gave %+v, %v", lock, err)
	}
}

func TestFreedLeaseIsTakenAtOnce(t *testing.T) {
	i := newInstallation(t)
	key := types.NamespacedName{Namespace: i.namespace, Name: "wandb"}
	for _, pod := range []string{"one", "two", "one"} {
		locker := &release.Locker{Client: i.api, Identity: release.Identity{Namespace: i.namespace, Pod: pod, Start: "1"}}
		held, err := locker.Acquire(t.Context(), key)
		must(t, err)
		must(t, held.Release(t.Context()))
	}
}
