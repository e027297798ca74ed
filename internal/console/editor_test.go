package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func (b *browser) spec() specAnswer {
	b.t.Helper()
	var found specAnswer
	got := b.get("/spec")
	if got.status != http.StatusOK {
		b.t.Fatalf("read specification: %d %s", got.status, got.body)
	}
	got.into(b.t, &found)
	return found
}

func (b *browser) save(text, version string) reply {
	b.t.Helper()
	return b.send(http.MethodPut, "/spec/user", edit{User: text, Version: version})
}

func TestEditOfTheUserLayer(t *testing.T) {
	c := newCluster(t)
	c.createResource(t, "wandb", "values: {}")
	console := startConsole(t, c, nil)
	b := console.signedIn(t)
	opened := b.spec()
	if opened.User != "" || opened.Version == "" || opened.Active != "" {
		t.Fatalf("an empty layer is shown as %+v", opened)
	}

	text := "# more memory, see ticket 12\nvalues:\n  app:\n    resources:\n      limits: {memory: 2Gi} # was 1Gi\n  bytes: 67108864\n"
	got := b.save(text, opened.Version)
	if got.status != http.StatusOK {
		t.Fatalf("save: %d %s", got.status, got.body)
	}
	var saved struct {
		Version  string   `json:"version"`
		Shadowed []shadow `json:"shadowed"`
	}
	got.into(t, &saved)

	secret := c.readSecret(t, "wandb-spec-user")
	if saved.Version != secret.ResourceVersion {
		t.Errorf("version %s, stored is %s", saved.Version, secret.ResourceVersion)
	}
	if want := `{"app":{"resources":{"limits":{"memory":"2Gi"}}},"bytes":67108864}`; string(secret.Data["values"]) != want {
		t.Errorf("values %s, want %s", secret.Data["values"], want)
	}
	if string(secret.Data["chart"]) != "null" || string(secret.Data["metadata"]) != "null" {
		t.Errorf("chart %s, metadata %s, want null", secret.Data["chart"], secret.Data["metadata"])
	}
	var mark map[string]string
	must(t, json.Unmarshal([]byte(secret.Annotations[lastEditAnnotation]), &mark))
	at, err := time.Parse(time.RFC3339, mark["at"])
	if mark["by"] != passwordUser || mark["method"] != "password" || err != nil || time.Since(at) > time.Minute {
		t.Errorf("who and when: %v", mark)
	}
	if !strings.Contains(console.log.String(), `"msg":"user layer changed","user":"administrator"`) {
		t.Errorf("the log does not say who changed the layer:\n%s", console.log)
	}
	if again := b.spec(); again.User != text || again.Version != saved.Version {
		t.Errorf("shown again: %+v, want the text with its comments", again)
	}
	if got := b.save(text+"# and more\n", saved.Version); got.status != http.StatusOK {
		t.Errorf("the next edit: %d %s", got.status, got.body)
	}
}

func TestKeysOfOthersStay(t *testing.T) {
	c := newCluster(t)
	c.writeSecret(t, "wandb-spec-user", map[string]string{"values": "{}", "chart": "null", "metadata": `{"a":"b"}`, "requests": `[{"retry":1}]`})
	b := startConsole(t, c, nil).signedIn(t)
	if got := b.save("values: {a: 1}\n", b.spec().Version); got.status != http.StatusOK {
		t.Fatalf("save: %d %s", got.status, got.body)
	}
	data := c.readSecret(t, "wandb-spec-user").Data
	if string(data["metadata"]) != `{"a":"b"}` || string(data["requests"]) != `[{"retry":1}]` {
		t.Errorf("metadata %s, requests %s were changed", data["metadata"], data["requests"])
	}
}

func TestSecondEditorIsToldWhoWasFaster(t *testing.T) {
	c := newCluster(t)
	a := startApplication(t)
	console := startConsole(t, c, func(cfg *Config) { cfg.AuthService = a.service() })
	ada := console.browser(t)
	ada.header.Set("Cookie", "wandb_session=s1")
	bob := console.signedIn(t)
	version := bob.spec().Version
	if got := ada.save("values: {by: ada}\n", ada.spec().Version); got.status != http.StatusOK {
		t.Fatalf("first: %d %s", got.status, got.body)
	}
	got := bob.save("values: {by: bob}\n", version)
	if got.status != http.StatusConflict || !strings.Contains(got.body, "Ada changed") {
		t.Errorf("second: %d %s, want 409 that names Ada", got.status, got.body)
	}
	if text := bob.spec().User; text != "values: {by: ada}\n" {
		t.Errorf("the layer is %q, want Ada's", text)
	}
	for name, version := range map[string]string{"no number": "latest", "of another time": "1"} {
		if got := bob.save("values: {by: bob}\n", version); got.status != http.StatusConflict {
			t.Errorf("a version that is %s: %d %s, want 409", name, got.status, got.body)
		}
	}
	if got := bob.save("values: {by: bob}\n", ""); got.status != http.StatusUnprocessableEntity {
		t.Errorf("no version: %d, want 422: it would overwrite whatever is there", got.status)
	}
}

func TestRefusedEditSaysWhere(t *testing.T) {
	c := newCluster(t)
	b := startConsole(t, c, nil).signedIn(t)
	before := b.spec()
	got := b.save("values:\n  a: 1\n  a: 2\n", before.Version)
	var p problem
	got.into(t, &p)
	if got.status != http.StatusUnprocessableEntity || p.Line != 3 || p.Path != "values.a" || p.Message == "" || p.Hint == "" {
		t.Errorf("%d %+v, want 422 at line 3, path values.a", got.status, p)
	}
	if got := b.save("values:\n  a: \""+strings.Repeat("\\u0041", maxLayerText)+"\"\n", before.Version); got.status != http.StatusRequestEntityTooLarge && got.status != http.StatusUnprocessableEntity {
		t.Errorf("a text that is too long: %d", got.status)
	}
	if after := b.spec(); after.Version != before.Version {
		t.Error("a refused edit has changed the layer")
	}
}

