package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// metrics are what an operator sees of the path of metrics.
type metrics struct {
	requests *prometheus.CounterVec
	lines    [3]prometheus.Counter
	bytes    prometheus.Counter
	group    prometheus.Histogram
	commit   prometheus.Histogram
	waiting  prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) *metrics {
	lines := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wandb_file_stream_lines_total", Help: "Lines that were acknowledged, by stream.",
	}, []string{"stream"})
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wandb_file_stream_requests_total", Help: "Requests that brought metrics, by what became of them.",
		}, []string{"outcome"}),
		lines: [3]prometheus.Counter{
			store.StreamHistory: lines.WithLabelValues("history"), store.StreamEvents: lines.WithLabelValues("events"),
			store.StreamConsole: lines.WithLabelValues("console"),
		},
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wandb_file_stream_bytes_total", Help: "Bytes of request bodies that were read.",
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "wandb_file_stream_group_size", Help: "Requests in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "wandb_file_stream_commit_seconds", Help: "Time that one transaction took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wandb_file_stream_waiting_bytes", Help: "Bytes of request bodies that wait for memory.",
		}),
	}
	registry.MustRegister(m.requests, lines, m.bytes, m.group, m.commit, m.waiting)
	return m
}

func (m *metrics) committed(requests int, took time.Duration) {
	m.group.Observe(float64(requests))
	m.commit.Observe(took.Seconds())
}

func (m *metrics) acknowledged(a *store.Append) {
	for i := range a.Parts {
		m.lines[a.Parts[i].Stream].Add(float64(a.Parts[i].N))
	}
}
