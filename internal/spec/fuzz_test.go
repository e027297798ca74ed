package spec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// leaves returns the dotted path of every leaf: what is no map, and empty maps.
func leaves(values map[string]any, prefix []string) []string {
	var found []string
	for key, value := range values {
		path := append(append([]string(nil), prefix...), key)
		if inner, ok := value.(map[string]any); ok && len(inner) > 0 {
			found = append(found, leaves(inner, path)...)
			continue
		}
		found = append(found, spec.JoinPath(path...))
	}
	return found
}

func marshal(t *testing.T, content any) string {
	t.Helper()
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// FuzzResolve holds what every resolution has to be: deterministic, without effect on its inputs, neutral to empty layers,
// and with one origin for every leaf.
func FuzzResolve(f *testing.F) {
	seeds := [][3]string{
		{`{"kmsKey":null}`, `{"kmsKey":null}`, `{"kmsKey":"k"}`},
		{`{"a":{"b":{"c":1}}}`, `{"a":{"b":null}}`, `{"a":{"b":{"d":[1,2]}}}`},
		{`{"port":3306}`, `{"port":"3306"}`, `{"port":{"valueFrom":{}}}`},
		{`{"hosts":["a"]}`, `{"hosts":["b",{"x":null}]}`, `{"hosts":[]}`},
		{`{"":{"":1}}`, `{"a.b":{"c\\d":1}}`, `{"n":9007199254740993,"f":1e300}`},
		{`{"a":{}}`, `{"a":{}}`, `{"a":{"b":{}}}`},
		{`[]`, `null`, `"text"`},
	}
	for _, seed := range seeds {
		f.Add(seed[0], seed[1], seed[2], "a.b", true)
		f.Add(seed[0], seed[1], seed[2], "", false)
	}
	f.Fuzz(func(t *testing.T, low, middle, high, unset string, concat bool) {
		var layers []spec.Layer
		for i, text := range []string{low, middle, high} {
			layer, err := spec.Decode([]string{spec.LayerChannel, spec.LayerUser, spec.LayerResource}[i], map[string][]byte{"values": []byte(text)})
			if err != nil {
				return
			}
			layers = append(layers, layer)
		}
		if unset != "" {
			layers[2].Unset = []string{unset}
		}
		opts := spec.Options{}
		if concat {
			opts.Lists = v1.ListsConcat
		}
		before := marshal(t, layers)
		first, err := spec.Resolve(layers, opts)
		if after := marshal(t, layers); after != before {
			t.Fatalf("the input became %s, was %s", after, before)
		}
		second, again := spec.Resolve(layers, opts)
		if (err == nil) != (again == nil) || (err != nil && err.Error() != again.Error()) {
			t.Fatalf("the same layers gave %v and %v", err, again)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("the same layers gave two results:\n%s", diff)
		}
		empty := spec.Layer{Name: "empty", Values: map[string]any{}}
		for at := range len(layers) + 1 {
			padded := append(append(append([]spec.Layer(nil), layers[:at]...), empty), layers[at:]...)
			got, err := spec.Resolve(padded, opts)
			if err != nil {
				t.Fatalf("an empty layer at %d brought %v", at, err)
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Fatalf("an empty layer at %d changed the result:\n%s", at, diff)
			}
		}
		paths := leaves(first.Values, nil)
		if len(paths) != len(first.Origins) {
			t.Fatalf("%d leaves and %d origins: %v, %v", len(paths), len(first.Origins), paths, first.Origins)
		}
		for _, path := range paths {
			origin, ok := first.Origins[path]
			if !ok || origin.Layer == "" {
				t.Fatalf("leaf %q has no origin", path)
			}
			for _, shadowed := range origin.Shadowed {
				if shadowed == origin.Layer {
					t.Fatalf("leaf %q is shadowed by the layer that sets it", path)
				}
			}
		}
		if spec.ValuesDigest(first.Values) != spec.ValuesDigest(second.Values) || first.Digest() != second.Digest() {
			t.Fatal("the same result has two digests")
		}
		spec.Redact(first.Values, nil)
		// The result belongs to the caller: changing it must not reach the layers.
		scribble(first.Values)
		if after := marshal(t, layers); after != before {
			t.Fatalf("the result shares memory with the input")
		}
	})
}

func scribble(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			scribble(item)
			v[key] = "scribbled"
		}
	case []any:
		for i, item := range v {
			scribble(item)
			v[i] = "scribbled"
		}
	}
}

func FuzzParseChart(f *testing.F) {
	for _, seed := range []string{
		`{"url":"https://charts.wandb.ai","name":"operator-wandb","version":"0.14.1"}`, `{"path":"/charts/a.tgz"}`,
		`{"url":"oci://registry.example.com/charts/a:1.0.0"}`, `{"url":"oci://x","version":0.14}`, `{"url":"%zz"}`, `{"credentialSecret":{"name":null}}`,
		`{"url":"https://user:canary@charts.example.com","name":"a"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		layer, err := spec.Decode("channel", map[string][]byte{"chart": []byte(text)})
		if err != nil {
			return
		}
		chart, err := spec.ParseChart(layer.Chart)
		if err != nil || chart == nil {
			return
		}
		switch chart.Form {
		case spec.FormLocal:
			if chart.Path == "" {
				t.Error("a local chart without a path")
			}
		case spec.FormOCI, spec.FormRepo:
			if chart.URL == "" {
				t.Errorf("a chart of form %s without a URL", chart.Form)
			}
		default:
			t.Errorf("form %q", chart.Form)
		}
		if password := chart.Password.Reveal(); len(password) > 3 && strings.Contains(chart.String(), password) && !strings.Contains(chart.Name+chart.Version+chart.Path+chart.URL, password) {
			t.Errorf("%q shows the password", chart.String())
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a.b", `a\.b.c`, `\\`, ".", "", `a\`, "ingress.annotations.kubernetes\\.io/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		keys, err := spec.SplitPath(path)
		if err != nil {
			return
		}
		again, err := spec.SplitPath(spec.JoinPath(keys...))
		if err != nil {
			t.Fatalf("JoinPath(%q) cannot be read: %v", keys, err)
		}
		if diff := cmp.Diff(keys, again); diff != "" {
			t.Errorf("%q did not survive:\n%s", path, diff)
		}
	})
}

func FuzzParseSchema(f *testing.F) {
	for _, seed := range []string{
		`{"$ref":"#"}`, `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}`, `{"properties":{"a":{"$ref":"#"}},"additionalProperties":false}`,
		`{"allOf":[{"$ref":"#"}]}`, `{"$ref":"https://example.com/x.json"}`, `{"$ref":"file:///etc/passwd"}`, `true`, `{"patternProperties":{"(":{}}}`,
	} {
		f.Add(seed, `{"a":{"a":{"b":1}}}`)
	}
	f.Fuzz(func(t *testing.T, text, values string) {
		schema, err := spec.ParseSchema([]byte(text))
		if err != nil {
			return
		}
		layer, err := spec.Decode(spec.LayerUser, map[string][]byte{"values": []byte(values)})
		if err != nil {
			return
		}
		resolved, err := spec.Resolve([]spec.Layer{layer}, spec.Options{Schema: schema})
		if err != nil {
			return
		}
		_ = schema.Validate(resolved.Values)
		spec.Redact(resolved.Values, schema)
	})
}
