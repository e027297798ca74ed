package helm

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/spec"
)

// Config of New.
type Config struct {
	RESTConfig *rest.Config
	// ChartsDir holds local charts; empty refuses them.
	ChartsDir string
	// ChartSources lists URL prefixes that charts may come from; empty allows any.
	ChartSources []string
	// CacheDir keeps downloaded charts by digest; empty keeps them in memory only.
	CacheDir string
	// MaxHistory caps the revisions that Helm keeps. Zero means 10.
	MaxHistory int
	// HTTPTransport downloads charts; nil means a clone of http.DefaultTransport that trusts CAs.
	HTTPTransport http.RoundTripper
	// CAs beside the system's; nil means none.
	CAs    *x509.CertPool
	Logger *slog.Logger
}

// Client installs and inspects releases. It is safe for concurrent use; two actions on one release at once are the
// caller's business to prevent.
type Client struct{ cfg Config }

var errUnbuilt = errors.New("under construction")

// New connects nothing yet: the first call does.
func New(cfg Config) (*Client, error) { return &Client{cfg: cfg}, nil }

// Chart is a chart that was loaded; it is immutable.
type Chart struct {
	Name, Version, AppVersion string
	// Digest of the archive: "sha256:…".
	Digest      string
	Annotations map[string]string
}

// Schema returns values.schema.json as it stands; nil where the chart has none.
func (c *Chart) Schema() []byte { return nil }

// Validate checks values, laid over the chart's defaults, against the schemas of the chart and its subcharts: a fault
// ValuesInvalid.
func (c *Chart) Validate(_ map[string]any) error { return errUnbuilt }

// LoadChart fetches the chart that source describes.
func (c *Client) LoadChart(_ context.Context, _ *spec.Chart, _ Credentials) (*Chart, error) {
	return nil, errUnbuilt
}

// Current returns the highest revision; nil without error where the release does not exist.
func (c *Client) Current(_ context.Context, _, _ string) (*Release, error) { return nil, errUnbuilt }

// History returns all stored revisions, highest first.
func (c *Client) History(_ context.Context, _, _ string) ([]*Release, error) { return nil, errUnbuilt }

// Install makes revision 1.
func (c *Client) Install(_ context.Context, _ Apply) (*Release, error) { return nil, errUnbuilt }

// Upgrade makes the next revision; a failed first install is upgraded too.
func (c *Client) Upgrade(_ context.Context, _ Apply) (*Release, error) { return nil, errUnbuilt }

// Rollback makes a new revision that equals revision.
func (c *Client) Rollback(_ context.Context, _, _ string, _ int, _ time.Duration) (*Release, error) {
	return nil, errUnbuilt
}

// Uninstall removes the release and its history; an absent release is no error.
func (c *Client) Uninstall(_ context.Context, _, _ string, _ time.Duration) error { return errUnbuilt }

// MarkFailed records in Helm's storage that a revision failed after Helm had called it deployed.
func (c *Client) MarkFailed(_ context.Context, _, _ string, _ int, _ string) error {
	return errUnbuilt
}

// Unlock turns a revision that is pending although nobody works on it into a failed one; nil where nothing was pending.
func (c *Client) Unlock(_ context.Context, _, _, _ string) (*Release, error) { return nil, errUnbuilt }

// Object is one rendered object.
type Object struct {
	Ref
	// Hook tells that it is a hook, which Helm runs rather than keeps.
	Hook bool
	// Content is the object as rendered.
	Content map[string]any
}

// Policy of CheckObjects.
type Policy struct {
	// Namespace that objects must lie in.
	Namespace string
	// ClusterKinds lists kinds of the cluster, or of other namespaces, that are allowed: "ClusterRole".
	ClusterKinds []string
}

// Render renders the chart as an upgrade would, with the cluster's capabilities, and writes nothing.
func (c *Client) Render(_ context.Context, _ *Chart, _ map[string]any, _, _ string) ([]Object, error) {
	return nil, errUnbuilt
}

// CheckObjects refuses objects outside the policy: a fault ClusterObjectRefused.
func (c *Client) CheckObjects(_ context.Context, _ []Object, _ Policy) error { return errUnbuilt }

// MissingRights returns a fault PermissionMissing, whose hint holds the Role to apply, where the operator may not make objs.
func (c *Client) MissingRights(_ context.Context, _ []Object) error { return errUnbuilt }

// HealthStatus of one object, or of all.
type HealthStatus string

// Health of objects.
const (
	HealthReady      HealthStatus = "Ready"
	HealthInProgress HealthStatus = "InProgress"
	HealthFailed     HealthStatus = "Failed"
)

// Health of a release's objects.
type Health struct {
	// Status is the worst of all objects.
	Status HealthStatus
	// Message sums up what is not ready: at most a few objects; empty where all are.
	Message string
	// Objects in the order of the refs.
	Objects []ObjectHealth
}

// ObjectHealth is the health of one object.
type ObjectHealth struct {
	Ref
	Status HealthStatus
	// Reason is a CamelCase word where there is one: "ImagePullBackOff".
	Reason  string
	Message string
}

// Health reads the objects and tells which are ready.
func (c *Client) Health(_ context.Context, _ string, _ []Ref) (Health, error) {
	return Health{}, errUnbuilt
}
