package preflight

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// checkTime bounds one check, and runTime all of them together.
	checkTime = 10 * time.Second
	runTime   = 30 * time.Second
)

// Cluster answers questions with the rights of whoever asks. A right that is missing is an error that apierrors.IsForbidden
// knows. It must not be a cache: a cache wants to watch, and asks for rights that nobody has.
type Cluster interface {
	client.Reader
	// Version returns the API server's version, for example "v1.31.2". It is asked with every run: remember the answer.
	Version(ctx context.Context) (string, error)
}

// Keys reads single keys of Secrets and ConfigMaps in the namespace of the release. What is not there is an error that
// apierrors.IsNotFound knows.
type Keys interface {
	SecretKey(ctx context.Context, name, key string) (redact.Secret, error)
	ConfigMapKey(ctx context.Context, name, key string) (string, error)
}

// Resolver looks host names up.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// LicenceVerdict is what the caller knows about the licence.
type LicenceVerdict struct {
	// Present tells that a layer sets one.
	Present bool
	// ExpiresAt is zero where it is not known.
	ExpiresAt time.Time
	// Err is why the licence is not known to be good: a fault of internal/license, or one about the Secret that should hold it.
	Err error
}

// Input is what Run looks at.
type Input struct {
	// Namespace and Release are those of the custom resource.
	Namespace, Release string
	// Values are the resolved ones, laid over the chart's defaults. They are not changed. Without the defaults, checks of
	// what only a default asks for are left out.
	Values map[string]any
	// Schema tells which values are credentials; may be nil.
	Schema *spec.Schema
	// Licence is the caller's verdict.
	Licence LicenceVerdict

	// Cluster is required.
	Cluster Cluster
	// Keys is how references to Secrets and ConfigMaps are followed. Nil reads them through Cluster.
	Keys Keys

	// ChannelURL is the base URL of the deploy server; empty where none is asked.
	ChannelURL string
	// ChartURL is where the chart comes from (https or oci); empty where it lies in a folder.
	ChartURL string
	// Airgapped tells that nothing outside is ever asked.
	Airgapped bool
	// Outside tells that the caller is no pod of the cluster. A database or bucket that he cannot reach is then no finding,
	// since pods may.
	Outside bool

	// Seams for tests.

	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Resolver is nil for that of the system.
	Resolver Resolver
	// Dial connects to the database; nil means a plain dialler.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Transport carries HTTP requests to bucket and outside. Nil means one of its own, with the proxy that the environment
	// names and, for the bucket, the certificates of global.customCACerts and global.caCertsConfigMap.
	Transport http.RoundTripper
}

// run is one run: its input, and the credentials that it came across.
type run struct {
	Input
	mu      sync.Mutex
	secrets []redact.Secret
}

// Run makes every check, at the same time, and returns within half a minute. It never fails: a check that cannot be made
// says so.
func Run(ctx context.Context, in Input) Report {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	r := &run{Input: in}
	r.settle()
	report := Report{At: r.Now()}
	steps := []func(context.Context) []Check{
		one(r.kubernetesVersion), one(r.licence), one(r.host), one(r.ingressClass), one(r.storageClass), one(r.capacity),
		r.mysql, r.bucket, one(r.egress),
	}
	found := make([][]Check, len(steps))
	var group sync.WaitGroup
	for i, step := range steps {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTime)
			defer cancel()
			found[i] = step(ctx)
		})
	}
	group.Wait()
	for _, checks := range found {
		for _, check := range checks {
			check.Message = r.clean(check.Message)
			report.Checks = append(report.Checks, check)
		}
	}
	return report
}

func one(check func(context.Context) Check) func(context.Context) []Check {
	return func(ctx context.Context) []Check { return []Check{check(ctx)} }
}

func (r *run) settle() {
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Keys == nil {
		r.Keys = clusterKeys{reader: r.Cluster, namespace: r.Namespace}
	}
	if r.Resolver == nil {
		r.Resolver = net.DefaultResolver
	}
	if r.Dial == nil {
		r.Dial = (&net.Dialer{}).DialContext
	}
	r.secrets = spec.Secrets(r.Values, r.Schema)
}

// learn remembers a credential, so that no message holds it.
func (r *run) learn(secret redact.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, secret)
}

// clean makes a message fit to be shown. Most of it was written by databases, buckets and libraries.
func (r *run) clean(message string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	message = oneLine(spec.MaskText(message, r.secrets))
	if len(message) > maxMessage {
		cut := maxMessage - len("…")
		for cut > 0 && !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut] + "…"
	}
	return message
}
