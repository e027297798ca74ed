package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

const (
	// maxRequestBytes bounds the JSON of the admin API: the values of a release and a little around them.
	maxRequestBytes = maxValuesBytes + 64<<10
	// bodyTime and downloadTime bound slow senders and slow receivers.
	bodyTime     = 2 * time.Minute
	downloadTime = 10 * time.Minute
)

// handler answers a request, or returns the fault that becomes its answer. It writes nothing before it fails.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	public := func(pattern string, limit time.Duration, h handler) {
		mux.Handle(pattern, s.answered(limit, h))
	}
	public("GET /api/v1/operator/channel", MaxWait+bodyTime, s.serveRelease)
	public("GET /api/v1/operator/channel/release/{id}", MaxWait+bodyTime, s.serveRelease)
	public("GET /charts/index.yaml", bodyTime, s.serveIndex)
	public("GET /charts/{file}", downloadTime, s.serveChart)
	public("GET "+catalog.MetadataPath+"/{file}", bodyTime, s.serveMetadata)
	public("GET "+catalog.TargetsPath+"/{role}/{file}", bodyTime, s.serveTarget)
	public("GET /.well-known/jwks.json", bodyTime, s.serveKeys)
	public("GET /healthz", bodyTime, func(w http.ResponseWriter, _ *http.Request) error {
		respond(w, http.StatusOK, map[string]string{"status": "ok"})
		return nil
	})
	public("GET /ready", bodyTime, s.serveReady)
	public("/", bodyTime, func(http.ResponseWriter, *http.Request) error {
		return notFound("PathNotFound", "route request", "this server has no such path", "Set the channel URL to the base of the server, without a path.")
	})
	exposed := s.metrics.handler(s.holding.count)
	public("GET /metrics", bodyTime, func(w http.ResponseWriter, r *http.Request) error {
		exposed.ServeHTTP(w, r)
		return nil
	})
	s.adminRoutes(mux)
	return s.observed(mux)
}

// answered bounds the time of a request and turns a fault into an answer.
func (s *Server) answered(limit time.Duration, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		// A writer that knows no deadlines is one of a test; the real one does.
		_ = control.SetWriteDeadline(time.Now().Add(limit))
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(time.Now().Add(bodyTime))
		}
		if err := h(w, r); err != nil {
			respondFailure(w, r, s.logger, err)
		}
	})
}

func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) error {
	if s.holding.stopping() {
		respond(w, http.StatusServiceUnavailable, map[string]string{"status": "stopping"})
		return nil
	}
	if err := s.store.ping(r.Context()); err != nil {
		respond(w, http.StatusServiceUnavailable, map[string]string{"status": "the database does not answer"})
		return nil
	}
	respond(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(s.keys.jwks)
	return nil
}

func (s *Server) serveIndex(w http.ResponseWriter, r *http.Request) error {
	records, err := s.chartRecords(r.Context())
	if err != nil {
		return err
	}
	index, err := repositoryIndex(records)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", catalog.ETagOf(index))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(index))
	return nil
}

func (s *Server) serveChart(w http.ResponseWriter, r *http.Request) error {
	file, ok := strings.CutSuffix(r.PathValue("file"), ".tgz")
	missing := notFound("ChartNotFound", "find chart", "the repository has no such file", "Look into /charts/index.yaml.")
	if !ok {
		return missing
	}
	record, err := find[chartRecord](r.Context(), s.store.read, "name || '-' || version = ?", file)
	if errors.Is(err, errNoRecord) {
		return missing
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+record.Digest+`"`)
	http.ServeContent(w, r, "", moment(record.CreatedAt), bytes.NewReader(record.Content))
	return nil
}

// serveMetadata serves the files of the signed catalog: the newest ones, and each version under its number.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	record, versioned, err := metadataFile(r.Context(), s.store.read, r.PathValue("file"))
	if errors.Is(err, errNoRecord) {
		return notFound("MetadataNotFound", "find signed catalog", "there is no such file", "Make the catalog: deploy-server trust init.")
	}
	if err != nil {
		return err
	}
	if versioned {
		return sendFile(w, r, record.Body, "public, max-age=31536000, immutable")
	}
	return sendFile(w, r, record.Body, "no-cache")
}

