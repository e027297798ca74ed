package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "github.com/kubewandb/kubewandb/api/v1"
)

// HealthStatus of one object, or of a release.
type HealthStatus string

const (
	// HealthReady: the object is what it should be.
	HealthReady HealthStatus = "Ready"
	// HealthInProgress: it is not yet, and nothing says that it will not become so.
	HealthInProgress HealthStatus = "InProgress"
	// HealthFailed: it will not become ready by itself, or is gone.
	HealthFailed HealthStatus = "Failed"
)

// Reasons that Health itself gives.
const (
	// HealthReasonMissing: the object is in the manifest and not in the cluster.
	HealthReasonMissing = "Missing"
	// HealthReasonUnknownKind: the cluster does not know the kind any more.
	HealthReasonUnknownKind = "UnknownKind"
	// HealthReasonDeleting: somebody deletes the object.
	HealthReasonDeleting = "Deleting"
)

// Health of a release's objects.
type Health struct {
	// Status is the worst of all objects.
	Status HealthStatus
	// Message sums up what is not ready, with at most three objects; empty where everything is.
	Message string
	// Objects in the order of the references.
	Objects []ObjectHealth
}

// ObjectHealth is the health of one object.
type ObjectHealth struct {
	Ref
	Status HealthStatus
	// Reason is a CamelCase word where there is one: "ImagePullBackOff", "Missing", "ProgressDeadlineExceeded".
	Reason string
	// Message is a sentence for people; empty where the object is ready.
	Message string
}

// Health reads the objects and tells which are ready, by the rules of kstatus. For a workload that is not, it says what
// its pods say. Objects are read in one list per kind; of kinds that are ready as soon as they exist, Secrets among them,
// only metadata is read.
func (c *Client) Health(ctx context.Context, namespace string, refs []Ref) (Health, error) {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	found := make([]ObjectHealth, len(refs))
	pods := &podReader{client: c}
	for _, group := range groupRefs(c.located(refs, namespace)) {
		if err := c.groupHealth(ctx, group, found, pods); err != nil {
			return Health{}, failed("read health of the release's objects", v1.ReasonInternalError, err, nil)
		}
	}
	return summarize(found), nil
}

// refGroup holds references of one kind in one namespace, with their places in the caller's list.
type refGroup struct {
	apiVersion, kind, namespace string
	names                       []string
	places                      []int
}

// located fills in the namespace of references that leave it out.
func (c *Client) located(refs []Ref, namespace string) []Ref {
	located := make([]Ref, len(refs))
	for i, ref := range refs {
		located[i] = c.scoped(ref, namespace)
	}
	return located
}

func groupRefs(refs []Ref) []*refGroup {
	var groups []*refGroup
	known := map[Ref]*refGroup{}
	for i, ref := range refs {
		key := Ref{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace}
		group := known[key]
		if group == nil {
			group = &refGroup{apiVersion: ref.APIVersion, kind: ref.Kind, namespace: ref.Namespace}
			known[key] = group
			groups = append(groups, group)
		}
		group.names = append(group.names, ref.Name)
		group.places = append(group.places, i)
	}
	return groups
}

func (c *Client) groupHealth(ctx context.Context, group *refGroup, found []ObjectHealth, pods *podReader) error {
	mapping, err := c.mappingFor(group.apiVersion, group.kind)
	if meta.IsNoMatchError(err) {
		group.each(func(place int, ref Ref) {
			found[place] = ObjectHealth{Ref: ref, Status: HealthFailed, Reason: HealthReasonUnknownKind, Message: "the cluster does not know this kind"}
		})
		return nil
	}
	if err != nil {
		return err
	}
	objects, err := c.readGroup(ctx, mapping, group)
	if err != nil {
		return err
	}
	group.each(func(place int, ref Ref) {
		found[place] = objectHealth(ref, objects[ref.Name])
	})
	for _, place := range group.places {
		if err := pods.explain(ctx, &found[place], objects[found[place].Name]); err != nil {
			return err
		}
	}
	return nil
}

func (g *refGroup) each(visit func(place int, ref Ref)) {
	for i, place := range g.places {
		visit(place, Ref{APIVersion: g.apiVersion, Kind: g.kind, Namespace: g.namespace, Name: g.names[i]})
	}
}

const (
	// getInstead is how many objects of a kind are cheaper to get one by one than to list.
	getInstead = 2
	// pageSize bounds one page of a list.
	pageSize = 500
)

// readGroup returns the objects by name; one that does not exist is absent.
func (c *Client) readGroup(ctx context.Context, mapping *meta.RESTMapping, group *refGroup) (map[string]*unstructured.Unstructured, error) {
	read := c.dynamicReader(mapping, group.namespace)
	if isReadyOnceThere(group.kind) {
		read = c.metadataReader(mapping, group.namespace)
	}
	objects := make(map[string]*unstructured.Unstructured, len(group.names))
	if len(group.names) <= getInstead {
		for _, name := range group.names {
			object, err := read.get(ctx, name)
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read %s %s: %w", group.kind, name, err)
			}
			objects[name] = object
		}
		return objects, nil
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, next, err := read.list(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", mapping.Resource.Resource, err)
		}
		for _, object := range page {
			if slices.Contains(group.names, object.GetName()) {
				objects[object.GetName()] = object
			}
		}
		if next == "" {
			return objects, nil
		}
		options.Continue = next
	}
}

