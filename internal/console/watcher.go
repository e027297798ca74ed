package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	apiv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	instanceLabel  = "app.kubernetes.io/instance"
	componentLabel = "app.kubernetes.io/component"
)

// watcher keeps the state of one namespace in memory: its custom resources, the pods of the installation, and events. Only
// what the overview shows is kept of each object.
type watcher struct {
	name, namespace string
	resources       dynamic.ResourceInterface
	log             *slog.Logger

	resourceCache cache.SharedIndexInformer
	podCache      cache.SharedIndexInformer
	eventCache    cache.SharedIndexInformer
	// changed is called after each change; it must not block.
	changed func()
}

func newWatcher(cfg Config) *watcher {
	kind := apiv1.GroupVersion().WithResource(apiv1.Resource)
	ofInstance := func(o *metav1.ListOptions) { o.LabelSelector = instanceLabel + "=" + cfg.ReleaseName }
	return &watcher{
		name: cfg.ReleaseName, namespace: cfg.ReleaseNamespace, log: cfg.Log,
		resources:     cfg.Dynamic.Resource(kind).Namespace(cfg.ReleaseNamespace),
		resourceCache: dynamicinformer.NewFilteredDynamicInformer(cfg.Dynamic, kind, cfg.ReleaseNamespace, 0, nil, nil).Informer(),
		podCache:      coreinformers.NewFilteredPodInformer(cfg.Kube, cfg.ReleaseNamespace, 0, nil, ofInstance),
		eventCache:    coreinformers.NewEventInformer(cfg.Kube, cfg.ReleaseNamespace, 0, nil),
	}
}

// run watches until ctx ends. While the API server is away it keeps what it has, and comes back by itself.
func (w *watcher) run(ctx context.Context) error {
	keep := map[cache.SharedIndexInformer]cache.TransformFunc{
		w.resourceCache: keepResource,
		w.podCache:      keepPod,
		w.eventCache:    keepEvent,
	}
	group, ctx := errgroup.WithContext(ctx)
	for informer, transform := range keep {
		if err := w.prepare(informer, transform); err != nil {
			return err
		}
		group.Go(func() error {
			informer.RunWithContext(ctx)
			return nil
		})
	}
	return group.Wait()
}

func (w *watcher) prepare(informer cache.SharedIndexInformer, transform cache.TransformFunc) error {
	changed := func(any) { w.changed() }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, DeleteFunc: changed, UpdateFunc: func(_, _ any) { w.changed() },
	})
	return errors.Join(err,
		informer.SetTransform(transform),
		informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			w.log.DebugContext(ctx, "watch interrupted", "error", err)
		}),
	)
}

// overview describes the installation as it was last seen. Until everything was listed once it returns the error that keeps
// it from that.
func (w *watcher) overview(ctx context.Context) (overview, error) {
	if !w.synced() {
		if err := w.reachable(ctx); err != nil {
			return overview{}, err
		}
		if !w.waitForSync(ctx) {
			return overview{}, &fault.Error{
				Reason: "NotListedYet", Op: "show the installation before its objects are listed", Retry: true,
				Hint: "Try again in a moment. If this lasts, compare the Role of the console with docs/reference/console-rbac.md.",
			}
		}
	}
	seen := observation{name: w.name, namespace: w.namespace}
	for _, item := range w.resourceCache.GetStore().List() {
		if resource, ok := item.(*apiv1.WeightsAndBiases); ok {
			seen.resources = append(seen.resources, resource)
		}
	}
	for _, item := range w.podCache.GetStore().List() {
		if pod, ok := item.(*corev1.Pod); ok {
			seen.pods = append(seen.pods, pod)
		}
	}
	for _, item := range w.eventCache.GetStore().List() {
		if event, ok := item.(*corev1.Event); ok {
			seen.events = append(seen.events, event)
		}
	}
	return seen.overview(), nil
}

func (w *watcher) synced() bool {
	return w.resourceCache.HasSynced() && w.podCache.HasSynced() && w.eventCache.HasSynced()
}

// waitForSync gives a console that was just started the time to list.
func (w *watcher) waitForSync(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, kubeDeadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !w.synced() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// resource reads the custom resource itself, now. It returns nil where there is none.
func (w *watcher) resource(ctx context.Context) (*apiv1.WeightsAndBiases, error) {
	ctx, cancel := context.WithTimeout(ctx, kubeDeadline)
	defer cancel()
	found, err := w.resources.Get(ctx, w.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read custom resource: %w", err)
	}
	return decodeResource(found)
}

// reachable asks the API server for the one object that the console is about.
func (w *watcher) reachable(ctx context.Context) error {
	_, err := w.resource(ctx)
	return err
}

func decodeResource(found *unstructured.Unstructured) (*apiv1.WeightsAndBiases, error) {
	text, err := found.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode custom resource: %w", err)
	}
	resource := new(apiv1.WeightsAndBiases)
	if err := json.Unmarshal(text, resource); err != nil {
		return nil, fmt.Errorf("decode custom resource: %w", err)
	}
	return resource, nil
}

// keepResource drops the specification, which may hold passwords, and every annotation, which may hold a copy of it.
func keepResource(item any) (any, error) {
	found, ok := item.(*unstructured.Unstructured)
	if !ok {
		return item, nil
	}
	unstructured.RemoveNestedField(found.Object, "spec")
	resource, err := decodeResource(found)
	if err != nil {
		// A status that another version wrote must not hide the pods: show the resource without it.
		resource = &apiv1.WeightsAndBiases{}
		resource.Status.NextStep = "The status of this resource cannot be read; the custom resource definition is of another version than the console."
	}
	resource.ObjectMeta = keepMeta(found)
	return resource, nil
}

func keepPod(item any) (any, error) {
	pod, ok := item.(*corev1.Pod)
	if !ok {
		return item, nil
	}
	kept := &corev1.Pod{ObjectMeta: keepMeta(pod), Status: corev1.PodStatus{
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message,
		StartTime: pod.Status.StartTime, Conditions: pod.Status.Conditions,
		InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
	}}
	for _, container := range pod.Spec.Containers {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: container.Name, Image: container.Image})
	}
	return kept, nil
}

func keepEvent(item any) (any, error) {
	event, ok := item.(*corev1.Event)
	if !ok {
		return item, nil
	}
	kept := &corev1.Event{
		ObjectMeta: keepMeta(event), Type: event.Type, Reason: event.Reason, Message: event.Message,
		EventTime: event.EventTime, FirstTimestamp: event.FirstTimestamp, LastTimestamp: event.LastTimestamp, Series: event.Series,
	}
	kept.InvolvedObject = corev1.ObjectReference{Kind: event.InvolvedObject.Kind, Name: event.InvolvedObject.Name}
	return kept, nil
}

func keepMeta(from metav1.Object) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Name: from.GetName(), Namespace: from.GetNamespace(), UID: from.GetUID(),
		ResourceVersion: from.GetResourceVersion(), Generation: from.GetGeneration(),
		CreationTimestamp: from.GetCreationTimestamp(), DeletionTimestamp: from.GetDeletionTimestamp(),
	}
	if component, ok := from.GetLabels()[componentLabel]; ok {
		kept.Labels = map[string]string{componentLabel: component}
	}
	return kept
}
