package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

func TestLayersSurviveTheirSecret(t *testing.T) {
	tests := map[string]spec.Layer{
		"everything": {
			Name:     "channel",
			Values:   m{"big": int64(9007199254740993), "ratio": 0.5, "null": nil, "list": l{m{"a": true}}},
			Chart:    m{"url": "https://charts.wandb.ai", "name": "operator-wandb", "version": "0.14.3"},
			Metadata: map[string]string{"releaseId": "1", "channelName": "stable"},
		},
		"nothing but values": {Name: "user", Values: m{}},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := spec.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := spec.Decode(want.Name, data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an empty layer is written as today's operator and console expect it", func(t *testing.T) {
		data, err := spec.Encode(spec.Layer{Name: "user"})
		if err != nil {
			t.Fatal(err)
		}
		if string(data["values"]) != "{}" || string(data["chart"]) != "null" || string(data["metadata"]) != "null" {
			t.Errorf("data = %s, %s, %s", data["values"], data["chart"], data["metadata"])
		}
	})
	t.Run("absent keys and nulls are absent", func(t *testing.T) {
		got, err := spec.Decode("user", map[string][]byte{"values": []byte("null"), "chart": []byte("null")})
		if err != nil || got.Values != nil || got.Chart != nil || got.Metadata != nil {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestLayersThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		key, text, part string
	}{
		"no JSON":                        {"values", `{"a":`, "values of layer user"},
		"a list":                         {"values", `[1]`, "values of layer user"},
		"a text as chart":                {"chart", `"x"`, "chart of layer user"},
		"metadata with a number":         {"metadata", `{"releaseId":1}`, "metadata of layer user"},
		"more than a Secret should hold": {"values", `{"a":"` + strings.Repeat("x", spec.MaxEncodedSize) + `"}`, "exceed the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spec.Decode("user", map[string][]byte{test.key: []byte(test.text)})
			if fault.Reason(err, "") != v1.ReasonLayerInvalid || !strings.Contains(err.Error(), test.part) {
				t.Errorf("error = %v", err)
			}
		})
	}
	t.Run("a layer too large for a Secret is refused with a remedy", func(t *testing.T) {
		_, err := spec.Encode(spec.Layer{Name: "user", Values: m{"ca": strings.Repeat("x", spec.MaxEncodedSize)}})
		if fault.Reason(err, "") != v1.ReasonLayerInvalid || !strings.Contains(fault.Hint(err), "caCertsConfigMap") {
			t.Errorf("error = %v, hint %q", err, fault.Hint(err))
		}
	})
}