// reader reads objects of one kind, whole or their metadata.
type reader struct {
	get  func(ctx context.Context, name string) (*unstructured.Unstructured, error)
	list func(ctx context.Context, options metav1.ListOptions) (page []*unstructured.Unstructured, next string, err error)
}

func (c *Client) dynamicReader(mapping *meta.RESTMapping, namespace string) reader {
	resource := c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	return reader{
		get: func(ctx context.Context, name string) (*unstructured.Unstructured, error) {
			return resource.Get(ctx, name, metav1.GetOptions{}) // readGroup words it
		},
		list: func(ctx context.Context, options metav1.ListOptions) ([]*unstructured.Unstructured, string, error) {
			list, err := resource.List(ctx, options)
			if err != nil {
				return nil, "", err
			}
			page := make([]*unstructured.Unstructured, len(list.Items))
			for i := range list.Items {
				page[i] = &list.Items[i]
			}
			return page, list.GetContinue(), nil
		},
	}
}

func (c *Client) metadataReader(mapping *meta.RESTMapping, namespace string) reader {
	resource := c.metadata.Resource(mapping.Resource).Namespace(namespace)
	shape := func(object *metav1.PartialObjectMetadata) *unstructured.Unstructured {
		shaped := &unstructured.Unstructured{Object: map[string]any{}}
		shaped.SetGroupVersionKind(mapping.GroupVersionKind)
		shaped.SetName(object.Name)
		shaped.SetNamespace(object.Namespace)
		shaped.SetDeletionTimestamp(object.DeletionTimestamp)
		return shaped
	}
	return reader{
		get: func(ctx context.Context, name string) (*unstructured.Unstructured, error) {
			object, err := resource.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return nil, err // readGroup words it
			}
			return shape(object), nil
		},
		list: func(ctx context.Context, options metav1.ListOptions) ([]*unstructured.Unstructured, string, error) {
			list, err := resource.List(ctx, options)
			if err != nil {
				return nil, "", err
			}
			page := make([]*unstructured.Unstructured, len(list.Items))
			for i := range list.Items {
				page[i] = shape(&list.Items[i])
			}
			return page, list.GetContinue(), nil
		},
	}
}

// isReadyOnceThere lists kinds without a status of their own.
func isReadyOnceThere(kind string) bool {
	switch kind {
	case "Secret", "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
		"NetworkPolicy", "PriorityClass", "LimitRange", "ResourceQuota", "IngressClass", "StorageClass", "Endpoints", "EndpointSlice", "Lease":
		return true
	default:
		return false
	}
}

func objectHealth(ref Ref, object *unstructured.Unstructured) ObjectHealth {
	health := ObjectHealth{Ref: ref, Status: HealthReady}
	if object == nil {
		if ref.Kind == "Job" {
			// A Job may remove itself after it has finished.
			return health
		}
		health.Status, health.Reason, health.Message = HealthFailed, HealthReasonMissing, "the object does not exist any more"
		return health
	}
	if object.GetDeletionTimestamp() != nil {
		health.Status, health.Reason, health.Message = HealthInProgress, HealthReasonDeleting, "the object is being deleted"
		return health
	}
	if isReadyOnceThere(ref.Kind) || waitsForUse(object) {
		return health
	}
	result, err := status.Compute(object)
	if err != nil {
		health.Status, health.Message = HealthInProgress, "its status cannot be read: "+err.Error()
		return health
	}
	switch result.Status {
	case status.CurrentStatus:
		return health
	case status.FailedStatus:
		health.Status = HealthFailed
	default:
		health.Status = HealthInProgress
	}
	health.Reason, health.Message = conditionReason(result), result.Message
	return health
}

// waitsForUse tells whether a volume claim is pending only because no pod uses it yet; whether it can be bound shows in
// that pod.
func waitsForUse(object *unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	return object.GetKind() == "PersistentVolumeClaim" && object.GetAPIVersion() == "v1" && phase == "Pending"
}

func conditionReason(result *status.Result) string {
	for _, condition := range result.Conditions {
		if condition.Reason != "" {
			return condition.Reason
		}
	}
	return ""
}

// summarize takes the worst status and words at most three objects, failed ones first.
func summarize(objects []ObjectHealth) Health {
	const worded = 3
	health := Health{Status: HealthReady, Objects: objects}
	var failedOnes, waiting []string
	for _, object := range objects {
		sentence := object.String()
		if object.Reason != "" {
			sentence += ": " + object.Reason
		}
		if object.Message != "" {
			sentence += ": " + object.Message
		}
		switch object.Status {
		case HealthFailed:
			failedOnes = append(failedOnes, sentence)
		case HealthInProgress:
			waiting = append(waiting, sentence)
		default:
		}
	}
	if len(waiting) > 0 {
		health.Status = HealthInProgress
	}
	if len(failedOnes) > 0 {
		health.Status = HealthFailed
	}
	all := append(failedOnes, waiting...)
	if len(all) > worded {
		all = append(all[:worded], fmt.Sprintf("and %d more", len(all)-worded))
	}
	health.Message = strings.Join(all, "; ")
	return health
}
