package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// getter hands the Helm SDK its clients: the REST configuration belongs to one action, discovery and mapper to the
// process.
type getter struct {
	client    *Client
	rest      *rest.Config
	namespace string
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.rest), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.client.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.client.mapper, nil }

// ToRawKubeConfigLoader is asked for the namespace only.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, overrides)
}

// guarded returns a configuration whose requests end when ctx ends.
//
// The SDK passes context.Background() nearly everywhere, and its RunWithContext returns while a goroutine of it still
// writes to the cluster. Cutting the transport stops that goroutine at its next request instead, so that an action
// which has returned writes nothing any more.
func guarded(ctx context.Context, cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &guard{action: ctx, next: next}
	})
	return cfg
}

type guard struct {
	action context.Context // the guard is the context's reach into the SDK, and lives as long as the action
	next   http.RoundTripper
}

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if g.action.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errActionOver, context.Cause(g.action))
	}
	ctx, cancel := context.WithCancel(request.Context())
	stop := context.AfterFunc(g.action, cancel)
	response, err := g.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err // a round tripper must hand on errors as they are: net/http inspects them
	}
	response.Body = &guardedBody{ReadCloser: response.Body, release: func() { stop(); cancel() }}
	return response, nil
}

// errActionOver is what the SDK sees after its action was cancelled.
var errActionOver = errors.New("the action was cancelled")

type guardedBody struct {
	io.ReadCloser
	release func()
}

func (b *guardedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
