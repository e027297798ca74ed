package operator

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/notify"
	"github.com/kubewandb/kubewandb/internal/release"
)

// message stands for every text of a status that people read: none may become a label.
const message = "canary: a sentence of a status"

var (
	measuredAt = time.Unix(1_700_003_600, 0)
	measured   = types.NamespacedName{Namespace: "team", Name: "wandb"}
)

// fullStatus uses everything that metrics read.
func fullStatus() *appsv1.WeightsAndBiasesStatus {
	status := drifted(waitingPlan(shown("Ready=True Ready", "UpToDate=False AwaitingApproval"), "sha256:1"), "Deployment a", "Service b")
	for i := range status.Conditions {
		status.Conditions[i].Message = message
	}
	status.NextStep, status.Warnings = message, []string{message}
	status.LastError = &appsv1.LastError{Reason: "HelmFailed", Message: message, Hint: message}
	status.History = []appsv1.HistoryEntry{{ChartVersion: "1.0.0", Revision: 3, Why: message}}
	status.Release = &appsv1.ReleaseStatus{Name: "r1", Chart: "operator-wandb", ChartVersion: "1.0.0", Revision: 3}
	status.Channel = &appsv1.ChannelStatus{Name: "stable", ReleaseID: "id-2"}
	status.Verification = []appsv1.CheckStatus{
		{Name: "sign-in", Result: "Passed", Message: message}, {Name: "cors", Result: "Failed"}, {Name: "cors", Result: "Failed"},
	}
	return status
}

// fullMetrics is a collector that has seen everything once.
func fullMetrics() *metrics {
	m := newMetrics(func(types.NamespacedName) time.Time { return measuredAt.Add(-time.Minute) }, func() time.Time { return measuredAt })
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: measured.Namespace, Name: measured.Name}}
	m.licensed(measured, measuredAt.Add(24*time.Hour))
	m.observe(cr, fullStatus())
	m.passed(measured, nil)
	m.stepped(release.Outcome{Key: measured, Action: release.Install, Reason: "Installed", Message: message, Took: time.Second})
	m.stepped(release.Outcome{Key: measured, Action: release.Upgrade, Reason: "HelmFailed", Message: message, Err: errors.New(message), Took: time.Second})
	m.notified(notify.ReleaseFailed, notify.Delivered)
	return m
}

// gathered returns each series as `name{label="value",…}` with its value; of histograms the count.
func gathered(t *testing.T, m *metrics) ([]*dto.MetricFamily, map[string]float64) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	must(t, err)
	series := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				if label.GetName() != "namespace" && label.GetName() != "name" {
					labels = append(labels, label.GetName()+"="+label.GetValue())
				}
			}
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			series[strings.TrimPrefix(family.GetName(), "kubewandb_")+" "+strings.Join(labels, " ")] = value
		}
	}
	return families, series
}

func TestMetricsTellTheStateOfTheProduct(t *testing.T) {
	families, got := gathered(t, fullMetrics())
	want := map[string]float64{
		"release_info chart=operator-wandb chart_version=1.0.0 release=r1 revision=3": 1,
		"release_available_info channel=stable release=id-2":                          1,
		"condition status=True type=Ready":                                            1,
		"condition status=False type=Ready":                                           0,
		"condition status=Unknown type=Ready":                                         0,
		"condition status=True type=UpToDate":                                         0,
		"condition status=False type=UpToDate":                                        1,
		"condition status=Unknown type=UpToDate":                                      0,
		"licence_expiry_timestamp_seconds ":                                           1_700_090_000,
		"plan_waiting ":                                                               1,
		"plan_created_timestamp_seconds ":                                             1_700_000_000,
		"drifted_objects ":                                                            2,
		"channel_age_seconds ":                                                        60,
		"passes_total outcome=success":                                                1,
		"steps_total action=Install outcome=success":                                  1,
		"steps_total action=Upgrade outcome=error":                                    1,
		"step_failures_total action=Upgrade reason=HelmFailed":                        1,
		"step_duration_seconds action=Install outcome=success":                        1,
		"step_duration_seconds action=Upgrade outcome=error":                          1,
		"notifications_total kind=ReleaseFailed outcome=delivered":                    1,
	}
	for check, result := range map[string]string{"sign-in": "Passed", "cors": "Failed"} {
		for _, each := range checkResults() {
			want["probe_check check="+check+" result="+each] = oneIf(each == result)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	must(t, err)
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	for series := range got {
		if strings.Contains(series, "canary") {
			t.Errorf("a label holds a message: %s", series)
		}
	}
}

func TestMetricsOfADeletedResourceDisappear(t *testing.T) {
	m := fullMetrics()
	other := types.NamespacedName{Namespace: measured.Namespace, Name: "other"}
	m.passed(other, nil)
	m.forget(measured)
	_, got := gathered(t, m)
	want := map[string]float64{
		"passes_total outcome=success":                             1, // the other resource's
		"step_duration_seconds action=Install outcome=success":     1,
		"step_duration_seconds action=Upgrade outcome=error":       1,
		"notifications_total kind=ReleaseFailed outcome=delivered": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestMetricsFollowTheStatus(t *testing.T) {
	m := fullMetrics()
	m.licensed(measured, time.Time{})
	m.observe(&appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: measured.Namespace, Name: measured.Name}}, shown("Ready=Unknown Progressing"))
	_, got := gathered(t, m)
	for series, want := range map[string]float64{"plan_waiting ": 0, "drifted_objects ": 0, "condition status=Unknown type=Ready": 1} {
		if value, ok := got[series]; !ok || value != want {
			t.Errorf("%s is %v, %v; want %v", series, value, ok, want)
		}
	}
	for series := range got {
		for _, gone := range []string{"release_info", "release_available", "licence", "plan_created", "probe_check"} {
			if strings.HasPrefix(series, gone) {
				t.Errorf("%s is left", series)
			}
		}
	}
}

// TestMetricsAreDocumented holds the reference to the registry: every metric with its type and labels, and none besides.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "metrics.md"))
	must(t, err)
	families, _ := gathered(t, fullMetrics())
	want, got := map[string]string{}, map[string]string{}
	for _, family := range families {
		labels := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels["`"+label.GetName()+"`"] = true
			}
		}
		want[family.GetName()] = strings.ToLower(family.GetType().String()) + ": " + strings.Join(slices.Sorted(maps.Keys(labels)), ", ")
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(kubewandb_[a-z_]+)` \\| ([a-z]+) \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		labels := strings.Split(strings.TrimSpace(row[3]), ", ")
		slices.Sort(labels)
		got[row[1]] = row[2] + ": " + strings.Join(labels, ", ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/reference/metrics.md differs from what is measured (-metrics +page):\n%s", diff)
	}
}
