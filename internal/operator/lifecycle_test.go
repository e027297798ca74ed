package operator

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// ask writes a request as the command line does.
func (i *installation) ask(change func(*request.Set)) {
	i.t.Helper()
	user := i.secret("wandb-spec-user")
	set, err := request.Decode(user.Data)
	must(i.t, err)
	change(&set)
	if user.Data == nil {
		user.Data = map[string][]byte{}
	}
	user.Data[request.Key], err = set.Encode()
	must(i.t, err)
	must(i.t, i.api.Update(i.t.Context(), user))
}

func markNow() *request.Mark {
	mark := request.MarkOf("ada", time.Now())
	return &mark
}

// approve approves a plan as it is shown.
func (i *installation) approve(plan *appsv1.PlanStatus) {
	i.t.Helper()
	i.ask(func(s *request.Set) {
		s.Approve = &request.Approve{Mark: *markNow(), Plan: plan.Digest, MadeAt: plan.CreatedAt.Time}
	})
}

func (i *installation) awaitPlan(key types.NamespacedName, reason string) *appsv1.PlanStatus {
	i.t.Helper()
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionFalse, reason)
	plan := i.get(key).Status.Plan
	if plan == nil {
		i.t.Fatal("status shows no plan")
	}
	return plan
}

func withPolicy(policy appsv1.UpdatePolicy) func(*appsv1.WeightsAndBiases) {
	return func(cr *appsv1.WeightsAndBiases) { cr.Spec.Update = &appsv1.Update{Policy: policy} }
}

// With policy Approval nothing is applied but exactly the plan that somebody has approved, the first installation
// included.
func TestApprovalAppliesExactlyThePlan(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed(), withPolicy(appsv1.UpdateApproval))
	plan := i.awaitPlan(key, appsv1.ReasonAwaitingApproval)
	if plan.Added != 3 || plan.Changed != 0 || plan.Removed != 0 || plan.Release != "v1" {
		t.Errorf("the plan of a first installation is %+v", plan)
	}
	if got := i.revisions(); len(got) > 0 {
		t.Fatalf("installed without approval: %v", got)
	}
	i.approve(plan)
	i.awaitReady(key)

	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	next := i.awaitPlan(key, appsv1.ReasonAwaitingApproval)
	if next.Digest == plan.Digest || next.Changed != 2 || !cmp.Equal(next.Restarts, []string{"Deployment wandb-app"}) {
		t.Errorf("the plan of an upgrade is %+v", next)
	}
	cr := i.get(key)
	if !meta.IsStatusConditionTrue(cr.Status.Conditions, appsv1.ConditionReady) {
		t.Error("what runs is not Ready while an update waits")
	}
	// An approval of another plan is none.
	i.approve(plan)
	i.addValue(key, "color", "blue")
	i.await(key, "a plan for the changed values", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.Plan != nil && cr.Status.Plan.Digest != next.Digest
	})
	i.awaitConfig(map[string]string{"tag": "1", "color": "grey"})
	final := i.get(key).Status.Plan
	// The resource itself may approve, and counts more.
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Update.Approve = final.Digest })
	i.awaitConfig(map[string]string{"tag": "2", "color": "blue"})
	i.awaitReady(key)
	if waiting := i.get(key).Status.Plan; waiting != nil {
		t.Errorf("an applied plan is still shown: %+v", waiting)
	}
}

// A live object that somebody has changed since the plan was made voids its approval: what was looked at is not what
// would be changed.
func TestChangedObjectVoidsAnApproval(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.update(key, withPolicy(appsv1.UpdateApproval))
	i.awaitReady(key) // the operator has seen the policy
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	plan := i.awaitPlan(key, appsv1.ReasonAwaitingApproval)
	i.stop()
	config := i.configMap("wandb-config")
	config.Data["color"] = "painted by hand"
	must(t, i.api.Update(t.Context(), config))
	i.approve(plan)
	i.start()
	voided := i.await(key, "a plan that is newer than the approval", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.Plan != nil && cr.Status.Plan.CreatedAt.After(plan.CreatedAt.Time) && !cr.Status.Plan.Approved
	})
	i.awaitConfig(map[string]string{"tag": "1"})
	i.approve(voided.Status.Plan)
	i.awaitConfig(map[string]string{"tag": "2"})
	i.awaitReady(key)
}

