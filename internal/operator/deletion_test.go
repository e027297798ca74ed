package operator

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/charts"
)

// delete deletes the resource as a person would.
func (i *installation) delete(key types.NamespacedName) {
	i.t.Helper()
	must(i.t, i.api.Delete(i.t.Context(), i.get(key)))
}

func (i *installation) awaitGone(key types.NamespacedName) time.Duration {
	i.t.Helper()
	began := time.Now()
	cr := &appsv1.WeightsAndBiases{}
	eventually(i.t, "the resource gone", func() bool {
		return apierrors.IsNotFound(i.api.Get(i.t.Context(), key, cr))
	}, func() string {
		text, _ := json.MarshalIndent(cr, "", " ")
		return string(text)
	})
	return time.Since(began)
}

func (i *installation) exists(object client.Object, name string) bool {
	i.t.Helper()
	err := i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: name}, object)
	if err != nil && !apierrors.IsNotFound(err) {
		i.t.Fatal(err)
	}
	return err == nil
}

func TestDeletionRemovesTheReleaseAndKeepsWhatPeopleOwn(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	must(t, i.api.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "data", Labels: map[string]string{
			"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "wandb",
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: oneGibibyte()},
		},
	}))
	// Nothing has to be downloaded to remove a release.
	i.vendor.Close()
	i.delete(key)
	t.Logf("gone after %s", i.awaitGone(key))
	if got := i.revisions(); len(got) > 0 {
		t.Errorf("Helm's storage holds %v", got)
	}
	if i.exists(&corev1.ConfigMap{}, "wandb-config") {
		t.Error("the release's ConfigMap is still there")
	}
	for _, name := range []string{"wandb-database", "wandb-spec-user", "wandb-password", "wandb-session-keys", "wandb-installation"} {
		if !i.exists(&corev1.Secret{}, name) {
			t.Errorf("Secret %s is gone", name)
		}
	}
	if !i.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Error("the volume claim is gone")
	}
	for _, name := range []string{"wandb-spec-active", "wandb-latest-cached-release"} {
		if i.exists(&corev1.Secret{}, name) {
			t.Errorf("Secret %s is still there", name)
		}
	}
	if i.exists(&coordinationv1.Lease{}, "wandb-helm") {
		t.Error("the Lease is still there")
	}
}

func TestDeletionToleratesAReleaseThatIsGone(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.stop()
	must(t, i.api.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(i.namespace), client.MatchingLabels{"owner": "helm"}))
	must(t, i.api.Delete(t.Context(), i.secret("wandb-spec-active")))
	i.delete(key)
	i.start()
	i.awaitGone(key)
}

func TestDeletionWithABrokenLicenceEnds(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.setLicence(key, "broken")
	i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionFalse, appsv1.ReasonLicenseMalformed)
	i.delete(key)
	i.awaitGone(key)
	if got := i.revisions(); len(got) > 0 {
		t.Errorf("Helm's storage holds %v", got)
	}
}

func TestTerminatingNamespaceLetsTheResourceGoFirst(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	// Without a namespace controller the namespace stays terminating, and the test deletes what that would delete.
	must(t, i.api.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.namespace}}))
	before := i.uids()
	i.delete(key)
	if took := i.awaitGone(key); took > 10*time.Second {
		t.Errorf("the resource held its namespace up for %s", took)
	}
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("the operator removed what goes by itself:\n%s", diff)
	}
}

// TestDeletedDefinitionKeepsDataAndWorkloads has an API server of its own, for it takes the definition away.
func TestDeletedDefinitionKeepsDataAndWorkloads(t *testing.T) {
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "..", "charts", "operator", "crds")}, ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	must(t, err)
	t.Cleanup(func() { _ = environment.Stop() })
	i := newInstallationOn(t, config, "default")
	i.running()
	before := i.uids()
	definition := &unstructured.Unstructured{}
	definition.SetAPIVersion("apiextensions.k8s.io/v1")
	definition.SetKind("CustomResourceDefinition")
	definition.SetName(appsv1.CRDName)
	must(t, i.api.Delete(t.Context(), definition))
	eventually(t, "the definition gone", func() bool {
		return apierrors.IsNotFound(i.api.Get(t.Context(), client.ObjectKey{Name: appsv1.CRDName}, definition))
	}, func() string { return "" })
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("workloads went with the definition:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 deployed"}, i.revisions()); diff != "" {
		t.Errorf("the release went with the definition:\n%s", diff)
	}
	if !i.exists(&corev1.Secret{}, "wandb-spec-active") {
		t.Error("what the operator remembers went with the definition")
	}
}

