package console

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/spec"
)

func TestUserLayerThatIsAccepted(t *testing.T) {
	tests := map[string]struct {
		text   string
		chart  map[string]any
		values map[string]any
	}{
		"nothing at all":         {text: ""},
		"comments only":          {text: "# nothing yet\n"},
		"a null document":        {text: "---\n"},
		"empty keys":             {text: "chart:\nvalues:\n"},
		"an empty chart is none": {text: "chart: {}\nvalues: {}\n", values: map[string]any{}},
		"whole numbers stay whole": {
			text:   "values:\n  bytes: 67108864\n  most: 9223372036854775807\n",
			values: map[string]any{"bytes": int64(67108864), "most": int64(9223372036854775807)},
		},
		"words mean what they mean to Helm": {
			text:   "values:\n  install: no\n  quoted: 'no'\n  day: 2024-01-31\n",
			values: map[string]any{"install": false, "quoted": "no", "day": "2024-01-31"},
		},
		"a null is kept, since it removes what lies below": {
			text:   "values:\n  kmsKey: null\n",
			values: map[string]any{"kmsKey": nil},
		},
		"numbers as keys": {
			text:   "values:\n  ports:\n    8080: http\n",
			values: map[string]any{"ports": map[string]any{"8080": "http"}},
		},
		"anchors and merge keys": {
			text: "values:\n  a: &a {x: 1}\n  b:\n    <<: *a\n    z: 2\n",
			values: map[string]any{
				"a": map[string]any{"x": int64(1)},
				"b": map[string]any{"x": int64(1), "z": int64(2)},
			},
		},
		"a chart of a repository": {
			text:  "chart:\n  url: https://charts.example.com\n  name: operator-wandb\n  version: 1.2.3\n",
			chart: map[string]any{"url": "https://charts.example.com", "name": "operator-wandb", "version": "1.2.3"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			layer, err := parseLayer(test.text)
			if err != nil {
				t.Fatalf("parseLayer: %v", err)
			}
			if diff := cmp.Diff(test.chart, layer.Chart); diff != "" {
				t.Errorf("chart (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.values, layer.Values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserLayerThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		text string
		line int
		path string
		// says is part of the message or the hint.
		says string
	}{
		"no YAML":                               {text: "values:\n  a: [1, 2\n  b: 3\n", line: 3, says: "not YAML"},
		"a line that is indented by too little": {text: "values:\n  x: 1\n y: 2\n  z: 3\n", line: 3, says: "not YAML"},
		"a line without a colon":                {text: "values:\n  x: 1\n  bad\n  z: 3\n", line: 3, says: "not YAML"},
		"a quote that never ends":               {text: "values:\n  x: \"1\n  z: 3\n", line: 2, says: "not YAML"},
		"a list that becomes a map":             {text: "values:\n  - a\n  b: 1\n", line: 3, says: "not YAML"},
		"an alias of nothing":                   {text: "values:\n  x: 1\n  y: *z\n", line: 3, says: "unknown anchor"},
		"tabs for indentation":                  {text: "values:\n\ta: 1\n", line: 2, says: "not YAML"},
		"an unknown top-level key":              {text: "values: {}\nglobal:\n  host: x\n", line: 2, path: "global", says: "below values"},
		"a list at the top":                     {text: "- a\n", line: 1, says: "keys with values"},
		"values that are a list":                {text: "values:\n- a\n", line: 2, path: "values", says: "keys of its own"},
		"values that are a word":                {text: "chart:\nvalues: all\n", line: 2, path: "values", says: "keys of its own"},
		"a chart that is a word":                {text: "chart: operator-wandb\n", line: 1, path: "chart", says: "keys of its own"},
		"a chart without a name":                {text: "values: {}\nchart:\n  url: https://charts.example.com\n", line: 3, path: "chart.name", says: "chart.name"},
		"a chart version that is a number":      {text: "chart:\n  url: https://charts.example.com\n  name: w\n  version: 0.14\n", line: 4, path: "chart.version", says: "version"},
		"a chart by an unknown scheme":          {text: "chart:\n  url: ftp://charts.example.com\n", line: 2, path: "chart.url", says: "ftp"},
		"a key that stands twice":               {text: "values:\n  a:\n    b: 1\n    c: 2\n    b: 3\n", line: 5, path: "values.a.b", says: "line 3"},
		"the top key twice":                     {text: "values: {}\nvalues: {}\n", line: 2, path: "values", says: "second time"},
		"a key that would become true":          {text: "values:\n  on: 1\n", line: 2, path: "values.on", says: "in quotes"},
		"a key that is null":                    {text: "values:\n  ~: 1\n", line: 2, says: "in quotes"},
		"a key that is a list":                  {text: "values:\n  ? [a]\n  : 1\n", line: 2, path: "values", says: "has to be a word"},
		"infinity":                              {text: "values:\n  a: .inf\n", line: 2, path: "values.a", says: "infinity"},
		"not a number":                          {text: "values:\n  a: [1, .NaN]\n", line: 2, path: "values.a.1", says: "not-a-number"},
		"a number that would be rounded":        {text: "values:\n  id: 9223372036854775808\n", line: 2, path: "values.id", says: "too large"},
		"an unknown tag":                        {text: "values:\n  a: !env PASSWORD\n", line: 2, path: "values.a", says: "!env"},
		"binary":                                {text: "values:\n  a: !!binary aGk=\n", line: 2, path: "values.a", says: "!!binary"},
		"two documents":                         {text: "values: {}\n---\nvalues: {a: 1}\n", says: "second document"},
		"too long":                              {text: "values:\n  a: " + strings.Repeat("x", maxLayerText), says: "256 KiB"},
		"no UTF-8":                              {text: "values:\n  a: \xff\n", says: "UTF-8"},
		"too deep":                              {text: "values: " + strings.Repeat("{a: ", 80) + "1" + strings.Repeat("}", 80), line: 1, says: "deeper"},
		"an alias inside itself":                {text: "values: &a\n  b: *a\n", says: "deeper"},
		"the mask of a secret": {
			text: "values:\n  global:\n    license: '[redacted]'\n", line: 3, path: "values.global.license", says: "mask",
		},
		"the mask without its quotes": {
			text: "values:\n  global:\n    license: [redacted]\n", line: 3, path: "values.global.license", says: "mask",
		},
		"a password inside a masked URL": {
			text: "values:\n  url: redis://[redacted]@redis:6379\n", line: 2, path: "values.url", says: "mask",
		},
		"a few lines that stand for gigabytes": {
			text: "values:\n  a: &a " + strings.Repeat("x", 100_000) + "\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: [*b,*b,*b,*b,*b,*b,*b,*b]\n", says: "aliases",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseLayer(test.text)
			var wrong *layerError
			if !errors.As(err, &wrong) {
				t.Fatalf("parseLayer: %v, want a layerError", err)
			}
			if test.line != 0 && wrong.Line != test.line {
				t.Errorf("line %d, want %d (%v)", wrong.Line, test.line, err)
			}
			if test.path != "" && wrong.Path != test.path {
				t.Errorf("path %q, want %q (%v)", wrong.Path, test.path, err)
			}
			if !strings.Contains(wrong.Message+" "+wrong.Hint, test.says) {
				t.Errorf("message %q with hint %q does not say %q", wrong.Message, wrong.Hint, test.says)
			}
		})
	}
}

func TestRefusalNeverRepeatsAValue(t *testing.T) {
	const canary = "canary-Zq81"
	for _, text := range []string{
		"values:\n  password: " + canary + "\n password: 2\n",
		"values:\n  password: \"" + canary + "\n",
		"values:\n  password: !" + "secret " + canary + "\n",
		"chart:\n  url: https://user:" + canary + "@charts.example.com:bad\n  name: w\n",
		"chart:\n  url: ftp://user:" + canary + "@charts.example.com\n",
		"chart: " + canary + "\n",
		"values: " + canary + "\n",
		canary + "\n",
		"values:\n  password: &" + "a " + canary + "\n  other: *b\n",
	} {
		_, err := parseLayer(text)
		var wrong *layerError
		if !errors.As(err, &wrong) {
			t.Fatalf("%q was accepted: %v", text, err)
		}
		if strings.Contains(wrong.Message+wrong.Hint+wrong.Path, canary) {
			t.Errorf("the refusal repeats the value: %+v", wrong)
		}
	}
}

func TestLayerTextKeepsComments(t *testing.T) {
	own := "# why: see the runbook\nvalues:\n  a: 1 # one\n"
	stored := map[string][]byte{"values": []byte(`{"a":1}`), "chart": []byte("null"), textKey: []byte(own)}

	if text, err := layerText(stored); err != nil || text != own {
		t.Errorf("unchanged values: got %q, %v; want the administrator's own text", text, err)
	}

	stored["values"] = []byte(`{"a":2}`)
	text, err := layerText(stored)
	if err != nil || text != "values:\n  a: 2\n" {
		t.Errorf("values that somebody else changed: got %q, %v; want what is stored", text, err)
	}
}

func TestLayerTextOfWhatSomebodyBroke(t *testing.T) {
	text, err := layerText(map[string][]byte{"values": []byte("{\"a\": oops\n}"), "chart": []byte("null")})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "oops") {
		t.Errorf("the broken layer is not shown:\n%s", text)
	}
	if layer, err := parseLayer(text); err != nil || len(layer.Values) != 0 {
		t.Errorf("the text cannot be saved as it is: %v, %v", layer, err)
	}
}

func FuzzParseLayer(f *testing.F) {
	for _, seed := range []string{
		"", "values: {}\n", "chart:\n  path: /charts/a.tgz\nvalues:\n  a: {b: [1, 2.5, null, yes, 'no', 0644, 1e3]}\n",
		"values:\n  <<: {a: 1}\n", "values: &a {b: *a}\n", "values:\n  a: |\n    text\n  b: >-\n    folded\n",
		"values: {a: 9223372036854775808}\n", "values:\n  \"a.b\": {'c\\d': 1}\n", "--- \nvalues: {}\n...\n", "values: {? a : b}\n",
		"values: {a: 0x1F, b: 0o17, c: 1_000, d: +1, e: 1:30, f: -0}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		layer, err := parseLayer(text)
		if err != nil {
			var wrong *layerError
			if !errors.As(err, &wrong) || wrong.Message == "" {
				t.Fatalf("%q: %#v is no layerError with a message", text, err)
			}
			if wrong.Line < 0 || wrong.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+2 {
				t.Fatalf("%q: line %d is not in the text", text, wrong.Line)
			}
			return
		}
		// What is accepted can be stored, and reading it back gives the same layer and the same text.
		data, err := spec.Encode(layer)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, key := range []string{spec.KeyValues, spec.KeyChart} {
			if !json.Valid(data[key]) {
				t.Fatalf("%q: %s is no JSON", text, key)
			}
		}
		if text == "" {
			return
		}
		data[textKey] = []byte(text)
		shown, err := layerText(data)
		if err != nil || shown != text {
			t.Fatalf("stored %q, shown %q (%v)", text, shown, err)
		}
		// So does the text that the console writes itself.
		delete(data, textKey)
		written, err := layerText(data)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := parseLayer(written)
		if err != nil || !sameLayer(again, layer) {
			t.Fatalf("%q became %q: %v\n%s", text, written, err, cmp.Diff(layer, again))
		}
	})
}

func TestLayersWithoutContentAreTheSame(t *testing.T) {
	empty := spec.Layer{Values: map[string]any{}, Chart: map[string]any{}}
	if !sameLayer(empty, spec.Layer{}) || reflect.DeepEqual(empty, spec.Layer{}) {
		t.Error("an empty map and no map are told apart")
	}
}
