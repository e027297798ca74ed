package operator

import (
	"context"
	"fmt"
	"sync"

	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Kinds whose metadata is watched.
func deploymentKind() schema.GroupVersionKind {
	return k8sappsv1.SchemeGroupVersion.WithKind("Deployment")
}

func statefulSetKind() schema.GroupVersionKind {
	return k8sappsv1.SchemeGroupVersion.WithKind("StatefulSet")
}

func podKind() schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind("Pod") }

func secretKind() schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind("Secret") }

func metadataOf(kind func() schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind())
	return object
}

// slim drops what no pass reads before an object enters a cache: most of the size of metadata.
func slim(object any) (any, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return object, nil // a tombstone, which has no metadata
	}
	accessor.SetManagedFields(nil)
	if _, full := object.(*appsv1.WeightsAndBiases); full {
		return object, nil
	}
	kept := map[string]string{}
	for _, name := range []string{"meta.helm.sh/release-name", "meta.helm.sh/release-namespace"} {
		if value, ok := accessor.GetAnnotations()[name]; ok {
			kept[name] = value
		}
	}
	accessor.SetAnnotations(kept)
	return object, nil
}

// watch says what wakes a pass. Every source leads to the same pass: none of them carries what happened.
func (o *operator) watch() error {
	b := ctrl.NewControllerManagedBy(o.manager).Named("weightsandbiases").
		For(&appsv1.WeightsAndBiases{}, builder.WithPredicates(changedByOthers())).
		// There is one controller in a process; the name is checked for the sake of those who have several. Tests start
		// one operator after another.
		WithOptions(controller.Options{MaxConcurrentReconciles: o.config.Concurrency, SkipNameValidation: ptr.To(true)}).
		WatchesMetadata(metadataOf(secretKind), handler.EnqueueRequestsFromMapFunc(o.secretChanged)).
		WatchesRawSource(source.Func(o.wakes.start))
	for _, kind := range []func() schema.GroupVersionKind{deploymentKind, statefulSetKind, podKind} {
		b = b.WatchesMetadata(metadataOf(kind), handler.EnqueueRequestsFromMapFunc(o.workloadChanged))
	}
	for _, follower := range o.followers {
		b = b.WatchesRawSource(source.Func(func(ctx context.Context, queue requests) error {
			go forward(ctx, follower.Changes(), queue)
			return nil
		}))
	}
	if err := b.Complete(o.reconciler); err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	return nil
}

// changedByOthers lets through what changes the specification or asks for deletion. A status that we write changes
// neither, and must not wake us.
func changedByOthers() predicate.Predicate { return predicate.GenerationChangedPredicate{} }

func (o *operator) secretChanged(_ context.Context, secret client.Object) []reconcile.Request {
	keys := o.reconciler.refs.affected(secret)
	found := make([]reconcile.Request, 0, len(keys))
	for _, key := range keys {
		if len(releaseNamed(secret)) > 0 && o.atWork(key) {
			continue
		}
		found = append(found, reconcile.Request{NamespacedName: key})
	}
	return found
}

func (o *operator) workloadChanged(_ context.Context, object client.Object) []reconcile.Request {
	key, ok := releaseOf(object)
	if !ok || o.atWork(key) {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// atWork tells that a step of ours is what changes the objects of a release. The pass that follows the step's end sees
// everything; one for each object that Helm writes would only say once more that Helm is at work.
func (o *operator) atWork(key types.NamespacedName) bool { return o.runner.Running(key) != nil }

type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

func forward(ctx context.Context, keys <-chan types.NamespacedName, queue requests) {
	for {
		select {
		case <-ctx.Done():
			return
		case key, open := <-keys:
			if !open {
				return
			}
			queue.Add(reconcile.Request{NamespacedName: key})
		}
	}
}

// bell wakes a pass from outside the cluster. Rings before the queue exists are not needed: every resource gets a pass at
// the start.
type bell struct {
	mu    sync.Mutex
	queue requests
}

func (b *bell) start(_ context.Context, queue requests) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = queue
	return nil
}

func (b *bell) ring(key types.NamespacedName) {
	b.mu.Lock()
	queue := b.queue
	b.mu.Unlock()
	if queue != nil {
		queue.Add(reconcile.Request{NamespacedName: key})
	}
}