func TestFarewellReleasesFinalizersAndLeavesWorkloads(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	before := i.uids()
	i.stop()
	must(t, ReleaseFinalizers(t.Context(), Farewell{
		RESTConfig: i.config.RESTConfig, Logger: i.config.Logger, Namespace: i.namespace, WatchNamespaces: []string{i.namespace},
	}))
	if cr := i.get(key); slices.Contains(cr.Finalizers, appsv1.Finalizer) {
		t.Errorf("finalizers %v", cr.Finalizers)
	}
	i.delete(key)
	i.awaitGone(key)
	if diff := cmp.Diff(before, i.uids()); diff != "" {
		t.Errorf("workloads went with the operator:\n%s", diff)
	}
}

func TestDefinitionIsBroughtUpToDate(t *testing.T) {
	i := newInstallation(t)
	definition := &unstructured.Unstructured{}
	definition.SetAPIVersion("apiextensions.k8s.io/v1")
	definition.SetKind("CustomResourceDefinition")
	read := func() {
		t.Helper()
		must(t, i.api.Get(t.Context(), client.ObjectKey{Name: appsv1.CRDName}, definition))
	}
	read()
	// An older definition lacks a field that this version has.
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	must(t, err)
	unstructured.RemoveNestedField(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", "update")
	must(t, unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"))
	must(t, i.api.Update(t.Context(), definition))

	must(t, ApplyDefinition(t.Context(), i.config.RESTConfig, charts.ResourceDefinition()))
	read()
	versions, _, err = unstructured.NestedSlice(definition.Object, "spec", "versions")
	must(t, err)
	if _, found, _ := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", "update"); !found {
		t.Error("the field is still missing")
	}
	generation := definition.GetGeneration()
	must(t, ApplyDefinition(t.Context(), i.config.RESTConfig, charts.ResourceDefinition()))
	read()
	if definition.GetGeneration() != generation {
		t.Error("applying the same definition again changed it")
	}
}

// TestOwnersOfVersion1AreRemoved: the operator of version 1.x made the resource the owner of what Helm installed.
func TestOwnersOfVersion1AreRemoved(t *testing.T) {
	i := newInstallation(t)
	key := i.resource(i.licensed())
	cr := i.get(key)
	owner := metav1.OwnerReference{APIVersion: appsv1.GroupVersion().String(), Kind: appsv1.Kind, Name: cr.Name, UID: cr.UID}
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "other"}
	for _, object := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "wandb-spec-user"}, Data: map[string][]byte{"values": []byte("{}"), "chart": []byte("null")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "wandb-mysql"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "wandb-app"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
	} {
		object.SetNamespace(i.namespace)
		object.SetOwnerReferences([]metav1.OwnerReference{other, owner})
		must(t, i.api.Create(t.Context(), object))
	}
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	i.awaitReady(key)
	service := &corev1.Service{}
	must(t, i.api.Get(t.Context(), types.NamespacedName{Namespace: i.namespace, Name: "wandb-app"}, service))
	for name, references := range map[string][]metav1.OwnerReference{
		"Secret wandb-spec-user": i.secret("wandb-spec-user").OwnerReferences,
		"Secret wandb-mysql":     i.secret("wandb-mysql").OwnerReferences,
		"Service wandb-app":      service.OwnerReferences,
	} {
		if diff := cmp.Diff([]metav1.OwnerReference{other}, references); diff != "" {
			t.Errorf("owners of %s:\n%s", name, diff)
		}
	}
}
