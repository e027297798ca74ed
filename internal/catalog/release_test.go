package catalog_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const document = `{
  "metadata": {"channelId":"c-1","channelName":"stable","channelInheritsFrom":"lts","releaseId":"r-1","releaseName":"v202409-12.19","releaseCreatedAt":"2026-03-01T12:00:00Z"},
  "chart": {"url":"https://charts.example.com","name":"operator-wandb","version":"0.14.3"},
  "values": {"app":{"image":{"repository":"wandb/local","tag":"0.57.2"},"limit":67108864,"ratio":0.5,"note":"<a&b>"},"weave":{}},
  "later": {"ignored": true}
}`

func parse(t *testing.T, text string) *catalog.Release {
	t.Helper()
	release, err := catalog.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestParseReadsADocumentAndKeepsNumbers(t *testing.T) {
	release := parse(t, document)
	if release.ID() != "r-1" || release.Name() != "v202409-12.19" || release.Channel() != "stable" || release.CreatedAt().IsZero() {
		t.Errorf("metadata read wrong: %v", release.Metadata)
	}
	app, _ := release.Values["app"].(map[string]any)
	if app["limit"] != int64(67108864) || app["ratio"] != 0.5 {
		t.Errorf("numbers = %T %v, %T %v; want int64 and float64", app["limit"], app["limit"], app["ratio"], app["ratio"])
	}
	bare := parse(t, `{"metadata":null,"chart":{"path":"/charts/x"},"values":null}`)
	if bare.ID() != "" || bare.Values != nil || !bare.CreatedAt().IsZero() {
		t.Errorf("null parts read as %+v", bare)
	}
	if got := parse(t, `{"chart":{"url":"oci://registry/chart","version":"1.0.0"}}`); got.Metadata != nil {
		t.Errorf("absent metadata = %v", got.Metadata)
	}
}

func TestParseNamesTheMemberAtFault(t *testing.T) {
	const chart = `"chart":{"url":"https://c","name":"n","version":"1.0.0"}`
	cases := map[string]struct {
		document string
		// want is part of the message.
		want string
	}{
		"nothing":                   {"", "empty"},
		"white space":               {" \n", "empty"},
		"cut short":                 {document[:200], "unexpected end of JSON input"},
		"an error page":             {"<html>", "invalid character"},
		"a list":                    {"[]", "it is a list"},
		"null":                      {"null", "it is null"},
		"an empty object":           {"{}", "chart is missing"},
		"two documents":             {"{" + chart + "}{}", "after top-level value"},
		"metadata that is a list":   {`{"metadata":[],` + chart + `}`, "metadata is a list"},
		"metadata with a number":    {`{"metadata":{"releaseId":7},` + chart + `}`, "metadata.releaseId is a number"},
		"metadata with null":        {`{"metadata":{"releaseId":null},` + chart + `}`, "metadata.releaseId is null"},
		"chart null":                {`{"chart":null}`, "chart is missing"},
		"chart that is text":        {`{"chart":"operator-wandb"}`, "chart is a string"},
		"chart version as a number": {`{"chart":{"url":"https://c","name":"n","version":0.14}}`, "chart.version is a number"},
		"chart without a URL":       {`{"chart":{"name":"n"}}`, "chart.url is missing"},
		"chart without a name":      {`{"chart":{"url":"https://c"}}`, "chart.name is missing"},
		"values that are a list":    {`{` + chart + `,"values":[1]}`, "values is a list"},
		"a number without end":      {`{` + chart + `,"values":{"x":1e999}}`, "1e999"},
		"nested without end":        {`{` + chart + `,"values":` + strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 101), "nested deeper"},
		"beyond the bound":          {`{` + chart + `,"values":{"x":"` + strings.Repeat("x", catalog.MaxDocumentBytes) + `"}}`, "at most"},
	}
	for name, tc := range cases {
		release, err := catalog.Parse([]byte(tc.document))
		if release != nil || fault.Reason(err, "") != catalog.ReasonMalformedRelease || fault.Hint(err) == "" {
			t.Errorf("%s: %v, %v, want MalformedRelease with a hint", name, release, err)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: message %q does not say %q", name, err, tc.want)
		}
	}
}

