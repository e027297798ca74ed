package helm

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// FieldManager owns the fields that releases set, in server-side apply.
	FieldManager = "kubewandb"
	// DefaultMaxHistory is as many revisions as Helm's own command line keeps.
	DefaultMaxHistory = 10
	// DefaultTimeout bounds one hook. Database migrations of large installations take tens of minutes; Helm's own
	// default of 30 seconds would cut them off half-way.
	DefaultTimeout = 30 * time.Minute

	// requestTimeout bounds one short request to the API server: discovery, a list, a review.
	requestTimeout = 30 * time.Second
	// capabilitiesLifetime is how long the cluster's version and API list are taken as unchanged. They change when the
	// cluster is upgraded or somebody installs a CRD.
	capabilitiesLifetime = 5 * time.Minute
)

// Config of New.
type Config struct {
	// RESTConfig reaches the API server. Its own rate limit is not used: Helm sends hundreds of requests in a row, and
	// the API server's priority and fairness decides better.
	RESTConfig *rest.Config
	// ChartsDir holds local charts; empty refuses them.
	ChartsDir string
	// ChartSources lists URL prefixes that charts may come from; empty allows any.
	ChartSources []string
	// CacheDir keeps downloaded charts by digest; empty keeps them in memory only.
	CacheDir string
	// MaxHistory caps the revisions that Helm keeps. Zero means DefaultMaxHistory.
	MaxHistory int
	// HTTPTransport downloads charts; nil means a clone of http.DefaultTransport that trusts CAs as well.
	HTTPTransport http.RoundTripper
	// CAs that charts may be downloaded with, instead of the system's; nil means the system's.
	CAs *x509.CertPool
	// Index answers what release Secrets there are, for Observed; nil asks the API server each time.
	Index Index
	// Logger receives what Helm has to say, at debug level. Nil discards it.
	Logger *slog.Logger

	// seams for tests

	// Now is time.Now unless set.
	Now func() time.Time
}

// Client installs and inspects releases. It is safe for concurrent use; that no two actions run on one release at once is
// the caller's business.
type Client struct {
	cfg    Config
	rest   *rest.Config
	http   *http.Client
	logger *slog.Logger

	discovery discovery.CachedDiscoveryInterface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	clientset kubernetes.Interface
	dynamic   dynamic.Interface
	metadata  metadata.Interface

	charts   *chartCache
	releases *releaseCache
	facts    factCache
	ledger   *ledger

	mu                 sync.Mutex
	capabilities       *common.Capabilities
	capabilitiesReadAt time.Time
}

// nameFieldManager keeps clients that are made at the same time from writing the SDK's variable twice.
var nameFieldManager sync.Once // it guards a variable of the process

// New makes a Client. It connects to nothing: the first call does.
//
// The Helm SDK knows the name of its field manager only as a variable of the process, which New sets; a process that
// uses the SDK for something else as well shares the name. It prints values
// through the standard logger of package log, which a program that uses this package has to silence.
func New(cfg Config) (*Client, error) {
	if cfg.RESTConfig == nil {
		return nil, errors.New("create Helm client: no REST configuration")
	}
	cfg.MaxHistory = cmp.Or(cfg.MaxHistory, DefaultMaxHistory)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	nameFieldManager.Do(func() { kube.ManagedFieldsManager = FieldManager })

	c := &Client{
		cfg:      cfg,
		rest:     unthrottled(cfg.RESTConfig),
		http:     &http.Client{Transport: cfg.HTTPTransport},
		logger:   cfg.Logger,
		charts:   newChartCache(cfg.CacheDir),
		releases: newReleaseCache(),
		ledger:   &ledger{now: cfg.Now},
	}
	if cfg.HTTPTransport == nil {
		c.http.Transport = newTransport(cfg.CAs)
	}
	if err := c.connect(); err != nil {
		return nil, fmt.Errorf("create Helm client: %w", err)
	}
	return c, nil
}

func (c *Client) connect() error {
	short := rest.CopyConfig(c.rest)
	short.Timeout = requestTimeout
	plain, err := discovery.NewDiscoveryClientForConfig(short)
	if err != nil {
		return fmt.Errorf("make discovery client: %w", err)
	}
	c.discovery = &agingDiscovery{CachedDiscoveryInterface: memory.NewMemCacheClient(plain), now: c.cfg.Now}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.discovery)
	if c.clientset, err = kubernetes.NewForConfig(short); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(short); err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	if c.metadata, err = metadata.NewForConfig(short); err != nil {
		return fmt.Errorf("make metadata client: %w", err)
	}
	return nil
}

func unthrottled(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, -1
	cfg.RateLimiter = nil
	// Warnings of the API server ("deprecated apiVersion") belong to the chart's author, not into our log.
	cfg.WarningHandler = rest.NoWarnings{}
	return cfg
}

func newTransport(cas *x509.CertPool) http.RoundTripper {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	transport := base.Clone()
	if cas != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: cas, MinVersion: tls.VersionTLS12}
	}
	return transport
}

// currentCapabilities returns the cluster's version and API list, read at most every capabilitiesLifetime.
func (c *Client) currentCapabilities() (*common.Capabilities, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	if c.capabilities != nil && now.Sub(c.capabilitiesReadAt) < capabilitiesLifetime {
		return c.capabilities.Copy(), nil
	}
	c.resetDiscovery()
	version, err := c.discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	apis, err := c.apiVersions()
	if err != nil {
		return nil, err
	}
	c.capabilities = &common.Capabilities{
		APIVersions: apis,
		KubeVersion: common.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: common.DefaultCapabilities.HelmVersion,
	}
	c.capabilitiesReadAt = now
	return c.capabilities.Copy(), nil
}

// apiVersions lists "apps/v1" and "apps/v1/Deployment", as charts ask for them. An aggregated API that does not answer
// is left out: it must not stop every release.
func (c *Client) apiVersions() (common.VersionSet, error) {
	groups, resources, err := c.discovery.ServerGroupsAndResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("list the APIs of Kubernetes: %w", err)
	}
	var versions common.VersionSet
	for _, group := range groups {
		for _, version := range group.Versions {
			versions = append(versions, version.GroupVersion)
		}
	}
	for _, list := range resources {
		for _, resource := range list.APIResources {
			versions = append(versions, list.GroupVersion+"/"+resource.Kind)
		}
	}
	return versions, nil
}

func (c *Client) resetDiscovery() {
	c.discovery.Invalidate()
	c.mapper.Reset()
}

// forgetCapabilities makes the next action read the API list again, after a chart has brought CRDs.
func (c *Client) forgetCapabilities() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.capabilities = nil
}

// mappingFor finds the resource behind a kind; a kind that is not known is looked for again in the cluster.
func (c *Client) mappingFor(apiVersion, kind string) (*meta.RESTMapping, error) {
	group, version := splitAPIVersion(apiVersion)
	mapping, err := c.mapper.RESTMapping(schemaGroupKind(group, kind), version)
	if err != nil {
		return nil, fmt.Errorf("find resource of %s %s: %w", apiVersion, kind, err)
	}
	return mapping, nil
}

// within gives a call its deadline where the caller has set none.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}
