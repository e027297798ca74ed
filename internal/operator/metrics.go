package operator

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/notify"
	"github.com/kubewandb/kubewandb/internal/release"
)

// Names of the metrics. Labels hold names and reasons, never messages or values of a specification. docs/reference/metrics.md
// explains each.
const (
	metricRelease       = "kubewandb_release_info"
	metricAvailable     = "kubewandb_release_available_info"
	metricCondition     = "kubewandb_condition"
	metricLicence       = "kubewandb_licence_expiry_timestamp_seconds"
	metricPlanWaiting   = "kubewandb_plan_waiting"
	metricPlanCreated   = "kubewandb_plan_created_timestamp_seconds"
	metricDrifted       = "kubewandb_drifted_objects"
	metricProbe         = "kubewandb_probe_check"
	metricChannel       = "kubewandb_channel_age_seconds"
	metricPasses        = "kubewandb_passes_total"
	metricSteps         = "kubewandb_steps_total"
	metricFailures      = "kubewandb_step_failures_total"
	metricStepTime      = "kubewandb_step_duration_seconds"
	metricNotifications = "kubewandb_notifications_total"
)

// metrics is a collector that holds the state of each resource as of its last pass. What it says of a resource ends with
// the resource.
type metrics struct {
	// checkedAt returns when the deploy server last confirmed the release of a resource; zero when it never did.
	checkedAt func(types.NamespacedName) time.Time
	now       func() time.Time

	release, available, condition, licence   *prometheus.Desc
	planWaiting, planCreated, drifted, probe *prometheus.Desc
	channel                                  *prometheus.Desc
	passes, steps, failures, notifications   *prometheus.CounterVec
	stepTime                                 *prometheus.HistogramVec

	mu    sync.Mutex
	state map[types.NamespacedName]reported
}

type reported struct {
	release    *appsv1.ReleaseStatus
	offered    *appsv1.ChannelStatus
	conditions []metav1.Condition
	checks     []appsv1.CheckStatus
	// planned is when the plan was made that waits for somebody; zero where that is not known.
	planned time.Time
	waiting bool
	drifted int
	// licenceEnds is zero where there is no licence, or none that says when it ends.
	licenceEnds time.Time
}

var _ prometheus.Collector = (*metrics)(nil)

func newMetrics(checkedAt func(types.NamespacedName) time.Time, now func() time.Time) *metrics {
	resource := []string{"namespace", "name"}
	about := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, slices.Concat(resource, more), nil)
	}
	count := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		checkedAt: checkedAt, now: now, state: map[types.NamespacedName]reported{},
		release:     about(metricRelease, "What runs: always 1, with the release in the labels.", "release", "chart", "chart_version", "revision"),
		available:   about(metricAvailable, "What the channel offers: always 1, with the release in the labels.", "channel", "release"),
		condition:   about(metricCondition, "1 for the status that a condition has, 0 for the others.", "type", "status"),
		licence:     about(metricLicence, "When the licence ends."),
		planWaiting: about(metricPlanWaiting, "1 while a plan waits for somebody's approval."),
		planCreated: about(metricPlanCreated, "When the plan was made that waits for somebody's approval."),
		drifted:     about(metricDrifted, "Objects of the release that somebody else changed or removed."),
		probe:       about(metricProbe, "1 for the result that a check of the probe had, 0 for the others.", "check", "result"),
		channel:     about(metricChannel, "Seconds since the deploy server last confirmed the release."),
		passes:      count(metricPasses, "Passes of the reconciler by outcome.", append(slices.Clone(resource), "outcome")...),
		steps:       count(metricSteps, "Steps that were applied, by action and outcome.", append(slices.Clone(resource), "action", "outcome")...),
		failures:    count(metricFailures, "Steps that failed, by action and reason.", append(slices.Clone(resource), "action", "reason")...),
		stepTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricStepTime, Help: "How long steps took.", Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 300, 1800},
		}, []string{"action", "outcome"}),
		notifications: count(metricNotifications, "Notifications by what came of them.", "kind", "outcome"),
	}
}

// vectors count what happens; the rest is read from state when it is asked for.
func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.passes, m.steps, m.failures, m.stepTime, m.notifications}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		m.release, m.available, m.condition, m.licence, m.planWaiting, m.planCreated, m.drifted, m.probe, m.channel,
	} {
		out <- desc
	}
	for _, vector := range m.vectors() {
		vector.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	state := maps.Clone(m.state)
	m.mu.Unlock()
	for key, each := range state {
		m.collectState(key, each, func(desc *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{key.Namespace, key.Name}, labels...)...)
		})
	}
	for _, vector := range m.vectors() {
		vector.Collect(out)
	}
}

