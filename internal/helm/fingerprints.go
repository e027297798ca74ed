package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/plan"
)

// Absent is the fingerprint of an object that does not exist.
const Absent = "absent"

// FingerprintRefs returns the objects whose live state a plan rests on. Hooks are left out, since Helm makes and removes
// them itself, and so are workloads that an autoscaler among objects resizes: each step of it is a new generation.
func FingerprintRefs(objects []Object) []Ref {
	scaled := plan.Scaled(PlanObjects(objects))
	var refs []Ref
	for _, object := range objects {
		if !object.Hook && !scaled[planObject(object).Key()] && !slices.Contains(refs, object.Ref) {
			refs = append(refs, object.Ref)
		}
	}
	return refs
}

// LiveFingerprints returns what identifies the live state of each object, by Ref.String: its UID and generation, or
// resourceVersion for kinds that have no generation; Absent where there is none. It reads metadata only, in one list per
// kind and namespace.
func (c *Client) LiveFingerprints(ctx context.Context, refs []Ref) (map[string]string, error) {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	type place struct {
		resource  schema.GroupVersionResource
		namespace string
	}
	wanted := map[place]map[string]Ref{}
	fingerprints := make(map[string]string, len(refs))
	for _, ref := range refs {
		fingerprints[ref.String()] = Absent
		mapping, err := c.mappingFor(ref.APIVersion, ref.Kind)
		if meta.IsNoMatchError(err) {
			continue // objects of a kind that the cluster does not know do not exist
		}
		if err != nil {
			return nil, failed("read the live objects", v1.ReasonInternalError, err, nil)
		}
		at := place{mapping.Resource, ref.Namespace}
		if wanted[at] == nil {
			wanted[at] = map[string]Ref{}
		}
		wanted[at][ref.Name] = ref
	}
	for at, named := range wanted {
		err := c.eachMetadata(ctx, at.resource, at.namespace, func(object *metav1.ObjectMeta) {
			if ref, ok := named[object.Name]; ok {
				fingerprints[ref.String()] = fingerprint(object)
			}
		})
		if err != nil {
			return nil, failed("read the live objects", v1.ReasonInternalError, err, nil)
		}
	}
	return fingerprints, nil
}

func (c *Client) eachMetadata(ctx context.Context, resource schema.GroupVersionResource, namespace string, visit func(*metav1.ObjectMeta)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := c.metadata.Resource(resource).Namespace(namespace).List(ctx, options)
		if err != nil {
			return fmt.Errorf("list %s: %w", resource.Resource, err)
		}
		for i := range page.Items {
			visit(&page.Items[i].ObjectMeta)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func fingerprint(object *metav1.ObjectMeta) string {
	if object.Generation != 0 {
		return fmt.Sprintf("%s/%d", object.UID, object.Generation)
	}
	return fmt.Sprintf("%s/v%s", object.UID, object.ResourceVersion)
}

// ClusterAPIs is what charts can learn about the cluster.
type ClusterAPIs struct {
	// Kubernetes is the version of the API server: "v1.35.4".
	Kubernetes string
	// Digest of the sorted list of APIs: "sha256:…".
	Digest string
}

// APIs returns the cluster's version and a digest of its APIs, at most capabilitiesLifetime old.
func (c *Client) APIs() (ClusterAPIs, error) {
	capabilities, err := c.currentCapabilities()
	if err != nil {
		return ClusterAPIs{}, failed("read the cluster's APIs", v1.ReasonInternalError, err, nil)
	}
	list := slices.Clone(capabilities.APIVersions)
	slices.Sort(list)
	joined := strings.Join(slices.Compact(list), "\n")
	return ClusterAPIs{Kubernetes: capabilities.KubeVersion.Version, Digest: digestOf([]byte(joined))}, nil
}
