package helm_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func clusterChart() map[string]string {
	return with(configMapChart("1.0.0"), map[string]string{
		"templates/more.yaml": `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: demo, namespace: ignored}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, namespace: kube-system}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: demo}}
`,
		"templates/hook.yaml": `apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
`,
		"templates/NOTES.txt":    "hello",
		"templates/caps.yaml":    "{{ if .Capabilities.APIVersions.Has \"apps.wandb.com/v1/WeightsAndBiases\" }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen}\n{{ end }}",
		"templates/install.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: state}\ndata: {revision: \"{{ .Release.Revision }}\", upgrade: \"{{ .Release.IsUpgrade }}\", found: '{{ (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"demo-config\").metadata }}'}\n",
	})
}

func TestRenderWritesNothingAndSeesTheCluster(t *testing.T) {
	b := newBench(t, nil)
	chart := localChart(t, clusterChart())
	b.traffic.reset()
	objects, err := b.Render(t.Context(), chart, nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if writes := b.traffic.written(); len(writes) != 0 {
		t.Errorf("rendering wrote: %v", writes)
	}
	var names []string
	byName := map[string]helm.Object{}
	for _, object := range objects {
		names = append(names, strings.ReplaceAll(object.String(), b.namespace, "NS"))
		byName[object.Name] = object
	}
	// Helm's order of kinds, hooks last.
	want := "ServiceAccount NS/demo, ConfigMap NS/seen, ConfigMap NS/demo-config, ConfigMap NS/state, ConfigMap kube-system/elsewhere, ClusterRole demo, Job NS/migrate"
	if len(names) != 7 || byName["migrate"].Hook != true || byName["demo-config"].Hook {
		t.Errorf("objects = %s; want these, the Job as a hook: %s", strings.Join(names, ", "), want)
	}
	for name := range strings.SplitSeq(want, ", ") {
		if !strings.Contains(strings.Join(names, ", "), name) {
			t.Errorf("objects %v lack %s", names, name)
		}
	}
	data, _ := byName["state"].Content["data"].(map[string]any)
	if data["revision"] != "1" || data["upgrade"] != "false" {
		t.Errorf("before the install: %v", data)
	}

	b.install(t, configMapChart("1.0.0"), nil)
	if objects, err = b.Render(t.Context(), chart, nil, b.namespace, "demo"); err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.Name == "state" {
			data, _ = object.Content["data"].(map[string]any)
		}
	}
	if found, _ := data["found"].(string); data["revision"] != "2" || data["upgrade"] != "true" || !strings.Contains(found, "demo-config") {
		t.Errorf("before the upgrade: %v", data)
	}
}

