package charts

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestIngressHosts(t *testing.T) {
	tests := map[string]struct {
		host       string
		additional string
		want       []string // "" is a rule for any host
	}{
		"a URL loses scheme, port and path":                 {host: "https://wandb.example.com:8443/x", want: []string{"wandb.example.com"}},
		"a bare name stays":                                 {host: "wandb.example.com", want: []string{"wandb.example.com"}},
		"upper case is lowered, since rules refuse it":      {host: "HTTPS://WandB.Example.com", want: []string{"wandb.example.com"}},
		"an address becomes a rule for any host":            {host: "http://10.1.2.3:8080", want: []string{""}},
		"additional hosts follow, each once":                {host: "https://a.test", additional: "[b.test, a.test, https://b.test:1]", want: []string{"a.test", "b.test"}},
		"an additional address opens no rule for any host":  {host: "https://a.test", additional: "[10.0.0.1]", want: []string{"a.test"}},
		"the default host is that of a port-forward":        {want: []string{"localhost"}},
		"a user name in the URL is left out":                {host: "https://me@a.test", want: []string{"a.test"}},
		"a name that starts with digits is no address":      {host: "https://1.a.test", want: []string{"1.a.test"}},
		"query and fragment are left out without any slash": {host: "https://a.test?x#y", want: []string{"a.test"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			if test.host != "" {
				values = with(t, values, "global.host", test.host)
			}
			if test.additional != "" {
				values = with(t, values, "ingress.additionalHosts", parse(t, "x: "+test.additional)["x"])
			}
			ingress := ingressOf(t, values, "wandb")
			var got []string
			for _, rule := range ingress.Spec.Rules {
				got = append(got, rule.Host)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
		})
	}
}

func ingressOf(t *testing.T, values map[string]any, name string) networkingv1.Ingress {
	t.Helper()
	var ingress networkingv1.Ingress
	object := render(t, "operator-wandb", input{values: values}).find(t, "Ingress", name)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &ingress); err != nil {
		t.Fatal(err)
	}
	return ingress
}

