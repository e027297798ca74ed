package operator

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// TestRulesAndDashboardUseMetricsThatExist reads what the chart ships for Prometheus and Grafana.
func TestRulesAndDashboardUseMetricsThatExist(t *testing.T) {
	families, _ := gathered(t, fullMetrics())
	known := map[string]bool{}
	for _, family := range families {
		known[family.GetName()] = true
		if family.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[family.GetName()+suffix] = true
			}
		}
	}
	for _, name := range []string{"rules.yaml", "dashboard.json"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "charts", "operator", "files", name))
		must(t, err)
		used := regexp.MustCompile(`\bkubewandb_[a-z_]+`).FindAllString(string(content), -1)
		if len(used) == 0 {
			t.Errorf("%s uses no metric of ours", name)
		}
		for _, metric := range used {
			if !known[metric] {
				t.Errorf("%s uses %s, which the operator does not have", name, metric)
			}
		}
	}
}
