package provisioner

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func options(volume string) controller.ProvisionOptions {
	reclaim := corev1.PersistentVolumeReclaimDelete
	return controller.ProvisionOptions{
		PVName:       volume,
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: &reclaim},
		PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceStorage: resource.MustParse("1Gi"),
				}},
			},
		},
	}
}

func TestVolumeIsLocalAndGoesWithItsContent(t *testing.T) {
	f := &folders{root: t.TempDir(), node: "node", log: slog.New(slog.DiscardHandler)}
	volume, state, err := f.Provision(t.Context(), options("pvc-1"))
	if err != nil || state != controller.ProvisioningFinished {
		t.Fatalf("Provision = %v, %v", state, err)
	}
	dir := filepath.Join(f.root, "pvc-1")
	if volume.Spec.Local == nil || volume.Spec.Local.Path != dir || volume.Spec.HostPath != nil {
		t.Errorf("source = %+v; only a local volume honours fsGroup", volume.Spec.PersistentVolumeSource)
	}
	terms := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
	if terms[0].MatchExpressions[0].Key != corev1.LabelHostname || terms[0].MatchExpressions[0].Values[0] != "node" {
		t.Errorf("affinity = %+v", terms)
	}
	if size := volume.Spec.Capacity[corev1.ResourceStorage]; size.String() != "1Gi" {
		t.Errorf("capacity = %s", size.String())
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("folder = %v, %v; a pod without fsGroup must be able to write", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Delete(t.Context(), volume); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestBlockVolumesAreRefused(t *testing.T) {
	f := &folders{root: t.TempDir(), node: "node", log: slog.New(slog.DiscardHandler)}
	o := options("pvc-1")
	block := corev1.PersistentVolumeBlock
	o.PVC.Spec.VolumeMode = &block
	if _, _, err := f.Provision(t.Context(), o); err == nil {
		t.Error("a block volume was provisioned as a folder")
	}
}

func TestNamesThatLeadOutAreRefused(t *testing.T) {
	f := &folders{root: t.TempDir(), node: "node", log: slog.New(slog.DiscardHandler)}
	for _, name := range []string{"", "..", ".", "a/b", "../x", `a\b`} {
		if err := f.Delete(t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}); err == nil {
			t.Errorf("volume %q was deleted", name)
		}
	}
}