func (m *metrics) collectState(key types.NamespacedName, state reported, gauge func(*prometheus.Desc, float64, ...string)) {
	if running := state.release; running != nil {
		gauge(m.release, 1, running.Name, running.Chart, running.ChartVersion, strconv.FormatInt(running.Revision, 10))
	}
	if offered := state.offered; offered != nil {
		gauge(m.available, 1, offered.Name, cmp.Or(offered.ReleaseName, offered.ReleaseID))
	}
	for _, condition := range state.conditions {
		for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			gauge(m.condition, oneIf(condition.Status == status), condition.Type, string(status))
		}
	}
	if !state.licenceEnds.IsZero() {
		gauge(m.licence, float64(state.licenceEnds.Unix()))
	}
	gauge(m.planWaiting, oneIf(state.waiting))
	if state.waiting && !state.planned.IsZero() {
		gauge(m.planCreated, float64(state.planned.Unix()))
	}
	gauge(m.drifted, float64(state.drifted))
	for _, check := range state.checks {
		for _, result := range checkResults() {
			gauge(m.probe, oneIf(check.Result == result), check.Name, result)
		}
	}
	if checked := m.checkedAt(key); !checked.IsZero() {
		gauge(m.channel, max(m.now().Sub(checked), 0).Seconds())
	}
}

// checkResults are the results that api/v1 allows for a check.
func checkResults() []string { return []string{"Passed", "Failed", "Warning", "Skipped"} }

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// observe takes over what the status of a resource says. The end of its licence, which no status holds, stays as
// licensed has set it.
func (m *metrics) observe(cr *appsv1.WeightsAndBiases, status *appsv1.WeightsAndBiasesStatus) {
	shown := reported{
		release: status.Release.DeepCopy(), offered: status.Channel.DeepCopy(), conditions: slices.Clone(status.Conditions),
		checks: distinctChecks(status.Verification), waiting: awaitsApproval(status.Conditions), drifted: len(status.Drift),
	}
	if status.Plan != nil && status.Plan.CreatedAt != nil {
		shown.planned = status.Plan.CreatedAt.Time
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := types.NamespacedName{Namespace: cr.Namespace, Name: cr.Name}
	shown.licenceEnds = m.state[key].licenceEnds
	m.state[key] = shown
}

// distinctChecks keeps the first check of each name: a scrape fails as a whole where two series are the same.
func distinctChecks(checks []appsv1.CheckStatus) []appsv1.CheckStatus {
	var distinct []appsv1.CheckStatus
	for _, check := range checks {
		if !slices.ContainsFunc(distinct, func(known appsv1.CheckStatus) bool { return known.Name == check.Name }) {
			distinct = append(distinct, check)
		}
	}
	return distinct
}

// licensed says when the licence of a resource ends; the zero time says that it has none.
func (m *metrics) licensed(key types.NamespacedName, ends time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.state[key]
	state.licenceEnds = ends
	m.state[key] = state
}

func (m *metrics) passed(key types.NamespacedName, err error) {
	m.passes.WithLabelValues(key.Namespace, key.Name, outcomeLabel(err)).Inc()
}

func (m *metrics) stepped(outcome release.Outcome) {
	m.steps.WithLabelValues(outcome.Key.Namespace, outcome.Key.Name, string(outcome.Action), outcomeLabel(outcome.Err)).Inc()
	m.stepTime.WithLabelValues(string(outcome.Action), outcomeLabel(outcome.Err)).Observe(outcome.Took.Seconds())
	if outcome.Err != nil {
		m.failures.WithLabelValues(outcome.Key.Namespace, outcome.Key.Name, string(outcome.Action), outcome.Reason).Inc()
	}
}

// notified counts what came of a notification; it fits notify.Options.Report.
func (m *metrics) notified(kind notify.Kind, outcome notify.Outcome) {
	m.notifications.WithLabelValues(string(kind), string(outcome)).Inc()
}

func (m *metrics) forget(key types.NamespacedName) {
	resource := prometheus.Labels{"namespace": key.Namespace, "name": key.Name}
	m.passes.DeletePartialMatch(resource)
	m.steps.DeletePartialMatch(resource)
	m.failures.DeletePartialMatch(resource)
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
