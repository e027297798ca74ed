package plan_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/redact"
)

func inputs() plan.Inputs {
	return plan.Inputs{ChartDigest: "sha256:c", Values: "v", Kubernetes: "v1.35.4", APIs: "sha256:a", Renderer: "1", Secrets: "s"}
}

func header() plan.Header {
	return plan.Header{
		Release: "2026.11", ReleaseID: "r-1", Chart: "operator-wandb", ChartVersion: "0.9.0", Namespace: "wandb",
		SchemaNote: "version 4 to 5; release 2026.9 can still read it", Adoption: true, Missing: "kind: Role\n",
		Live:      map[string]string{"Deployment wandb/app": "u/3", "ConfigMap wandb/config": "absent"},
		CreatedAt: time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC),
	}
}

const beforeStream = `apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {mode: slow, f.conf: "a\nb\n"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec: {replicas: 1, template: {spec: {containers: [{name: app, image: "wandb/app:1"}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: old}
`

const afterStream = `apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {mode: fast, f.conf: "a\nc\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: session}
data: {key: eHh4}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: console}
rules: [{apiGroups: [""], resources: [pods], verbs: [list, get]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec: {template: {spec: {containers: [{name: app, image: "wandb/app:2@sha256:11"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}
`

func example(t *testing.T) *plan.Plan {
	t.Helper()
	generated := plan.Paths{"/Secret/wandb/session": {"/data/key"}}
	return plan.Make(header(), inputs(), objects(t, beforeStream), objects(t, afterStream), plan.Options{Generated: generated})
}

func TestText(t *testing.T) {
	made := example(t)
	got := plan.Text(made, plan.TextOptions{})
	want, err := os.ReadFile("testdata/plan.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, got)
	}
	colored := plan.Text(made, plan.TextOptions{Color: true})
	if plain := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(colored, ""); plain != got || colored == got {
		t.Errorf("without its colours the text is another one:\n%s", plain)
	}
}

func TestTextOfNothing(t *testing.T) {
	same := objects(t, beforeStream)
	made := plan.Make(plan.Header{}, inputs(), same, same, plan.Options{})
	if text := plan.Text(made, plan.TextOptions{}); !made.Empty() || !strings.HasSuffix(text, "No object changes.\n\nPlan: 0 to add, 0 to change, 0 to remove\n") {
		t.Errorf("empty = %v, text:\n%s", made.Empty(), text)
	}
}

