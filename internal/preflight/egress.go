package preflight

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	connectTime    = 5 * time.Second
	maxHeaderBytes = 64 << 10
)

// egress asks deploy server and source of the chart for anything at all: whatever they answer, the way is open.
func (r *run) egress(ctx context.Context) Check {
	if r.Airgapped {
		return idle(Egress, "the installation is air-gapped")
	}
	var addresses []string
	for _, given := range []string{r.ChannelURL, r.ChartURL} {
		if address := outside(given); address != "" && !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) == 0 {
		return idle(Egress, "nothing outside is asked")
	}
	client := &http.Client{Transport: r.transport(nil), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	problems := make([]string, len(addresses))
	var group sync.WaitGroup
	for i, address := range addresses {
		group.Go(func() { problems[i] = knock(ctx, client, address) })
	}
	group.Wait()
	problems = slices.DeleteFunc(problems, func(problem string) bool { return problem == "" })
	if len(problems) > 0 {
		return warning(Egress, "%s. Open the way, name a proxy in HTTPS_PROXY (value extraEnv of the operator's chart), or set its value airgapped.", strings.Join(problems, "; "))
	}
	return passed(Egress, "%s answered", strings.Join(addresses, " and "))
}

// outside returns scheme and host of a URL that is asked over HTTP; empty for a folder, or what is no URL.
func outside(given string) string {
	address, err := url.Parse(strings.TrimSpace(given))
	if err != nil || address.Host == "" {
		return ""
	}
	switch address.Scheme {
	case "http", "https":
		return address.Scheme + "://" + address.Host
	case "oci":
		return "https://" + address.Host
	default:
		return ""
	}
}

// knock returns what keeps a server from answering; empty where it answered.
func knock(ctx context.Context, client *http.Client, address string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address+"/", http.NoBody)
	if err != nil {
		return address + " is no URL"
	}
	answer, err := client.Do(request)
	if err != nil {
		return address + " does not answer: " + cause(err)
	}
	_ = answer.Body.Close() // the answer to HEAD has no body
	return ""
}

// cause is the innermost part of a network error that tells something, without URLs.
func cause(err error) string {
	var dns *net.DNSError
	var wrapped *url.Error
	switch {
	case errors.As(err, &dns):
		return lookupProblem(dns.Name, dns)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &wrapped):
		return wrapped.Err.Error()
	default:
		return err.Error()
	}
}

// transport carries requests to the outside. roots are certificates beside those of the system; nil adds none.
func (r *run) transport(roots *x509.CertPool) http.RoundTripper {
	if r.Transport != nil {
		return r.Transport
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    connectTime,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true, // each run makes a few requests and none later
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}
