package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// references knows which Secrets each resource depends on, so that a changed Secret wakes the right ones. Only metadata
// of Secrets is kept in memory, never their data.
type references struct {
	// cached reads metadata from memory.
	cached client.Reader

	mu   sync.Mutex
	uses map[types.NamespacedName][]string
	// noLayer holds the resourceVersion of each Secret <cr>-spec-user that sets nothing.
	noLayer map[types.NamespacedName]string
}

// userLayer reads Secret <cr>-spec-user. Most set nothing and ask for nothing: that much is remembered, and nothing else of
// a Secret.
func (r *references) userLayer(ctx context.Context, reader client.Reader, key types.NamespacedName) (spec.Layer, request.Set, error) {
	version, err := r.version(ctx, types.NamespacedName{Namespace: key.Namespace, Name: key.Name + userSuffix})
	if err != nil {
		return spec.Layer{}, request.Set{}, err
	}
	r.mu.Lock()
	empty, known := r.noLayer[key]
	r.mu.Unlock()
	if known && version != "" && empty == version {
		return spec.Layer{Name: spec.LayerUser}, request.Set{}, nil
	}
	layer, asked, err := userLayer(ctx, reader, key)
	sets := len(layer.Values) + len(layer.Chart) + len(layer.Metadata) + len(layer.Unset)
	if err != nil || version == "" || sets > 0 || asked != (request.Set{}) {
		return layer, asked, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noLayer == nil {
		r.noLayer = map[types.NamespacedName]string{}
	}
	// What was read may be newer than version, never older; a newer one is read once more.
	r.noLayer[key] = version
	return layer, asked, nil
}

// set records the Secrets that a resource refers to by name, beside those that belong to every resource.
func (r *references) set(key types.NamespacedName, secrets []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uses == nil {
		r.uses = map[types.NamespacedName][]string{}
	}
	r.uses[key] = slices.Clone(secrets)
}

func (r *references) drop(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.uses, key)
	delete(r.noLayer, key)
}

// affected returns the resources that a Secret concerns.
func (r *references) affected(secret client.Object) []types.NamespacedName {
	namespace, name := secret.GetNamespace(), secret.GetName()
	if labels := secret.GetLabels(); labels["owner"] == "helm" {
		return []types.NamespacedName{{Namespace: namespace, Name: labels["name"]}}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []types.NamespacedName
	for key, secrets := range r.uses {
		if key.Namespace == namespace && (slices.Contains(secrets, name) || ownInput(key.Name, name)) {
			found = append(found, key)
		}
	}
	return found
}

// ownInput tells the Secrets beside a resource that somebody else may change. What the operator itself writes wakes
// nobody.
func ownInput(cr, secret string) bool {
	suffix, ok := strings.CutPrefix(secret, cr)
	if !ok {
		return false
	}
	return suffix == userSuffix || suffix == passwordSuffix || suffix == sessionSuffix || suffix == installationSuffix
}

// version returns the resourceVersion of a Secret as far as the cache knows it; empty where it knows none.
func (r *references) version(ctx context.Context, name types.NamespacedName) (string, error) {
	known := &metav1.PartialObjectMetadata{}
	known.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.cached.Get(ctx, name, known)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for Secret %s: %w", name.Name, err)
	}
	return known.ResourceVersion, nil
}

// releaseOf returns the resource that an object of a Helm release belongs to.
func releaseOf(object client.Object) (types.NamespacedName, bool) {
	annotations, labels := object.GetAnnotations(), object.GetLabels()
	if name := annotations["meta.helm.sh/release-name"]; name != "" {
		return types.NamespacedName{Namespace: annotations["meta.helm.sh/release-namespace"], Name: name}, true
	}
	if name := labels["app.kubernetes.io/instance"]; name != "" {
		return types.NamespacedName{Namespace: object.GetNamespace(), Name: name}, true
	}
	return types.NamespacedName{}, false
}
