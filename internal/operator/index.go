package operator

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/helm"
)

// releaseField is the index of release Secrets by the release that they belong to.
const releaseField = "helm-release"

// releaseIndex finds release Secrets in the metadata cache, which a watch keeps.
type releaseIndex struct{ cached client.Reader }

var _ helm.Index = releaseIndex{}

// Revisions implements helm.Index.
func (i releaseIndex) Revisions(ctx context.Context, namespace, name string) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(secretKind().GroupVersion().WithKind("SecretList"))
	// What is read here is not changed.
	err := i.cached.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{releaseField: name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list release Secrets in the cache: %w", err)
	}
	return list.Items, nil
}

// releaseNamed returns the release that a Secret belongs to, for the index.
func releaseNamed(secret client.Object) []string {
	if labels := secret.GetLabels(); labels["owner"] == "helm" && labels["name"] != "" {
		return []string{labels["name"]}
	}
	return nil
}

// observed reads Helm's storage as a pass may: from the cache. A step looks again before it acts.
type observed struct{ *helm.Client }

// Current implements HelmReader.
func (o observed) Current(ctx context.Context, namespace, name string) (*helm.Release, error) {
	return o.Observed(ctx, namespace, name) // a fault that names the release
}
