package chaos

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// umbrella is a chart of the shape of today's operator-wandb: subcharts in subcharts that share global values and turn on
// by conditions, a database that is a StatefulSet, agents on every node with a ClusterRole, passwords that are looked up
// or made at random, and pods that carry random text and the time of the render.
func umbrella() map[string]string {
	files := map[string]string{
		"Chart.yaml": `
apiVersion: v2
name: app
version: 1.0.0
dependencies:
  - {name: base, version: "*.*.*", repository: "file://charts/base", alias: api}
  - {name: base, version: "*.*.*", repository: "file://charts/base", alias: weave, condition: weave.install}
  - {name: mysql, version: "*.*.*", repository: "file://charts/mysql", condition: mysql.install}
  - {name: otel, version: "*.*.*", repository: "file://charts/otel", condition: otel.install}
`,
		"values.yaml": "tag: none\nglobal: {mysql: {host: \"\"}}\napi: {port: 8080}\nweave: {install: true, port: 9994}\n" +
			"mysql: {install: true}\notel: {install: true, daemonset: {create: true}}\n",
		"templates/_names.tpl": `{{- define "app.fullname" -}}{{ .Release.Name }}{{- end -}}`,
		"templates/secret.yaml": `
{{- $old := lookup "v1" "Secret" .Release.Namespace (printf "%s-global" (include "app.fullname" .)) }}
apiVersion: v1
kind: Secret
metadata: {name: {{ include "app.fullname" . }}-global}
data:
  GORILLA_SESSION_KEY: {{ if $old }}{{ index $old.data "GORILLA_SESSION_KEY" }}{{ else }}{{ randAlphaNum 32 | b64enc }}{{ end }}
`,
		"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "app.fullname" . }}-config}
data: {tag: {{ .Values.tag | quote }}, rendered: {{ now | date "2006-01-02T15:04:05.000" | quote }}}
`,
		"templates/cron.yaml": `
apiVersion: batch/v1
kind: CronJob
metadata: {name: {{ include "app.fullname" . }}-report}
spec:
  schedule: "0 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: report, image: "report:{{ .Values.tag }}"}]}}}}
`,
		"charts/base/Chart.yaml":  "apiVersion: v2\nname: base\nversion: 0.1.0\n",
		"charts/base/values.yaml": "port: 80\n",
		"charts/base/templates/deployment.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}, labels: {app: {{ .Chart.Name }}}}
spec:
  selector: {matchLabels: {app: {{ .Chart.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Chart.Name }}}
      annotations: {restart: {{ randAlphaNum 8 | quote }}, at: {{ now | unixEpoch | quote }}}
    spec:
      serviceAccountName: {{ .Release.Name }}-{{ .Chart.Name }}
      containers:
        - name: {{ .Chart.Name }}
          image: "base:1"
          ports: [{containerPort: {{ .Values.port }}}]
          env: [{name: MYSQL_HOST, value: {{ .Values.global.mysql.host | default (printf "%s-mysql" .Release.Name) | quote }}}]
`,
		"charts/base/templates/account.yaml": `
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .Release.Name }}-{{ .Chart.Name }}}
subjects: [{kind: ServiceAccount, name: {{ .Release.Name }}-{{ .Chart.Name }}, namespace: {{ .Release.Namespace }}}]
`,
		"charts/mysql/Chart.yaml": "apiVersion: v2\nname: mysql\nversion: 0.1.0\n",
		"charts/mysql/templates/mysql.yaml": `
{{- $old := lookup "v1" "Secret" .Release.Namespace (printf "%s-mysql" .Release.Name) }}
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-mysql}
stringData:
  MYSQL_PASSWORD: {{ if $old }}{{ index $old.data "MYSQL_PASSWORD" | b64dec | quote }}{{ else }}{{ randAlphaNum 20 | quote }}{{ end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}-mysql}
spec:
  serviceName: mysql
  selector: {matchLabels: {app: mysql}}
  template:
    metadata: {labels: {app: mysql}}
    spec: {containers: [{name: mysql, image: "mysql:8"}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`,
		"charts/otel/Chart.yaml":                  "apiVersion: v2\nname: otel\nversion: 0.1.0\ndependencies:\n  - {name: daemonset, version: \"*.*.*\", repository: \"file://charts/daemonset\", condition: daemonset.create}\n",
		"charts/otel/values.yaml":                 "daemonset: {create: false}\n",
		"charts/otel/charts/daemonset/Chart.yaml": "apiVersion: v2\nname: daemonset\nversion: 0.1.0\n",
		"charts/otel/charts/daemonset/templates/agent.yaml": `
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}-otel}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ .Release.Namespace }}-{{ .Release.Name }}-otel}
rules:
  - {apiGroups: [""], resources: [nodes, nodes/stats, pods, namespaces, endpoints], verbs: [get, list, watch]}
  - {apiGroups: [apps], resources: [replicasets, daemonsets], verbs: [get, list, watch]}
  - {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{ .Release.Namespace }}-{{ .Release.Name }}-otel}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .Release.Namespace }}-{{ .Release.Name }}-otel}
subjects: [{kind: ServiceAccount, name: {{ .Release.Name }}-otel, namespace: {{ .Release.Namespace }}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: {{ .Release.Name }}-otel}
spec:
  selector: {matchLabels: {app: otel}}
  template:
    metadata: {labels: {app: otel}}
    spec:
      serviceAccountName: {{ .Release.Name }}-otel
      hostNetwork: true
      containers: [{name: agent, image: "otel:1"}]
`,
	}
	return files
}

