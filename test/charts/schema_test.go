package charts

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

// The schema is the source: values.yaml holds the defaults of all keys that do something, and nothing else.
func TestDefaultsEqualTheSchema(t *testing.T) {
	for _, name := range reference.Charts() {
		want := map[string]any{}
		for _, key := range reference.Keys(schemaOf(t, name)) {
			if key.Effect == "" && key.Default != "" {
				var value any
				if err := json.Unmarshal([]byte(key.Default), &value); err != nil {
					t.Fatalf("%s: default of %s: %v", name, key.Path, err)
				}
				want = with(t, want, key.Path, value)
			}
		}
		got := readYAML(t, filepath.Join(root, "charts", name, "values.yaml"))
		if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
			t.Errorf("%s: values.yaml differs from the defaults of the schema (-schema +values):\n%s", name, diff)
		}
	}
}

func asJSON(t *testing.T, value any) any {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryKeyIsDescribed(t *testing.T) {
	for _, name := range reference.Charts() {
		for _, key := range reference.Keys(schemaOf(t, name)) {
			if key.Meaning == "" || key.Type == "" {
				t.Errorf("%s: %s has no description or type", name, key.Path)
			}
			if (key.Effect == "none") != (key.Reason != "") {
				t.Errorf("%s: %s has effect %q and reason %q", name, key.Path, key.Effect, key.Reason)
			}
			if !slices.Contains([]string{"", "none", "operator"}, key.Effect) {
				t.Errorf("%s: %s has effect %q", name, key.Path, key.Effect)
			}
		}
	}
}

// `helm upgrade --reuse-values` brings the values of an older chart, in which any of today's keys may be missing.
func TestEveryKeyMayBeMissing(t *testing.T) {
	for _, name := range reference.Charts() {
		defaults := load(t, name).Values
		for _, path := range append(paths("", defaults), "") {
			in := input{values: minimal(name), defaults: without(t, defaults, path), unchecked: true}
			if path == "" {
				in.defaults = map[string]any{}
			}
			if _, err := tryRender(t, name, in); err != nil {
				t.Errorf("%s: without the key %q: %v", name, path, err)
			}
		}
	}
}

// paths lists every key of values, inner ones too, dotted.
func paths(prefix string, values map[string]any) []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if strings.Contains(key, ".") {
			continue // an annotation's name
		}
		path := strings.TrimPrefix(prefix+"."+key, ".")
		found = append(found, path)
		if inner, ok := values[key].(map[string]any); ok {
			found = append(found, paths(path, inner)...)
		}
	}
	return found
}

func without(t *testing.T, values map[string]any, path string) map[string]any {
	t.Helper()
	copied := clone(values)
	current := copied
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		next, ok := current[key].(map[string]any)
		if !ok {
			return copied
		}
		current = next
	}
	delete(current, keys[len(keys)-1])
	return copied
}

// A null from a person removes a default; for every key that must not break the render either.
func TestEveryKeyMayBeNull(t *testing.T) {
	for _, name := range reference.Charts() {
		for _, path := range paths("", load(t, name).Values) {
			if _, err := tryRender(t, name, input{values: with(t, minimal(name), path, nil), unchecked: true}); err != nil && !strings.HasPrefix(path, "adminToken") {
				t.Errorf("%s: %s: null: %v", name, path, err)
			}
		}
	}
}

func TestWrongTypesAreRefusedAndUnknownKeysAreNot(t *testing.T) {
	tests := map[string]struct {
		chart, values string
		refused       string
	}{
		"a number as host":                {"operator-wandb", "global: {host: 5}", "/global/host"},
		"a text as switch":                {"operator-wandb", "console: {install: 'yes'}", "/console/install"},
		"a list as environment":           {"operator-wandb", "global: {extraEnv: [{name: A, value: b}]}", "/global/extraEnv"},
		"a bad digest":                    {"operator-wandb", "app: {image: {digest: latest}}", "/app/image/digest"},
		"a reference without a key":       {"operator-wandb", "global: {mysql: {password: {valueFrom: {secretKeyRef: {name: x}}}}}", "/global/mysql/password"},
		"a trust that does not exist":     {"operator", "channel: {trust: Blind}", "/channel/trust"},
		"a signed channel without a root": {"operator", "channel: {trust: Signed}", "/channel"},
		"a profile that does not exist":   {"operator", "rbac: {profile: admin}", "/rbac/profile"},
		"a kind that cannot be allowed":   {"operator", "allowClusterObjects: [Node]", "/allowClusterObjects/0"},
		"an unknown key":                  {"operator-wandb", "global: {hots: x}\nnobody: {knows: this}", ""},
		"an unknown key of the operator":  {"operator", "nobody: {knows: this}", ""},
		"nulls that the docs recommend":   {"operator-wandb", "global: {bucket: {kmsKey: null, path: null}, redis: null}\nweave: null", ""},
		"a variable from a source":        {"operator-wandb", "app: {env: {A: {fieldRef: {fieldPath: metadata.name}}}}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tryRender(t, test.chart, input{values: parse(t, test.values)})
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("error %v, want one about %s", err, test.refused)
			}
		})
	}
}

// contract is testdata/contract-keys.yaml: every key that today's charts and their documentation name.
type contract struct {
	Chart string `json:"chart"`
	// With are values that the keys need around them.
	With map[string]any `json:"with"`
	// Keys maps a path to a value that differs from the default.
	Keys map[string]any `json:"keys"`
}

func TestEveryDocumentedKeyIsAcceptedAndEffectiveOrMarked(t *testing.T) {
	var contracts []contract
	raw, err := yaml.Marshal(readYAML(t, "testdata/contract-keys.yaml")["contracts"])
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, &contracts); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, one := range contracts {
		keys := reference.Keys(schemaOf(t, one.Chart))
		before := render(t, one.Chart, input{values: clone(one.With)}).text()
		for _, path := range slices.Sorted(maps.Keys(one.Keys)) {
			total++
			key, known := describing(keys, path)
			if !known {
				t.Errorf("%s: the schema does not describe %s", one.Chart, path)
				continue
			}
			out, err := tryRender(t, one.Chart, input{values: with(t, one.With, path, one.Keys[path])})
			if err != nil {
				t.Errorf("%s: %s: %v", one.Chart, path, err)
				continue
			}
			changed := out.text() != before
			if changed != (key.Effect == "") {
				t.Errorf("%s: %s changes the render: %v, but its effect is %q", one.Chart, path, changed, key.Effect)
			}
			if key.Effect == "none" && !strings.Contains(out.notes, "\n  "+key.Path+"\n") {
				t.Errorf("%s: the notes do not report %s:\n%s", one.Chart, key.Path, out.notes)
			}
		}
	}
	if total < 250 {
		t.Errorf("the contract lists only %d keys", total)
	}
}

// describing finds the key that is path or lies above it.
func describing(keys []reference.Key, path string) (reference.Key, bool) {
	for _, key := range keys {
		if path == key.Path || strings.HasPrefix(path, key.Path+".") {
			return key, true
		}
	}
	return reference.Key{}, false
}
