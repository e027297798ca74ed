package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/release"
)

// settleDelay is how long a deletion is looked at before anything is removed: the API server begins to delete the
// resources of a definition in the same moment as it announces that the definition goes.
const settleDelay = 2 * time.Second

// observeDeletion chooses what deleting the resource means for what it describes.
//
// Workloads are removed only where the resource itself was deleted. In a namespace that is going away nothing can be made
// any more, and everything goes by itself. A custom resource definition that is deleted takes its resources along, often
// by mistake; data and workloads stay then.
func (r *Reconciler) observeDeletion(ctx context.Context, v *view) error {
	v.observation.RemovedAt = v.cr.DeletionTimestamp.Time
	going, err := r.namespaceGoing(ctx, v.key.Namespace)
	if err != nil {
		return err
	}
	if !going {
		if going, err = r.definitionGoing(ctx); err != nil {
			return err
		}
	}
	v.observation.Intent = release.Remove
	if going || keeps(v.cr) {
		v.observation.Intent = release.Leave
		return nil
	}
	if v.observation.Lock, err = r.executor.Locker.Observe(ctx, v.key); err != nil {
		return err // names the Lease
	}
	return nil
}

func (r *Reconciler) namespaceGoing(ctx context.Context, name string) (bool, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.live.Get(ctx, types.NamespacedName{Name: name}, namespace)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case apierrors.IsForbidden(err):
		// Without this right an uninstallation in a namespace that goes away is slower, but ends as well.
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return !namespace.DeletionTimestamp.IsZero(), nil
}

// definitionGoing tells that the custom resource definition is being deleted. Discovery is open to everybody and stops
// offering "create" then, so that no right on the definition is needed.
func (r *Reconciler) definitionGoing(ctx context.Context) (bool, error) {
	list, err := r.discovery.ServerResourcesForGroupVersion(appsv1.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether the custom resource definition is being deleted: %w", err)
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("ask whether the custom resource definition is being deleted: %w", ctx.Err())
	}
	for _, resource := range list.APIResources {
		if resource.Name == appsv1.Resource {
			return !slices.Contains(resource.Verbs, "create"), nil
		}
	}
	return true, nil
}

var _ Discovery = (discovery.ServerResourcesInterface)(nil)

// Discovery asks the API server what it offers.
type Discovery interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// finish lets a resource go whose release is dealt with.
func (r *Reconciler) finish(ctx context.Context, v *view) error {
	if v.observation.Intent == release.Remove {
		if err := r.sweep(ctx, v.key); err != nil {
			return err
		}
	}
	r.forget(v.key)
	return r.dropFinalizer(ctx, v.cr)
}

// sweep removes what the operator remembers of a release that is gone. The user layer, the passwords and the identity of
// the installation stay: a resource of the same name takes them up again.
func (r *Reconciler) sweep(ctx context.Context, key types.NamespacedName) error {
	for _, name := range []string{release.ActiveName(key.Name), release.PlanName(key.Name), key.Name + cachedSuffix} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name}}
		if err := r.live.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Secret %s: %w", name, err)
		}
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: release.LeaseName(key.Name)}}
	if err := r.live.Delete(ctx, lease); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Lease %s: %w", lease.Name, err)
	}
	return nil
}

// addFinalizer makes the deletion of the resource wait for us. It is added before the first step that makes something.
func (r *Reconciler) addFinalizer(ctx context.Context, cr *appsv1.WeightsAndBiases) error {
	if controllerutil.ContainsFinalizer(cr, appsv1.Finalizer) {
		return nil
	}
	return r.patchFinalizers(ctx, cr, append(slices.Clone(cr.Finalizers), appsv1.Finalizer))
}

func (r *Reconciler) dropFinalizer(ctx context.Context, cr *appsv1.WeightsAndBiases) error {
	if !controllerutil.ContainsFinalizer(cr, appsv1.Finalizer) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(cr.Finalizers), func(name string) bool { return name == appsv1.Finalizer })
	return client.IgnoreNotFound(r.patchFinalizers(ctx, cr, rest))
}

// patchFinalizers changes metadata.finalizers and nothing else: nothing of ours writes the specification.
func (r *Reconciler) patchFinalizers(ctx context.Context, cr *appsv1.WeightsAndBiases, finalizers []string) error {
	changed := &metav1.PartialObjectMetadata{ObjectMeta: *cr.ObjectMeta.DeepCopy()}
	changed.SetGroupVersionKind(appsv1.GroupVersionKind())
	before := changed.DeepCopy()
	changed.Finalizers = finalizers
	// Finalizers are one list for everybody: the resourceVersion keeps us from undoing what somebody else has added.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.live.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("change finalizers: %w", err)
	}
	// The same pass writes status next, over this state and not the one before.
	cr.ResourceVersion, cr.Finalizers = changed.ResourceVersion, changed.Finalizers
	return nil
}

// installed tells that Helm's storage holds something to remove.
func installed(current *helm.Release) bool {
	return current != nil && current.Status != helm.StatusUninstalled
}
