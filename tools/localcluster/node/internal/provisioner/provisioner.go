// Package provisioner makes `local` PersistentVolumes out of folders of the
// node.
//
// A hostPath volume would be simpler, but Kubernetes does not apply a pod's
// fsGroup to it, so a restricted pod could not write; to a local volume it does.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is the provisioner that a StorageClass names.
const Name = "localcluster.kubewandb.dev/local"

// folders makes and removes one folder per volume.
type folders struct {
	root string
	node string
	log  *slog.Logger
}

var _ controller.Provisioner = (*folders)(nil)

// Run provisions volumes below root, on the named node, until ctx ends.
func Run(ctx context.Context, client kubernetes.Interface, root, node string, log *slog.Logger) error {
	if !filepath.IsAbs(root) || node == "" {
		return errors.New("start provisioner: it needs an absolute --root and a --node")
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("create volume folder: %w", err)
	}
	controller.NewProvisionController(ctx, client, Name,
		&folders{root: root, node: node, log: log},
		// One process serves one node: there is no other to agree with.
		controller.LeaderElection(false),
		// No metrics server, which would listen on a port of the node.
		controller.MetricsPort(0),
	).Run(ctx)
	return ctx.Err()
}

// Provision makes the volume's folder and describes it.
func (f *folders) Provision(_ context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("provision volume: this class has file systems only; remove volumeMode: Block from the claim")
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode == corev1.ReadWriteMany || mode == corev1.ReadOnlyMany {
			f.log.Info("claim asks for more than one node", "claim", claim.Namespace+"/"+claim.Name, "mode", string(mode))
		}
	}
	dir, err := f.dir(options.PVName)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("create folder of volume: %w", err)
	}
	// Pods without fsGroup run under any user id. Chmod, since MkdirAll is
	// subject to the umask.
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("open folder of volume to every user: %w", err)
	}
	f.log.Info("volume made", "volume", options.PVName, "claim", claim.Namespace+"/"+claim.Name)
	return f.volume(options, dir), controller.ProvisioningFinished, nil
}

// Delete removes the volume's folder with everything in it.
func (f *folders) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	dir, err := f.dir(volume.Name)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove folder of volume: %w", err)
	}
	f.log.Info("volume removed", "volume", volume.Name)
	return nil
}

// dir is the volume's folder; a name that would lead out of the root is refused.
func (f *folders) dir(volume string) (string, error) {
	if volume == "" || strings.ContainsAny(volume, "/\\") || strings.HasPrefix(volume, ".") {
		return "", fmt.Errorf("find folder of volume %q: the name is no folder's name", volume)
	}
	return filepath.Join(f.root, volume), nil
}

func (f *folders) volume(options controller.ProvisionOptions, dir string) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if options.StorageClass.ReclaimPolicy != nil {
		reclaim = *options.StorageClass.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{f.node},
					}},
				}},
			}},
		},
	}
}
