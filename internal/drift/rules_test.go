package drift

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

func TestRules(t *testing.T) {
	release := Release{
		Key: types.NamespacedName{Namespace: "home", Name: "demo"},
		Ignore: []appsv1.DriftRule{
			{Kind: "deployment", Name: "app", Paths: []string{"/spec/template/spec/containers/0/env"}},
			{Kind: "ConfigMap", Name: "free"},
			{Paths: []string{"/metadata/annotations/a~1b", "no pointer", "/x~2"}},
			{Kind: "Secret", Paths: []string{"/stringData/token"}},
		},
		Generated: map[Ref][]string{
			{APIVersion: "v1", Kind: "Secret", Name: "random"}:                  {"/data/password"},
			{APIVersion: "v1", Kind: "Secret", Namespace: "home", Name: "full"}: {"/data"},
		},
	}
	for name, test := range map[string]struct {
		kind, name, path string
		want             bool
	}{
		"below a declared path":              {"Deployment", "app", "/spec/template/spec/containers/0/env/2/value", true},
		"beside a declared path":             {"Deployment", "app", "/spec/template/spec/containers/0/envFrom", false},
		"above a declared path":              {"Deployment", "app", "/spec/template/spec/containers", false},
		"another name":                       {"Deployment", "api", "/spec/template/spec/containers/0/env", false},
		"a rule for every object":            {"Service", "x", "/metadata/annotations/a~1b", true},
		"text that is no pointer matches no": {"Service", "x", "/no pointer", false},
		"stringData becomes data":            {"Secret", "x", "/data/token", true},
		"generated, namespace left out":      {"Secret", "random", "/data/password", true},
		"generated, namespace filled in":     {"Secret", "full", "/data/anything", true},
		"not generated":                      {"Secret", "random", "/data/user", false},
		"our own annotation on pods":         {"StatefulSet", "x", "/spec/template/metadata/annotations/kubewandb.io~1secrets", true},
		"our own annotation on jobs' pods":   {"CronJob", "x", "/spec/jobTemplate/spec/template/metadata/annotations/kubewandb.io~1secrets", true},
		"data of that name is not ours":      {"ConfigMap", "x", "/data/kubewandb.io~1secrets", false},
		"the revision of a rollout":          {"Deployment", "x", "/metadata/annotations/deployment.kubernetes.io~1revision", true},
		"an injected authority":              {"MutatingWebhookConfiguration", "x", "/webhooks/0/clientConfig/caBundle", true},
		"a field of that name elsewhere":     {"ConfigMap", "x", "/data/caBundle", false},
		"an allocated address":               {"Service", "x", "/spec/clusterIP", true},
		"a bound volume":                     {"PersistentVolumeClaim", "x", "/spec/volumeName", true},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := parsePointer(test.path)
			if err != nil {
				t.Fatal(err)
			}
			version := "apps/v1"
			if test.kind == "Secret" {
				version = "v1"
			}
			rules := rulesFor(Ref{APIVersion: version, Kind: test.kind, Namespace: "home", Name: test.name}, release)
			if got := rules.match(path); got != test.want {
				t.Errorf("match(%s) = %t", test.path, got)
			}
			if rules.whole {
				t.Error("the whole object is ignored")
			}
		})
	}
	if rules := rulesFor(Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "home", Name: "free"}, release); !rules.whole {
		t.Error("a rule without paths does not ignore the whole object")
	}
}

func FuzzPointer(f *testing.F) {
	for _, seed := range []string{"", "/", "/a/b", "/a~1b/c~0d", "a", "/~", "/~2", "//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := parsePointer(text)
		if err != nil {
			return
		}
		if got := path.String(); got != text {
			t.Fatalf("%q was read and written as %q", text, got)
		}
		if !path.below(path) || !path.child("x").below(path) || path.below(path.child("x")) {
			t.Fatalf("%q: order of pointers is wrong", text)
		}
	})
}

