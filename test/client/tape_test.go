package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// maxTaped is how much of a body is kept.
const maxTaped = 1 << 20

// taped is one request and how it was answered.
type taped struct {
	Method, Path string
	Body         []byte
	Status       int
	Answer       []byte
}

// operation is the GraphQL request that was sent; ok is false for other requests.
func (r taped) operation() (o operation, ok bool) {
	if r.Path != "/graphql" || json.Unmarshal(r.Body, &o) != nil {
		return o, false
	}
	return o, o.Query != ""
}

// operation is a GraphQL request.
type operation struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName,omitempty"`
	Variables     json.RawMessage `json:"variables,omitempty"`
}

// tape is a proxy before a server, which notes every request.
type tape struct {
	// unannounced: while the server is away the proxy says nothing of when to come back, as most do.
	unannounced atomic.Bool

	url string
	mu  sync.Mutex
	all []taped
}

// front says how clients reach the proxy.
type front func(t *testing.T, server *httptest.Server)

func plain(_ *testing.T, server *httptest.Server) { server.Start() }

func newTape(t *testing.T, address string, front front, ingress *ingress) *tape {
	t.Helper()
	tape := &tape{}
	target := &url.URL{Scheme: "http", Host: address}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = "not.the.configured.host" // links must not be made from it
		},
		ModifyResponse: tape.note,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			if !tape.unannounced.Load() {
				w.Header().Set("Retry-After", "1")
			}
			w.WriteHeader(http.StatusBadGateway) // the server restarts
		},
	}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &bytes.Buffer{}
		r.Body = readCloser{io.TeeReader(r.Body, &bounded{body}), r.Body}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
	})
	if ingress != nil {
		ingress.next, handler = handler, ingress
	}
	server := httptest.NewUnstartedServer(handler)
	front(t, server)
	t.Cleanup(server.Close)
	tape.url = server.URL
	return tape
}

type bodyKey struct{}

type readCloser struct {
	io.Reader
	io.Closer
}

// bounded keeps the beginning of what is written.
type bounded struct{ *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(maxTaped-b.Len(), 0))])
	return len(p), nil
}

func (t *tape) note(r *http.Response) error {
	body, _ := r.Request.Context().Value(bodyKey{}).(*bytes.Buffer)
	entry := taped{Method: r.Request.Method, Path: r.Request.URL.Path, Body: body.Bytes(), Status: r.StatusCode}
	if entry.Path == "/graphql" || r.StatusCode >= http.StatusBadRequest {
		answer, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		entry.Answer = answer[:min(len(answer), maxTaped)]
		r.Body = io.NopCloser(bytes.NewReader(answer))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, entry)
	return nil
}

// requests are all that were answered so far.
func (t *tape) requests() []taped {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]taped(nil), t.all...)
}

// check fails a test in which the client asked for what the server does not have, or the server broke.
func (p *program) check(t *testing.T) {
	t.Helper()
	for _, r := range p.tape.requests() {
		if r.Status >= http.StatusInternalServerError && r.Status != http.StatusBadGateway {
			t.Errorf("%s %s was answered with %d: %s", r.Method, r.Path, r.Status, r.Answer)
		}
	}
	for line := range strings.Lines(p.logs.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "not supported") {
			t.Errorf("the server logged %s", line)
		}
	}
	keepCorpus(t, p.tape.requests())
}

// authority writes certificates of its own: that of an authority, and one for 127.0.0.1 that is none itself, since a part of
// the client refuses a server that could sign others.
type authority struct {
	// file holds the authority's certificate.
	file string
	leaf tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey, rootDER := certify(t, root, root, nil)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafKey, leafDER := certify(t, leaf, root, rootKey)
	a := authority{file: filepath.Join(t.TempDir(), "ca.pem"), leaf: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// certify signs a certificate; without a signer it signs itself.
func certify(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// front ends TLS before the server.
func (a authority) front(_ *testing.T, server *httptest.Server) {
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.leaf}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
}
