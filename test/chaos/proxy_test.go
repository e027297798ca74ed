package chaos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// maxBody bounds what the proxy holds of one request.
const maxBody = 16 << 20

// proxy stands between one operator and the API server. It speaks plain HTTP on loopback and adds the credentials of its
// user, so that the API server's audit log tells processes apart by name.
type proxy struct {
	server   *httptest.Server
	upstream string
	client   *http.Client

	mu sync.Mutex
	// armed counts writes; hook is asked before and after each of them.
	armed  bool
	writes []string
	hook   hook
}

// hook is called before the n-th write (from 1) is sent, and after the API server has answered it. False drops the
// request, or the answer.
type hook func(n int, write string, answered bool) bool

func newProxy(t *testing.T, user *rest.Config) *proxy {
	t.Helper()
	transport, err := rest.TransportFor(user)
	must(t, err)
	p := &proxy{upstream: strings.TrimSuffix(user.Host, "/"), client: &http.Client{Transport: transport}}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		_ = p.server.Listener.Close()
		p.server.CloseClientConnections()
	})
	return p
}

// arm counts writes from now on; nil counts without a hook.
func (p *proxy) arm(h hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.writes, p.hook = true, nil, h
}

// disarm lets everything pass and returns what was written meanwhile.
func (p *proxy) disarm() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.hook = false, nil
	return p.writes
}

// written returns what was written since the proxy was armed.
func (p *proxy) written() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.writes...)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !writes(r) {
		p.forward(r.Context(), w, r, nil)
		return
	}
	write := r.Method + " " + r.URL.Path
	p.mu.Lock()
	ask := hook(func(int, string, bool) bool { return true })
	n := 0
	if p.armed {
		p.writes = append(p.writes, write)
		n = len(p.writes)
		if p.hook != nil {
			ask = p.hook
		}
	}
	p.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil || !ask(n, write, false) {
		return
	}
	answer := httptest.NewRecorder()
	// A write that has left its process arrives, whatever becomes of the process.
	p.forward(context.WithoutCancel(r.Context()), answer, r, body)
	if !ask(n, write, true) {
		return
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// writes tells requests that change something. A review of rights is a POST that stores nothing.
func writes(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/") {
		return false
	}
	return !strings.HasPrefix(r.URL.Path, "/apis/authentication.k8s.io/")
}

func (p *proxy) forward(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	if body == nil {
		body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody))
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, p.upstream+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for _, name := range []string{"Accept", "Content-Type", "User-Agent"} {
		if value := r.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := p.client.Do(request)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	for name, values := range response.Header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	buffer := make([]byte, 32<<10)
	for {
		n, err := response.Body.Read(buffer)
		_, _ = w.Write(buffer[:n])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush() // a watch tells its events one by one
		}
		if err != nil {
			return
		}
	}
}
