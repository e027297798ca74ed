package helm

import (
	"context"
	"errors"
	"fmt"
	"time"

	release "helm.sh/helm/v4/pkg/release/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// hookObject is the object of one hook that is run outside of a Helm action.
type hookObject struct {
	hook     *release.Hook
	resource dynamic.ResourceInterface
	wanted   *unstructured.Unstructured
	// live is the object as it was last seen; nil before create.
	live      *unstructured.Unstructured
	succeeded bool
}

// newHookObject reads a hook. One outside the namespace of the release is refused: whoever may write release Secrets of one
// namespace must not reach others through the operator.
func (c *Client) newHookObject(hook *release.Hook, namespace string) (*hookObject, error) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(hook.Manifest), &content); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	wanted := &unstructured.Unstructured{Object: content}
	mapping, err := c.mappingFor(wanted.GetAPIVersion(), wanted.GetKind())
	if err != nil {
		return nil, err
	}
	if wanted.GetNamespace() == "" {
		wanted.SetNamespace(namespace)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace || wanted.GetNamespace() != namespace {
		return nil, &fault.Error{
			Reason: v1.ReasonClusterObjectRefused, Op: "read the manifest", Err: fmt.Errorf("%s %s lies outside namespace %s", wanted.GetKind(), wanted.GetName(), namespace),
			Hint: "A probe may only use objects in the namespace of its release.",
		}
	}
	return &hookObject{hook: hook, resource: c.dynamic.Resource(mapping.Resource).Namespace(namespace), wanted: wanted}, nil
}

func (o *hookObject) ref() string { return o.wanted.GetKind() + " " + o.wanted.GetName() }

// find returns the object that has the name of this one; nil where there is none.
func (o *hookObject) find(ctx context.Context) (*unstructured.Unstructured, error) {
	found, err := o.resource.Get(ctx, o.wanted.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", o.ref(), err)
	}
	return found, nil
}

// madeFromHook tells whether an object was made from a hook of some chart.
func madeFromHook(object *unstructured.Unstructured) bool {
	return object.GetAnnotations()[release.HookAnnotation] != ""
}

// remove deletes what an earlier run left, and waits until it is gone. An object of that name that is no hook belongs to
// somebody else, and stays.
func (o *hookObject) remove(ctx context.Context) error {
	left, err := o.find(ctx)
	if err != nil || left == nil {
		return err
	}
	if !madeFromHook(left) {
		return &fault.Error{
			Reason: v1.ReasonProbeUnusable, Op: "replace " + o.ref(), Err: errors.New("an object of that name exists and is no hook"),
			Hint: "Remove it, or give the hook of the chart another name.",
		}
	}
	if err := o.delete(ctx, left); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		found, err := o.resource.Get(ctx, o.wanted.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && found.GetUID() != left.GetUID():
			return nil
		case err != nil && !isTransient(err):
			return fmt.Errorf("wait for the end of %s: %w", o.ref(), err)
		case !retryPause(ctx, attempt):
			return fmt.Errorf("wait for the end of %s: %w", o.ref(), context.Cause(ctx))
		}
	}
}

// delete removes exactly this object, with its pods.
func (o *hookObject) delete(ctx context.Context, object *unstructured.Unstructured) error {
	uid, propagation := object.GetUID(), metav1.DeletePropagationBackground
	err := o.resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &propagation,
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", o.ref(), err)
	}
	return nil
}

func (o *hookObject) create(ctx context.Context) error {
	made, err := o.resource.Create(ctx, o.wanted, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil {
		return fmt.Errorf("create %s: %w", o.ref(), err)
	}
	o.live = made
	return nil
}

// errVanished says that somebody deleted the object of a hook while it ran.
var errVanished = errors.New("it was deleted before it ended")

// await watches the object until it ends, or ctx does.
func (o *hookObject) await(ctx context.Context) error {
	for attempt := 0; !o.over(); attempt++ {
		if err := o.follow(ctx); err != nil {
			return fmt.Errorf("wait for %s: %w", o.ref(), err)
		}
		if o.over() {
			break
		}
		// The watch was cut off, as every watch is after a while.
		if !retryPause(ctx, attempt) {
			return fmt.Errorf("wait for %s: %w", o.ref(), context.Cause(ctx))
		}
		seen, err := o.resource.Get(ctx, o.wanted.GetName(), metav1.GetOptions{})
		if err != nil && !isTransient(err) {
			return fmt.Errorf("wait for %s: %w", o.ref(), err)
		}
		if err := o.see(seen, err); err != nil {
			return fmt.Errorf("wait for %s: %w", o.ref(), err)
		}
	}
	return nil
}

// see takes note of the object's newest state.
func (o *hookObject) see(seen *unstructured.Unstructured, err error) error {
	if err != nil {
		return nil
	}
	if seen.GetUID() != o.live.GetUID() {
		return errVanished
	}
	o.live = seen
	return nil
}

// follow reads one watch until the object ends or the watch does.
func (o *hookObject) follow(ctx context.Context) error {
	seconds := int64((requestTimeout - 5*time.Second) / time.Second)
	watcher, err := o.resource.Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", o.wanted.GetName()).String(),
		ResourceVersion: o.live.GetResourceVersion(), TimeoutSeconds: &seconds,
	})
	if err != nil {
		if isTransient(err) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return nil
		}
		return err // await words it
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		seen, ok := event.Object.(*unstructured.Unstructured)
		switch {
		case event.Type == watch.Error || !ok:
			return nil
		case event.Type == watch.Deleted && seen.GetUID() == o.live.GetUID():
			return errVanished
		case event.Type != watch.Deleted:
			if err := o.see(seen, nil); err != nil {
				return err
			}
		}
		if o.over() {
			return nil
		}
	}
	return nil
}

// over tells whether the Pod or Job has ended, and notes how.
func (o *hookObject) over() bool {
	if o.live.GetKind() == "Pod" {
		phase, _, _ := unstructured.NestedString(o.live.Object, "status", "phase")
		o.succeeded = phase == "Succeeded"
		return o.succeeded || phase == "Failed"
	}
	conditions, _, _ := unstructured.NestedSlice(o.live.Object, "status", "conditions")
	for _, one := range conditions {
		condition, _ := one.(map[string]any)
		if text(condition, "status") != "True" {
			continue
		}
		switch text(condition, "type") {
		case "Complete":
			o.succeeded = true
			return true
		case "Failed":
			return true
		}
	}
	return false
}
