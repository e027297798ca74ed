package deploy

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the server's own, in a registry of its own. Labels are bounded: channel names that exist, and statuses.
type metrics struct {
	registry   *prometheus.Registry
	answers    *prometheus.CounterVec
	publishes  prometheus.Counter
	promotions *prometheus.CounterVec
	durations  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deploy_release_answers_total", Help: "Answers to followers, by channel and HTTP status.",
		}, []string{"channel", "status"}),
		publishes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "deploy_releases_published_total", Help: "Releases published.",
		}),
		promotions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deploy_promotions_total", Help: "Promotions, by channel.",
		}, []string{"channel"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deploy_http_request_duration_seconds", Help: "Time to answer, held requests excluded, by route and status.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10},
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.answers, m.publishes, m.promotions, m.durations,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler(held func() int64) http.Handler {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deploy_held_requests", Help: "Requests of followers that are being held.",
	}, func() float64 { return float64(held()) }))
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// count counts an answer to a follower. The name comes from a licence, so only channels that exist become labels.
func (s *Server) count(channel string, status int) {
	if _, ok := s.board.look(channel); !ok {
		channel = "unknown"
	}
	s.metrics.answers.WithLabelValues(channel, strconv.Itoa(status)).Inc()
}

// access is what the access log knows of one request.
type access struct {
	http.ResponseWriter

	status  int
	bytes   int64
	license atomic.Pointer[string]
}

type accessKey struct{}

// noteLicense lets the access log name the licence of the request by its ID.
func noteLicense(ctx context.Context, id string) {
	if entry, ok := ctx.Value(accessKey{}).(*access); ok {
		entry.license.Store(&id)
	}
}

func (a *access) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *access) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(data)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *access) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// observed logs and measures each request. It writes the path and never the query or a header of the request, except
// the name of the client's program.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := &access{ResponseWriter: w}
		began := time.Now()
		r = r.WithContext(context.WithValue(r.Context(), accessKey{}, entry))
		next.ServeHTTP(entry, r)
		took := time.Since(began)
		held := entry.Header().Get("Preference-Applied") != ""
		if !held {
			s.metrics.durations.WithLabelValues(r.Pattern, strconv.Itoa(entry.status)).Observe(took.Seconds())
		}
		level := slog.LevelInfo
		if r.URL.Path == "/healthz" || r.URL.Path == "/ready" || r.URL.Path == "/metrics" || strings.HasPrefix(r.URL.Path, "/catalog/") {
			level = slog.LevelDebug
		}
		attributes := []slog.Attr{
			slog.String("method", r.Method), slog.String("path", bounded(r.URL.Path)), slog.Int("status", entry.status),
			slog.Int64("bytes", entry.bytes), slog.Duration("duration", took), slog.Bool("held", held),
			slog.String("client", clientOf(r)), slog.String("userAgent", bounded(r.UserAgent())),
		}
		if id := entry.license.Load(); id != nil {
			attributes = append(attributes, slog.String("licenseID", *id))
		}
		s.logger.LogAttrs(r.Context(), level, "request served", attributes...)
	})
}
