package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/ingest"
	"github.com/kubewandb/kubewandb/internal/server/limit"
	"github.com/kubewandb/kubewandb/internal/server/scim"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// maxGraphQL bounds one GraphQL request; `wandb verify` sends 10 MB.
	maxGraphQL = 16 << 20
	// maxUnauthenticated is how much is read of a request without a valid key, so that the client sees the answer.
	maxUnauthenticated = 64 << 10
	// bodyBudget bounds the bodies that are held in memory at once; others wait.
	bodyBudget = 64 << 20
)

// Handler answers every request but those for metrics.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/graphql", s.graphql)
	mux.Handle(ingest.Pattern, s.ingest)
	mux.HandleFunc("GET /api/session", s.session)
	mux.HandleFunc("POST /api/session", s.signIn)
	mux.HandleFunc("DELETE /api/session", s.signOut)
	mux.HandleFunc("POST /api/setup", s.setup)
	mux.HandleFunc("GET /api/keys", s.keys)
	mux.HandleFunc("POST /api/keys", s.createKey)
	mux.HandleFunc("DELETE /api/keys/{id}", s.revokeKey)
	mux.HandleFunc("GET /api/invitation", s.invitation)
	mux.HandleFunc("POST /api/invitation", s.acceptInvitation)
	mux.Handle("/api/admin/", s.administered(admin.Handler(admin.Options{Accounts: s.accounts, Quotas: s.quotas, Host: s.host.String(), Fail: s.fail})))
	mux.Handle("/scim/", s.administered(scim.Handler(scim.Options{Accounts: s.accounts, Host: s.host.String(), Fail: s.fail})))
	mux.HandleFunc("GET /oidc/auth", s.administrator)
	mux.HandleFunc("GET /oidc/login", s.beginSignOn)
	mux.HandleFunc("GET /oidc/callback", s.finishSignOn)
	mux.HandleFunc("POST /oidc/token", s.exchangeToken)
	mux.HandleFunc("GET /files/{entity}/{project}/{run}/{path...}", s.runFile)
	mux.HandleFunc("OPTIONS /files/", preflight)
	mux.HandleFunc("/files/", notFound)
	mux.HandleFunc("GET /artifacts/{entity}/{md5}", s.entityFile)
	mux.HandleFunc("GET /artifactsV2/{region}/{entity}/{birth}/{md5}", s.entityFile)
	mux.HandleFunc("GET /artifactsV2/{region}/{entity}/{project}/{collection}/{birth}/{md5}/{name}", s.artifactFile)
	mux.HandleFunc("GET /artifactsV2/{region}/{entity}/{project}/{collection}/{artifact}/{birth}/{md5}/{name}", s.artifactFile)
	for _, folder := range []string{"/artifacts/", "/artifactsV2/"} {
		mux.HandleFunc("OPTIONS "+folder, preflight)
		mux.HandleFunc(folder, notFound)
	}
	mux.HandleFunc("/api/", notFound)
	mux.HandleFunc("/oidc/", notFound)
	mux.HandleFunc("/", s.page)

	// Probes are answered before everything else: by kubelets, and by a client that asks for telemetry with every session.
	probes := http.NewServeMux()
	probes.HandleFunc("GET /healthz", s.healthz)
	probes.HandleFunc("GET /ready", s.ready)
	probes.HandleFunc("/sdk/otel/", notFound)
	probes.Handle(blob.StoragePath, s.observed(s.objects()))
	probes.Handle("/", s.observed(s.punctual(s.sameSite(mux))))
	return frugal(probes)
}

// frugal reads a little of what a handler leaves of a body, so that the client sees the answer, and nothing beyond: net/http
// goes on for half a megabyte where a body comes in chunks, also for those whom nobody knows.
func frugal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := &tally{ReadCloser: r.Body}
		r.Body = body
		next.ServeHTTP(w, r)
		r.Body = body.ReadCloser              // net/http waits before it breaks a connection, but only for a body that it knows
		waits := r.Header.Get("Expect") != "" // with the body, for a word that only a handler gives
		if rest := maxUnauthenticated - body.read; rest > 0 && !body.ended && !waits {
			_, _ = io.CopyN(io.Discard, body, rest)
		}
		// Whoever was let send far more is known: there net/http may read on.
		if !body.ended && body.read <= 2*maxUnauthenticated {
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // fails where nothing is read from a connection
		}
	})
}

// tally counts what is read of a body.
type tally struct {
	io.ReadCloser
	read  int64
	ended bool
}

// Read notes the end, also that of a connection.
func (t *tally) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.read += int64(n)
	t.ended = t.ended || err != nil
	return n, err
}

