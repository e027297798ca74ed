package helm_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// The chart draws random text on every render: only its stored text can be the same twice.
func TestARevisionIsAppliedAgainAsItIsStored(t *testing.T) {
	values := map[string]any{"greeting": "once", "big": int64(67108864), "kmsKey": nil}
	for name, exact := range map[string]bool{"a planned text was applied": true, "Helm rendered it": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			first := b.apply(drawingChart(), values)(t)
			if exact {
				var err error
				if first.Rendered, err = b.RenderExact(t.Context(), first.Chart, values, b.namespace, "demo"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.Install(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Upgrade(t.Context(), b.apply(configMapChart("2.0.0"), nil)(t)); err != nil {
				t.Fatal(err)
			}
			b.applyAgain(t, values, exact)
		})
	}
}

// applyAgain applies revision 1 once more, as revision 3. Helm itself may store documents without a line break at their
// end; all else stays.
func (b *bench) applyAgain(t *testing.T, values map[string]any, exact bool) {
	t.Helper()
	again, err := b.Again(t.Context(), b.namespace, "demo", 1)
	if err != nil {
		t.Fatal(err)
	}
	if again.Chart.Name != "demo" || again.Chart.Version != "1.0.0" || again.Namespace != b.namespace || again.Name != "demo" {
		t.Errorf("described as %s %s of release %s/%s", again.Chart.Name, again.Chart.Version, again.Namespace, again.Name)
	}
	release, err := b.Upgrade(t.Context(), again)
	if err != nil || release.Revision != 3 || release.ChartVersion != "1.0.0" {
		t.Fatalf("%+v, %v", release, err)
	}
	if want := spec.ValuesDigest(values); release.ValuesDigest != want {
		t.Errorf("values digest %s, want that of revision 1, %s", release.ValuesDigest, want)
	}
	texts := map[int]string{}
	for _, revision := range []int{1, 3} {
		stored, err := b.Manifest(t.Context(), b.namespace, "demo", revision)
		if err != nil {
			t.Fatal(err)
		}
		texts[revision] = stored.Text
		if !exact {
			texts[revision] = regexp.MustCompile("\n+---").ReplaceAllString(stored.Text, "\n---")
		}
	}
	if diff := cmp.Diff(strings.TrimSpace(texts[1]), strings.TrimSpace(texts[3])); diff != "" || exact && texts[1] != texts[3] {
		t.Errorf("the text applied again differs:\n%s", diff)
	}
	if got := b.config(t).Data; got["greeting"] != "once" || got["big"] != "67108864" {
		t.Errorf("data = %v", got)
	}
	if _, err := b.Again(t.Context(), b.namespace, "demo", 7); fault.Reason(err, "") != v1.ReasonInternalError {
		t.Errorf("a revision that is not there: %v", err)
	}
}

func TestCompleteLaysValuesOverDefaults(t *testing.T) {
	chart := localChart(t, map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: demo\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n- {name: idle, version: 1.0.0, condition: idle.enabled}\n",
		"values.yaml": "greeting: hello\nkmsKey: from-chart\nsub: {enabled: true, size: 2}\nidle: {enabled: false}\n",

		"charts/sub/Chart.yaml":   "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
		"charts/sub/values.yaml":  "size: 1\ncolor: grey\n",
		"charts/idle/Chart.yaml":  "apiVersion: v2\nname: idle\nversion: 1.0.0\n",
		"charts/idle/values.yaml": "size: 1\n",
	})
	values := map[string]any{"kmsKey": nil, "own": "mine", "sub": map[string]any{"color": "blue"}}
	given := spec.Copy(values)
	complete := chart.Complete(values)
	if diff := cmp.Diff(given, values); diff != "" {
		t.Errorf("the values given were changed:\n%s", diff)
	}
	sub, _ := complete["sub"].(map[string]any)
	if complete["greeting"] != "hello" || complete["own"] != "mine" || sub["color"] != "blue" || sub["size"] != float64(2) && sub["size"] != int64(2) {
		t.Errorf("complete values are %v", complete)
	}
	if got := complete["kmsKey"]; got != nil {
		t.Errorf("a null left the chart's default %v in place", got)
	}
	if idle, _ := complete["idle"].(map[string]any); idle["size"] != nil {
		t.Errorf("a subchart that is turned off gave %v", idle)
	}
	if got := chart.Complete(nil); got["kmsKey"] != "from-chart" {
		t.Errorf("no values give %v", got)
	}
}

func TestReleasesThatWeMadeAreKnownAsOurs(t *testing.T) {
	b := newBench(t, nil)
	current := func() *helm.Release {
		t.Helper()
		release, err := b.Current(t.Context(), b.namespace, "demo")
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	label := func(name string) string {
		t.Helper()
		secret, err := b.kube.CoreV1().Secrets(b.namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return secret.Labels[helm.OwnerLabel]
	}
	b.install(t, configMapChart("1.0.0"), nil)
	if !current().Ours || label("sh.helm.release.v1.demo.v1") == "" {
		t.Error("an installation of ours is not known as such")
	}
	// Helm itself puts no such label on what it makes.
	b.editRelease(t, 1, func(s *corev1.Secret) { delete(s.Labels, helm.OwnerLabel) })
	if current().Ours {
		t.Error("a release that Helm made counts as ours")
	}
	if _, err := b.Upgrade(t.Context(), b.apply(configMapChart("1.1.0"), nil)(t)); err != nil {
		t.Fatal(err)
	}
	if !current().Ours || label("sh.helm.release.v1.demo.v2") == "" {
		t.Error("a release that we took over is not known as ours")
	}
}