// An approval that was left in the resource is of an earlier plan, and means nothing where nobody has to approve.
func TestApprovalThatWasLeftBehindHoldsNothingUp(t *testing.T) {
	i := newInstallation(t)
	i.running(func(cr *appsv1.WeightsAndBiases) {
		cr.Spec.Update = &appsv1.Update{Approve: "sha256:" + strings.Repeat("0", 64)}
	})
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	i.awaitConfig(map[string]string{"tag": "2"})
	if contains(i.logs.String(), "step failed") {
		t.Error("a step failed on the way")
	}
}

func TestUpdatesWaitForTheirWindow(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	// A window that opened half a day ago and lasts a minute.
	closed := time.Now().UTC().Add(-12 * time.Hour)
	window := appsv1.Window{Schedule: fmt.Sprintf("%d %d * * *", closed.Minute(), closed.Hour()), Duration: metav1.Duration{Duration: time.Minute}}
	key := i.resource(i.licensed(), func(cr *appsv1.WeightsAndBiases) { cr.Spec.Update = &appsv1.Update{Windows: []appsv1.Window{window}} })
	i.awaitReady(key) // nobody waits for a window to get the first installation
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	plan := i.awaitPlan(key, appsv1.ReasonOutsideWindow)
	cr := i.get(key)
	if cr.Status.NextStepAt == nil || time.Until(cr.Status.NextStepAt.Time) < 11*time.Hour {
		t.Errorf("next step at %v", cr.Status.NextStepAt)
	}
	if plan.Changed != 2 {
		t.Errorf("the plan is %+v", plan)
	}
	i.ask(func(s *request.Set) { s.Force = markNow() })
	i.awaitConfig(map[string]string{"tag": "2"})
	i.awaitReady(key)
}

// A release that does not become ready is rolled back by itself, remembered, and not tried again until something changes
// or somebody asks.
func TestFailedUpgradeRollsBackAndIsRemembered(t *testing.T) {
	i := newInstallation(t)
	key := i.running(func(cr *appsv1.WeightsAndBiases) { cr.Spec.Timeout = &metav1.Duration{Duration: time.Minute} })
	i.vendor.Publish("v2", "1.0.0", held("2"))
	i.awaitConfig(map[string]string{"tag": "2"})
	i.failRollout()
	i.awaitConfig(map[string]string{"tag": "1"})
	i.awaitRevisions("1 superseded", "2 failed", "3 deployed")
	i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonRolledBack)
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionFalse, appsv1.ReasonReleaseFailed)
	i.awaitReady(key)
	cr := i.get(key)
	outcomes := []appsv1.Outcome{}
	for _, entry := range cr.Status.History {
		outcomes = append(outcomes, entry.Outcome)
	}
	if diff := cmp.Diff([]appsv1.Outcome{appsv1.OutcomeSucceeded, appsv1.OutcomeRolledBack, appsv1.OutcomeSucceeded}, outcomes); diff != "" {
		t.Errorf("history, newest first:\n%s", diff)
	}
	if cr.Status.LastError == nil || cr.Status.LastError.Reason != appsv1.ReasonRolledBack {
		t.Errorf("last error %+v", cr.Status.LastError)
	}

	// A restart changes nothing: the memory is not in the process.
	i.stop()
	i.start()
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionFalse, appsv1.ReasonReleaseFailed)
	i.awaitRevisions("1 superseded", "2 failed", "3 deployed")

	i.ask(func(s *request.Set) { s.Retry = markNow() })
	i.awaitConfig(map[string]string{"tag": "2"})
	i.failRollout()
	i.awaitRevisions("1 superseded", "2 failed", "3 superseded", "4 failed", "5 deployed")

	i.vendor.Publish("v3", "1.0.0", tagged("3"))
	i.awaitConfig(map[string]string{"tag": "3"})
	i.awaitReady(key)
	i.awaitCondition(key, appsv1.ConditionUpToDate, metav1.ConditionTrue, appsv1.ReasonUpToDate)
	if failed := i.get(key).Status.LastError; failed != nil {
		t.Errorf("last error stays after a success: %+v", failed)
	}
}

// failRollout makes the Deployment of a held release say that its rollout failed, as its controller does after the
// deadline.
func (i *installation) failRollout() {
	i.t.Helper()
	app := i.app()
	eventually(i.t, "the Deployment of the held release", func() bool {
		app = i.app()
		return app.Annotations["test/hold"] == "yes"
	}, func() string { return app.Spec.Template.Spec.Containers[0].Image })
	app.Status = k8sappsv1.DeploymentStatus{
		ObservedGeneration: app.Generation, Replicas: 1, UpdatedReplicas: 1,
		Conditions: []k8sappsv1.DeploymentCondition{{
			Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "no progress",
		}},
	}
	must(i.t, i.api.Status().Update(i.t.Context(), app))
}

