package helm_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// drawingChart draws at random, looks up, orders its documents otherwise than Helm, has hooks and a subchart, and writes
// texts that a careless quoting would change.
func drawingChart() map[string]string {
	files := configMapChart("1.0.0")
	files["Chart.yaml"] += "dependencies: [{name: sub, version: 1.0.0}]\n"
	return with(files, map[string]string{
		"charts/sub/Chart.yaml":               "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
		"charts/sub/templates/_names.tpl":     `{{ define "sub.name" }}from-sub{{ end }}`,
		"charts/sub/templates/config.yaml":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ include \"sub.name\" . }}}\ndata: {drawn: {{ randAlphaNum 12 | quote }}}",
		"charts/sub/templates/NOTES.txt":      "of the subchart",
		"templates/NOTES.txt":                 "Hello {{ .Values.greeting }}",
		"templates/_more.tpl":                 `{{ define "more" }}more{{ end }}`,
		"templates/comment.yaml":              "# nothing but a comment\n",
		"templates/empty.yaml":                "{{ if false }}x{{ end }}",
		"templates/several.yaml":              drawingDocuments,
		"templates/nested/deeper.yaml":        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deeper}\ndata: {since: '{{ now | unixEpoch }}'}\n",
		"templates/tests/unknown-hook.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: never, annotations: {helm.sh/hook: some-day}}\n",
		"templates/hook-without-newline.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: 'pre-install, pre-upgrade', helm.sh/hook-weight: '-3'}}\ndata: {drawn: '{{ randAlphaNum 12 }}'}",
	})
}

const drawingDocuments = `---
apiVersion: v1
kind: Service
metadata: {name: demo}
spec: {ports: [{port: 80}]}
--- # a separator with a remark
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data:
  go: |
    {{ "{{ .Values.x }} \\ \" ` + "`" + ` é \t %d" }}
  kept: |+
    ends with empty lines


---
apiVersion: v1
kind: Secret
metadata: {name: drawn}
stringData:
  value: {{ dig "metadata" "uid" "" (lookup "v1" "ConfigMap" .Release.Namespace "demo-config") | default (randAlphaNum 24) | quote }}
  other: {{ randAlphaNum 24 | quote }}`

func TestWhatWasPlannedIsAppliedByteForByte(t *testing.T) {
	b := newBench(t, nil)
	chart := localChart(t, drawingChart())
	for revision, act := range []func(apply helm.Apply) (*helm.Release, error){
		func(apply helm.Apply) (*helm.Release, error) { return b.Install(t.Context(), apply) },
		func(apply helm.Apply) (*helm.Release, error) { return b.Upgrade(t.Context(), apply) },
	} {
		revision++
		values := map[string]any{"greeting": strings.Repeat("x", revision)}
		planned, err := b.RenderExact(t.Context(), chart, values, b.namespace, "demo")
		if err != nil {
			t.Fatal(err)
		}
		data, err := plan.Encode(&plan.Plan{Digest: plan.Digest(plan.Inputs{})}, planned.Text)
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := plan.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		release, err := act(helm.Apply{
			Namespace: b.namespace, Name: "demo", Chart: chart, Values: values, Rendered: &helm.Rendered{Text: text, Notes: planned.Notes},
		})
		if err != nil || release.Revision != revision || release.Status != helm.StatusDeployed {
			t.Fatalf("revision %d: %+v, %v", revision, release, err)
		}
		stored, err := b.Manifest(t.Context(), b.namespace, "demo", revision)
		if err != nil {
			t.Fatal(err)
		}
		if stored.Text != planned.Text {
			t.Errorf("planned:\n%s\nstored:\n%s", planned.Text, stored.Text)
		}
		b.checkDrawn(t, planned.Objects)
		raw := b.storedRelease(t, revision)
		for _, want := range []string{`"notes":"Hello ` + values["greeting"].(string), "templates/several.yaml", base64.StdEncoding.EncodeToString([]byte(drawingDocuments))[:200]} {
			if !strings.Contains(raw, want) {
				t.Errorf("revision %d does not hold %s", revision, want)
			}
		}
	}
	if got := b.config(t).Data["greeting"]; got != "xx" {
		t.Errorf("greeting = %q", got)
	}
}

