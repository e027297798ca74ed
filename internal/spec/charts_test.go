package spec_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kubewandb/kubewandb/internal/spec"
)

// TestOurChartsSchemasAreUnderstood holds the keywords that charts use against those that this package knows.
func TestOurChartsSchemasAreUnderstood(t *testing.T) {
	schemas, err := filepath.Glob("../../charts/*/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(schemas) == 0 {
		t.Fatal("the repository has no charts with a schema")
	}
	for _, path := range schemas {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := spec.ParseSchema(raw); err != nil || s == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