// observed logs and counts requests.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, info := withRequestInfo(r.Context())
		r = r.WithContext(ctx)
		answer := &recorder{ResponseWriter: w}
		s.guarded(next, answer, r)

		route, took := r.Pattern, time.Since(start)
		if route == "" {
			route = "none"
		}
		s.metrics.request(route, answer.status(), took)
		level := slog.LevelInfo
		if route == ingest.Pattern && answer.status() == http.StatusOK {
			level = slog.LevelDebug // many a second, each the same: metrics count them
		}
		if !s.logger.Enabled(ctx, level) {
			return
		}
		s.logger.Log(ctx, level, "request", "method", r.Method, "path", r.URL.Path, "status", answer.status(),
			"bytes", answer.written, "duration", took.Round(time.Microsecond).String(), "address", s.clientAddress(r), "user", info.user)
	})
}

// guarded answers one request, also where a handler panics.
func (s *Server) guarded(next http.Handler, w *recorder, r *http.Request) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		s.logger.ErrorContext(r.Context(), "handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		if w.code == 0 {
			writeJSON(w, http.StatusInternalServerError, failure{Error: "Something went wrong inside the server."})
		}
	}()
	next.ServeHTTP(w, r)
}

// sameSite bounds requests in time, and refuses those that another site sent.
func (s *Server) sameSite(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.checkOrigin(r); err != nil {
			s.logger.WarnContext(r.Context(), "request of another site refused", "path", r.URL.Path, "error", err)
			text := "This request did not come from the pages of this server."
			if r.URL.Path == "/graphql" {
				graph.WriteError(w, http.StatusForbidden, text)
				return
			}
			writeJSON(w, http.StatusForbidden, failure{Error: text, Hint: "Open " + s.host.String() + " and try again."})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		bounded := r.WithContext(ctx)
		mux.ServeHTTP(w, bounded)
		r.Pattern = bounded.Pattern // for the metrics
	})
}

// page serves the web application. Only pages are asked for with GET: everything else here does not exist, and must say so,
// since the client takes any other answer for a service that is there.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	if s.pages == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		notFound(w, r)
		return
	}
	s.pages.ServeHTTP(w, r)
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	setAPIHeaders(w)
	writeJSON(w, http.StatusNotFound, failure{Error: "There is nothing at this address."})
}

// setAPIHeaders keeps a browser from treating an answer as a page. Pages set their own.
func setAPIHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
}

// graphql authenticates before it reads: without a valid key a request costs no more than its headers.
func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		graph.WriteError(w, http.StatusMethodNotAllowed, "send GraphQL with POST")
		return
	}
	leave := s.readers.Enter()
	user, err := s.authenticate(w, r)
	leave()
	if err != nil {
		s.refuseGraphQL(w, r, err)
		return
	}
	if wait := s.limits.Take(user.ID, limit.Graph); wait > 0 {
		drain(w, r)
		w.Header().Set("Retry-After", seconds(wait))
		graph.WriteError(w, http.StatusTooManyRequests, "too many requests of this user")
		return
	}
	size := int64(maxGraphQL)
	if r.ContentLength >= 0 && r.ContentLength < size {
		size = r.ContentLength
	}
	size *= 2 // as it comes, and as the text of its variables
	if err := s.bodies.Acquire(r.Context(), size); err != nil {
		unavailable(w)
		return
	}
	defer s.bodies.Release(size)
	r.Body = http.MaxBytesReader(w, r.Body, maxGraphQL)
	s.graph.ServeHTTP(w, r.WithContext(account.WithUser(r.Context(), user)))
}

func (s *Server) refuseGraphQL(w http.ResponseWriter, r *http.Request, err error) {
	drain(w, r)
	var refusal *fault.Error
	switch {
	case fault.Reason(err, "") == account.ReasonRefused && errors.As(err, &refusal):
		if r.Header.Get("Authorization") != "" { // a browser, which sends a cookie, would ask its user for a password
			w.Header().Set("WWW-Authenticate", `Basic realm="W&B API key", charset="UTF-8"`)
		}
		graph.WriteError(w, http.StatusUnauthorized, fmt.Sprintf("%v: get a key at %s/authorize", refusal.Err, s.host))
	case fault.Reason(err, "") == store.ReasonUnavailable:
		s.logger.WarnContext(r.Context(), "request found no database", "error", err)
		w.Header().Set("Content-Type", "application/json")
		unavailable(w)
		_, _ = io.WriteString(w, `{"errors":[{"message":"the database does not answer"}]}`)
	case r.Context().Err() != nil:
		graph.WriteError(w, http.StatusServiceUnavailable, "the request took too long")
	default:
		s.logger.ErrorContext(r.Context(), "request failed", "error", err)
		graph.WriteError(w, http.StatusInternalServerError, "internal error")
	}
}

// drain takes from a client that is refused what it has sent already: it would see a broken connection in place of the
// answer otherwise.
func drain(w http.ResponseWriter, r *http.Request) {
	if n, _ := io.Copy(io.Discard, io.LimitReader(r.Body, maxUnauthenticated)); n == maxUnauthenticated {
		w.Header().Set("Connection", "close")
	}
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	code    int
	written int64
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// WriteHeader notes the first status.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= http.StatusOK {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write counts what is written.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.written += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
