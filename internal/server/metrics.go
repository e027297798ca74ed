package server

import (
	"context"
	"database/sql"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/version"
)

// maxOperationNames bounds the label that clients choose; names beyond it count as "other".
const maxOperationNames = 200

var operationName = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]{0,63}$`)

type metrics struct {
	requests   *prometheus.HistogramVec
	operations *prometheus.HistogramVec
	signIns    *prometheus.CounterVec
	bucket     *prometheus.HistogramVec

	mu    sync.Mutex
	names map[string]bool
}

func newMetrics(registry *prometheus.Registry, s *store.Store) *metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wandb_http_request_duration_seconds", Help: "Time to answer a request.", Buckets: buckets,
		}, []string{"route", "code"}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wandb_graphql_operation_duration_seconds", Buckets: buckets,
			Help: "Time to answer a GraphQL operation. Outcome unsupported: the client asked for what this server does not have.",
		}, []string{"operation", "outcome"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wandb_sign_ins_total", Help: "Attempts to sign in, with a password or at an identity provider.",
		}, []string{"outcome"}),
		bucket: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wandb_bucket_operation_duration_seconds", Buckets: buckets,
			Help: "Time of an operation on the bucket; of a get until the first byte. Outcome is ok or the reason of the error.",
		}, []string{"operation", "outcome"}),
		names: map[string]bool{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wandb_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version.Version},
	})
	build.Set(1)
	registry.MustRegister(m.requests, m.operations, m.signIns, m.bucket, build, connections{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// licensed shows when the licence ends, so that somebody can be told in time. The server serves whatever it says: a licence
// governs updates, never the work of those who have the software.
func (s *Server) licensed(ctx context.Context) {
	if s.cfg.License == "" {
		return
	}
	claims, err := license.Peek(s.cfg.License)
	if err != nil {
		s.logger.WarnContext(ctx, "licence not readable", "error", err)
		return
	}
	expires := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wandb_license_expires_timestamp_seconds", Help: "When the licence ends, as it says itself.",
	})
	expires.Set(float64(claims.ExpiresAt.Unix()))
	s.registry.MustRegister(expires)
	s.logger.InfoContext(ctx, "licence", "id", claims.ID, "customer", claims.Customer, "expires", claims.ExpiresAt)
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

func (m *metrics) request(route string, code int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(code)).Observe(took.Seconds())
}

func (m *metrics) operation(name, outcome string, took time.Duration) {
	m.operations.WithLabelValues(m.label(name), outcome).Observe(took.Seconds())
}

func (m *metrics) bucketOperation(operation, outcome string, took time.Duration) {
	m.bucket.WithLabelValues(operation, outcome).Observe(took.Seconds())
}

// label is a name as long as it is one and there are not too many of them.
func (m *metrics) label(name string) string {
	if name == "" {
		return "anonymous"
	}
	if !operationName.MatchString(name) {
		return "other"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.names[name] {
		if len(m.names) >= maxOperationNames {
			return "other"
		}
		m.names[name] = true
	}
	return name
}

// connections reports the pools of the database, which exist once it was reached.
type connections struct{ store *store.Store }

var (
	connectionsOpen = prometheus.NewDesc("wandb_database_connections", "Open connections to the database.", []string{"pool", "state"}, nil)
	connectionsWait = prometheus.NewDesc("wandb_database_wait_seconds_total", "Time that work waited for a connection.", []string{"pool"}, nil)
)

// Describe names the two metrics.
func (c connections) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectionsOpen
	ch <- connectionsWait
}

// Collect reads the pools.
func (c connections) Collect(ch chan<- prometheus.Metric) {
	read, write := c.store.Pools()
	if write == nil {
		return
	}
	pools := map[string]sql.DBStats{"write": write.Stats()}
	if read != write {
		pools["read"] = read.Stats()
	}
	for name, pool := range pools {
		ch <- prometheus.MustNewConstMetric(connectionsOpen, prometheus.GaugeValue, float64(pool.InUse), name, "used")
		ch <- prometheus.MustNewConstMetric(connectionsOpen, prometheus.GaugeValue, float64(pool.Idle), name, "idle")
		ch <- prometheus.MustNewConstMetric(connectionsWait, prometheus.CounterValue, pool.WaitDuration.Seconds(), name)
	}
}
