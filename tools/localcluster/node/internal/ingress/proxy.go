package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// dialTime bounds the connection to one endpoint: pods are on this node, so
	// silence means that the pod is gone.
	dialTime = 3 * time.Second
	// idleConnections are kept per endpoint, so that a burst of small requests
	// does not open a connection each.
	idleConnections = 64
	idleTime        = 60 * time.Second
	// copyBuffer is the size of the buffers between the two connections.
	copyBuffer = 64 << 10
)

// Proxy sends requests to the backends of the current table.
type Proxy struct {
	table   atomic.Pointer[Table]
	reverse *httputil.ReverseProxy
	log     *slog.Logger
}

var _ http.Handler = (*Proxy)(nil)

// NewProxy returns a proxy with an empty table.
func NewProxy(log *slog.Logger) *Proxy {
	p := &Proxy{log: log}
	p.table.Store(Build(Objects{}))
	p.reverse = &httputil.ReverseProxy{
		Rewrite:   rewrite,
		Transport: newTransport(),
		// Every write goes out at once: event streams and long polls wait for
		// single lines.
		FlushInterval: -1,
		BufferPool:    newBufferPool(),
		ErrorHandler:  p.fail,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return p
}

// Use makes t the current table.
func (p *Proxy) Use(t *Table) { p.table.Store(t) }

// Table is the current table.
func (p *Proxy) Table() *Table { return p.table.Load() }

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := hostname(r.Host)
	backend := p.Table().Match(host, r.URL.Path)
	if backend == nil {
		page(w, http.StatusNotFound, fmt.Sprintf("No Ingress of this cluster has a rule for %s%s.", host, r.URL.Path))
		return
	}
	endpoints := backend.Endpoints()
	if len(endpoints) == 0 {
		w.Header().Set("Retry-After", "1")
		page(w, http.StatusServiceUnavailable, fmt.Sprintf("Backend %s: %s.", backend.Name, backend.Problem))
		return
	}
	choice := &choice{backend: backend.Name, endpoints: endpoints}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), choiceKey{}, choice)))
}

// fail answers a request for which no endpoint gave an answer.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		// The client has gone; nobody reads an answer.
		return
	}
	name := ""
	if c, ok := r.Context().Value(choiceKey{}).(*choice); ok {
		name = c.backend
	}
	p.log.Warn("backend gave no answer", "backend", name, "method", r.Method, "path", r.URL.Path, "error", err)
	status := http.StatusBadGateway
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	page(w, status, fmt.Sprintf("Backend %s gave no answer: %v.", name, err))
}

// choice is what the proxy decided for one request, for the transport.
type choice struct {
	backend   string
	endpoints []string
}

type choiceKey struct{}

// rewrite prepares the request for the backend: the client's Host stays, and
// the forwarding headers are this proxy's own, never the client's claims.
func rewrite(r *httputil.ProxyRequest) {
	r.SetXForwarded()
	r.Out.Host = r.In.Host
	r.Out.URL.Scheme = "http"
	// The query passes as it is, also where Go would not parse it so.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	// The transport replaces the host by an endpoint.
	r.Out.URL.Host = "endpoint"
	_, port, err := net.SplitHostPort(r.In.Host)
	if err != nil {
		port = "80"
		if r.In.TLS != nil {
			port = "443"
		}
	}
	r.Out.Header.Set("X-Forwarded-Port", port)
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		r.Out.Header.Set("X-Real-Ip", client)
	}
}

// endpointTransport sends a request to the first endpoint that accepts a
// connection.
type endpointTransport struct{ next http.RoundTripper }

func newTransport() http.RoundTripper {
	return &endpointTransport{next: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     idleTime,
		// Bodies pass as they are.
		DisableCompression: true,
		ReadBufferSize:     copyBuffer,
		WriteBufferSize:    copyBuffer,
	}}
}

func (t *endpointTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c, ok := r.Context().Value(choiceKey{}).(*choice)
	if !ok {
		return nil, errors.New("route request: no backend was chosen")
	}
	// The transport closes a request's body even when the connection fails, so
	// the body is shielded until an endpoint has taken it.
	body := r.Body
	defer func() {
		if body != nil {
			_ = body.Close()
		}
	}()
	var last error
	for _, endpoint := range c.endpoints {
		attempt := r.Clone(r.Context())
		attempt.URL.Host = endpoint
		if body != nil && body != http.NoBody {
			attempt.Body = shield{body}
		}
		response, err := t.next.RoundTrip(attempt)
		if err == nil {
			// The answer may begin before the body was read to its end: from
			// here on the server closes it.
			body = nil
			return response, nil
		}
		last = err
		if !refused(err) {
			break
		}
	}
	return nil, last
}

// shield is a body that stays open when the transport closes it.
type shield struct {
	body interface{ Read([]byte) (int, error) }
}

func (s shield) Read(p []byte) (int, error) { return s.body.Read(p) }
func (s shield) Close() error               { return nil }

// refused tells whether the connection itself failed, so that nothing of the
// request has been sent.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, context.Canceled)
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// page answers with one line of text that a person at a browser or in a log
// understands.
func page(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Server", "localcluster-ingress")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%d %s\n%s\n", status, http.StatusText(status), text)
}

type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any {
		buffer := make([]byte, copyBuffer)
		return &buffer
	}}}
}

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, copyBuffer)
}

func (b *bufferPool) Put(buffer []byte) { b.pool.Put(&buffer) }
