package drift

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// watchKey names one watch: a kind in a namespace, or in the cluster where the kind has none.
type watchKey struct {
	resource  schema.GroupVersionResource
	namespace string
}

// informers run one watch for each kind and namespace that some release uses.
type informers struct {
	client  metadata.Interface
	log     logr.Logger
	changed func(objectKey, string)
	lost    func(watchKey)
	retry   time.Duration

	mu      sync.Mutex
	base    context.Context // ends when the process does; nil until start
	wanted  map[types.NamespacedName][]watchKey
	running map[watchKey]context.CancelFunc
	refused map[watchKey]refusal
	group   sync.WaitGroup
}

// refusal is why a kind cannot be watched, and when to try again.
type refusal struct {
	reason string
	until  time.Time
}

func (i *informers) start(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.base = ctx
	i.reconcile()
}

func (i *informers) stop() {
	i.mu.Lock()
	for _, cancel := range i.running {
		cancel()
	}
	i.running = nil
	i.base = nil
	i.mu.Unlock()
	i.group.Wait()
}

// want says what a release uses; nothing drops it.
func (i *informers) want(key types.NamespacedName, watches []watchKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.wanted == nil {
		i.wanted = map[types.NamespacedName][]watchKey{}
	}
	i.wanted[key] = watches
	if len(watches) == 0 {
		delete(i.wanted, key)
	}
	i.reconcile()
}

// blocked says why a watch does not run; empty where it does, or is about to.
func (i *informers) blocked(key watchKey) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refused[key].reason
}

// reconcile starts and stops watches. It needs the mutex.
func (i *informers) reconcile() {
	needed := map[watchKey]bool{}
	for _, watches := range i.wanted {
		for _, watch := range watches {
			needed[watch] = true
		}
	}
	maps.DeleteFunc(i.refused, func(key watchKey, _ refusal) bool { return !needed[key] })
	for key, cancel := range i.running {
		if !needed[key] {
			cancel()
			delete(i.running, key)
		}
	}
	if i.base == nil {
		return
	}
	for key := range needed {
		if i.running[key] == nil && time.Now().After(i.refused[key].until) {
			i.run(key)
		}
	}
}

// run starts one watch. It needs the mutex.
func (i *informers) run(key watchKey) {
	ctx, cancel := context.WithCancel(i.base)
	selector := func(options *metav1.ListOptions) { options.LabelSelector = managedByLabel + "=" + managedByHelm }
	informer := metadatainformer.NewFilteredMetadataInformer(i.client, key.resource, key.namespace, 0, cache.Indexers{}, selector).Informer()
	// Both are refused only by an informer that runs already.
	_ = informer.SetTransform(slim)
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if reason := refusalOf(err); reason != "" {
			i.refuse(key, reason)
		}
	})
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { i.saw(key, object) },
		UpdateFunc: func(_, object any) { i.saw(key, object) },
		DeleteFunc: func(object any) { i.missed(key, object) },
	})
	if err != nil {
		cancel()
		return
	}
	if i.running == nil {
		i.running = map[watchKey]context.CancelFunc{}
	}
	i.running[key] = cancel
	i.group.Go(func() {
		informer.RunWithContext(ctx)
	})
	if i.refused[key].reason != "" {
		// It is reported as watched once it has succeeded.
		i.group.Go(func() {
			if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
				i.allow(key)
			}
		})
	}
}

func (i *informers) allow(key watchKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running[key] != nil {
		delete(i.refused, key)
	}
}

// refuse ends a watch that the API server does not grant. It is tried again after a while, when a release is looked at.
func (i *informers) refuse(key watchKey, reason string) {
	i.mu.Lock()
	cancel := i.running[key]
	if cancel == nil {
		i.mu.Unlock()
		return
	}
	cancel()
	delete(i.running, key)
	if i.refused == nil {
		i.refused = map[watchKey]refusal{}
	}
	known := i.refused[key].reason != ""
	i.refused[key] = refusal{reason: reason, until: time.Now().Add(i.retry)}
	i.mu.Unlock()
	if known {
		return
	}
	i.log.Info("objects cannot be watched and are polled", "resource", key.resource.GroupResource().String(), "namespace", key.namespace, "reason", reason)
	i.lost(key)
}

// refusalOf tells answers that do not change by themselves from interruptions, which the informer copes with.
func refusalOf(err error) string {
	status := answered(err)
	if status == nil {
		return ""
	}
	switch status.Status().Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "unknown"
	case http.StatusMethodNotAllowed:
		return "not supported"
	}
	if apierrors.IsMethodNotSupported(err) {
		return "not supported"
	}
	return ""
}

func (i *informers) saw(key watchKey, object any) {
	if found, ok := object.(*metav1.PartialObjectMetadata); ok {
		i.changed(objectKey{resource: key.resource, namespace: found.Namespace, name: found.Name}, found.Annotations[stampAnnotation])
	}
}

func (i *informers) missed(key watchKey, object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if found, ok := object.(*metav1.PartialObjectMetadata); ok {
		i.changed(objectKey{resource: key.resource, namespace: found.Namespace, name: found.Name}, gone)
	}
}
