package spec_test

import (
	"os"
	"path/filepath"
	"strings"
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

func TestOurApplicationsSchemaWarnsWhereItShould(t *testing.T) {
	raw, err := os.ReadFile("../../charts/operator-wandb/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	known, err := spec.ParseSchema(raw)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		values m
		want   string
	}{
		"the line that everybody was told to keep": {values: m{"mysql": m{"install": false}}},
		"a component that does not exist":          {values: m{"weave": m{"install": true}}, want: "weave: has no effect"},
		"a default of a key without effect":        {values: m{"global": m{"email": m{"smtp": m{"port": int64(587)}}}}},
		"another value of it":                      {values: m{"global": m{"email": m{"smtp": m{"port": int64(25)}}}}, want: "global.email.smtp.port: has no effect"},
		"a null that the documentation recommends": {values: m{"global": m{"bucket": m{"kmsKey": nil}}}},
		"a misspelt key":                           {values: m{"global": m{"hots": "https://x.test"}}, want: `global.hots: the chart does not know this key; did you mean "host"?`},
		"an unknown component":                     {values: m{"nobody": m{"knows": "this"}}, want: "nobody: the chart does not know this key"},
		"a variable of any name":                   {values: m{"app": m{"env": m{"ANY_NAME": "x"}}}},
		"a reference in place of a value":          {values: m{"global": m{"mysql": m{"password": m{"valueFrom": m{"secretKeyRef": m{"name": "a", "key": "b"}}}}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			resolved, err := spec.Resolve([]spec.Layer{layer("resource", test.values)}, spec.Options{Schema: known})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, warning := range resolved.Warnings {
				got = append(got, warning.String())
			}
			if text := strings.Join(got, "\n"); (test.want == "") != (text == "") || !strings.HasPrefix(text, test.want) {
				t.Errorf("warnings %q, want %q", text, test.want)
			}
		})
	}
}