// checkDrawn compares what was drawn with what is in the cluster.
func (b *bench) checkDrawn(t *testing.T, planned []helm.Object) {
	t.Helper()
	data := func(name, key, field string) any {
		for _, object := range planned {
			if object.Name == name {
				fields, _ := object.Content[field].(map[string]any)
				return fields[key]
			}
		}
		t.Fatalf("%s was not rendered", name)
		return nil
	}
	for _, name := range []string{"from-sub", "hook"} {
		live, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || live.Data["drawn"] == "" || live.Data["drawn"] != data(name, "drawn", "data") {
			t.Errorf("%s: live %v, planned %v, %v", name, live.Data, data(name, "drawn", "data"), err)
		}
	}
	live, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), "drawn", metav1.GetOptions{})
	if err != nil || string(live.Data["other"]) != data("drawn", "other", "stringData") || string(live.Data["value"]) != data("drawn", "value", "stringData") {
		t.Errorf("Secret: the live one differs from the planned one, %v", err)
	}
	// Helm puts one more line break behind each document that it stores, which "|+" keeps.
	texts, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "texts", metav1.GetOptions{})
	if err != nil || texts.Data["go"] != "{{ .Values.x }} \\ \" ` é \t %d\n" || texts.Data["kept"] != "ends with empty lines\n\n\n\n" {
		t.Errorf("texts = %q, %v", texts.Data, err)
	}
}