// TestTodaysChartLayoutInstalls runs the operator with exactly the rights and the environment that its own chart gives it
// with rbac.profile=upstream, and installs a chart of today's shape.
func TestTodaysChartLayoutInstalls(t *testing.T) {
	t.Parallel()
	// This operator looks at the whole cluster, and tells every resource elsewhere that its namespace is not granted: it
	// needs an API server to itself.
	p := newPlace(t, newAudited(t).as(t, "administrator"))
	p.vendor.AddChart("1.0.0", umbrella())
	file, environment := p.installOperator(map[string]any{
		"rbac": map[string]any{"profile": "upstream"},
	})
	p.create()
	operator := p.run(file, environment)
	p.awaitRelease("v1", "1", patience)
	if !p.find(&k8sappsv1.DaemonSet{}, "wandb-otel") || !p.find(&k8sappsv1.Deployment{}, "wandb-weave") {
		t.Error("subcharts of subcharts are missing")
	}
	passwords := p.passwords()
	first := p.revisions()

	// The vendor publishes the same chart with the same values twice more, under other names.
	for _, name := range []string{"v2", "v3"} {
		p.vendor.Publish(name, "1.0.0", map[string]any{"tag": "1"})
		eventually(t, "release "+name+" noticed", patience, func() bool {
			channel := p.resource().Status.Channel
			return channel != nil && channel.ReleaseName == name
		}, func() string { return operator.log.String() })
		linger(2 * quiet)
		p.awaitRelease(p.resource().Status.Release.Name, "1", patience)
		if diff := cmp.Diff(first, p.revisions()); diff != "" {
			t.Errorf("a release without a change made revisions; random text must not pass for one:\n%s", diff)
		}
	}
	// A process that remembers nothing finds nothing to do either.
	operator.end(t)
	operator = p.run(file, environment)
	operator.awaitWork(t)
	linger(2 * quiet)
	if diff := cmp.Diff(first, p.revisions()); diff != "" {
		t.Errorf("a restart made revisions:\n%s", diff)
	}
	// A real change makes exactly one revision, and what was made at random the first time stays.
	p.vendor.Publish("v4", "1.0.0", map[string]any{"tag": "2"})
	p.awaitRelease("v4", "2", patience)
	linger(2 * quiet)
	if revisions := p.revisions(); len(revisions) != len(first)+1 {
		t.Errorf("one change made revisions %v", revisions)
	}
	if diff := cmp.Diff(passwords, p.passwords()); diff != "" {
		t.Errorf("an upgrade replaced passwords:\n%s", diff)
	}
	operator.end(t)
}

