package operator

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/release"
)

// Names of the metrics. Labels hold names and reasons, never values of a specification.
const (
	metricRelease   = "kubewandb_release_info"
	metricCondition = "kubewandb_condition"
	metricPasses    = "kubewandb_passes_total"
	metricSteps     = "kubewandb_steps_total"
	metricStepTime  = "kubewandb_step_duration_seconds"
	metricChannel   = "kubewandb_channel_age_seconds"
)

// metrics is a collector that holds the state of each resource as of its last pass.
type metrics struct {
	// checkedAt returns when the deploy server last confirmed the release of a resource; zero when it never did.
	checkedAt func(types.NamespacedName) time.Time
	now       func() time.Time

	release, condition, channel *prometheus.Desc
	passes, steps               *prometheus.CounterVec
	stepTime                    *prometheus.HistogramVec

	mu    sync.Mutex
	state map[types.NamespacedName]reported
}

type reported struct {
	release    *appsv1.ReleaseStatus
	conditions []metav1.Condition
}

var _ prometheus.Collector = (*metrics)(nil)

func newMetrics(checkedAt func(types.NamespacedName) time.Time, now func() time.Time) *metrics {
	resource := []string{"namespace", "name"}
	return &metrics{
		checkedAt: checkedAt, now: now, state: map[types.NamespacedName]reported{},
		release: prometheus.NewDesc(metricRelease, "What runs: always 1, with the release in the labels.",
			append(slices.Clone(resource), "release", "chart", "chart_version", "revision"), nil),
		condition: prometheus.NewDesc(metricCondition, "1 for the status that a condition has, 0 for the others.",
			append(slices.Clone(resource), "type", "status"), nil),
		channel: prometheus.NewDesc(metricChannel, "Seconds since the deploy server last confirmed the release.", resource, nil),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPasses, Help: "Passes of the reconciler by outcome.",
		}, append(slices.Clone(resource), "outcome")),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricSteps, Help: "Steps that were applied, by action and outcome.",
		}, append(slices.Clone(resource), "action", "outcome")),
		stepTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricStepTime, Help: "How long steps took.", Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 300, 1800},
		}, []string{"action"}),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.release
	out <- m.condition
	out <- m.channel
	m.passes.Describe(out)
	m.steps.Describe(out)
	m.stepTime.Describe(out)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	state := maps.Clone(m.state)
	m.mu.Unlock()
	for key, each := range state {
		if running := each.release; running != nil {
			out <- prometheus.MustNewConstMetric(m.release, prometheus.GaugeValue, 1, key.Namespace, key.Name,
				running.Name, running.Chart, running.ChartVersion, strconv.FormatInt(running.Revision, 10))
		}
		for _, condition := range each.conditions {
			for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
				value := 0.0
				if condition.Status == status {
					value = 1
				}
				out <- prometheus.MustNewConstMetric(m.condition, prometheus.GaugeValue, value,
					key.Namespace, key.Name, condition.Type, string(status))
			}
		}
		if checked := m.checkedAt(key); !checked.IsZero() {
			out <- prometheus.MustNewConstMetric(m.channel, prometheus.GaugeValue, m.now().Sub(checked).Seconds(), key.Namespace, key.Name)
		}
	}
	m.passes.Collect(out)
	m.steps.Collect(out)
	m.stepTime.Collect(out)
}

func (m *metrics) observe(cr *appsv1.WeightsAndBiases, status *appsv1.WeightsAndBiasesStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state[types.NamespacedName{Namespace: cr.Namespace, Name: cr.Name}] = reported{
		release: status.Release.DeepCopy(), conditions: slices.Clone(status.Conditions),
	}
}

func (m *metrics) passed(key types.NamespacedName, err error) {
	m.passes.WithLabelValues(key.Namespace, key.Name, outcomeLabel(err)).Inc()
}

func (m *metrics) stepped(outcome release.Outcome) {
	m.steps.WithLabelValues(outcome.Key.Namespace, outcome.Key.Name, string(outcome.Action), outcomeLabel(outcome.Err)).Inc()
	m.stepTime.WithLabelValues(string(outcome.Action)).Observe(outcome.Took.Seconds())
}

func (m *metrics) forget(key types.NamespacedName) {
	resource := prometheus.Labels{"namespace": key.Namespace, "name": key.Name}
	m.passes.DeletePartialMatch(resource)
	m.steps.DeletePartialMatch(resource)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.state, key)
}

func outcomeLabel(err error) string {
	if err != nil {
		return "error"
	}
	return "success"
}
