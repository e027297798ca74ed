package drift

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const (
	// requestTimeout bounds one request.
	requestTimeout = 30 * time.Second
	// maxAutoscalers bounds one list of autoscalers.
	maxAutoscalers = 500

	unknownKind = "the cluster does not know the kind"
)

// examiner compares objects with the cluster. It lives as long as one look at one release.
type examiner struct {
	client  dynamic.Interface
	mapper  meta.RESTMapper
	release Release
	now     func() time.Time

	autoscalers map[string][]unstructured.Unstructured // by namespace, read when a number of replicas differs
}

func newExaminer(config *rest.Config, mapper meta.RESTMapper, release Release) (*examiner, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return &examiner{client: client, mapper: mapper, release: release, now: time.Now}, nil
}

// located is an object with its place in the cluster.
type located struct {
	Object
	ref      Ref // with its namespace filled in, or left out where the kind has none
	resource schema.GroupVersionResource
	unknown  bool // the cluster does not know the kind
}

// locate finds the resource behind an object. It asks the API server only for kinds that it does not know yet.
func locate(mapper meta.RESTMapper, release Release, object Object) (located, error) {
	found := located{Object: object, ref: object.ref()}
	kind := found.ref.groupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		if !isUnknownKind(err) && answered(err) == nil {
			return located{}, err // interrupted words it
		}
		found.unknown = true
		return found, nil
	}
	found.resource = mapping.Resource
	switch {
	case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
		found.ref.Namespace = ""
	case found.ref.Namespace == "":
		found.ref.Namespace = release.Key.Namespace
	}
	return found, nil
}

// verdict is what one comparison found.
type verdict struct {
	// stamp of the live object.
	stamp string
	// labelled objects are seen by the watches.
	labelled bool
	// finding is nil where nothing differs.
	finding *appsv1.DriftStatus
	// problem says why the object could not be compared.
	problem string

	live    *unstructured.Unstructured // nil where there is none
	content map[string]any             // what to apply: the manifest, with what is ignored as it is live
	kept    bool                       // content leaves everything that is ignored alone
	typed   bool                       // server-side apply serves
	grown   bool                       // a volume claim is larger than the manifest has it
}

// examine compares one object. It writes nothing. An error means that the API server did not answer.
func (e *examiner) examine(ctx context.Context, object located) (verdict, error) {
	rules := rulesFor(object.ref, e.release)
	if rules.whole || isHook(object.Object) {
		return verdict{stamp: gone, labelled: true}, nil
	}
	if object.unknown {
		return verdict{stamp: gone, labelled: true, problem: unknownKind}, nil
	}
	content, err := prepared(object.Object, object.ref, e.release)
	if err != nil {
		return verdict{problem: "unreadable"}, nil
	}
	found := verdict{content: content, kept: true, typed: true, labelled: true}
	found.live, err = e.get(ctx, object)
	switch {
	case isUnknownKind(err):
		found.problem = unknownKind
		return found, nil
	case apierrors.IsNotFound(err):
		found.stamp, found.labelled = gone, true
		if !expires(object.Object) {
			found.finding = &appsv1.DriftStatus{Object: e.label(object), Change: removed}
		}
		return found, nil
	case err != nil:
		return refused(found, err)
	}
	found.stamp = stampOf(found.live, e.now())
	found.labelled = found.live.GetLabels()[managedByLabel] == managedByHelm
	if found.live.GetDeletionTimestamp() != nil {
		found.finding = &appsv1.DriftStatus{Object: e.label(object), Change: removed, By: authors(found.live.GetManagedFields(), nil)}
		return found, nil
	}
	return e.differ(ctx, object, rules, found)
}

func refused(found verdict, err error) (verdict, error) {
	status := answered(err)
	if status == nil {
		return verdict{}, err
	}
	found.problem = reasonOf(status)
	return found, nil
}

func (e *examiner) label(object located) string { return object.ref.label(e.release.Key.Namespace) }

// expires tells a Job that the cluster removes by itself.
func expires(object Object) bool {
	_, limited, err := unstructured.NestedFieldNoCopy(object.Content, "spec", "ttlSecondsAfterFinished")
	return object.Kind == "Job" && limited && err == nil
}

// differ compares what the manifest asks for with the live object.
func (e *examiner) differ(ctx context.Context, object located, rules rules, found verdict) (verdict, error) {
	var differing []pointer
	grown := carryGrownClaim(object, found)
	wanted, err := e.apply(ctx, object, found.content, true)
	if err == nil {
		differing = compare(found.live.Object, wanted.Object)
	} else {
		status := answered(err)
		if status == nil || !isUntypeable(status) {
			return refused(found, err)
		}
		found.typed = false
		if wanted, differing, err = e.differInStructure(ctx, object, found); err != nil {
			return refused(found, err)
		}
	}
	reported, ignored, err := e.sort(ctx, object, rules, found.live, differing)
	if err != nil {
		return verdict{}, err
	}
	for _, path := range ignored {
		found.kept = carry(found.content, found.live.Object, wanted.Object, path) && found.kept
	}
	if grown != nil && !rules.match(grown) {
		reported = append(reported, grown)
		found.grown = true
	}
	if len(reported) > 0 {
		finding := changedAt(e.label(object), reported, authors(found.live.GetManagedFields(), reported))
		found.finding = &finding
	}
	return found, nil
}