func TestTextCannotSteerTheTerminal(t *testing.T) {
	before := []plan.Object{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", Content: map[string]any{"data": map[string]any{"a": "x\ny"}}}}
	after := []plan.Object{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", Content: map[string]any{"data": map[string]any{"a": "x\n\x1b[2Jz\u009b1m", "\x1b[31m": "\x1b]0;t\a"}}}}
	text := plan.Text(plan.Make(plan.Header{}, inputs(), before, after, plan.Options{}), plan.TextOptions{})
	if strings.ContainsAny(text, "\x1b\a\u009b") || !strings.Contains(text, "[2Jz") {
		t.Errorf("text = %q", text)
	}
}

func TestSummary(t *testing.T) {
	made := example(t)
	summary := made.Summary()
	if summary.Digest != made.Digest || summary.Added != 3 || summary.Changed != 2 || summary.Removed != 1 || !summary.Adoption ||
		summary.Release != "2026.11" || summary.ChartVersion != "0.9.0" || summary.Schema == "" || len(summary.Restarts) != 1 ||
		!summary.CreatedAt.Time.Equal(time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("summary = %+v", summary)
	}
	for i := range 40 {
		made.Restarts = append(made.Restarts, plan.Restart{Object: fmt.Sprint("Deployment ", i)})
	}
	restarts := made.Summary().Restarts
	if len(restarts) != 32 || restarts[31] != "and 10 more" {
		t.Errorf("%d restarts, the last %q; the API takes 32", len(restarts), restarts[len(restarts)-1])
	}
}

func TestMovedObjectsVoidAnApproval(t *testing.T) {
	made := example(t)
	if moved := made.Moved(header().Live); moved != nil {
		t.Errorf("nothing moved: %v", moved)
	}
	live := map[string]string{"Deployment wandb/app": "u/4", "ConfigMap wandb/config": "v/1", "Service wandb/new": "w/1"}
	if diff := cmp.Diff([]string{"ConfigMap wandb/config", "Deployment wandb/app"}, made.Moved(live)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDigestCoversEveryInput(t *testing.T) {
	base := plan.Digest(inputs())
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(base) || base != plan.Digest(inputs()) {
		t.Errorf("digest = %s", base)
	}
	seen := map[string]string{base: "nothing"}
	for name, change := range map[string]func(*plan.Inputs){
		"chart": func(i *plan.Inputs) { i.ChartDigest += "x" }, "values": func(i *plan.Inputs) { i.Values += "x" },
		"kubernetes": func(i *plan.Inputs) { i.Kubernetes += "x" }, "apis": func(i *plan.Inputs) { i.APIs += "x" },
		"renderer": func(i *plan.Inputs) { i.Renderer += "x" }, "secrets": func(i *plan.Inputs) { i.Secrets += "x" },
		"border": func(i *plan.Inputs) { i.Kubernetes, i.APIs = i.Kubernetes+"s", "ha256:a" },
	} {
		changed := inputs()
		change(&changed)
		digest := plan.Digest(changed)
		if other, known := seen[digest]; known {
			t.Errorf("a change of %s gives the digest of %s", name, other)
		}
		seen[digest] = name
	}
}

func TestEncodeAndDecode(t *testing.T) {
	made := example(t)
	data, err := plan.Encode(made, "---\nrendered: ä\n")
	if err != nil {
		t.Fatal(err)
	}
	again, err := plan.Encode(made, "---\nrendered: ä\n")
	if err != nil || !bytes.Equal(data[plan.PlanKey], again[plan.PlanKey]) || made.Manifest != "" {
		t.Errorf("encoding is not repeatable, or changes the plan: %v", err)
	}
	decoded, rendered, err := plan.Decode(data)
	if err != nil || rendered != "---\nrendered: ä\n" {
		t.Fatalf("%q, %v", rendered, err)
	}
	decoded.Manifest = ""
	if diff := cmp.Diff(made, decoded); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func zipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	writer := gzip.NewWriter(&b)
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	good, err := plan.Encode(example(t), "text")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		plan, manifest []byte
		want           string
	}{
		"no plan":                      {manifest: good[plan.ManifestKey], want: "absent"},
		"no manifest":                  {plan: good[plan.PlanKey], want: "absent"},
		"no gzip":                      {plan: []byte("x"), manifest: good[plan.ManifestKey], want: "unpack"},
		"half a plan":                  {plan: good[plan.PlanKey][:40], manifest: good[plan.ManifestKey], want: "unpack"},
		"no JSON":                      {plan: zipped(t, []byte("canary")), manifest: good[plan.ManifestKey], want: "not the JSON of a plan"},
		"a plan that approves another": {plan: zipped(t, []byte(`{"digest":"sha256:00"}`)), manifest: good[plan.ManifestKey], want: "digest"},
		"the text of another plan":     {plan: good[plan.PlanKey], manifest: zipped(t, []byte("other")), want: "another plan"},
		"a bomb":                       {plan: zipped(t, make([]byte, 17<<20)), manifest: good[plan.ManifestKey], want: "when unpacked"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := plan.Decode(map[string][]byte{plan.PlanKey: test.plan, plan.ManifestKey: test.manifest})
			if fault.Reason(err, "") != appsv1.ReasonInternalError || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestEncodeRefusesWhatDoesNotFitIntoASecret(t *testing.T) {
	noise := make([]byte, 1<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	_, err := plan.Encode(example(t), hex.EncodeToString(noise))
	if fault.Reason(err, "") != appsv1.ReasonChartInvalid || fault.Hint(err) == "" || fault.Retryable(err) {
		t.Errorf("error = %v", err)
	}
	if _, err := plan.Encode(example(t), strings.Repeat("a: b\n", 1<<20)); err != nil {
		t.Errorf("five megabytes that compress well fit: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := plan.Encode(plan.Make(header(), inputs(), nil, nil, plan.Options{}), "text")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[plan.PlanKey], data[plan.ManifestKey])
	odd := &plan.Plan{Digest: plan.Digest(plan.Inputs{}), Changes: []plan.Change{{Fields: []plan.Field{{Lines: []string{"", "é"}}}}}, Generated: plan.Paths{"x": nil, "": {""}}}
	if data, err = plan.Encode(odd, ""); err != nil {
		f.Fatal(err)
	}
	f.Add(data[plan.PlanKey], data[plan.ManifestKey])
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, planData, manifest []byte) {
		decoded, _, err := plan.Decode(map[string][]byte{plan.PlanKey: planData, plan.ManifestKey: manifest})
		if err != nil {
			if fault.Hint(err) == "" {
				t.Errorf("error without a hint: %v", err)
			}
			return
		}
		if plan.Text(decoded, plan.TextOptions{}) == "" || decoded.Summary().Digest != decoded.Digest {
			t.Error("a plan that was read cannot be shown")
		}
	})
}

// TestNoCredentialIsShown puts a canary wherever a credential can stand, in what ran before and in what comes.
func TestNoCredentialIsShown(t *testing.T) {
	stream := func(version, canary string) string {
		return strings.NewReplacer("VERSION", version, "CANARY", canary, "BASE64", base64Of(canary)).Replace(`apiVersion: v1
kind: Secret
metadata: {name: given, annotations: {note: "holds CANARY-data"}}
data: {password: BASE64}
stringData: {CANARY-file: "first\nline of CANARY-line\n", plain: CANARY-plain}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, annotations: {checksum/secret: "CANARY-sum"}}
data:
  copied: "mysql://u:CANARY-url@db/x and CANARY-plain"
  app.conf: |
    mode = VERSION
    password = CANARY-assigned
    { "apiKey": "CANARY-json" }
    see CANARY-value
  api-token: CANARY-key
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    metadata: {annotations: {kubewandb.io/secrets: CANARY-hmac, checksum/config: CANARY-sum}}
    spec:
      containers:
      - name: app
        image: "u:CANARY-value@r/app:VERSION"
        args: ["--password=CANARY-arg", "CANARY-value"]
        env:
        - {name: DB_PASSWORD, value: CANARY-env}
        - {name: SESSION_KEY, value: CANARY-suffix}
        - {name: COPY, value: "x CANARY-env y"}
        - {name: ADDED_VERSION, value: CANARY-value}
---
apiVersion: v1
kind: Service
metadata: {name: "VERSION", annotations: {a: CANARY-value}}
`)
	}
	secrets := []redact.Secret{"canary-old-value", "canary-new-value"}
	before, after := objects(t, stream("one", "canary-old")), objects(t, stream("two", "canary-new"))
	made := plan.Make(header(), inputs(), before, after, plan.Options{Secrets: secrets, Generated: plan.Generated(before, before)})
	if len(made.Changes) != 5 || len(made.Restarts) != 1 || len(made.Images) != 1 {
		t.Fatalf("the plan is too small to tell: %v", lines(made.Changes))
	}
	summary, err := json.Marshal(made.Summary())
	if err != nil {
		t.Fatal(err)
	}
	data, err := plan.Encode(made, "canary")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(data[plan.PlanKey]))
	if err != nil {
		t.Fatal(err)
	}
	var stored bytes.Buffer
	if _, err := stored.ReadFrom(reader); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"the text": plan.Text(made, plan.TextOptions{}), "the summary": string(summary), "the stored plan": stored.String(), "%+v": fmt.Sprintf("%+v", made),
	} {
		for _, forbidden := range []string{"canary", base64Of("canary-old")[:11], base64Of("canary-new")[:11]} {
			// The name of a key of a Secret is told on purpose.
			if rest := strings.NewReplacer("canary-old-file", "", "canary-new-file", "").Replace(text); strings.Contains(rest, forbidden) {
				t.Errorf("%s shows %q:\n%s", what, forbidden, text)
			}
		}
	}
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
