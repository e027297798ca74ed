package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts what the console does. Labels hold routes, statuses and outcomes, never names or addresses.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	signIns  *prometheus.CounterVec
	edits    *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wandb_console_requests_total", Help: "Requests of the console's API by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wandb_console_request_seconds", Help: "Duration of requests of the console's API by route, without event streams.",
			Buckets: []float64{.005, .02, .1, .5, 2, 5},
		}, []string{"route"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wandb_console_sign_ins_total", Help: "Attempts to sign in with the password by outcome.",
		}, []string{"outcome"}),
		edits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wandb_console_edits_total", Help: "Edits of the user layer by outcome.",
		}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.signIns, m.edits,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observeStreams(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wandb_console_event_streams", Help: "Open event streams of the overview.",
	}, func() float64 { return float64(count()) }))
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 5 * time.Second}))
	return mux
}

func (m *metrics) count(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
}

func (m *metrics) request(route string, status int, duration time.Duration) {
	m.count(route, status)
	if route != watchRoute {
		m.duration.WithLabelValues(route).Observe(duration.Seconds())
	}
}

func (m *metrics) signIn(outcome string) { m.signIns.WithLabelValues(outcome).Inc() }

func (m *metrics) edit(outcome string) { m.edits.WithLabelValues(outcome).Inc() }