// serveTarget serves what the signed catalog describes, under the name that starts with its digest.
func (s *Server) serveTarget(w http.ResponseWriter, r *http.Request) error {
	digest, name, _ := strings.Cut(r.PathValue("file"), ".")
	record, err := find[targetRecord](r.Context(), s.store.read, "path = ? AND digest = ?", r.PathValue("role")+"/"+name, digest)
	if errors.Is(err, errNoRecord) {
		return notFound("TargetNotFound", "find signed file", "there is no such file", "The name of a file is ROLE/SHA256.NAME.json; the catalog lists them.")
	}
	if err != nil {
		return err
	}
	return sendFile(w, r, record.Body, "public, max-age=31536000, immutable")
}

func sendFile(w http.ResponseWriter, r *http.Request, body []byte, cache string) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", cache)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// adminRoutes adds the API of the command line.
func (s *Server) adminRoutes(mux *http.ServeMux) {
	route := func(method, path string, h handler) {
		mux.Handle(method+" "+admin.Path+path, s.answered(downloadTime, func(w http.ResponseWriter, r *http.Request) error {
			if err := s.gate.admit(r); err != nil {
				return err
			}
			w.Header().Set("Cache-Control", "no-store")
			return h(w, r)
		}))
	}
	route("GET", "/channels", answer(func(r *http.Request) (any, error) { return s.listChannels(r.Context()) }))
	route("GET", "/channels/{name}", answer(func(r *http.Request) (any, error) { return s.showChannel(r.Context(), r.PathValue("name")) }))
	route("POST", "/channels", created(func(r *http.Request, in admin.NewChannel) (any, bool, error) {
		return pair(s.createChannel(r.Context(), in))
	}))
	route("POST", "/channels/{name}/promotions", created(func(r *http.Request, in admin.NewPromotion) (any, bool, error) {
		promotion, err := s.promote(r.Context(), r.PathValue("name"), in)
		return promotion, true, err
	}))
	route("GET", "/charts", answer(func(r *http.Request) (any, error) { return s.listCharts(r.Context()) }))
	route("POST", "/charts", s.receiveChart)
	route("GET", "/releases", answer(func(r *http.Request) (any, error) { return s.listReleases(r.Context()) }))
	route("GET", "/releases/{reference}", answer(func(r *http.Request) (any, error) {
		record, err := s.findRelease(r.Context(), r.PathValue("reference"))
		if err != nil {
			return nil, err
		}
		return s.releaseDocument(*record, true)
	}))
	route("POST", "/releases", created(func(r *http.Request, in admin.NewRelease) (any, bool, error) { return pair(s.publish(r.Context(), in)) }))
	route("GET", "/trust", answer(func(r *http.Request) (any, error) { return s.showTrust(r.Context()) }))
	route("POST", "/trust", created(func(r *http.Request, _ struct{}) (any, bool, error) { return pair(s.initTrust(r.Context())) }))
	route("GET", "/licenses", answer(func(r *http.Request) (any, error) { return s.listLicenses(r.Context()) }))
	route("POST", "/licenses", created(func(r *http.Request, in admin.NewLicense) (any, bool, error) {
		issued, err := s.issueLicense(r.Context(), in)
		return issued, true, err
	}))
	route("POST", "/licenses/{id}/revocation", created(func(r *http.Request, in admin.Revocation) (any, bool, error) {
		revoked, err := s.revokeLicense(r.Context(), r.PathValue("id"), in)
		return revoked, false, err
	}))
}

func pair[D any](document D, isNew bool, err error) (any, bool, error) { return document, isNew, err }

// answer responds 200 with what h returns.
func answer(h func(*http.Request) (any, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		document, err := h(r)
		if err != nil {
			return err
		}
		respond(w, http.StatusOK, document)
		return nil
	}
}

// created decodes the body and responds 201 where h made something, else 200.
func created[I any](h func(*http.Request, I) (any, bool, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in I
		if err := decode(w, r, &in); err != nil {
			return err
		}
		document, isNew, err := h(r, in)
		if err != nil {
			return err
		}
		status := http.StatusOK
		if isNew {
			status = http.StatusCreated
		}
		respond(w, status, document)
		return nil
	}
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readBody(w, r, maxRequestBytes)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return invalid("read request", "the body is not the JSON document that this path takes: "+bounded(err.Error()))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("read request", "something follows the JSON document")
	}
	return nil
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge("read request", "the body", most)
	case err != nil:
		return nil, invalid("read request", "the body ended early")
	}
	return body, nil
}

func (s *Server) receiveChart(w http.ResponseWriter, r *http.Request) error {
	archive, err := readBody(w, r, maxChartBytes)
	if err != nil {
		return err
	}
	chart, isNew, err := s.pushChart(r.Context(), archive)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	respond(w, status, chart)
	return nil
}