// storedRelease returns the JSON in Helm's release Secret.
func (b *bench) storedRelease(t *testing.T, revision int) string {
	t.Helper()
	secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), "sh.helm.release.v1.demo.v"+string(rune('0'+revision)), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(string(secret.Data["release"]))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(reader)
	if err != nil || !json.Valid(raw) {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheTextIsWhatHelmItselfWouldStore(t *testing.T) {
	b := newBench(t, nil)
	files := hundredChart()
	planned, err := b.RenderExact(t.Context(), localChart(t, files), nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	b.install(t, files, nil)
	stored, err := b.Manifest(t.Context(), b.namespace, "demo", 1)
	if err != nil || stored.Text != planned.Text || len(stored.Objects) != 100 || planned.Generated != nil {
		t.Errorf("%v: %d objects, equal: %v, generated: %v", err, len(stored.Objects), stored.Text == planned.Text, planned.Generated)
	}
	if changes := plan.Compare(helm.PlanObjects(stored.Objects), helm.PlanObjects(planned.Objects), plan.Options{}); len(changes) != 0 {
		t.Errorf("changes = %v", changes)
	}
}

func TestATextOfAnotherChartIsNotApplied(t *testing.T) {
	b := newBench(t, nil)
	planned, err := b.RenderExact(t.Context(), localChart(t, configMapChart("1.0.0")), nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another chart":        strings.ReplaceAll(planned.Text, "demo/templates", "other/templates"),
		"no source":            strings.ReplaceAll(planned.Text, "# Source", "# From"),
		"a separator too much": planned.Text + "---\n",
		"another order":        "---\n# Source: demo/templates/z.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: z}\n\n" + planned.Text,
	} {
		t.Run(name, func(t *testing.T) {
			apply := b.apply(configMapChart("1.0.0"), nil)(t)
			apply.Rendered = &helm.Rendered{Text: text}
			b.traffic.reset()
			release, err := b.Install(t.Context(), apply)
			if release != nil || fault.Reason(err, "") != v1.ReasonInternalError || fault.Hint(err) == "" {
				t.Errorf("%+v, %v", release, err)
			}
			if writes := b.traffic.written(); len(writes) != 0 {
				t.Errorf("wrote %v", writes)
			}
		})
	}
}

var errReadOnly = errors.New("no writes in a dry run")

func TestPlanningWritesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.install(t, configMapChart("1.0.0"), nil)
	b.traffic.intercept(func(r *http.Request) error {
		if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "selfsubject") {
			return errReadOnly
		}
		return nil
	})
	defer b.traffic.intercept(nil)
	b.traffic.reset()
	chart := localChart(t, drawingChart())
	after, err := b.RenderExact(t.Context(), chart, map[string]any{"greeting": "new"}, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	before, err := b.Manifest(t.Context(), b.namespace, "demo", 1)
	if err != nil {
		t.Fatal(err)
	}
	apis, err := b.APIs()
	if err != nil {
		t.Fatal(err)
	}
	live, err := b.LiveFingerprints(t.Context(), helm.FingerprintRefs(slices.Concat(before.Objects, after.Objects)))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.MissingRights(t.Context(), after.All()); err != nil {
		t.Fatal(err)
	}
	inputs := plan.Inputs{ChartDigest: chart.Digest, Kubernetes: apis.Kubernetes, APIs: apis.Digest}
	made := plan.Make(plan.Header{Live: live}, inputs, helm.PlanObjects(before.Objects), helm.PlanObjects(after.Objects),
		plan.Options{Secrets: before.Secrets, Generated: after.Generated})
	if added, changed, removed := made.Counts(); added != 6 || changed != 1 || removed != 0 {
		t.Errorf("%s", plan.Text(made, plan.TextOptions{}))
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("planning wrote %v", writes)
	}
}

func TestOnlyChartsThatMayVaryAreRenderedTwice(t *testing.T) {
	b := newBench(t, nil)
	object := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: " + value + "}\n"
	}
	tests := map[string]struct {
		files  map[string]string
		values map[string]any
		// renders of the templates, each of which reads the current revision once.
		renders int
		// generated tells that a path is expected to differ.
		generated bool
	}{
		"nothing that varies":            {files: map[string]string{"templates/x.yaml": object(`{{ .Values.greeting | upper }}`)}, renders: 1},
		"a field named like a function":  {files: map[string]string{"templates/x.yaml": object(`{{ .Values.now | default "x" }}`)}, renders: 1},
		"a remark":                       {files: map[string]string{"templates/x.yaml": object(`{{- /* lookup now */ -}} b`)}, renders: 1},
		"random":                         {files: map[string]string{"templates/x.yaml": object(`{{ randAlphaNum 20 | quote }}`)}, renders: 2, generated: true},
		"a date that stays the same":     {files: map[string]string{"templates/x.yaml": object(`{{ now | date "2006" | quote }}`)}, renders: 2},
		"a certificate in a definition":  {files: map[string]string{"templates/_h.tpl": `{{ define "c" }}{{ (genCA "x" 1).Cert | b64enc }}{{ end }}`, "templates/x.yaml": object(`{{ include "c" . }}`)}, renders: 2, generated: true},
		"in brackets":                    {files: map[string]string{"templates/x.yaml": object(`{{ print (uuidv4) }}`)}, renders: 2, generated: true},
		"a value that is a template":     {files: map[string]string{"templates/x.yaml": object(`{{ tpl .Values.greeting . }}`)}, values: map[string]any{"greeting": "{{ randAlphaNum 20 | quote }}"}, renders: 2, generated: true},
		"a value that nobody interprets": {files: map[string]string{"templates/x.yaml": object(`b`)}, values: map[string]any{"greeting": "{{ randAlphaNum 20 }}"}, renders: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.files["templates/config.yaml"] = ""
			chart := localChart(t, with(configMapChart("1.0.0"), test.files))
			if _, err := b.APIs(); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Render(t.Context(), chart, test.values, b.namespace, "demo"); err != nil {
				t.Fatal(err)
			}
			before := b.traffic.total()
			rendered, err := b.RenderExact(t.Context(), chart, test.values, b.namespace, "demo")
			if err != nil {
				t.Fatal(err)
			}
			if renders := b.traffic.total() - before; renders != test.renders {
				t.Errorf("rendered %d times, want %d", renders, test.renders)
			}
			key := helm.PlanObjects(rendered.Objects)[0].Key()
			if rendered.Generated.Covers(key, "/data/a") != test.generated {
				t.Errorf("generated = %v, want /data/a: %v", rendered.Generated, test.generated)
			}
		})
	}
}

func TestAStoredRevisionTellsHooksAndCredentials(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"templates/hook.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: post-install}}\n",
	})
	b.install(t, files, map[string]any{"mysql": map[string]any{"password": "old-credential"}})
	stored, err := b.Manifest(t.Context(), b.namespace, "demo", 1)
	if err != nil || len(stored.Objects) != 2 || stored.Objects[0].Hook || !stored.Objects[1].Hook || stored.Objects[1].Namespace != b.namespace ||
		stored.Objects[0].Source != "demo/templates/config.yaml" || !slices.Contains(stored.Secrets, redact.Secret("old-credential")) {
		t.Errorf("%+v, %v", stored, err)
	}
	if _, err := b.Manifest(t.Context(), b.namespace, "demo", 7); fault.Reason(err, "") != v1.ReasonInternalError {
		t.Errorf("a revision that is not there: %v", err)
	}
}
