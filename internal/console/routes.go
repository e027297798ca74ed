package console

import (
	"context"
	"mime"
	"net/http"
	"sort"
	"strings"
	"time"
)

// access says who may send a request.
type access int

const (
	anybody access = iota
	administrators
)

// route is one request that the API answers; path is below apiPath.
type route struct {
	method, path string
	access       access
	handle       http.HandlerFunc
}

// watchRoute stays open for as long as its reader looks.
const watchRoute = "/overview/watch"

func (s *Server) routes() []route {
	return []route{
		{http.MethodGet, "/healthz", anybody, s.getHealth},
		{http.MethodGet, "/ready", anybody, s.getReady},
		{http.MethodGet, "/session", anybody, s.getSession},
		{http.MethodPost, "/session", anybody, s.signIn},
		{http.MethodDelete, "/session", anybody, s.signOut},
		{http.MethodGet, "/overview", administrators, s.getOverview},
		{http.MethodGet, watchRoute, administrators, s.watchOverview},
		{http.MethodGet, "/spec", administrators, s.getSpec},
		{http.MethodPut, "/spec/user", administrators, s.putUserLayer},
	}
}

// Handler answers everything at and below BasePath, and leads there from the root of the host.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(apiPath+"/", s.api())
	mux.Handle(BasePath+"/", s.pages())
	mux.Handle(BasePath, s.pages())
	mux.Handle("/{$}", http.RedirectHandler(BasePath+"/", http.StatusFound))
	return mux
}

func (s *Server) api() http.Handler {
	methods := map[string]map[string]route{}
	for _, r := range s.routes() {
		if methods[r.path] == nil {
			methods[r.path] = map[string]route{}
		}
		methods[r.path][r.method] = r
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		apiHeaders(w.Header())
		path := strings.TrimPrefix(r.URL.Path, apiPath)
		offered, ok := methods[path]
		if !ok {
			s.metrics.count("none", http.StatusNotFound)
			refuse(w, problem{status: http.StatusNotFound, Message: "There is nothing at this address."})
			return
		}
		s.dispatch(w, r, path, offered)
	})
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, path string, offered map[string]route) {
	recorder, started := &statusRecorder{ResponseWriter: w, status: http.StatusOK}, time.Now()
	defer func() { s.metrics.request(path, recorder.status, time.Since(started)) }()
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	chosen, ok := offered[method]
	if !ok {
		w.Header().Set("Allow", allowed(offered))
		refuse(recorder, problem{status: http.StatusMethodNotAllowed, Message: "This address does not take " + r.Method + "."})
		return
	}
	if p, ok := s.checkOrigin(r); !ok {
		refuse(recorder, p)
		return
	}
	if chosen.access == anybody {
		chosen.handle(recorder, r)
		return
	}
	who, err := s.authenticate(r)
	switch {
	case err != nil:
		s.refuseError(recorder, r, err)
	case who == nil:
		refuse(recorder, errSignedOut)
	default:
		chosen.handle(recorder, r.WithContext(context.WithValue(r.Context(), userKey{}, *who)))
	}
}

// userKey is the key of the signed-in user in a request's context.
type userKey struct{}

func signedIn(ctx context.Context) user {
	who, _ := ctx.Value(userKey{}).(user)
	return who
}

func allowed(offered map[string]route) string {
	var methods []string
	for method := range offered {
		methods = append(methods, method)
	}
	sort.Strings(methods)
	return strings.Join(methods, ", ")
}

// checkOrigin keeps other sites from acting with a browser's cookies. Browsers of this decade say where a request comes
// from; a request that changes something with a cookie and does not say so is refused.
func (s *Server) checkOrigin(r *http.Request) (problem, bool) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return problem{}, true
	}
	anonymous := r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == ""
	if err := s.origins.Check(r); err != nil || (anonymous && len(r.Cookies()) > 0) {
		return problem{
			status: http.StatusForbidden, Message: "This request comes from another site.",
			Hint: "Send it from the console's own pages. A proxy in front has to keep the Host, Origin and Sec-Fetch-Site headers.",
		}, false
	}
	if r.Method == http.MethodDelete {
		return problem{}, true
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return problem{status: http.StatusUnsupportedMediaType, Message: "The request has to be application/json."}, false
	}
	return problem{}, true
}

// pages serves what the build embedded, and lets an administrator in again who comes from the application's menu.
func (s *Server) pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if comesFromApplication(r) {
			http.SetCookie(w, s.cookie(leftCookie, "", 0))
		}
		s.cfg.Pages.ServeHTTP(w, r)
	})
}

func apiHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// statusRecorder remembers the status for the metrics.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