func TestActiveSpecificationIsMasked(t *testing.T) {
	c := newCluster(t)
	c.writeSecret(t, "wandb-spec-active", map[string]string{
		"chart": `{"url":"https://user:` + testPassword + `@charts.example.com","name":"operator-wandb","version":"1.2.3","password":"` + testPassword + `"}`,
		"values": `{"global":{"host":"https://wandb.example.com","license":"` + testLicense + `","mysql":{"host":"db","password":"` + testPassword + `"},
			"extraEnv":{"FOO_KEY":"` + testKey + `","COPY":"` + testLicense + `"}},"replicas":2}`,
		"metadata": `{"releaseName":"v1"}`, "origins": `{}`,
	})
	b := startConsole(t, c, nil).signedIn(t)
	got := b.get("/spec")
	if found := containsAny(got.body, testPassword, testKey, testLicense); found != "" {
		t.Errorf("the answer holds %s: %s", found, got.body)
	}
	var found specAnswer
	got.into(t, &found)
	var active map[string]any
	must(t, yaml.Unmarshal([]byte(found.Active), &active))
	if diff := cmp.Diff(map[string]any{"releaseName": "v1"}, active["metadata"]); diff != "" {
		t.Errorf("metadata: %s", diff)
	}
	for _, want := range []string{"host: https://wandb.example.com", "replicas: 2", "name: operator-wandb", "host: db"} {
		if !strings.Contains(found.Active, want) {
			t.Errorf("%q is missing from\n%s", want, found.Active)
		}
	}
}

func TestUserValuesStayOutOfTheLog(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, nil) // which searches the log when the test ends
	b := console.signedIn(t)
	version := b.spec().Version
	for _, text := range []string{
		"values:\n  global:\n    license: " + testLicense + "\n",
		"values:\n  global:\n    license: " + testLicense + "\n   bad: " + testPassword + "\n",
		"values: " + testLicense + "\n",
		"chart:\n  url: https://x:" + testPassword + "@charts.example.com\n  name: \"\"\n",
	} {
		got := b.save(text, version)
		if found := containsAny(got.body, testLicense, testPassword); found != "" {
			t.Errorf("the answer to %q holds %s: %s", text, found, got.body)
		}
	}
	if got := b.save("values: {}\n", "1"); got.status != http.StatusConflict {
		t.Errorf("conflict: %d", got.status)
	}
}

func TestShadowedSettings(t *testing.T) {
	tests := map[string]struct {
		user, resource string
		want           []string
	}{
		"nothing in common":              {user: "values: {a: 1}", resource: "values: {b: 1}"},
		"one leaf":                       {user: "values: {a: {b: 1, c: 2}}", resource: "values: {a: {b: 3}}", want: []string{"values.a.b"}},
		"a map above a leaf":             {user: "values: {a: 1}", resource: "values: {a: {b: 1}}", want: []string{"values.a"}},
		"a null above a map":             {user: "values: {a: {b: 1}}", resource: "values: {a: null}", want: []string{"values.a"}},
		"an empty map above a map":       {user: "values: {a: {b: 1}}", resource: "values: {a: {}}"},
		"a list":                         {user: "values: {a: [1]}", resource: "values: {a: [2]}", want: []string{"values.a"}},
		"a list that is joined":          {user: "values: {a: [1]}", resource: "{values: {a: [2]}, merge: {lists: Concat}}"},
		"a key with a dot":               {user: "values: {a: {x.y/z: 1}}", resource: "values: {a: {x.y/z: 2}}", want: []string{`values.a.x\.y/z`}},
		"the chart":                      {user: "chart: {path: /charts/a.tgz}", resource: "chart: {url: https://charts.example.com, name: w}", want: []string{"chart"}},
		"a setting that is removed":      {user: "values: {ingress: {tls: [1]}}", resource: "unset: [ingress.tls]", want: []string{"values.ingress.tls"}},
		"a removal of what is not set":   {user: "values: {ingress: {}}", resource: "unset: [ingress.tls, other]"},
		"a setting both removed and set": {user: "values: {a: 1}", resource: "{unset: [a], values: {a: 2}}", want: []string{"values.a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.createResource(t, "wandb", test.resource)
			b := startConsole(t, c, nil).signedIn(t)
			got := b.save(test.user, b.spec().Version)
			if got.status != http.StatusOK {
				t.Fatalf("save: %d %s", got.status, got.body)
			}
			want := []shadow{}
			for _, path := range test.want {
				want = append(want, shadow{Path: path, By: "resource"})
			}
			var saved struct{ Shadowed []shadow }
			got.into(t, &saved)
			if diff := cmp.Diff(want, saved.Shadowed); diff != "" {
				t.Errorf("after saving (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, b.spec().Shadowed); diff != "" {
				t.Errorf("after opening (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingUserLayerSaysWhoMakesIt(t *testing.T) {
	c := newCluster(t)
	b := startConsole(t, c, nil).signedIn(t)
	must(t, c.admin.CoreV1().Secrets(c.namespace).Delete(t.Context(), "wandb-spec-user", metav1.DeleteOptions{}))
	got := b.get("/spec")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "operator") {
		t.Errorf("%d %s, want 503 that names the operator", got.status, got.body)
	}
}