// passwords are what the chart made at random and looked up later.
func (p *place) passwords() map[string]string {
	p.t.Helper()
	found := map[string]string{}
	for _, name := range []string{"wandb-global", "wandb-mysql"} {
		secret := &corev1.Secret{}
		if !p.find(secret, name) {
			p.t.Fatalf("Secret %s is missing", name)
		}
		for key, value := range secret.Data {
			found[name+" "+key] = string(value)
		}
	}
	return found
}

// installOperator applies the ServiceAccount and the rights of the operator's chart, and returns a kubeconfig of that
// account and the environment of the operator's container.
func (p *place) installOperator(values map[string]any) (string, []string) {
	t := p.t
	t.Helper()
	charts := filepath.Join(testenv.Root(t), "charts")
	renderer, err := helm.New(helm.Config{RESTConfig: p.base, ChartsDir: charts})
	must(t, err)
	chart, err := renderer.LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: filepath.Join(charts, "operator")}, helm.Credentials{})
	must(t, err)
	objects, err := renderer.Render(t.Context(), chart, values, p.namespace, "operator")
	must(t, err)
	rights := []string{"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
	account, environment := "", map[string]string{}
	for _, object := range objects {
		if object.Kind == "Deployment" && !object.Hook {
			deployment := &k8sappsv1.Deployment{}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Content, deployment))
			account = deployment.Spec.Template.Spec.ServiceAccountName
			for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
				environment[variable.Name] = variable.Value
			}
		}
		if object.Hook || !slices.Contains(rights, object.Kind) {
			continue
		}
		made := &unstructured.Unstructured{Object: object.Content}
		if object.Kind == "ServiceAccount" || object.Kind == "Role" || object.Kind == "RoleBinding" {
			made.SetNamespace(p.namespace)
		}
		must(t, p.api.Create(t.Context(), made))
	}
	if account == "" || environment["WATCH_NAMESPACES"] != p.namespace {
		t.Fatalf("the chart's Deployment runs as %q with %v", account, environment)
	}
	p.assertConfined(account)
	for name, value := range map[string]string{
		"OPERATOR_NAMESPACE": p.namespace, "POD_NAME": "operator-1", "DEPLOYER_CHANNEL_URL": p.vendor.URL(),
		"METRICS_BIND_ADDRESS": "0", "HEALTH_PROBE_BIND_ADDRESS": "0", "GOMAXPROCS": "2",
		"HELM_CACHE_HOME": t.TempDir(), "HELM_CONFIG_HOME": t.TempDir(), "HELM_DATA_HOME": t.TempDir(), "TMPDIR": os.TempDir(),
	} {
		environment[name] = value
	}
	variables := make([]string, 0, len(environment))
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		variables = append(variables, name+"="+environment[name])
	}
	return kubeconfig(t, clientcmdapi.Cluster{Server: p.base.Host, CertificateAuthorityData: p.base.CAData},
		clientcmdapi.AuthInfo{Token: p.token(account)}), variables
}

func (p *place) token(account string) string {
	p.t.Helper()
	clientset, err := kubernetes.NewForConfig(p.base)
	must(p.t, err)
	request, err := clientset.CoreV1().ServiceAccounts(p.namespace).CreateToken(p.t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}}, metav1.CreateOptions{})
	must(p.t, err)
	return request.Status.Token
}

// assertConfined shows that the account is not an administrator by accident: a wide binding would make the test worthless.
func (p *place) assertConfined(account string) {
	p.t.Helper()
	bindings := &rbacv1.ClusterRoleBindingList{}
	must(p.t, p.api.List(p.t.Context(), bindings))
	for _, binding := range bindings.Items {
		for _, subject := range binding.Subjects {
			if subject.Kind == "ServiceAccount" && subject.Namespace == p.namespace && subject.Name == account && binding.RoleRef.Name == "cluster-admin" {
				p.t.Fatalf("%s makes the operator an administrator", binding.Name)
			}
		}
	}
}
