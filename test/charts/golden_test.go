package charts

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"

	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

var update = flag.Bool("update", false, "write the golden renders")

// goldenCase is one folder below testdata/<chart>: values.yaml, want.yaml, and perhaps defaults.yaml (see input.defaults).
type goldenCase struct {
	chart, name, folder string
	in                  input
}

func goldenCases(t *testing.T) []goldenCase {
	t.Helper()
	var cases []goldenCase
	for _, name := range reference.Charts() {
		folders, err := filepath.Glob(filepath.Join("testdata", name, "*"))
		if err != nil || len(folders) == 0 {
			t.Fatalf("chart %s has no golden case (%v)", name, err)
		}
		for _, folder := range folders {
			one := goldenCase{chart: name, name: name + "/" + filepath.Base(folder), folder: folder}
			one.in.values = readYAML(t, filepath.Join(folder, "values.yaml"))
			if defaults := filepath.Join(folder, "defaults.yaml"); exists(defaults) {
				one.in.defaults = readYAML(t, defaults)
			}
			cases = append(cases, one)
		}
	}
	return cases
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestGoldenRenders(t *testing.T) {
	for _, one := range goldenCases(t) {
		t.Run(one.name, func(t *testing.T) {
			got := render(t, one.chart, one.in)
			text := got.text() + "# Notes\n" + got.notes + "\n"
			file := filepath.Join(one.folder, "want.yaml")
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("the render differs from %s; when that is meant, run go test ./test/charts -update (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestTwoRendersAreEqual(t *testing.T) {
	for _, one := range goldenCases(t) {
		first, second := render(t, one.chart, one.in), render(t, one.chart, one.in)
		if first.text() != second.text() || first.notes != second.notes {
			t.Errorf("%s: two renders of the same values differ; plans, drift detection and Argo CD need equal bytes", one.name)
		}
	}
}

func TestChartsLint(t *testing.T) {
	for _, name := range reference.Charts() {
		result := action.NewLint().Run([]string{filepath.Join(root, "charts", name)}, minimal(name))
		if len(result.Errors) > 0 || action.HasWarningsOrErrors(result) {
			t.Errorf("helm lint of %s: %v %v", name, result.Errors, result.Messages)
		}
	}
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := reference.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range files {
		got, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s does not follow from the schemas (%v): run go run ./tools/chart docs", file, err)
		}
	}
}