func TestIngressPathsFollowTheInstalledComponents(t *testing.T) {
	tests := map[string]struct {
		values string
		want   []string
	}{
		"both":                        {"{}", []string{"/console wandb-console", "/ wandb-app"}},
		"console behind the root":     {"ingress: {defaultBackend: console}", []string{"/console wandb-console", "/ wandb-console"}},
		"no console, no console path": {"console: {install: false}", []string{"/ wandb-app"}},
		"no console behind the root":  {"console: {install: false}\ningress: {defaultBackend: console}", []string{"/ wandb-app"}},
		"only the console":            {"app: {install: false}", []string{"/ wandb-console"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, path := range ingressOf(t, parse(t, test.values), "wandb").Spec.Rules[0].HTTP.Paths {
				got = append(got, path.Path+" "+path.Backend.Service.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
	for _, values := range []string{"ingress: {install: false}", "ingress: {create: false}", "app: {install: false}\nconsole: {install: false}"} {
		if object := render(t, "operator-wandb", input{values: parse(t, values)}).lookup(t, "Ingress", "wandb"); object != nil {
			t.Errorf("%s: there is an Ingress", values)
		}
	}
}

func TestAnIssuerNamesItsHosts(t *testing.T) {
	ingress := ingressOf(t, parse(t, "global: {host: 'https://a.test'}\ningress: {issuer: {create: true}, additionalHosts: [b.test]}"), "wandb")
	want := []networkingv1.IngressTLS{{Hosts: []string{"a.test", "b.test"}, SecretName: "wandb-tls"}}
	if diff := cmp.Diff(want, ingress.Spec.TLS); diff != "" {
		t.Errorf("tls (-want +got):\n%s", diff)
	}
}

func TestEnvironmentPrecedence(t *testing.T) {
	layers := []string{ // weakest first, each sets what it says and all below it
		"app.sizing.small.env", "global.extraEnvFrom", "global.extraEnv", "global.env", "app.extraEnv", "app.env", "app.containers.app.env",
	}
	for i := range layers {
		values := map[string]any{}
		for _, layer := range layers[:i+1] {
			var value any = layer
			if layer == "global.extraEnvFrom" {
				value = map[string]any{"fieldRef": map[string]any{"fieldPath": "metadata.name"}}
			}
			for _, name := range []string{"LISTEN", "OWN"} { // one that the chart generates, and one that it does not
				values = with(t, values, layer+"."+name, value)
			}
		}
		env := render(t, "operator-wandb", input{values: values}).environment(t, "wandb-app")
		for _, name := range []string{"LISTEN", "OWN"} {
			if layers[i] == "global.extraEnvFrom" {
				if env[name].ValueFrom == nil {
					t.Errorf("%s = %+v, want the source of %s", name, env[name], layers[i])
				}
			} else if env[name].Value != layers[i] {
				t.Errorf("%s = %q, want that of %s", name, env[name].Value, layers[i])
			}
		}
	}
}

func TestEnvironmentKeepsNumbersAsWritten(t *testing.T) {
	values := with(t, map[string]any{}, "global.extraEnv", map[string]any{"LARGE": float64(67108864), "RATE": 0.25, "YES": true, "GONE": nil})
	env := render(t, "operator-wandb", input{values: values}).environment(t, "wandb-app")
	for name, want := range map[string]string{"LARGE": "67108864", "RATE": "0.25", "YES": "true"} {
		if env[name].Value != want {
			t.Errorf("%s = %q, want %q", name, env[name].Value, want)
		}
	}
	if _, found := env["GONE"]; found {
		t.Error("a null made a variable")
	}
}

func TestGeneratedVariablesComeFirst(t *testing.T) {
	values := parse(t, `global: {mysql: {host: db}, extraEnv: {ADDRESS: "$(MYSQL_HOST)"}}`)
	pod := render(t, "operator-wandb", input{values: values}).pods(t)["Deployment/wandb-app"]
	place := func(name string) int {
		return slices.IndexFunc(pod.Spec.Containers[0].Env, func(v corev1.EnvVar) bool { return v.Name == name })
	}
	if host, address := place("MYSQL_HOST"), place("ADDRESS"); host < 0 || address < host {
		t.Errorf("ADDRESS at %d refers to MYSQL_HOST at %d, which Kubernetes resolves only in that order", address, host)
	}
}

func TestAChangeRestartsOnlyThePodsThatUseIt(t *testing.T) {
	base := parse(t, "global: {license: one, mysql: {host: db, password: one}, customCACerts: [A]}\napp: {image: {tag: t}}\nconsole: {image: {tag: t}}")
	tests := map[string]struct {
		in           input
		app, console bool
	}{
		"nothing":                    {input{values: base}, false, false},
		"a new version of the chart": {input{values: base, version: "9.9.9", appVersion: "9.9.9"}, false, false},
		"the licence":                {input{values: with(t, base, "global.license", "two")}, true, false},
		"the password of MySQL":      {input{values: with(t, base, "global.mysql.password", "two")}, true, false},
		"a certificate authority":    {input{values: with(t, base, "global.customCACerts", []any{"B"})}, true, true},
		"the console's environment":  {input{values: with(t, base, "console.env.X", "y")}, false, true},
		"the size":                   {input{values: with(t, base, "global.size", "medium")}, true, false},
		"the ingress":                {input{values: with(t, base, "ingress.class", "other")}, false, false},
		"labels of Services":         {input{values: with(t, base, "global.service.labels.a", "b")}, false, false},
		"the URL":                    {input{values: with(t, base, "global.host", "https://other.test")}, true, true},
	}
	before := render(t, "operator-wandb", input{values: base}).pods(t)
	for name, test := range tests {
		after := render(t, "operator-wandb", test.in).pods(t)
		for deployment, want := range map[string]bool{"Deployment/wandb-app": test.app, "Deployment/wandb-console": test.console} {
			if diff := cmp.Diff(before[deployment], after[deployment]); (diff != "") != want {
				t.Errorf("%s: %s restarts = %v, want %v:\n%s", name, deployment, diff != "", want, diff)
			}
		}
	}
}

func TestTwoProcessesNeverShareTheDatabaseOnAVolume(t *testing.T) {
	mysql := "global: {mysql: {host: db}}\n"
	shared := "accessModes: [ReadWriteMany]"
	tests := map[string]struct {
		values, strategy, err string
	}{
		"SQLite":                          {values: "{}", strategy: "Recreate"},
		"MySQL, volume of one node":       {values: mysql, strategy: "Recreate"},
		"MySQL, shared volume":            {values: mysql + "app: {replicaCount: 3, persistence: {" + shared + "}}", strategy: "RollingUpdate"},
		"two replicas on SQLite":          {values: "app: {replicaCount: 2, persistence: {" + shared + "}}", err: "/app/replicaCount"},
		"two replicas, volume of one":     {values: mysql + "app: {replicaCount: 2}", err: "/app/replicaCount"},
		"autoscaling on SQLite":           {values: "app: {autoscaling: {horizontal: {enabled: true}}}", err: "/app/autoscaling/horizontal/enabled"},
		"autoscaling with all it needs":   {values: mysql + "app: {autoscaling: {horizontal: {enabled: true}}, persistence: {" + shared + "}}", strategy: "RollingUpdate"},
		"MySQL through a reference":       {values: "global: {mysql: {host: {valueFrom: {secretKeyRef: {name: a, key: b}}}}}\napp: {replicaCount: 2, persistence: {" + shared + "}}", strategy: "RollingUpdate"},
		"MySQL and a bucket":              {values: "global: {mysql: {host: db}, bucket: {name: b}}\napp: {replicaCount: 3}", strategy: "RollingUpdate"},
		"two replicas, a bucket alone":    {values: "global: {bucket: {name: b}}\napp: {replicaCount: 2}", err: "/app/replicaCount"},
		"no replica while it is repaired": {values: "app: {replicaCount: 0}", strategy: "Recreate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := tryRender(t, "operator-wandb", input{values: parse(t, test.values)})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one about %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, _, _ := unstructured.NestedString(out.find(t, "Deployment", "wandb-app").Object, "spec", "strategy", "type")
			if got != test.strategy {
				t.Errorf("strategy %s, want %s", got, test.strategy)
			}
			if budget := out.lookup(t, "PodDisruptionBudget", "wandb-app"); (budget != nil) != strings.Contains(test.values, "replicaCount: 3") &&
				budget == nil {
				t.Error("several replicas have no disruption budget")
			}
		})
	}
}

func TestImageNames(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	tests := map[string]struct{ values, want string }{
		"the chart's own":                {"{}", "ghcr.io/kubewandb/server:0.1.0"},
		"a digest replaces the tag":      {"app: {image: {tag: x, digest: '" + digest + "'}}", "ghcr.io/kubewandb/server@" + digest},
		"a registry replaces the host":   {"global: {imageRegistry: 'r:5000'}", "r:5000/kubewandb/server:0.1.0"},
		"a registry before a bare name":  {"global: {imageRegistry: r.test}\napp: {image: {repository: wandb/local, tag: 1.0.0}}", "r.test/wandb/local:1.0.0"},
		"a prefix between host and path": {"global: {repositoryPrefix: /mirror/}", "ghcr.io/mirror/kubewandb/server:0.1.0"},
		"both":                           {"global: {imageRegistry: r.test/, repositoryPrefix: a/b}", "r.test/a/b/kubewandb/server:0.1.0"},
	}
	for name, test := range tests {
		pod := render(t, "operator-wandb", input{values: parse(t, test.values)}).pods(t)["Deployment/wandb-app"]
		if got := pod.Spec.Containers[0].Image; got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for size, want := range map[string]string{"dev": "50m/96Mi", "small": "1/2Gi", "medium": "4/8Gi", "large": "4/8Gi", "xlarge": "4/8Gi", "xxlarge": "4/8Gi"} {
		pod := render(t, "operator-wandb", input{values: parse(t, "global: {size: "+size+"}")}).pods(t)["Deployment/wandb-app"]
		requests := pod.Spec.Containers[0].Resources.Requests
		if got := requests.Cpu().String() + "/" + requests.Memory().String(); got != want {
			t.Errorf("size %s requests %s, want %s", size, got, want)
		}
	}
	if _, err := tryRender(t, "operator-wandb", input{values: parse(t, "global: {size: testing}")}); err == nil {
		t.Error("an unknown size is accepted")
	}
}

func TestOneJobMigratesMySQLBeforeThePodsRoll(t *testing.T) {
	tests := map[string]struct {
		values string
		job    bool
	}{
		"SQLite":                     {"{}", false},
		"MySQL":                      {"global: {mysql: {host: db, password: p, caCert: PEM}}", true},
		"MySQL, left to the pods":    {"global: {mysql: {host: db}}\napp: {migrations: {enabled: false}}", false},
		"MySQL without the server":   {"global: {mysql: {host: db}}\napp: {install: false}", false},
		"MySQL, all by reference":    {"global: {mysql: {host: {valueFrom: {secretKeyRef: {name: a, key: b}}}, passwordSecret: {name: c}}}", true},
		"MySQL with nothing secured": {"global: {mysql: {host: db}}", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := render(t, "operator-wandb", input{values: parse(t, test.values)})
			job := out.lookup(t, "Job", "wandb-migrate")
			if (job != nil) != test.job {
				t.Fatalf("there is a Job: %v, want %v", job != nil, test.job)
			}
			if !strings.Contains(test.values, "install: false") {
				if skip := out.environment(t, "wandb-app")["SKIP_MIGRATIONS"].Value == "true"; skip != test.job {
					t.Errorf("pods leave the schema alone: %v, want %v", skip, test.job)
				}
			}
			if job == nil {
				return
			}
			if hook := job.GetAnnotations()["helm.sh/hook"]; hook != "pre-install,pre-upgrade" {
				t.Errorf("the Job is hook %q", hook)
			}
			// A hook finds nothing of the release: it may refer to hooks and to what people made.
			pod := out.pods(t)["Job/wandb-migrate"]
			for _, object := range out.objects(t) {
				_, hook := object.GetAnnotations()["helm.sh/hook"]
				if kind := object.GetKind(); !hook && (kind == "Secret" || kind == "ConfigMap") && strings.Contains(describe(t, pod), object.GetName()) {
					t.Errorf("the Job refers to %s %s, which does not exist yet", kind, object.GetName())
				}
			}
			selector, _, _ := unstructured.NestedStringMap(out.find(t, "Service", "wandb-app").Object, "spec", "selector")
			if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
				t.Error("the Service sends requests to the Job")
			}
		})
	}
}

func describe(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestPeopleSignInAtAProviderOnceIssuerAndClientAreSet(t *testing.T) {
	for sentence, tt := range map[string]struct {
		oidc string
		want map[string]string
	}{
		"nothing":        {`{}`, nil},
		"an issuer only": {`{issuer: "https://id.example"}`, nil},
		"a client only":  {`{clientId: wandb, secret: s}`, nil},
		"a public client": {`{issuer: "https://id.example", clientId: wandb}`,
			map[string]string{"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "wandb"}},
		"a client with a secret and an older flow": {`{issuer: "https://id.example", clientId: wandb, secret: s, authMethod: implicit}`,
			map[string]string{"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "wandb", "OIDC_AUTH_METHOD": "implicit", "OIDC_CLIENT_SECRET": "wandb-oidc/OIDC_SECRET"}},
	} {
		env := render(t, "operator-wandb", input{values: parse(t, "global: {auth: {oidc: "+tt.oidc+"}}")}).environment(t, "wandb-app")
		got := map[string]string{}
		for name, variable := range env {
			if !strings.HasPrefix(name, "OIDC_") {
				continue
			}
			got[name] = variable.Value
			if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil {
				got[name] = from.SecretKeyRef.Name + "/" + from.SecretKeyRef.Key
			}
		}
		if len(got) != len(tt.want) || !maps.Equal(got, tt.want) {
			t.Errorf("%s: the variables are %v, want %v", sentence, got, tt.want)
		}
	}
}