// A release whose data an earlier one cannot read stops instead, with the choices.
func TestRollbackThatWouldHarmDataIsRefused(t *testing.T) {
	i := newInstallation(t)
	states := func(version, schema string) map[string]string {
		return map[string]string{"Chart.yaml": "apiVersion: v2\nname: app\nversion: " + version + "\nannotations: {kubewandb.io/schema: \"" + schema + "\"}\n"}
	}
	i.addChart("1.1.0", states("1.1.0", "1"))
	i.addChart("2.0.0", states("2.0.0", "2"))
	i.vendor.Publish("v1", "1.1.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.awaitReady(key)
	i.vendor.Publish("v2", "2.0.0", held("2"))
	i.awaitConfig(map[string]string{"tag": "2"})
	i.failRollout()
	message := i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonRollbackUnsafe)
	for _, want := range []string{"kubectl wandb retry", "kubectl wandb rollback 1 --unsafe", "schema version 2"} {
		if !strings.Contains(message, want) {
			t.Errorf("message %q lacks %q", message, want)
		}
	}
	i.awaitRevisions("1 superseded", "2 failed")
	i.ask(func(s *request.Set) { s.Rollback = &request.Rollback{Mark: *markNow(), Revision: 1, Unsafe: true} })
	i.awaitConfig(map[string]string{"tag": "1"})
	i.awaitReady(key)
}

func TestPeoplePinSuspendAndRollBack(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.ask(func(s *request.Set) { s.Pin = &request.Pin{Mark: *markNow()} })
	i.vendor.Publish("v2", "1.0.0", tagged("2"))
	i.addValue(key, "color", "blue")
	i.awaitConfig(map[string]string{"tag": "1", "color": "blue"}) // values are applied; the release stays
	i.ask(func(s *request.Set) { s.Pin = nil })
	i.awaitConfig(map[string]string{"tag": "2", "color": "blue"})
	i.awaitReady(key)

	i.ask(func(s *request.Set) { s.Suspend = markNow() })
	message := i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionTrue, appsv1.ReasonSuspended)
	if !strings.Contains(message, "ada has suspended it") {
		t.Errorf("message %q does not say who", message)
	}
	i.ask(func(s *request.Set) {
		s.Suspend = nil
		s.Rollback = &request.Rollback{Mark: *markNow(), Revision: 1}
	})
	i.awaitConfig(map[string]string{"tag": "1", "color": "grey"})
	i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonRolledBack)
	i.awaitReady(key)
	if fields := managedByUs(i.get(key)); len(fields) > 0 {
		t.Errorf("the operator wrote the specification: %v", fields)
	}
}

// managedByUs returns the managers of ours that own a field of the specification.
func managedByUs(cr *appsv1.WeightsAndBiases) []string {
	var found []string
	for _, entry := range cr.ManagedFields {
		if strings.Contains(entry.Manager, program) && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:spec"`) {
			found = append(found, entry.Manager)
		}
	}
	return found
}

