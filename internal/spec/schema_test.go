package spec_test

import (
	"strings"
	"testing"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const chartSchema = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "additionalProperties": false,
  "$defs": {
    "text": {"anyOf": [
      {"type": "string"},
      {"type": "object", "additionalProperties": false, "required": ["valueFrom"], "properties": {"valueFrom": {"type": "object"}}}
    ]}
  },
  "required": ["global"],
  "properties": {
    "global": {"type": "object", "additionalProperties": false, "required": ["host"], "properties": {
      "host": {"type": "string", "pattern": "^https?://"},
      "size": {"enum": ["small", "medium", "large"]},
      "extraEnv": {"type": "object", "additionalProperties": {"type": "string"}},
      "mysql": {"type": "object", "properties": {
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "password": {"$ref": "#/$defs/text", "x-secret": true}
      }}
    }},
    "ingress": {"type": "object", "properties": {
      "additionalHosts": {"type": "array", "items": {"type": "string"}, "x-merge": "concat"}
    }},
    "weave": {"x-effect": "none", "x-effect-reason": "W&B Weave is not part of this release"},
    "pins": {"type": "string", "pattern": "^[a-z]+$"}
  }
}`

func TestViolationsNamePathAndWhatIsAllowed(t *testing.T) {
	valid := m{"host": "https://wandb.example.com"}
	tests := map[string]struct {
		values m
		want   []string
	}{
		"valid":                         {values: m{"global": m{"host": "https://x", "size": "small", "mysql": m{"port": int64(3306), "password": "pw"}}}},
		"a null counts as not set":      {values: m{"global": m{"host": "https://x", "size": nil}}},
		"a reference instead of a text": {values: m{"global": m{"host": "https://x", "mysql": m{"password": m{"valueFrom": m{}}}}}},
		"an unknown key is no violation": {
			values: m{"global": m{"host": "https://x", "hots": "y"}, "other": true},
		},
		"nothing at all": {values: nil, want: []string{"values: needs global"}},
		"a missing key":  {values: m{"global": m{}}, want: []string{"global: needs host"}},
		"a word that is not in the list": {
			values: m{"global": m{"host": "https://x", "size": "huge"}}, want: []string{`global.size: must be one of "small", "medium", "large"`},
		},
		"a text for a number": {
			values: m{"global": m{"host": "https://x", "mysql": m{"port": "3306"}}}, want: []string{"global.mysql.port: must be integer, not string"},
		},
		"a number out of range": {
			values: m{"global": m{"host": "https://x", "mysql": m{"port": int64(70000)}}}, want: []string{"global.mysql.port: must be at most 65535"},
		},
		"a number in a map of texts": {
			values: m{"global": m{"host": "https://x", "extraEnv": m{"A.B": int64(1)}}}, want: []string{`global.extraEnv.A\.B: must be string, not number`},
		},
		"an item of a list": {
			values: m{"global": valid, "ingress": m{"additionalHosts": l{"a", int64(1)}}}, want: []string{"ingress.additionalHosts[1]: must be string, not number"},
		},
		"none of two forms": {
			values: m{"global": m{"host": "https://x", "mysql": m{"password": int64(7)}}},
			want:   []string{"global.mysql.password: must be string, not number, or must be object, not number"},
		},
		"a form with a misspelt key": {
			values: m{"global": m{"host": "https://x", "mysql": m{"password": m{"valuefrom": m{}}}}},
			want:   []string{"global.mysql.password: must be string, not object, or needs valueFrom"},
		},
		"several at once, in order": {
			values: m{"global": m{"host": "wandb", "size": int64(1)}},
			want:   []string{"global.host: must match the pattern ^https?://", "global.size: must be one of"},
		},
	}
	s := schema(t, chartSchema)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := s.Validate(test.values)
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if got := fault.Reason(err, ""); got != v1.ReasonValuesInvalid || fault.Hint(err) == "" {
				t.Fatalf("reason %q (%v), hint %q", got, err, fault.Hint(err))
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
		})
	}
	t.Run("a violation never repeats the value", func(t *testing.T) {
		err := s.Validate(m{"global": valid, "pins": "CANARY-1"})
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("many are cut short", func(t *testing.T) {
		env := m{}
		for _, key := range strings.Split("abcdefghijklmnop", "") {
			env[key] = int64(1)
		}
		err := s.Validate(m{"global": m{"host": "https://x", "extraEnv": env}})
		if err == nil || !strings.Contains(err.Error(), "and 6 more") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("no schema allows everything", func(t *testing.T) {
		var none *spec.Schema
		if err := none.Validate(m{"a": 1}); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsWrittenInVainIsWarnedOf(t *testing.T) {
	tests := map[string]struct {
		layers []spec.Layer
		want   []string
	}{
		"a key without effect": {
			layers: []spec.Layer{layer("resource", m{"weave": m{"install": true, "persistence": m{"size": "1Gi"}}})},
			want:   []string{"weave: has no effect: W&B Weave is not part of this release"},
		},
		"a misspelt key": {
			layers: []spec.Layer{layer("user", m{"global": m{"extraEnvs": m{"A": "b", "C": "d"}}})},
			want:   []string{`global.extraEnvs: the chart does not know this key; did you mean "extraEnv"?`},
		},
		"an unknown key that resembles nothing": {
			layers: []spec.Layer{layer("user", m{"telemetry": m{"on": true}})},
			want:   []string{"telemetry: the chart does not know this key"},
		},
		"a key in an open object": {layers: []spec.Layer{layer("user", m{"ingress": m{"class": "nginx"}})}},
		"keys of the operator":    {layers: []spec.Layer{layer("user", m{"_releaseId": "x", "reconcileFrequency": "1h"})}},
		"what the vendor sets":    {layers: []spec.Layer{layer("operator", m{"x": "y"}), layer("channel", m{"weave": m{"a": "b"}, "z": true})}},
		"what the vendor sets and the customer changes": {
			layers: []spec.Layer{layer("channel", m{"weave": m{"a": "b"}}), layer("resource", m{"weave": m{"a": "c"}})},
			want:   []string{"weave: has no effect"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := spec.Resolve(test.layers, spec.Options{Schema: schema(t, chartSchema)})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Warnings) != len(test.want) {
				t.Fatalf("warnings = %v, want %d", got.Warnings, len(test.want))
			}
			for i, part := range test.want {
				if !strings.HasPrefix(got.Warnings[i].String(), part) {
					t.Errorf("warning %q, want %q", got.Warnings[i], part)
				}
			}
		})
	}
}

func TestSchemaThatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                      `{`,
		"no schema":                    `{"type": 7}`,
		"a reference to the network":   `{"$ref": "https://example.com/schema.json"}`,
		"a reference to a local file":  `{"$ref": "file:///etc/passwd"}`,
		"a rule for lists that is new": `{"properties":{"a":{"x-merge":"zip"}}}`,
		"one that is far too large":    `{"description":"` + strings.Repeat("x", spec.MaxSchemaSize) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := spec.ParseSchema([]byte(text)); fault.Reason(err, "") != v1.ReasonChartInvalid {
				t.Errorf("error = %v", err)
			}
		})
	}
	if s, err := spec.ParseSchema([]byte(" \n")); s != nil || err != nil {
		t.Errorf("no text gives %v, %v; want nil, nil", s, err)
	}
}

func TestConcatRuleOfTheSchema(t *testing.T) {
	got, err := spec.Resolve([]spec.Layer{
		layer("channel", m{"ingress": m{"additionalHosts": l{"a"}}}), layer("resource", m{"ingress": m{"additionalHosts": l{"b"}}}),
	}, spec.Options{Schema: schema(t, chartSchema)})
	if err != nil {
		t.Fatal(err)
	}
	if hosts := marshal(t, got.Values); hosts != `{"ingress":{"additionalHosts":["b","a"]}}` {
		t.Errorf("values = %s", hosts)
	}
}