func TestStamp(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	wrote := func(manager, subresource string, ago time.Duration) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(now.Add(-ago))
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at}
	}
	base := metav1.ObjectMeta{UID: "u", Generation: 3, ResourceVersion: "7", Labels: map[string]string{"a": "b"}}
	plain := metav1.ObjectMeta{UID: "u", ResourceVersion: "7"}
	scaler := metav1.ObjectMeta{UID: "u", ResourceVersion: "7", ManagedFields: []metav1.ManagedFieldsEntry{wrote("helm", "", time.Minute), wrote("hpa", "status", time.Second)}}
	for name, test := range map[string]struct {
		object metav1.ObjectMeta
		change func(*metav1.ObjectMeta)
		same   bool
	}{
		"a status with a generation": {base, func(m *metav1.ObjectMeta) { m.ResourceVersion = "8" }, true},
		"a specification":            {base, func(m *metav1.ObjectMeta) { m.Generation++ }, false},
		"a label":                    {base, func(m *metav1.ObjectMeta) { m.Labels = map[string]string{"a": "c"} }, false},
		"the revision of a rollout": {base, func(m *metav1.ObjectMeta) {
			m.Annotations = map[string]string{"deployment.kubernetes.io/revision": "2"}
		}, true},
		"another object of the same name": {base, func(m *metav1.ObjectMeta) { m.UID = "v" }, false},
		"an object without a generation":  {plain, func(m *metav1.ObjectMeta) { m.ResourceVersion = "8" }, false},
		"a status without a generation": {scaler, func(m *metav1.ObjectMeta) {
			m.ResourceVersion = "8"
			m.ManagedFields = []metav1.ManagedFieldsEntry{wrote("helm", "", time.Minute), wrote("hpa", "status", 0)}
		}, true},
		"a write that is young": {scaler, func(m *metav1.ObjectMeta) {
			m.ResourceVersion = "8"
			m.ManagedFields = []metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("hpa", "status", 0)}
		}, false},
		"another writer": {scaler, func(m *metav1.ObjectMeta) {
			m.ManagedFields = append(m.ManagedFields, wrote("kubectl", "", 10*time.Second))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			object := test.object.DeepCopy()
			before := stampOf(object, now)
			test.change(object)
			if after := stampOf(object, now); (after == before) != test.same {
				t.Errorf("stamps %q and %q, want equal: %t", before, after, test.same)
			}
			full, err := slim(&metav1.PartialObjectMetadata{ObjectMeta: *object})
			if err != nil {
				t.Fatal(err)
			}
			again, err := slim(full)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, again); diff != "" {
				t.Errorf("slimming twice changes the stamp: %s", diff)
			}
		})
	}
}

func TestAuthors(t *testing.T) {
	entry := func(manager, subresource, fields string, second int) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(time.Unix(int64(second), 0))
		made := &metav1.FieldsV1{}
		made.SetRawString(fields)
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at, FieldsV1: made}
	}
	entries := []metav1.ManagedFieldsEntry{
		entry(FieldManager, "", `{"f:spec":{"f:replicas":{}}}`, 1),
		entry("kubectl", "scale", `{"f:spec":{"f:replicas":{}}}`, 2),
		entry("editor", "", `{"f:spec":{"f:ports":{"k:{\"port\":81}":{".":{}}}}}`, 3),
		entry("last", "", `{"f:metadata":{"f:labels":{"f:x":{}}}}`, 4),
		entry("controller", "status", `{"f:status":{}}`, 5),
	}
	for name, test := range map[string]struct {
		path string
		want string
	}{
		"the owner of the field":         {"/spec/replicas", "kubectl"},
		"the owner of an item of a list": {"/spec/ports/0/port", "editor"},
		"nobody: who wrote last":         {"/data/a", "last"},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := parsePointer(test.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := authors(entries, []pointer{path}); got != test.want {
				t.Errorf("authors of %s are %q, want %q", test.path, got, test.want)
			}
		})
	}
	if got := authors(entries[:1], nil); got != "" {
		t.Errorf("we are named ourselves: %q", got)
	}
}

func TestReportStaysWithinBounds(t *testing.T) {
	var many []pointer
	for i := range 40 {
		many = append(many, pointer{"data", fmt.Sprintf("k%02d", i)})
	}
	report := Report{Unwatched: []string{"Role (forbidden)"}, Uncompared: []string{"Secret a: Forbidden"}}
	for i := range 40 {
		report.add(changedAt(fmt.Sprintf("ConfigMap c%02d", i), many, "kubectl"))
	}
	if len(report.Drifted) != 32 || len(report.Drifted[0].Paths) != 16 || report.Total != 40 {
		t.Errorf("%d objects, %d paths, total %d", len(report.Drifted), len(report.Drifted[0].Paths), report.Total)
	}
	message := report.Message()
	for _, want := range []string{"ConfigMap c00 was changed by kubectl (/data/k00, /data/k01, /data/k02 and 13 more)", "and 35 more", "Role (forbidden)", "Secret a: Forbidden"} {
		if !strings.Contains(message, want) {
			t.Errorf("message %q does not say %q", message, want)
		}
	}
	if len(message) > 1024 {
		t.Errorf("the message has %d bytes", len(message))
	}
	if got := (Report{}).Message(); got != "" {
		t.Errorf("nothing to say, and says %q", got)
	}
}
