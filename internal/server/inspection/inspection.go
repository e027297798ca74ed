// Package inspection looks at a running W&B Server the way its users do, from inside the cluster and through its external
// URL, and reports what works. It changes nothing that anybody sees.
package inspection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/probe/report"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	// DefaultTimeout is enough for an ingress to notice new pods.
	DefaultTimeout = 30 * time.Second

	// requestTimeout bounds one request; what takes longer counts as no answer.
	requestTimeout = 10 * time.Second
	// maxBody bounds what is read of one answer.
	maxBody = 1 << 20

	minPause = 250 * time.Millisecond
	maxPause = 5 * time.Second
)

// Config is what Run needs to know.
type Config struct {
	// Inside is the URL of the Service, Outside the external one; without Outside its checks are skipped.
	Inside, Outside string
	// CAs that signed the certificates; nil means the system's.
	CAs *x509.CertPool
	// Key is an API key; without one the checks that need it are skipped.
	Key redact.Secret
	// Timeout bounds the whole run: until then a check that fails is tried again. Zero means DefaultTimeout.
	Timeout time.Duration
}

// check is one thing to look at.
type check struct {
	name string
	// insideOnly: the answer is not meant for the world.
	insideOnly bool
	needsKey   bool
	run        func(*target, context.Context) error
}

func checks() []check {
	return []check{
		{name: "ready", insideOnly: true, run: (*target).ready},
		{name: "sign-in", run: (*target).signIn},
		{name: "api", run: (*target).api},
		{name: "cors", run: (*target).cors},
		{name: "viewer", needsKey: true, run: (*target).viewer},
	}
}

// Run makes every check at the same time and returns what they found, inside ones first. An error means that the
// configuration cannot be used.
func Run(ctx context.Context, cfg Config) (report.Report, error) {
	inside, outside, err := cfg.parse()
	if err != nil {
		return report.Report{}, &fault.Error{
			Reason: "ConfigurationInvalid", Op: "read the configuration", Err: err,
			Hint: "Run `server probe --help` for what each flag and variable means.",
		}
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	paths := []*target{newTarget(cfg, report.Inside, inside, outside)}
	if outside != nil {
		paths = append(paths, newTarget(cfg, report.Outside, outside, outside))
	}
	var group sync.WaitGroup
	results := [2]report.Report{}
	for i, path := range []report.Path{report.Inside, report.Outside} {
		if i == len(paths) {
			results[i] = skipped(path, "there is no external URL: HOST is not set")
			continue
		}
		if path == report.Outside && isLoopback(outside) && !isLoopback(inside) {
			results[i] = skipped(path, "HOST is "+outside.String()+", which only the machine that forwards a port can reach")
			continue
		}
		group.Go(func() { results[i] = paths[i].inspect(ctx) })
	}
	group.Wait()
	return report.Join(results[:]...), nil
}

// skipped is what is reported of a path that cannot be taken.
func skipped(path report.Path, why string) report.Report {
	var r report.Report
	for _, one := range checks() {
		if path == report.Inside || !one.insideOnly {
			r.Checks = append(r.Checks, report.Check{Name: one.name, Path: path, Result: report.Skipped, Message: why})
		}
	}
	return r
}

// target is the server by one path.
type target struct {
	path   report.Path
	base   *url.URL
	origin string // what browsers call the server's own pages
	key    redact.Secret
	client *http.Client
}

func newTarget(cfg Config, path report.Path, base, outside *url.URL) *target {
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: cfg.CAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: requestTimeout,
		DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
		ForceAttemptHTTP2:   true,
	}
	if path == report.Outside {
		transport.Proxy = http.ProxyFromEnvironment
	}
	t := &target{path: path, base: base, origin: base.String(), key: cfg.Key, client: &http.Client{
		Transport: transport, Timeout: requestTimeout,
		// A redirect is an answer to look at: it may lead to another program.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if outside != nil {
		t.origin = outside.String()
	}
	return t
}

// inspect makes every check of one path.
func (t *target) inspect(ctx context.Context) report.Report {
	defer t.client.CloseIdleConnections()
	r := skipped(t.path, "it needs an API key, and API_KEY gives none")
	var group sync.WaitGroup
	place := 0
	for _, one := range checks() {
		if one.insideOnly && t.path != report.Inside {
			continue
		}
		into := &r.Checks[place]
		place++
		if one.needsKey && t.key == "" {
			continue
		}
		group.Go(func() { *into = t.try(ctx, one) })
	}
	group.Wait()
	return r
}

// try makes one check until it passes or the time is over: an ingress needs a moment to notice new pods.
func (t *target) try(ctx context.Context, one check) report.Check {
	result := report.Check{Name: one.name, Path: t.path, Result: report.Failed}
	start := time.Now()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := one.run(t, ctx)
		result.Duration = time.Since(start)
		if err == nil {
			result.Result, result.Message = report.Passed, ""
			return result
		}
		// That the time was over says less than what went wrong before.
		if ctx.Err() == nil || result.Message == "" {
			result.Message = explain(err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return result
		case <-timer.C:
		}
	}
}

// explain words an error, with what to do about it where that is known.
func explain(err error) string {
	var authority x509.UnknownAuthorityError
	var name *net.DNSError
	switch text := err.Error(); {
	case errors.As(err, &authority):
		return text + "; name the authority in global.customCACerts or global.caCertsConfigMap"
	case errors.As(err, &name) && name.IsNotFound:
		return text + "; pods must be able to resolve the name of global.host"
	default:
		return text
	}
}

// isLoopback tells whether a URL means the machine that uses it.
func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// parse reads the URLs.
func (c Config) parse() (inside, outside *url.URL, err error) {
	if inside, err = parseURL("INSIDE_URL", c.Inside); err != nil {
		return nil, nil, err
	}
	if c.Outside != "" {
		outside, err = parseURL("HOST", c.Outside)
	}
	return inside, outside, err
}

func parseURL(name, text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case text == "":
		return nil, fmt.Errorf("%s is not set: it is the URL of the server inside the cluster, such as http://wandb-app:8080", name)
	case err != nil:
		return nil, fmt.Errorf("%s is no URL", name) // its text may hold a password
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil:
		return nil, fmt.Errorf("%s must be a scheme and a host only, such as https://wandb.example.com", name)
	}
	return u, nil
}
