package operator

import (
	"context"
	"fmt"
	"slices"
	"sync"

	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// disowner takes back what version 1.x of the operator did: it made the resource the owner of its Secrets and of
// everything that Helm installed. With such an owner, deleting the resource lets the garbage collector delete workloads
// and database passwords that were meant to stay.
type disowner struct {
	client client.Client

	mu sync.Mutex
	// done holds the identity of each resource that has been looked at in the life of this process.
	done map[types.NamespacedName]types.UID
}

// ownedKinds are the kinds whose objects version 1.x marked.
func ownedKinds() []schema.GroupVersionKind {
	core, apps, rbac := corev1.SchemeGroupVersion, k8sappsv1.SchemeGroupVersion, rbacv1.SchemeGroupVersion
	return []schema.GroupVersionKind{
		core.WithKind("Secret"), core.WithKind("ConfigMap"), core.WithKind("Service"),
		apps.WithKind("Deployment"), apps.WithKind("StatefulSet"), apps.WithKind("DaemonSet"),
		networkingv1.SchemeGroupVersion.WithKind("Ingress"), rbac.WithKind("Role"), rbac.WithKind("RoleBinding"),
	}
}

// disown removes every reference to the resource, once in the life of the process.
func (d *disowner) disown(ctx context.Context, cr *appsv1.WeightsAndBiases) error {
	key := client.ObjectKeyFromObject(cr)
	d.mu.Lock()
	done := d.done[key] == cr.UID
	d.mu.Unlock()
	if done {
		return nil
	}
	for _, kind := range ownedKinds() {
		if err := d.disownKind(ctx, cr, kind); err != nil {
			return fmt.Errorf("remove owner references of %ss: %w", kind.Kind, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = map[types.NamespacedName]types.UID{}
	}
	d.done[key] = cr.UID
	return nil
}

func (d *disowner) disownKind(ctx context.Context, cr *appsv1.WeightsAndBiases, kind schema.GroupVersionKind) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := d.client.List(ctx, list, client.InNamespace(cr.Namespace))
	if apierrors.IsForbidden(err) {
		// What the operator may not see it could not have marked either, except under an older, wider role.
		return nil
	}
	if err != nil {
		return err // the caller names the kind
	}
	owned := func(reference metav1.OwnerReference) bool { return reference.UID == cr.UID }
	for _, item := range list.Items {
		if !slices.ContainsFunc(item.OwnerReferences, owned) {
			continue
		}
		item.SetGroupVersionKind(kind)
		before := item.DeepCopy()
		item.OwnerReferences = slices.DeleteFunc(item.OwnerReferences, owned)
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := d.client.Patch(ctx, &item, patch); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("%s: %w", item.Name, err)
		}
	}
	return nil
}

func (d *disowner) forget(key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.done, key)
}
