package operator

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/charts"
)

func TestMissingPathsAreWhatTheServedDefinitionDrops(t *testing.T) {
	ours := `{properties: {metadata: {}, spec: {properties: {
		values: {x-kubernetes-preserve-unknown-fields: true},
		update: {properties: {policy: {}, windows: {items: {properties: {schedule: {}, duration: {}}}}}},
		rollback: {properties: {mode: {}}}}}, status: {properties: {plan: {properties: {digest: {}}}}}}}`
	for name, c := range map[string]struct {
		served string
		want   []string
	}{
		"the same": {ours, nil},
		"a newer one has more": {
			strings.Replace(ours, "rollback: {", "later: {}, rollback: {", 1), nil,
		},
		"a whole field, named once": {
			strings.Replace(ours, "rollback: {", "other: {", 1), []string{"spec.rollback"},
		},
		"a field of a field":        {strings.Replace(ours, "policy: {}, ", "", 1), []string{"spec.update.policy"}},
		"a field of a list's items": {strings.Replace(ours, "schedule: {}, ", "", 1), []string{"spec.update.windows[].schedule"}},
		"in spec and status": {
			strings.Replace(strings.Replace(ours, "digest", "hash", 1), "mode", "kind", 1), []string{"spec.rollback.mode", "status.plan.digest"},
		},
		"no status at all":              {`{properties: {spec: {x-kubernetes-preserve-unknown-fields: true}}}`, []string{"status"}},
		"a field that keeps everything": {`{properties: {spec: {x-kubernetes-preserve-unknown-fields: true}, status: {x-kubernetes-preserve-unknown-fields: true}}}`, nil},
		"a schema that keeps everything": {
			`{x-kubernetes-preserve-unknown-fields: true}`, nil,
		},
		"metadata does not count": {strings.Replace(ours, "metadata: {}, ", "", 1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var wanted, served property
			must(t, yaml.Unmarshal([]byte(strings.ReplaceAll(ours, "\t", " ")), &wanted))
			must(t, yaml.Unmarshal([]byte(strings.ReplaceAll(c.served, "\t", " ")), &served))
			if diff := cmp.Diff(c.want, missingPaths(&wanted, &served)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutdatedWarningIsShort(t *testing.T) {
	if got := outdatedWarning(nil); got != "" {
		t.Errorf("nothing is missing: %q", got)
	}
	got := outdatedWarning(strings.Split("a b c d e f g h i j", " "))
	if !strings.HasPrefix(got, "CRDOutdated: ") || !strings.Contains(got, "drops a, b, c, d, e, f, g, h and 2 more: ") || len(got) > maxMessage {
		t.Errorf("warning %q", got)
	}
}

// served is an OpenAPI document of the definition in the chart without some fields of spec.
func served(t *testing.T, without ...string) []byte {
	t.Helper()
	schema := map[string]any{}
	raw, err := json.Marshal(schemaOf(t, definitionWithout(t, without...)))
	must(t, err)
	must(t, json.Unmarshal(raw, &schema))
	schema["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": "apps.wandb.com", "version": "v1", "kind": appsv1.Kind}}
	document, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": map[string]any{
		"com.wandb.apps.v1.WeightsAndBiases": schema, "other": map[string]any{"type": "object"},
	}}})
	must(t, err)
	return document
}

func definitionWithout(t *testing.T, fields ...string) *unstructured.Unstructured {
	t.Helper()
	definition := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(charts.ResourceDefinition(), &definition.Object))
	for _, field := range fields {
		delete(schemaOf(t, definition)["properties"].(map[string]any)["spec"].(map[string]any)["properties"].(map[string]any), field)
	}
	return definition
}

// schemaOf shares the content of the definition.
func schemaOf(t *testing.T, definition *unstructured.Unstructured) map[string]any {
	t.Helper()
	versions, _, err := unstructured.NestedFieldNoCopy(definition.Object, "spec", "versions")
	must(t, err)
	return versions.([]any)[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
}

func TestDefinitionIsLookedAtOnceInAPeriod(t *testing.T) {
	now, asked := time.Now(), 0
	answer, failure := served(t, "rollback"), error(nil)
	o := &outdated{now: func() time.Time { return now }, read: func(ctx context.Context) ([]byte, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("a request without a deadline")
		}
		asked++
		return answer, failure
	}}
	expect := func(when string, warned bool, times int) {
		t.Helper()
		for range 3 {
			if got := o.warning(t.Context()); strings.Contains(got, " spec.rollback:") != warned || asked != times {
				t.Errorf("%s: warning %q after %d requests, want %d", when, got, asked, times)
			}
		}
	}
	expect("at first", true, 1)
	now = now.Add(definitionPeriod)
	failure = errors.New("away")
	expect("while nobody answers, what was known counts", true, 2)
	now = now.Add(definitionPeriod)
	answer, failure = []byte("<html>"), nil
	expect("after nonsense too", true, 3)
	now = now.Add(definitionPeriod)
	answer = served(t)
	expect("after the definition was brought up to date", false, 4)
	var nobody *outdated
	if got := nobody.warning(t.Context()); got != "" {
		t.Errorf("an operator that does not look warns: %q", got)
	}
}

// An isolated operator has no rights to bring the definition up to date, nor to read it: people are told, until somebody
// has done it.
func TestOutdatedDefinitionIsTold(t *testing.T) {
	folder := t.TempDir()
	older, err := yaml.Marshal(definitionWithout(t, "rollback", "timeout").Object)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "older.yaml"), older, 0o600))
	environment := &envtest.Environment{CRDDirectoryPaths: []string{folder}, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	must(t, err)
	t.Cleanup(func() { _ = environment.Stop() })
	i := newInstallationOn(t, config, "default")
	key := i.running()
	warned := func(cr *appsv1.WeightsAndBiases) bool {
		return slices.ContainsFunc(cr.Status.Warnings, func(warning string) bool {
			return strings.HasPrefix(warning, "CRDOutdated: ") && strings.Contains(warning, "drops spec.rollback, spec.timeout: ") &&
				strings.Contains(warning, "controller-manager crd apply")
		})
	}
	i.await(key, "the warning", warned)

	must(t, ApplyDefinition(t.Context(), config, charts.ResourceDefinition()))
	discover, err := discovery.NewDiscoveryClientForConfig(config)
	must(t, err)
	read := openAPIOf(discover.RESTClient())
	eventually(t, "the new definition is described", func() bool {
		document, err := read(t.Context())
		return err == nil && strings.Contains(string(document), `"rollback"`)
	}, func() string { return "" })
	i.stop()
	i.start()
	i.await(key, "no warning", func(cr *appsv1.WeightsAndBiases) bool { return !warned(cr) })
}
