package channel

import (
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
	"strconv"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// answerTime is how long an answer may take beyond the time the server was asked to hold it.
	answerTime = 30 * time.Second
	// maxRetryAfter keeps a server from silencing its followers for days.
	maxRetryAfter = time.Hour
	// skewSuspected is the difference of clocks from which a refused licence is blamed on them.
	skewSuspected = 5 * time.Minute
	maxErrorBytes = 64 << 10
)

// answer is what one request learnt.
type answer struct {
	// release is nil for "not changed".
	release *catalog.Release
	etag    string
	// held tells that the server honours the preference to wait.
	held bool
	// retryAfter is the pause that the server asked for, or 0.
	retryAfter time.Duration
}

func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    4,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}
}

// checkRedirect follows a server within its own origin only: the licence travels with the request.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Host != first.Host || next.URL.Scheme != first.Scheme || len(via) >= 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// fetch asks once, and where wait is set asks the server to hold the answer. Its error is always a *fault.Error; the
// answer's retryAfter is set beside an error too.
func (f *Follower) fetch(ctx context.Context, sub Subscription, etag string, wait bool) (answer, error) {
	address, err := sub.address()
	if err != nil {
		return answer{}, err
	}
	limit := answerTime
	if wait {
		limit += f.options.Wait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, unreachable(err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	if f.options.UserAgent != "" {
		request.Header.Set("User-Agent", f.options.UserAgent)
	}
	if sub.License != "" {
		request.SetBasicAuth("license", strings.TrimSpace(sub.License.Reveal()))
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	if wait {
		request.Header.Set("Prefer", "wait="+strconv.Itoa(int(f.options.Wait/time.Second)))
	}
	response, err := f.client.Do(request)
	if err != nil {
		return answer{}, transportFault(err)
	}
	defer func() { _ = response.Body.Close() }()
	return readAnswer(response, etag)
}

func readAnswer(response *http.Response, etag string) (answer, error) {
	result := answer{
		etag:       response.Header.Get("ETag"),
		held:       strings.Contains(response.Header.Get("Preference-Applied"), "wait"),
		retryAfter: retryAfter(response.Header.Get("Retry-After")),
	}
	switch {
	case response.StatusCode == http.StatusOK:
	case response.StatusCode == http.StatusNotModified && etag != "":
		return result, nil
	default:
		return result, statusFault(response)
	}
	// One byte beyond the bound tells a document of exactly that size from a longer one.
	document, err := io.ReadAll(io.LimitReader(response.Body, catalog.MaxDocumentBytes+1))
	if err != nil {
		return result, transportFault(fmt.Errorf("read answer: %w", err))
	}
	result.release, err = catalog.Parse(document)
	if err != nil {
		return result, err
	}
	return result, nil
}

func retryAfter(header string) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}

// refusal is the body that a deploy server of ours sends with a failure.
type refusal struct {
	Error  string `json:"error"`
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

// statusFault classifies a status that is no success. The server's words are shown to a person, so they are bounded.
func statusFault(response *http.Response) error {
	var said refusal
	body, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes))
	if err == nil {
		_ = json.Unmarshal(body, &said)
	}
	cause := errors.New("the server answered " + httpStatus(response.StatusCode))
	if said.Error != "" {
		cause = fmt.Errorf("%w: %s", cause, bounded(said.Error))
	}
	result := &fault.Error{Op: "ask channel", Err: cause, Hint: bounded(said.Hint), Retry: true}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		refused(result, said.Reason, response.Header.Get("Date"))
	case http.StatusNotFound:
		result.Reason = ReasonReleaseNotFound
		setHint(result, "Check that the channel has a release, that the pinned release exists, and that the channel URL is the base of a deploy server.")
	default:
		result.Reason = ReasonServerError
		setHint(result, "The deploy server failed; what is installed stays as it is. Ask its operator if this lasts.")
	}
	return result
}

func refused(result *fault.Error, reason, date string) {
	result.Reason, result.Retry = ReasonRejected, false
	if reason != "" {
		result.Err = fmt.Errorf("%w (%s)", result.Err, bounded(reason))
	}
	if served, err := http.ParseTime(date); err == nil {
		if skew := time.Since(served).Abs(); skew > skewSuspected && strings.Contains(reason, "Expired") {
			result.Reason, result.Retry = ReasonClockSkewed, true
			result.Hint = fmt.Sprintf("The clocks of this cluster and of the deploy server differ by %s. Correct the wrong one.", skew.Round(time.Minute))
			return
		}
	}
	setHint(result, "Check the licence: it is expired, revoked, or meant for another deploy server.")
}

func setHint(result *fault.Error, hint string) {
	if result.Hint == "" {
		result.Hint = hint
	}
}

func httpStatus(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}

// bounded cuts text of a server to one line that fits a condition.
func bounded(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// transportFault classifies an error from below HTTP. Go's own texts name the URL, which holds no credential.
func transportFault(err error) error {
	var (
		certificate x509.CertificateInvalidError
		untrusted   *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		return &fault.Error{
			Reason: ReasonClockSkewed, Op: "ask channel", Err: steady(err), Retry: true,
			Hint: "Check the clock of this node first, then the life of the server's certificate.",
		}
	case errors.As(err, &untrusted):
		return &fault.Error{
			Reason: ReasonUnreachable, Op: "ask channel", Err: steady(err), Retry: true,
			Hint: "The server's certificate is not trusted. Give its certificate authority to the operator (customCACerts).",
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &fault.Error{
			Reason: ReasonTimedOut, Op: "ask channel", Err: steady(err), Retry: true,
			Hint: "The server or a proxy before it does not answer in time. Check its load, and network policies that drop packets.",
		}
	default:
		return unreachable(err)
	}
}

func unreachable(err error) error {
	return &fault.Error{
		Reason: ReasonUnreachable, Op: "ask channel", Err: steady(err), Retry: true,
		Hint: "Check DNS, proxy settings and network policies between the operator and the deploy server. The last known release stays in use.",
	}
}

// steady takes out of a network error what differs from attempt to attempt, such as the local port: the text becomes
// a condition's message, and a condition must not change while nothing does.
func steady(err error) error {
	var (
		lookup    *net.DNSError
		operation *net.OpError
		request   *url.Error
	)
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("look up %s: no such host", lookup.Name)
	case errors.As(err, &lookup):
		return fmt.Errorf("look up %s: name server does not answer", lookup.Name)
	case errors.As(err, &operation) && operation.Addr != nil:
		return fmt.Errorf("%s %s: %w", operation.Op, operation.Addr, operation.Err)
	case errors.As(err, &request):
		return request.Err
	}
	return err
}