func TestRenderFailures(t *testing.T) {
	b := newBench(t, nil)
	tests := map[string]struct {
		template, reason, text string
	}{
		"the chart refuses the values": {
			template: `{{ fail "set global.host" }}`, reason: v1.ReasonValuesInvalid, text: "set global.host",
		},
		"a required value is missing": {
			template: `{{ required "global.host is needed" .Values.host }}`, reason: v1.ReasonValuesInvalid, text: "global.host is needed",
		},
		"a template cannot work with the values": {
			template: `{{ .Values.greeting.nested.more }}`, reason: v1.ReasonChartInvalid, text: "greeting",
		},
		"a template writes no YAML": {
			template: "a: b: c\n\t- d", reason: v1.ReasonChartInvalid, text: "broken.yaml",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chart := localChart(t, with(configMapChart("1.0.0"), map[string]string{"templates/broken.yaml": test.template}))
			_, err := b.Render(t.Context(), chart, nil, b.namespace, "demo")
			if got := fault.Reason(err, ""); got != test.reason || !strings.Contains(err.Error(), test.text) {
				t.Errorf("reason %q (%v), want %q with %q", got, err, test.reason, test.text)
			}
			if fault.Retryable(err) || fault.Hint(err) == "" {
				t.Errorf("retry %v, hint %q: somebody has to change something, and must be told", fault.Retryable(err), fault.Hint(err))
			}
		})
	}
	t.Run("a newer Kubernetes is needed", func(t *testing.T) {
		files := configMapChart("1.0.0")
		files["Chart.yaml"] += "kubeVersion: '>=9.0.0'\n"
		_, err := b.Render(t.Context(), localChart(t, files), nil, b.namespace, "demo")
		if err == nil || !strings.Contains(err.Error(), ">=9.0.0") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestObjectsOutsideTheNamespaceAreRefused(t *testing.T) {
	b := newBench(t, nil)
	objects, err := b.Render(t.Context(), localChart(t, clusterChart()), nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		kinds   []string
		refused []string
		hint    string
	}{
		"nothing is allowed":           {refused: []string{"ClusterRole demo", "ConfigMap kube-system/elsewhere"}, hint: "--set 'allowClusterObjects={ClusterRole,ConfigMap}'"},
		"one kind is allowed":          {kinds: []string{"ClusterRole"}, refused: []string{"ConfigMap kube-system/elsewhere"}, hint: "allowClusterObjects={ConfigMap}"},
		"all that there are":           {kinds: []string{"ClusterRole", "ConfigMap"}},
		"an operator that trusts all":  {kinds: []string{"*"}},
		"a kind that has none of them": {kinds: []string{"PriorityClass"}, refused: []string{"ClusterRole demo"}, hint: "ClusterRole"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := b.CheckObjects(t.Context(), objects, helm.Policy{Namespace: b.namespace, ClusterKinds: test.kinds})
			if (err == nil) != (len(test.refused) == 0) {
				t.Fatalf("error = %v, want one: %v", err, len(test.refused) > 0)
			}
			for _, one := range test.refused {
				if !strings.Contains(err.Error(), one) || fault.Reason(err, "") != v1.ReasonClusterObjectRefused || !strings.Contains(fault.Hint(err), test.hint) {
					t.Errorf("message %q, hint %q; want %q and %q", err, fault.Hint(err), one, test.hint)
				}
			}
		})
	}
}

func TestMissingRightsNamesTheRoleToApply(t *testing.T) {
	admin := newBench(t, nil)
	const user = "system:serviceaccount:wandb:controller-manager"
	config := testenv.As(t, user, "system:authenticated")
	limited, err := helm.New(helm.Config{RESTConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	files := with(configMapChart("1.0.0"), map[string]string{
		"templates/role.yaml": `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: demo}
rules:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}
- {apiGroups: [""], resources: [secrets], resourceNames: [demo-password], verbs: [get]}
`,
	})
	objects, err := admin.Render(t.Context(), localChart(t, files), nil, admin.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.MissingRights(t.Context(), objects); err != nil {
		t.Errorf("an administrator lacks: %v", err)
	}

	grant := func(name string, rules ...rbacv1.PolicyRule) {
		t.Helper()
		roles := admin.kube.RbacV1()
		if _, err := roles.Roles(admin.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "controller-manager", Namespace: "wandb"}},
		}
		if _, err := roles.RoleBindings(admin.namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"get", "list", "watch", "create", "patch", "delete"}
	grant("objects",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: all},
		rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}, Verbs: all},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}})

	var missing error
	eventually(t, "the grant is seen", func() bool {
		missing = limited.MissingRights(t.Context(), objects)
		return missing != nil && !strings.Contains(missing.Error(), "configmaps")
	})
	if fault.Reason(missing, "") != v1.ReasonPermissionMissing || !strings.Contains(missing.Error(), "get,list pods/log") || !strings.Contains(missing.Error(), "get secrets") {
		t.Errorf("error = %v; want the rules of the chart's Role that the operator does not hold", missing)
	}
	for _, part := range []string{
		"kind: Role\n", "namespace: " + admin.namespace, "- pods/log", "resourceNames:\n  - demo-password", "kind: RoleBinding", "name: controller-manager\n  namespace: wandb",
	} {
		if !strings.Contains(fault.Hint(missing), part) {
			t.Errorf("the Role to apply lacks %q:\n%s", part, fault.Hint(missing))
		}
	}
	if strings.Contains(fault.Hint(missing), "configmaps") {
		t.Errorf("the Role to apply grants what is there already:\n%s", fault.Hint(missing))
	}

	grant("rest",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get", "list"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}, ResourceNames: []string{"demo-password"}})
	eventually(t, "everything is granted", func() bool { return limited.MissingRights(t.Context(), objects) == nil })
}

func TestAKindThatTheClusterDoesNotKnowIsTheChartsFault(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{"templates/x.yaml": "apiVersion: keda.sh/v1\nkind: ScaledObject\nmetadata: {name: x}\n"})
	objects, err := b.Render(t.Context(), localChart(t, files), nil, b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.MissingRights(t.Context(), objects); fault.Reason(err, "") != v1.ReasonChartInvalid || !strings.Contains(err.Error(), "ScaledObject") {
		t.Errorf("error = %v", err)
	}
}
