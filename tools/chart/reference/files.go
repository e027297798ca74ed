package reference

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Charts names the charts below charts/, in the order in which the reference shows them.
func Charts() []string { return []string{"operator-wandb", "operator", "deploy-server"} }

// Generate returns the content of each generated file by its path below root.
func Generate(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	var charts []Chart
	for _, name := range Charts() {
		folder := filepath.Join(root, "charts", name)
		chart, err := load(folder)
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", name, err)
		}
		charts = append(charts, chart)
		readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", name, err)
		}
		path := filepath.Join("charts", name, "README.md")
		if files[path], err = README(readme, chart); err != nil {
			return nil, fmt.Errorf("chart %s: %w", name, err)
		}
		files[filepath.Join("charts", name, "files", "without-effect.json")] = WithoutEffect(chart.Schema)
	}
	files[filepath.Join("docs", "reference", "configuration.md")] = Configuration(charts)
	return files, nil
}

func load(folder string) (Chart, error) {
	descriptor, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return Chart{}, fmt.Errorf("read chart: %w", err)
	}
	var chart Chart
	if err := yaml.Unmarshal(descriptor, &chart); err != nil {
		return Chart{}, fmt.Errorf("read Chart.yaml: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "values.schema.json"))
	if err != nil {
		return Chart{}, fmt.Errorf("read schema: %w", err)
	}
	chart.Schema, err = Parse(raw)
	return chart, err
}