func TestCanonicalBytesIgnoreOrderAndKeepText(t *testing.T) {
	first := parse(t, `{"values":{"b":1,"a":"<&>"},"chart":{"path":"x"},"metadata":null}`)
	second := parse(t, `{"chart": {"path": "x"}, "metadata": {}, "values": {"a": "<&>", "b": 1}}`)
	a, errA := first.Canonical()
	b, errB := second.Canonical()
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	want := `{"chart":{"path":"x"},"metadata":{},"values":{"a":"<&>","b":1}}`
	if string(a) != want || string(b) != want {
		t.Errorf("canonical = %s and %s, want %s", a, b, want)
	}
	tagA, _ := first.ETag()
	tagB, _ := second.ETag()
	if tagA != tagB || len(tagA) != 66 || tagA[0] != '"' {
		t.Errorf("entity tags %s and %s, want the same strong one", tagA, tagB)
	}
	second.Values["b"] = int64(2)
	if changed, _ := second.ETag(); changed == tagA {
		t.Error("another value has the same entity tag")
	}
}

func TestOfNoChannelDropsOnlyTheChannel(t *testing.T) {
	release := parse(t, document)
	got := release.OfNoChannel()
	want := map[string]string{"releaseId": "r-1", "releaseName": "v202409-12.19", "releaseCreatedAt": "2026-03-01T12:00:00Z"}
	if diff := cmp.Diff(want, got.Metadata); diff != "" {
		t.Error(diff)
	}
	if release.Channel() != "stable" {
		t.Error("the original lost its channel")
	}
}

func TestValidateHoldsWhatIsPublished(t *testing.T) {
	cases := map[string]struct {
		change func(*catalog.Release)
		// want is part of the message, "" where the release is good.
		want string
	}{
		"a good release": {func(*catalog.Release) {}, ""},
		"an OCI chart": {func(r *catalog.Release) {
			r.Chart = map[string]any{"url": "oci://registry/charts/x", "version": "1.2.3-rc.1"}
		}, ""},
		"no name":                      {func(r *catalog.Release) { delete(r.Metadata, catalog.KeyReleaseName) }, "the name"},
		"a name with a slash":          {func(r *catalog.Release) { r.Metadata[catalog.KeyReleaseName] = "a/b" }, "the name"},
		"no chart":                     {func(r *catalog.Release) { r.Chart = nil }, "chart is missing"},
		"a local chart":                {func(r *catalog.Release) { r.Chart = map[string]any{"path": "/charts/x"} }, "chart.path"},
		"a version range":              {func(r *catalog.Release) { r.Chart["version"] = "^1.2" }, "exact semantic version"},
		"a version with v":             {func(r *catalog.Release) { r.Chart["version"] = "v1.2.3" }, "exact semantic version"},
		"no version":                   {func(r *catalog.Release) { delete(r.Chart, "version") }, "exact semantic version"},
		"a relative URL":               {func(r *catalog.Release) { r.Chart["url"] = "/charts" }, "absolute"},
		"a URL with a password":        {func(r *catalog.Release) { r.Chart["url"] = "https://u:p@charts.example.com" }, "credentialSecret"},
		"a file URL":                   {func(r *catalog.Release) { r.Chart["url"] = "file://host/charts" }, "scheme"},
		"a password for everybody":     {func(r *catalog.Release) { r.Chart["password"] = "x" }, "credentialSecret"},
		"a chart name of another form": {func(r *catalog.Release) { r.Chart["name"] = "../x" }, "chart.name"},
		"a value that JSON has not":    {func(r *catalog.Release) { r.Values["x"] = math.NaN() }, "encode release"},
	}
	for name, tc := range cases {
		release := parse(t, document)
		tc.change(release)
		err := release.Validate()
		if (err == nil) != (tc.want == "") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if err != nil && (fault.Reason(err, "") != catalog.ReasonReleaseInvalid || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want ReleaseInvalid with %q", name, err, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(`{"metadata":null,"chart":{"path":"x"},"values":null}`))
	f.Add([]byte(`{"chart":{"path":"x"},"values":{"n":-0,"z":[-0.0],"f":1e21,"big":9223372036854775808,"u":"\u2028\ud800"}}`))
	f.Add([]byte(`{"chart":{"path":"x"},"chart":{"url":"y","name":"z"}}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		release, err := catalog.Parse(data)
		if err != nil {
			if fault.Reason(err, "") != catalog.ReasonMalformedRelease {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		first, err := release.Canonical()
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		again, err := catalog.Parse(first)
		if err != nil {
			t.Fatalf("canonical bytes do not parse: %v\n%s", err, first)
		}
		second, err := again.Canonical()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("canonical bytes are not stable (%v):\n%s\n%s", err, first, second)
		}
	})
}
