package channel_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const canary = "canary.licence.5c1d"

var key = types.NamespacedName{Namespace: "wandb", Name: "wandb"}

func documentOf(id string) string {
	return `{"metadata":{"releaseId":"` + id + `","releaseName":"v` + id + `","channelName":"stable"},` +
		`"chart":{"url":"https://charts.example.com","name":"operator-wandb","version":"1.0.0"},"values":{"n":9007199254740993}}`
}

func newFollower(t testing.TB, options channel.Options) *channel.Follower {
	t.Helper()
	f, err := channel.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// await reads changes until the snapshot satisfies done.
func await(t testing.TB, f *channel.Follower, done func(channel.Snapshot) bool) channel.Snapshot {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		if snapshot, ok := f.Latest(key); ok && done(snapshot) {
			return snapshot
		}
		select {
		case <-f.Changes():
		case <-limit:
			snapshot, _ := f.Latest(key)
			t.Fatalf("the awaited state did not come; the last one is %+v", snapshot)
		}
	}
}

func failed(s channel.Snapshot) bool   { return s.Err != nil }
func released(s channel.Snapshot) bool { return s.Release != nil && s.Err == nil && !s.FromCache }

func TestEachFailureHasItsReason(t *testing.T) {
	reply := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	cases := map[string]struct {
		handler http.HandlerFunc
		// want is the reason, text part of the message with its hint.
		want, text string
		retry      bool
	}{
		"licence invalid": {
			reply(401, `{"error":"the licence is malformed","reason":"LicenseInvalid","hint":"Copy it again."}`),
			channel.ReasonRejected, "the licence is malformed (LicenseInvalid). Copy it again.", false,
		},
		"licence expired": {
			reply(403, `{"error":"the licence ended","reason":"LicenseExpired","hint":"Renew it."}`),
			channel.ReasonRejected, "LicenseExpired", false,
		},
		"licence expired while the clocks differ": {
			reply(403, `{"error":"the licence ended","reason":"LicenseExpired"}`, "Date", time.Now().Add(48*time.Hour).UTC().Format(http.TimeFormat)),
			channel.ReasonClockSkewed, "differ by 48h", true,
		},
		"403 of a proxy":         {reply(403, "<html>blocked</html>"), channel.ReasonRejected, "403 Forbidden", false},
		"no such release":        {reply(404, `{"error":"no release","reason":"ReleaseNotFound"}`), channel.ReasonReleaseNotFound, "no release", true},
		"server error":           {reply(500, "boom"), channel.ReasonServerError, "500 Internal Server Error", true},
		"too many requests":      {reply(429, "", "Retry-After", "7"), channel.ReasonServerError, "429", true},
		"a success of no kind":   {reply(204, ""), channel.ReasonServerError, "204", true},
		"304 without a question": {reply(304, ""), channel.ReasonServerError, "304", true},
		"a redirect elsewhere":   {reply(302, "", "Location", "http://elsewhere.invalid/"), channel.ReasonServerError, "302", true},
		"an empty answer":        {reply(200, ""), catalog.ReasonMalformedRelease, "empty", false},
		"an empty list":          {reply(200, "[]"), catalog.ReasonMalformedRelease, "a list", false},
		"an empty object":        {reply(200, "{}"), catalog.ReasonMalformedRelease, "chart is missing", false},
		"an HTML page":           {reply(200, "<html>"), catalog.ReasonMalformedRelease, "invalid character", false},
		"truncated JSON":         {reply(200, documentOf("1")[:80]), catalog.ReasonMalformedRelease, "unexpected end of JSON input", false},
		"a body cut by the network": {
			reply(200, documentOf("1")[:80], "Content-Length", "5000"), channel.ReasonUnreachable, "unexpected EOF", true,
		},
		"a body without end": {
			func(w http.ResponseWriter, _ *http.Request) {
				chunk := bytes.Repeat([]byte(" "), 1<<20)
				for range 64 {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			},
			catalog.ReasonMalformedRelease, "at most", false,
		},
		"a connection that is cut": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, channel.ReasonUnreachable, "EOF", true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			defer server.Close()
			var logged bytes.Buffer
			f := newFollower(t, channel.Options{Logger: slog.New(slog.NewJSONHandler(&logged, nil)), MinBackoff: time.Minute})
			f.Follow(channel.Subscription{Key: key, BaseURL: server.URL, License: canary})
			err := await(t, f, failed).Err
			f.Close()
			if got := fault.Reason(err, ""); got != tc.want {
				t.Errorf("reason = %q (%v), want %q", got, err, tc.want)
			}
			if !strings.Contains(fault.Message(err), tc.text) || fault.Hint(err) == "" {
				t.Errorf("message %q does not say %q, or has no hint", fault.Message(err), tc.text)
			}
			if fault.Retryable(err) != tc.retry {
				t.Errorf("Retryable = %v, want %v", !tc.retry, tc.retry)
			}
			if all := logged.String() + fault.Message(err) + fmt.Sprintf("%#v", err); strings.Contains(all, canary) {
				t.Errorf("the licence is shown: %s", all)
			}
		})
	}
}

