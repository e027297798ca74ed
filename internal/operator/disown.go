package operator

import (
	"context"
	"fmt"
	"maps"
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
//
// It reads each namespace once in the life of the process. That is enough, because version 1.x cannot be at work beside us
// (they share the leader's Lease), and nobody else makes a resource an owner; and a list for each resource would cost the
// square of their number.
type disowner struct {
	client client.Client

	mu sync.Mutex
	// read holds the namespaces that were read, and owned the objects that each resource owned then.
	read  map[string]bool
	owned map[types.NamespacedName][]ownedObject
}

// ownedObject is one object that a resource owns.
type ownedObject struct {
	kind schema.GroupVersionKind
	name string
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

// disown removes every reference to the resource.
func (d *disowner) disown(ctx context.Context, cr *appsv1.WeightsAndBiases) error {
	objects, err := d.ownedBy(ctx, cr)
	if err != nil {
		return err
	}
	for _, each := range objects {
		if err := d.disownObject(ctx, cr, each); err != nil {
			return fmt.Errorf("remove owner references of %s %s: %w", each.kind.Kind, each.name, err)
		}
	}
	if len(objects) > 0 {
		d.forget(client.ObjectKeyFromObject(cr))
	}
	return nil
}

// ownedBy returns what a resource owned when its namespace was read, which the first call for a namespace does.
func (d *disowner) ownedBy(ctx context.Context, cr *appsv1.WeightsAndBiases) ([]ownedObject, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := client.ObjectKeyFromObject(cr)
	if d.read[cr.Namespace] {
		return d.owned[key], nil
	}
	found := map[types.NamespacedName][]ownedObject{}
	for _, kind := range ownedKinds() {
		if err := d.survey(ctx, cr.Namespace, kind, found); err != nil {
			return nil, fmt.Errorf("look for owner references of %ss: %w", kind.Kind, err)
		}
	}
	if d.read == nil {
		d.read, d.owned = map[string]bool{}, map[types.NamespacedName][]ownedObject{}
	}
	d.read[cr.Namespace] = true
	maps.Copy(d.owned, found)
	return found[key], nil
}

// surveyPage bounds one answer.
const surveyPage = 500

// survey adds the objects of a kind that some resource owns.
func (d *disowner) survey(ctx context.Context, namespace string, kind schema.GroupVersionKind, found map[types.NamespacedName][]ownedObject) error {
	for next := ""; ; {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := d.client.List(ctx, list, client.InNamespace(namespace), client.Limit(surveyPage), client.Continue(next))
		if apierrors.IsForbidden(err) {
			// What the operator may not see it could not have marked either, except under an older, wider role.
			return nil
		}
		if err != nil {
			return err // the caller names the kind
		}
		for _, item := range list.Items {
			for _, reference := range item.OwnerReferences {
				if reference.Kind == appsv1.Kind {
					owner := types.NamespacedName{Namespace: namespace, Name: reference.Name}
					found[owner] = append(found[owner], ownedObject{kind: kind, name: item.Name})
				}
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

func (d *disowner) disownObject(ctx context.Context, cr *appsv1.WeightsAndBiases, each ownedObject) error {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(each.kind)
	err := d.client.Get(ctx, types.NamespacedName{Namespace: cr.Namespace, Name: each.name}, object)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	owned := func(reference metav1.OwnerReference) bool { return reference.UID == cr.UID }
	if !slices.ContainsFunc(object.OwnerReferences, owned) {
		return nil
	}
	object.SetGroupVersionKind(each.kind)
	before := object.DeepCopy()
	object.OwnerReferences = slices.DeleteFunc(object.OwnerReferences, owned)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(d.client.Patch(ctx, object, patch))
}

// forget drops what a resource owned; its namespace stays known.
func (d *disowner) forget(key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.owned, key)
}