// usesSecret is a chart of two Deployments, of which one reads a Secret.
func usesSecret() map[string]string {
	workload := func(name, env string) string {
		return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-` + name + `}
spec:
  replicas: 1
  selector: {matchLabels: {app: ` + name + `}}
  template:
    metadata: {labels: {app: ` + name + `}}
    spec:
      containers:
        - name: app
          image: "app:1"
` + env
	}
	return map[string]string{
		"templates/reader.yaml": workload("reader", "          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: mysql, key: password}}}]\n"),
		"templates/other.yaml":  workload("other", ""),
	}
}

// TestRotatedCredentialReplacesJustThePodsThatUseIt: outside windows and without approval, within seconds.
func TestRotatedCredentialReplacesJustThePodsThatUseIt(t *testing.T) {
	i := newInstallation(t)
	i.writeSecret("mysql", map[string]string{"password": "first-password"})
	i.addChart("1.1.0", usesSecret())
	i.vendor.Publish("v1", "1.1.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.awaitReady(key)
	i.update(key, withPolicy(appsv1.UpdateApproval))
	i.awaitReady(key) // the operator has seen the policy
	generations := func() map[string]int64 {
		list := &k8sappsv1.DeploymentList{}
		must(t, i.api.List(t.Context(), list, client.InNamespace(i.namespace)))
		found := map[string]int64{}
		for _, item := range list.Items {
			found[item.Name] = item.Generation
		}
		return found
	}
	before := generations()
	secret := i.secret("mysql")
	secret.Data["password"] = []byte("second-password")
	must(t, i.api.Update(t.Context(), secret))
	i.awaitRevisions("1 superseded", "2 deployed")
	i.awaitReady(key)
	want := maps.Clone(before)
	want["wandb-reader"]++
	if diff := cmp.Diff(want, generations()); diff != "" {
		t.Errorf("generations (-want +got):\n%s", diff)
	}
	// The same content in a newer version of the Secret is no rotation.
	secret = i.secret("mysql")
	secret.Labels = map[string]string{"touched": "yes"}
	must(t, i.api.Update(t.Context(), secret))
	i.addValue(key, "reconcileFrequency", "10s")
	i.awaitPlan(key, appsv1.ReasonAwaitingApproval)
	i.awaitRevisions("1 superseded", "2 deployed")
	if text := i.logs.String(); strings.Contains(text, "second-password") {
		t.Error("the log holds the password")
	}
}

func TestDriftIsToldAndTakenBackWhereWanted(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.awaitCondition(key, appsv1.ConditionDrifted, metav1.ConditionFalse, appsv1.ReasonInSync)
	config := i.configMap("wandb-config")
	config.Data["color"] = "painted"
	must(t, i.api.Update(t.Context(), config, client.FieldOwner("kubectl-edit")))
	message := i.awaitCondition(key, appsv1.ConditionDrifted, metav1.ConditionTrue, appsv1.ReasonObjectsChanged)
	if !strings.Contains(message, "ConfigMap wandb-config") || strings.Contains(message, "painted") {
		t.Errorf("the message is %q", message)
	}
	if drift := i.get(key).Status.Drift; len(drift) != 1 || !cmp.Equal(drift[0].Paths, []string{"/data/color"}) || drift[0].By != "kubectl-edit" {
		t.Errorf("status.drift is %+v", drift)
	}
	i.awaitConfig(map[string]string{"color": "painted"})
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Drift = &appsv1.Drift{Mode: appsv1.DriftCorrect} })
	i.awaitConfig(map[string]string{"color": "grey"})
	i.awaitCondition(key, appsv1.ConditionDrifted, metav1.ConditionFalse, appsv1.ReasonInSync)
	i.awaitRevisions("1 deployed") // no revision is made for it

	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		cr.Spec.Drift.Ignore = []appsv1.DriftRule{{Kind: "ConfigMap", Paths: []string{"/data"}}}
	})
	config = i.configMap("wandb-config")
	config.Data["color"] = "allowed"
	must(t, i.api.Update(t.Context(), config))
	app := i.app()
	app.Spec.Template.Spec.Containers[0].Image = "app:mine"
	must(t, i.api.Update(t.Context(), app))
	eventually(t, "the image taken back", func() bool { return i.app().Spec.Template.Spec.Containers[0].Image == "app:1" },
		func() string { return i.app().Spec.Template.Spec.Containers[0].Image })
	if got := i.configMap("wandb-config").Data["color"]; got != "allowed" {
		t.Errorf("an ignored field became %q", got)
	}
}

// installByHand makes a release as an administrator does with Helm.
func (i *installation) installByHand(tag string) {
	t := i.t
	t.Helper()
	byHand, err := helm.New(helm.Config{RESTConfig: i.config.RESTConfig})
	must(t, err)
	chart, err := byHand.LoadChart(t.Context(), &spec.Chart{
		Form: spec.FormRepo, URL: i.vendor.Repository(), Name: "app", Version: "1.0.0",
	}, helm.Credentials{})
	must(t, err)
	values := tagged(tag)
	values["global"] = map[string]any{"operator": map[string]any{"namespace": i.namespace}}
	_, err = byHand.Install(t.Context(), helm.Apply{Namespace: i.namespace, Name: "wandb", Chart: chart, Values: values})
	must(t, err)
	// Helm itself labels no release as ours.
	secret := i.secret("sh.helm.release.v1.wandb.v1")
	delete(secret.Labels, helm.OwnerLabel)
	must(t, i.api.Update(t.Context(), secret))
}

// TestHelmReleaseOfSomebodyElseIsAdopted: without a restart where nothing differs, and with consent where pods would be
// replaced.
func TestHelmReleaseOfSomebodyElseIsAdopted(t *testing.T) {
	t.Run("nothing differs", func(t *testing.T) {
		i := newInstallation(t)
		i.installByHand("1")
		before, generation := i.uids(), i.app().Generation
		i.vendor.Publish("v1", "1.0.0", tagged("1"))
		i.playKubelet()
		i.start()
		key := i.resource(i.licensed())
		i.awaitReady(key)
		if diff := cmp.Diff(before, i.uids()); diff != "" {
			t.Errorf("objects were replaced:\n%s", diff)
		}
		if got := i.app().Generation; got != generation {
			t.Errorf("the Deployment was changed: generation %d, before %d", got, generation)
		}
	})
	t.Run("pods would be replaced", func(t *testing.T) {
		i := newInstallation(t)
		i.installByHand("0")
		before := i.uids()
		i.vendor.Publish("v1", "1.0.0", tagged("1"))
		i.playKubelet()
		i.start()
		key := i.resource(i.licensed())
		plan := i.awaitPlan(key, appsv1.ReasonAdoptionNeedsConsent)
		if !plan.Adoption || !cmp.Equal(plan.Restarts, []string{"Deployment wandb-app"}) {
			t.Errorf("the dry report is %+v", plan)
		}
		i.awaitConfig(map[string]string{"tag": "0"})
		i.awaitRevisions("1 deployed")
		i.approve(plan)
		i.awaitConfig(map[string]string{"tag": "1"})
		i.awaitReady(key)
		if diff := cmp.Diff(before, i.uids()); diff != "" {
			t.Errorf("objects were replaced:\n%s", diff)
		}
	})
}

func TestKeepLeavesEverythingRunning(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	cr := i.get(key)
	if len(cr.Finalizers) == 0 {
		t.Fatal("no finalizer holds the resource")
	}
	before := i.uids()
	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		cr.Spec.Retention = &appsv1.Retention{OnDelete: appsv1.DeletionKeep}
	})
	i.await(key, "no finalizer", func(cr *appsv1.WeightsAndBiases) bool { return len(cr.Finalizers) == 0 })
	i.delete(key)
	i.awaitGone(key)
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("objects went with the resource:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 deployed"}, i.revisions()); diff != "" {
		t.Errorf("the release went with the resource:\n%s", diff)
	}
	// A resource of the same name takes it up again, without a restart.
	i.resource(i.licensed())
	i.awaitReady(key)
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("objects were replaced:\n%s", diff)
	}
}

// A suspended resource beside a Helm release of somebody else is how people look before they adopt. Deleting it again must
// not take the release along.
func TestDeletingASuspendedResourceLeavesAForeignRelease(t *testing.T) {
	i := newInstallation(t)
	i.installByHand("0")
	before := i.uids()
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed(), func(cr *appsv1.WeightsAndBiases) { cr.Spec.Suspend = true })
	cr := i.await(key, "a plan", func(cr *appsv1.WeightsAndBiases) bool { return cr.Status.Plan != nil })
	if !cr.Status.Plan.Adoption || len(cr.Finalizers) > 0 {
		t.Errorf("plan %+v, finalizers %v", cr.Status.Plan, cr.Finalizers)
	}
	i.delete(key)
	i.awaitGone(key)
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("objects went with the resource:\n%s", diff)
	}
	i.awaitRevisions("1 deployed")
}

func TestBlockingPreflightKeepsWhatRuns(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.awaitCondition(key, appsv1.ConditionPreflight, metav1.ConditionTrue, i.preflightReason(key))
	values := tagged("2")
	values["global"] = map[string]any{"mysql": map[string]any{"host": "127.0.0.1", "port": int64(1), "database": "d", "user": "u", "password": "hunter2-canary"}}
	i.vendor.Publish("v2", "1.0.0", values)
	message := i.awaitCondition(key, appsv1.ConditionReleased, metav1.ConditionFalse, appsv1.ReasonPreflightFailed)
	if !strings.Contains(message, "mysql") || strings.Contains(message, "hunter2-canary") {
		t.Errorf("the message is %q", message)
	}
	i.awaitCondition(key, appsv1.ConditionPreflight, metav1.ConditionFalse, appsv1.ReasonFailed)
	i.awaitConfig(map[string]string{"tag": "1"})
	i.awaitRevisions("1 deployed")
	if checks := i.get(key).Status.Preflight; len(checks) == 0 || checks[0].Result != "Failed" {
		t.Errorf("status.preflight is %+v", checks)
	}
}

func (i *installation) preflightReason(key types.NamespacedName) string {
	found := meta.FindStatusCondition(i.get(key).Status.Conditions, appsv1.ConditionPreflight)
	if found == nil {
		return appsv1.ReasonPassed
	}
	return found.Reason
}
