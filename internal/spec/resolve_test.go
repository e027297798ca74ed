package spec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

type m = map[string]any
type l = []any

func layer(name string, values m) spec.Layer { return spec.Layer{Name: name, Values: values} }

func schema(t *testing.T, text string) *spec.Schema {
	t.Helper()
	s, err := spec.ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLayersFold(t *testing.T) {
	tests := map[string]struct {
		layers []spec.Layer
		opts   spec.Options
		want   m
		// origins lists "path: layer[ +merged][ <shadowed]" for the paths to check.
		origins map[string]spec.Origin
		// warn is a part of each warning, in order.
		warn []string
	}{
		"higher scalars win and maps merge": {
			layers: []spec.Layer{
				layer("channel", m{"app": m{"image": m{"tag": "1", "repository": "r"}}}),
				layer("user", m{"app": m{"image": m{"tag": "2"}}}),
				layer("resource", m{"app": m{"image": m{"tag": "3"}}}),
			},
			want: m{"app": m{"image": m{"tag": "3", "repository": "r"}}},
			origins: map[string]spec.Origin{
				"app.image.tag":        {Layer: "resource", Shadowed: []string{"user", "channel"}},
				"app.image.repository": {Layer: "channel"},
			},
		},
		"a null in two layers stays null": {
			layers: []spec.Layer{
				layer("channel", m{"kmsKey": nil}),
				layer("resource", m{"kmsKey": nil}),
			},
			want:    m{"kmsKey": nil},
			origins: map[string]spec.Origin{"kmsKey": {Layer: "resource", Shadowed: []string{"channel"}}},
		},
		"a null replaces a map, and every layer below counts as shadowed": {
			layers: []spec.Layer{
				layer("operator", m{"tls": m{"a": int64(1)}}),
				layer("channel", m{"tls": m{"b": int64(2)}}),
				layer("resource", m{"tls": nil}),
			},
			want:    m{"tls": nil},
			origins: map[string]spec.Origin{"tls": {Layer: "resource", Shadowed: []string{"channel", "operator"}}},
		},
		"a value replaces a null without a warning": {
			layers: []spec.Layer{
				layer("channel", m{"kmsKey": nil, "tls": nil}),
				layer("resource", m{"kmsKey": "k", "tls": m{"x": "y"}}),
			},
			want:    m{"kmsKey": "k", "tls": m{"x": "y"}},
			origins: map[string]spec.Origin{"tls.x": {Layer: "resource", Shadowed: []string{"channel"}}},
		},
		"a scalar of another kind wins with a warning that shows no value": {
			layers: []spec.Layer{
				layer("channel", m{"port": int64(3306), "on": true}),
				layer("resource", m{"port": "3306", "on": "yes"}),
			},
			want: m{"port": "3306", "on": "yes"},
			warn: []string{"on: a string in layer resource replaces a boolean in layer channel", "port: a string in layer resource replaces an integer in layer channel"},
		},
		"an integer and a number are one kind": {
			layers: []spec.Layer{layer("channel", m{"n": int64(1)}), layer("resource", m{"n": 1.5})},
			want:   m{"n": 1.5},
		},
		"lists replace by default": {
			layers:  []spec.Layer{layer("channel", m{"hosts": l{"a", "b"}}), layer("resource", m{"hosts": l{"c"}})},
			want:    m{"hosts": l{"c"}},
			origins: map[string]spec.Origin{"hosts": {Layer: "resource", Shadowed: []string{"channel"}}},
		},
		"an empty list empties": {
			layers: []spec.Layer{layer("channel", m{"hosts": l{"a"}}), layer("resource", m{"hosts": l{}})},
			want:   m{"hosts": l{}},
		},
		"lists concatenate when asked, higher items first": {
			layers:  []spec.Layer{layer("operator", m{"h": l{"a"}}), layer("channel", m{"h": l{"b"}}), layer("resource", m{"h": l{"c"}})},
			opts:    spec.Options{Lists: v1.ListsConcat},
			want:    m{"h": l{"c", "b", "a"}},
			origins: map[string]spec.Origin{"h": {Layer: "resource", Merged: []string{"channel", "operator"}}},
		},
		"the schema's rule beats the option": {
			layers: []spec.Layer{layer("channel", m{"a": l{"1"}, "b": l{"1"}}), layer("resource", m{"a": l{"2"}, "b": l{"2"}})},
			opts: spec.Options{Lists: v1.ListsConcat, Schema: schema(t, `{"properties":{
				"a":{"type":"array","x-merge":"replace"},"b":{"type":"array"}}}`)},
			want: m{"a": l{"2"}, "b": l{"2", "1"}},
		},
		"a map may replace a plain value where the schema allows both": {
			layers: []spec.Layer{
				layer("channel", m{"mysql": m{"password": "pw"}}),
				layer("resource", m{"mysql": m{"password": m{"valueFrom": m{"secretKeyRef": m{"name": "s"}}}}}),
			},
			opts: spec.Options{Schema: schema(t, `{"$defs":{"v":{"anyOf":[{"type":"string"},{"type":"object","properties":{"valueFrom":{"type":"object"}}}]}},
				"properties":{"mysql":{"properties":{"password":{"$ref":"#/$defs/v"}}}}}`)},
			want: m{"mysql": m{"password": m{"valueFrom": m{"secretKeyRef": m{"name": "s"}}}}},
			origins: map[string]spec.Origin{
				"mysql.password.valueFrom.secretKeyRef.name": {Layer: "resource", Shadowed: []string{"channel"}},
			},
		},
		"and a plain value a map": {
			layers: []spec.Layer{
				layer("channel", m{"password": m{"valueFrom": m{"name": "s"}}}),
				layer("resource", m{"password": "pw"}),
			},
			opts:    spec.Options{Schema: schema(t, `{"properties":{"password":{"type":["string","object"]}}}`)},
			want:    m{"password": "pw"},
			origins: map[string]spec.Origin{"password": {Layer: "resource", Shadowed: []string{"channel"}}},
		},
		"an empty map adds nothing to a map": {
			layers:  []spec.Layer{layer("channel", m{"a": m{"b": "c"}}), layer("resource", m{"a": m{}})},
			want:    m{"a": m{"b": "c"}},
			origins: map[string]spec.Origin{"a.b": {Layer: "channel"}},
		},
		"an empty map alone is a leaf": {
			layers:  []spec.Layer{layer("channel", m{"a": m{}}), layer("resource", m{"a": m{}})},
			want:    m{"a": m{}},
			origins: map[string]spec.Origin{"a": {Layer: "resource", Shadowed: []string{"channel"}}},
		},
		"unset removes what lower layers set and keeps what its own layer sets": {
			layers: []spec.Layer{
				layer("channel", m{"tls": m{"a": "1", "b": "2"}, "kind": "x", "ann": m{"example.com/a": "1"}}),
				{Name: "resource", Unset: []string{"tls", "kind", `ann.example\.com/a`, "nothing.there"}, Values: m{"tls": m{"c": "3"}}},
			},
			want: m{"tls": m{"c": "3"}, "ann": m{}},
			warn: []string{"nothing.there: unset removes nothing"},
		},
		"unset lets a map become a scalar": {
			layers: []spec.Layer{
				layer("channel", m{"a": m{"b": "c"}}),
				{Name: "resource", Unset: []string{"a"}, Values: m{"a": "text"}},
			},
			want: m{"a": "text"},
		},
		"numbers of other decoders become int64 and float64": {
			layers: []spec.Layer{layer("resource", m{"a": 1, "b": float32(0.5), "c": json.Number("67108864"), "d": json.Number("1.5"), "e": l{int32(2), m{"f": uint64(3)}}})},
			want:   m{"a": int64(1), "b": 0.5, "c": int64(67108864), "d": 1.5, "e": l{int64(2), m{"f": int64(3)}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before, err := json.Marshal(test.layers)
			if err != nil {
				t.Fatal(err)
			}
			got, err := spec.Resolve(test.layers, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			for path, want := range test.origins {
				if diff := cmp.Diff(want, got.Origins[path]); diff != "" {
					t.Errorf("origin of %s (-want +got):\n%s", path, diff)
				}
			}
			if len(got.Warnings) != len(test.warn) {
				t.Errorf("warnings = %v, want %d", got.Warnings, len(test.warn))
			}
			for i, part := range test.warn {
				if i < len(got.Warnings) && !strings.Contains(got.Warnings[i].String(), part) {
					t.Errorf("warning %d = %q, want it to hold %q", i, got.Warnings[i], part)
				}
			}
			after, _ := json.Marshal(test.layers)
			if string(before) != string(after) {
				t.Errorf("the input was changed to %s", after)
			}
		})
	}
}

func TestLayersThatCannotFold(t *testing.T) {
	tests := map[string]struct {
		layers []spec.Layer
		opts   spec.Options
		reason string
		parts  []string
	}{
		"a map against a plain value names path, layers and types": {
			layers: []spec.Layer{layer("channel", m{"mysql": m{"host": "h"}}), layer("resource", m{"mysql": m{"host": m{"valueFrom": m{}}}})},
			reason: v1.ReasonTypeConflict,
			parts:  []string{"mysql.host", "layer resource holds a map", "layer channel holds a string", "spec.unset"},
		},
		"a list against a map": {
			layers: []spec.Layer{layer("channel", m{"tls": l{}}), layer("user", m{"tls": m{"a": "b"}})},
			reason: v1.ReasonTypeConflict,
			parts:  []string{"merge tls", "layer user holds a map", "layer channel holds a list"},
		},
		"a schema that allows one form does not settle it": {
			layers: []spec.Layer{layer("channel", m{"host": "h"}), layer("resource", m{"host": m{}})},
			opts:   spec.Options{Schema: schema(t, `{"properties":{"host":{"type":"string"}}}`)},
			reason: v1.ReasonTypeConflict,
			parts:  []string{"merge host"},
		},
		"a broken path of unset": {
			layers: []spec.Layer{{Name: "resource", Unset: []string{"a..b"}}},
			reason: v1.ReasonLayerInvalid,
			parts:  []string{`"a..b"`, "layer resource", "empty key"},
		},
		"a value that JSON cannot hold": {
			layers: []spec.Layer{layer("resource", m{"a": l{m{"b": func() {}}}})},
			reason: v1.ReasonLayerInvalid,
			parts:  []string{"a[0].b", "layer resource"},
		},
		"a chart of no form": {
			layers: []spec.Layer{{Name: "channel", Chart: m{"url": "https://charts.example.com", "name": "a"}}, {Name: "resource", Chart: m{"version": "1"}}},
			reason: v1.ReasonChartInvalid,
			parts:  []string{"layer resource", "chart.path", "chart.url"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := spec.Resolve(test.layers, test.opts)
			if got := fault.Reason(err, ""); got != test.reason {
				t.Fatalf("reason = %q, want %q (%v)", got, test.reason, err)
			}
			for _, part := range test.parts {
				if !strings.Contains(fault.Message(err), part) {
					t.Errorf("message %q lacks %q", fault.Message(err), part)
				}
			}
			if fault.Retryable(err) {
				t.Error("waiting mends no specification, yet the fault says retry")
			}
		})
	}
}

func TestChartAndMetadataComeWholeFromTheHighestLayer(t *testing.T) {
	got, err := spec.Resolve([]spec.Layer{
		{Name: "channel", Chart: m{"url": "https://charts.example.com", "name": "a", "version": "1"}, Metadata: map[string]string{"releaseId": "1", "channelName": "stable"}},
		{Name: "user"},
		{Name: "resource", Chart: m{"path": "/charts/a.tgz"}, Metadata: nil},
	}, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Chart.Form != spec.FormLocal || got.Chart.URL != "" || got.ChartLayer != "resource" {
		t.Errorf("chart = %+v of layer %q, want the resource's alone", got.Chart, got.ChartLayer)
	}
	if diff := cmp.Diff(map[string]string{"releaseId": "1", "channelName": "stable"}, got.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestDigestFollowsChartAndValuesOnly(t *testing.T) {
	resolve := func(layers ...spec.Layer) string {
		t.Helper()
		got, err := spec.Resolve(layers, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Digest()
	}
	base := spec.Layer{Name: "channel", Chart: m{"path": "/a"}, Values: m{"a": int64(1), "b": nil}, Metadata: map[string]string{"releaseName": "x"}}
	renamed := base
	renamed.Name, renamed.Metadata = "other", map[string]string{"releaseName": "y"}
	if resolve(base) != resolve(renamed) {
		t.Error("a new release name alone changed the digest")
	}
	asFloat := base
	asFloat.Values = m{"a": 1.0, "b": nil}
	if resolve(base) != resolve(asFloat) {
		t.Error("1 and 1.0 differ")
	}
	for name, change := range map[string]spec.Layer{
		"a value":     {Chart: m{"path": "/a"}, Values: m{"a": int64(2), "b": nil}},
		"a lost null": {Chart: m{"path": "/a"}, Values: m{"a": int64(1)}},
		"the chart":   {Chart: m{"path": "/b"}, Values: m{"a": int64(1), "b": nil}},
	} {
		if resolve(base) == resolve(change) {
			t.Errorf("%s left the digest as it was", name)
		}
	}
}

func TestValuesDigestSurvivesHelmStorage(t *testing.T) {
	values := m{"big": int64(9007199254740993), "n": int64(3306), "list": l{m{"x": 1.5}}, "null": nil}
	raw, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var stored m
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	if spec.ValuesDigest(values) != spec.ValuesDigest(stored) {
		t.Error("values read back from Helm's storage have another digest")
	}
	if spec.ValuesDigest(values) == spec.ValuesDigest(m{"n": int64(3307)}) {
		t.Error("other values have the same digest")
	}
}