func TestAServerThatIsAwayOrUntrustedIsUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	for name, base := range map[string]string{
		"nobody listens": "http://" + closed.Addr().String(), "unknown authority": untrusted.URL,
		"no such host": "https://deploy.invalid", "no URL": "deploy.example.com",
	} {
		f := newFollower(t, channel.Options{MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond})
		f.Follow(channel.Subscription{Key: key, BaseURL: base})
		first := await(t, f, failed).Err
		if fault.Reason(first, "") != channel.ReasonUnreachable || fault.Hint(first) == "" {
			t.Errorf("%s: %v, want Unreachable with a hint", name, first)
		}
		// Further attempts must not wake anybody: the message stays the same.
		select {
		case <-f.Changes():
			snapshot, _ := f.Latest(key)
			t.Errorf("%s: notified again, from %q to %q", name, fault.Message(first), fault.Message(snapshot.Err))
		case <-time.After(60 * time.Millisecond):
		}
		f.Close()
	}
}

func TestACertificateOutsideItsLifeBlamesTheClock(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(24 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	f := newFollower(t, channel.Options{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}})
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL})
	if err := await(t, f, failed).Err; fault.Reason(err, "") != channel.ReasonClockSkewed {
		t.Errorf("%v, want ClockSkewed", err)
	}
}

func TestTheRequestIsTheOneThatDeployServersKnow(t *testing.T) {
	type asked struct{ path, user, password, match, prefer, agent, contentType string }
	requests := make(chan asked, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		requests <- asked{r.URL.EscapedPath(), user, password, r.Header.Get("If-None-Match"), r.Header.Get("Prefer"), r.UserAgent(), r.Header.Get("Content-Type")}
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write([]byte(documentOf("a/b c")))
	}))
	defer server.Close()
	f := newFollower(t, channel.Options{UserAgent: "kubewandb/1"})
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL + "/", License: "l.i.c\n", Pin: "a/b c"})
	const path = "/api/v1/operator/channel/release/a%2Fb%20c"
	for i, want := range []asked{
		{path, "license", "l.i.c", "", "", "kubewandb/1", "application/json"},
		{path, "license", "l.i.c", `"1"`, "wait=30", "kubewandb/1", "application/json"},
	} {
		if got := <-requests; got != want {
			t.Errorf("request %d = %+v, want %+v", i+1, got, want)
		}
	}
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL + "/api/v1/operator/channel"})
	if got := <-requests; got.path != "/api/v1/operator/channel" || got.user != "" {
		t.Errorf("without licence and pin: %+v, want the channel and no credentials", got)
	}
}

func TestAPinThatIsAnsweredWithAnotherReleaseIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(documentOf("2"))) }))
	defer server.Close()
	f := newFollower(t, channel.Options{})
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL, Pin: "1"})
	if got := await(t, f, failed); got.Release != nil {
		t.Errorf("release %s was accepted for pin 1", got.Release.ID())
	}
}

func TestARedirectDoesNotCarryTheLicenceElsewhere(t *testing.T) {
	visited := make(chan struct{}, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited <- struct{}{} }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	f := newFollower(t, channel.Options{})
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL, License: canary})
	await(t, f, failed)
	select {
	case <-visited:
		t.Error("the redirect was followed to another origin")
	default:
	}
}

func TestScopeTellsSubscriptionsApartWithoutTheLicence(t *testing.T) {
	base := channel.Subscription{Key: key, License: redact.Secret(canary)}
	scopes := map[string]bool{base.Scope(): true}
	for _, other := range []channel.Subscription{
		{Key: key}, {Key: key, License: "other"}, {Key: key, License: canary, Pin: "1"}, {Key: key, License: canary, BaseURL: "https://deploy.example.com"},
	} {
		if scopes[other.Scope()] {
			t.Errorf("%+v has the scope of another subscription", other)
		}
		scopes[other.Scope()] = true
	}
	same := base
	same.BaseURL = channel.DefaultBaseURL + "/"
	if same.Scope() != base.Scope() || strings.Contains(base.Scope(), canary) {
		t.Error("the same server has two scopes, or the licence shows")
	}
	if base.Channel() != "stable" {
		t.Errorf("Channel = %q for a licence that cannot be read", base.Channel())
	}
}

// verifier refuses with err until it is nil.
type verifier func(ctx context.Context, sub channel.Subscription, release *catalog.Release) error

func (v verifier) Verify(ctx context.Context, sub channel.Subscription, release *catalog.Release) error {
	return v(ctx, sub, release)
}

func TestSignedModeNeverFallsBack(t *testing.T) {
	if _, err := channel.New(channel.Options{Trust: channel.TrustSigned}); err == nil {
		t.Error("trust Signed starts without a verifier")
	}
	if _, err := channel.New(channel.Options{Trust: "None"}); err == nil {
		t.Error("an unknown trust mode starts")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(documentOf("1"))) }))
	defer server.Close()
	refuse := verifier(func(context.Context, channel.Subscription, *catalog.Release) error {
		return &fault.Error{Reason: "SignatureInvalid", Op: "verify release", Hint: "Look."}
	})
	f := newFollower(t, channel.Options{Trust: channel.TrustSigned, Verifier: refuse})
	f.Follow(channel.Subscription{Key: key, BaseURL: server.URL})
	if got := await(t, f, failed); got.Release != nil || fault.Reason(got.Err, "") != "SignatureInvalid" {
		t.Errorf("snapshot = %+v, want no release and SignatureInvalid", got)
	}
}
