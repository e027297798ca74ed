package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// versionAge is how long the API server's version is remembered. A control plane is upgraded in minutes, and its
// version only has to be high enough.
const versionAge = 10 * time.Minute

// API is the cluster as a REST configuration reaches it. One serves any number of runs.
type API struct {
	client.Reader
	discovery rest.Interface
	now       func() time.Time

	mu      sync.Mutex
	version string
	at      time.Time
}

var _ Cluster = (*API)(nil)

// Connect makes an API. It sends nothing.
func Connect(config *rest.Config) (*API, error) {
	known := runtime.NewScheme()
	// Every kind that a check reads is named here, so that no list of APIs has to be fetched first.
	kinds := meta.NewDefaultRESTMapper(nil)
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme, storagev1.AddToScheme} {
		if err := add(known); err != nil {
			return nil, fmt.Errorf("connect for preflight: %w", err)
		}
	}
	kinds.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	kinds.Add(networkingv1.SchemeGroupVersion.WithKind("IngressClass"), meta.RESTScopeRoot)
	kinds.Add(storagev1.SchemeGroupVersion.WithKind("StorageClass"), meta.RESTScopeRoot)
	for _, kind := range []string{"Pod", "Secret", "ConfigMap", "PersistentVolumeClaim"} {
		kinds.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	reader, err := client.New(config, client.Options{Scheme: known, Mapper: kinds})
	if err != nil {
		return nil, fmt.Errorf("connect for preflight: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect for preflight: %w", err)
	}
	return &API{Reader: reader, discovery: clientset.Discovery().RESTClient(), now: time.Now}, nil
}

// Version returns the API server's version. Anybody may ask it.
func (a *API) Version(ctx context.Context) (string, error) {
	a.mu.Lock()
	known, at := a.version, a.at
	a.mu.Unlock()
	if known != "" && a.now().Sub(at) < versionAge {
		return known, nil
	}
	body, err := a.discovery.Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", fmt.Errorf("ask the API server's version: %w", err)
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return "", fmt.Errorf("read the API server's version: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version, a.at = info.GitVersion, a.now()
	return info.GitVersion, nil
}

// clusterKeys reads Secrets and ConfigMaps through the API server.
type clusterKeys struct {
	reader    client.Reader
	namespace string
}

var _ Keys = clusterKeys{}

// SecretKey returns one key of a Secret.
func (k clusterKeys) SecretKey(ctx context.Context, name, key string) (redact.Secret, error) {
	var secret corev1.Secret
	if err := k.reader.Get(ctx, types.NamespacedName{Namespace: k.namespace, Name: name}, &secret); err != nil {
		return "", fmt.Errorf("read Secret %s: %w", name, err)
	}
	value, ok := secret.Data[key]
	if !ok {
		return "", keyNotFound("secrets", name, key)
	}
	return redact.Secret(value), nil
}

// ConfigMapKey returns one key of a ConfigMap.
func (k clusterKeys) ConfigMapKey(ctx context.Context, name, key string) (string, error) {
	var found corev1.ConfigMap
	if err := k.reader.Get(ctx, types.NamespacedName{Namespace: k.namespace, Name: name}, &found); err != nil {
		return "", fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	value, ok := found.Data[key]
	if !ok {
		return "", keyNotFound("configmaps", name, key)
	}
	return value, nil
}

func keyNotFound(resource, name, key string) error {
	return fmt.Errorf("key %q: %w", key, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name))
}
