package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	maxAnswerBytes = 64 << 20
	// requestTime bounds one request; a chart of 16 MiB over a slow line needs most of it.
	requestTime = 5 * time.Minute
)

// ClientOptions configures a Client.
type ClientOptions struct {
	// Server is the base URL of the deploy server.
	Server string
	// Token is the admin token. Requests that need none work without it.
	Token redact.Secret
	// Authorities are PEM certificates to trust beside the system's; empty adds none.
	Authorities []byte
	// UserAgent is sent with each request.
	UserAgent string
}

// Client calls a deploy server's admin API. Its failures are *fault.Error and carry the server's reason and hint.
type Client struct {
	base    string
	options ClientOptions
	http    *http.Client
}

// NewClient checks the options; it does not call the server.
func NewClient(options ClientOptions) (*Client, error) {
	base, err := url.Parse(options.Server)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, &fault.Error{
			Reason: "ServerInvalid", Op: "read server URL", Err: errors.New("it is no http or https URL"),
			Hint: "Give the deploy server with --server or DEPLOY_URL, for example https://deploy.example.com.",
		}
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
	if len(options.Authorities) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(options.Authorities) {
			return nil, &fault.Error{Reason: "AuthorityInvalid", Op: "read certificate authority", Hint: "Give a file of PEM certificates with --ca-file or CA_FILE."}
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &Client{
		base: strings.TrimRight(options.Server, "/"), options: options,
		http: &http.Client{Transport: transport, Timeout: requestTime, CheckRedirect: stay},
	}, nil
}

// stay follows no redirect to another origin: the admin token travels with the request.
func stay(next *http.Request, via []*http.Request) error {
	if next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// Channels lists all channels by name.
func (c *Client) Channels(ctx context.Context) (channels []Channel, err error) {
	return channels, c.get(ctx, "/channels", &channels)
}

// Channel returns one channel with its history.
func (c *Client) Channel(ctx context.Context, name string) (channel Channel, err error) {
	return channel, c.get(ctx, "/channels/"+url.PathEscape(name), &channel)
}

// CreateChannel makes a channel.
func (c *Client) CreateChannel(ctx context.Context, wanted NewChannel) (channel Channel, err error) {
	return channel, c.post(ctx, "/channels", wanted, &channel)
}

// Promote points a channel at a release.
func (c *Client) Promote(ctx context.Context, channel string, wanted NewPromotion) (promotion Promotion, err error) {
	return promotion, c.post(ctx, "/channels/"+url.PathEscape(channel)+"/promotions", wanted, &promotion)
}

// Charts lists the Helm repository by name, newest version first.
func (c *Client) Charts(ctx context.Context) (charts []Chart, err error) {
	return charts, c.get(ctx, "/charts", &charts)
}

// PushChart uploads a packaged chart.
func (c *Client) PushChart(ctx context.Context, archive []byte) (chart Chart, err error) {
	return chart, c.do(ctx, http.MethodPost, Path+"/charts", "application/gzip", archive, &chart)
}

// Releases lists all releases, newest first.
func (c *Client) Releases(ctx context.Context) (releases []Release, err error) {
	return releases, c.get(ctx, "/releases", &releases)
}

// Release returns one release, named by its ID or its name, with its values.
func (c *Client) Release(ctx context.Context, reference string) (release Release, err error) {
	return release, c.get(ctx, "/releases/"+url.PathEscape(reference), &release)
}

// Publish stores a release.
func (c *Client) Publish(ctx context.Context, wanted NewRelease) (release Release, err error) {
	return release, c.post(ctx, "/releases", wanted, &release)
}

// Licenses lists all licences, oldest first.
func (c *Client) Licenses(ctx context.Context) (licenses []License, err error) {
	return licenses, c.get(ctx, "/licenses", &licenses)
}

// IssueLicense signs a licence. The token is shown this once.
func (c *Client) IssueLicense(ctx context.Context, wanted NewLicense) (issued IssuedLicense, err error) {
	return issued, c.post(ctx, "/licenses", wanted, &issued)
}

// RevokeLicense ends a licence.
func (c *Client) RevokeLicense(ctx context.Context, id string, why Revocation) (license License, err error) {
	return license, c.post(ctx, "/licenses/"+url.PathEscape(id)+"/revocation", why, &license)
}

// Trust describes the signed catalog.
func (c *Client) Trust(ctx context.Context) (trust Trust, err error) {
	return trust, c.get(ctx, "/trust", &trust)
}

// InitTrust makes the signed catalog; where there is one it stays as it is.
func (c *Client) InitTrust(ctx context.Context) (trust Trust, err error) {
	return trust, c.post(ctx, "/trust", struct{}{}, &trust)
}

// LicenseKeys returns the JWKS with which licences are verified. It needs no token.
func (c *Client) LicenseKeys(ctx context.Context) (jwks json.RawMessage, err error) {
	return jwks, c.do(ctx, http.MethodGet, "/.well-known/jwks.json", "", nil, &jwks)
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, Path+path, "", nil, into)
}

func (c *Client) post(ctx context.Context, path string, document, into any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.do(ctx, http.MethodPost, Path+path, "application/json", body, into)
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.options.UserAgent != "" {
		request.Header.Set("User-Agent", c.options.UserAgent)
	}
	if c.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Token.Reveal())
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return c.unreachable(err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refusal(response.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return &fault.Error{
			Reason: "ServerInvalid", Op: "read answer", Err: err, Hint: "Check that " + c.base + " is the base URL of a deploy server.",
		}
	}
	return nil
}

func (c *Client) unreachable(err error) error {
	hint := "Check that the deploy server runs and that --server (DEPLOY_URL) is right."
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		hint = "Give the certificate authority of the server with --ca-file (CA_FILE)."
	}
	return &fault.Error{Reason: "Unreachable", Op: "call deploy server", Err: err, Hint: hint, Retry: true}
}

// refusal turns an answer that is no success into a fault.
func refusal(status int, answer []byte) error {
	var said Failure
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		return &fault.Error{
			Reason: "ServerInvalid", Op: "call deploy server", Err: fmt.Errorf("the server answered %d %s", status, http.StatusText(status)),
			Hint: "Check that --server (DEPLOY_URL) is the base URL of a deploy server.",
		}
	}
	return &fault.Error{
		Reason: said.Reason, Op: "call deploy server", Err: errors.New(said.Error), Hint: said.Hint,
		Retry: status >= 500 || status == http.StatusTooManyRequests,
	}
}