// carryGrownClaim lets a volume claim that was enlarged keep its size: none shrinks, and the API server would refuse even
// the dry run. It returns the path where the sizes differ.
func carryGrownClaim(object located, found verdict) pointer {
	path := pointer{"spec", "resources", "requests", "storage"}
	if object.Kind != "PersistentVolumeClaim" {
		return nil
	}
	liveValue, _, liveErr := unstructured.NestedFieldNoCopy(found.live.Object, path...)
	wantedValue, _, wantedErr := unstructured.NestedFieldNoCopy(found.content, path...)
	if liveErr != nil || wantedErr != nil {
		return nil
	}
	liveSize, liveErr := quantity(liveValue)
	wantedSize, wantedErr := quantity(wantedValue)
	if liveErr != nil || wantedErr != nil || liveSize.Cmp(wantedSize) <= 0 {
		return nil
	}
	if unstructured.SetNestedField(found.content, liveValue, path...) != nil {
		return nil
	}
	return path
}

// differInStructure compares without server-side apply: with what an update would store, or, where the API server refuses
// that too, with what the manifest says.
func (e *examiner) differInStructure(ctx context.Context, object located, found verdict) (*unstructured.Unstructured, []pointer, error) {
	content := unfolded(found.content)
	for _, keep := range []bool{true, false} {
		wanted, err := e.update(ctx, object, overlay(found.live.Object, content, keep), true)
		if err == nil {
			return wanted, compare(found.live.Object, wanted.Object), nil
		}
		if status := answered(err); status == nil || !isUntypeable(status) {
			return nil, nil, err
		}
	}
	wanted := &unstructured.Unstructured{Object: overlay(found.live.Object, content, true)}
	return wanted, compareLoosely(found.live.Object, wanted.Object), nil
}

// sort parts differences into those that are reported and those that are nobody's business.
func (e *examiner) sort(ctx context.Context, object located, rules rules, live *unstructured.Unstructured, differing []pointer) (reported, ignored []pointer, err error) {
	for _, path := range differing {
		matched := rules.match(path)
		if !matched && slices.Equal(path, pointer{"spec", "replicas"}) {
			if matched, err = e.autoscaled(ctx, object, live); err != nil {
				return nil, nil, err
			}
		}
		if matched {
			ignored = append(ignored, path)
		} else {
			reported = append(reported, path)
		}
	}
	return reported, ignored, nil
}

// autoscaled tells whether an autoscaler sets the number of replicas. Where autoscalers cannot be read, the record of who
// wrote last tells.
func (e *examiner) autoscaled(ctx context.Context, object located, live *unstructured.Unstructured) (bool, error) {
	list, known := e.autoscalers[object.ref.Namespace]
	if !known {
		resource := schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		answer, err := e.client.Resource(resource).Namespace(object.ref.Namespace).List(ctx, metav1.ListOptions{Limit: maxAutoscalers})
		if err != nil {
			if answered(err) == nil {
				return false, err // interrupted words it
			}
			return scaledByController(live), nil
		}
		list = answer.Items
		if e.autoscalers == nil {
			e.autoscalers = map[string][]unstructured.Unstructured{}
		}
		e.autoscalers[object.ref.Namespace] = list
	}
	group := object.ref.groupVersionKind().Group
	return slices.ContainsFunc(list, func(autoscaler unstructured.Unstructured) bool {
		target, _, err := unstructured.NestedStringMap(autoscaler.Object, "spec", "scaleTargetRef")
		return err == nil && target["kind"] == object.Kind && target["name"] == object.ref.Name &&
			schema.FromAPIVersionAndKind(target["apiVersion"], "").Group == group
	}), nil
}

func scaledByController(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource == "scale" && entry.Manager == "kube-controller-manager"
	})
}

func (e *examiner) resource(object located) dynamic.ResourceInterface {
	if object.ref.Namespace == "" {
		return e.client.Resource(object.resource)
	}
	return e.client.Resource(object.resource).Namespace(object.ref.Namespace)
}

func (e *examiner) get(ctx context.Context, object located) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return e.resource(object).Get(ctx, object.ref.Name, metav1.GetOptions{}) // callers classify it
}

func (e *examiner) apply(ctx context.Context, object located, content map[string]any, dry bool) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	options := metav1.ApplyOptions{FieldManager: FieldManager, Force: true, DryRun: dryRun(dry)}
	return e.resource(object).Apply(ctx, object.ref.Name, &unstructured.Unstructured{Object: content}, options) // callers classify it
}

func (e *examiner) update(ctx context.Context, object located, content map[string]any, dry bool) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	options := metav1.UpdateOptions{FieldManager: FieldManager, DryRun: dryRun(dry)}
	return e.resource(object).Update(ctx, &unstructured.Unstructured{Object: content}, options) // callers classify it
}

func dryRun(dry bool) []string {
	if dry {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// direct returns a configuration for short requests. The API server's own priority and fairness limits us.
func direct(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.RateLimiter = -1, -1, nil
	config.WarningHandler = rest.NoWarnings{}
	return config
}
