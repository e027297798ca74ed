package charts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// role is a Role or ClusterRole of a render.
type role struct {
	kind, name, namespace string
	hook                  bool
	rules                 []rbacv1.PolicyRule
}

func (o output) roles(t testing.TB) []role {
	t.Helper()
	var roles []role
	for _, object := range o.objects(t) {
		if kind := object.GetKind(); kind != "Role" && kind != "ClusterRole" {
			continue
		}
		var decoded rbacv1.Role // a ClusterRole has the same rules
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &decoded); err != nil {
			t.Fatalf("decode %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		_, hook := object.GetAnnotations()["helm.sh/hook"]
		roles = append(roles, role{object.GetKind(), object.GetName(), object.GetNamespace(), hook, decoded.Rules})
	}
	return roles
}

// allows tells whether rules permit a verb on any object of a resource.
func allows(rules []rbacv1.PolicyRule, group, resource, verb string) bool {
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		return len(rule.ResourceNames) == 0 && slices.Contains(rule.APIGroups, group) &&
			slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, verb)
	})
}

// operatorRules are all rules that the manager holds in one of its namespaces.
func operatorRules(t testing.TB, values map[string]any) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, one := range render(t, "operator", input{values: values}).roles(t) {
		if !one.hook {
			rules = append(rules, one.rules...)
		}
	}
	return rules
}

func TestNoRoleEscalates(t *testing.T) {
	forbidden := []string{"escalate", "bind", "impersonate", "*"}
	for _, one := range goldenCases(t) {
		for _, role := range render(t, one.chart, one.in).roles(t) {
			for _, rule := range role.rules {
				for _, word := range slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups) {
					if slices.Contains(forbidden, word) {
						t.Errorf("%s: %s %s grants %q", one.name, role.kind, role.name, word)
					}
				}
			}
		}
	}
}

func TestNoClusterRoleReadsSecretsOrGrantsMoreThanItsPurpose(t *testing.T) {
	for name, values := range map[string]string{"default": "{}", "upstream": "rbac: {profile: upstream}"} {
		for _, role := range render(t, "operator", input{values: parse(t, values)}).roles(t) {
			if role.kind != "ClusterRole" {
				continue
			}
			for _, rule := range role.rules {
				for _, resource := range rule.Resources {
					if strings.HasPrefix(resource, "secrets") || resource == "configmaps" || resource == "pods/exec" {
						t.Errorf("%s: ClusterRole %s reaches %s in every namespace", name, role.name, resource)
					}
					if name == "default" && !role.hook && !slices.Contains([]string{"weightsandbiases", "weightsandbiases/status", "weightsandbiases/finalizers", "ingressclasses", "storageclasses"}, resource) {
						t.Errorf("ClusterRole %s grants %s; in the default profile it covers the custom resource and reads classes", role.name, resource)
					}
				}
			}
		}
	}
}

func TestTheCRDHookReachesOneDefinitionOnly(t *testing.T) {
	for _, role := range render(t, "operator", input{}).roles(t) {
		for _, rule := range role.rules {
			if slices.Contains(rule.Resources, "customresourcedefinitions") &&
				(!role.hook || !slices.Equal(rule.ResourceNames, []string{"weightsandbiases.apps.wandb.com"}) || slices.Contains(rule.Verbs, "delete")) {
				t.Errorf("%s %s: rule on definitions is not limited: %v", role.kind, role.name, rule)
			}
		}
	}
}

func TestAnIsolatedOperatorHasNoClusterObject(t *testing.T) {
	for _, profile := range []string{"default", "upstream"} {
		values := parse(t, "namespaceIsolation: {enabled: true, additionalNamespaces: [a]}\nrbac: {profile: "+profile+"}")
		out := render(t, "operator", input{values: values})
		namespaces := map[string]bool{}
		for _, object := range out.objects(t) {
			if strings.HasPrefix(object.GetKind(), "Cluster") || object.GetNamespace() == "" {
				t.Errorf("profile %s: %s %s belongs to the cluster", profile, object.GetKind(), object.GetName())
			}
			if object.GetKind() == "Role" {
				namespaces[object.GetNamespace()] = true
			}
		}
		if !namespaces["a"] || !namespaces["wandb-system"] || len(namespaces) != 2 {
			t.Errorf("profile %s: roles in %v, want a and wandb-system", profile, namespaces)
		}
		if !allows(operatorRules(t, values), "apps.wandb.com", "weightsandbiases", "patch") {
			t.Errorf("profile %s: the operator cannot patch its own resource", profile)
		}
	}
	if _, err := tryRender(t, "operator", input{values: parse(t, "namespaceIsolation: {enabled: true}\nallowClusterObjects: [ClusterRole]")}); err == nil || !strings.Contains(err.Error(), "allowClusterObjects") {
		t.Errorf("cluster objects in isolation: error %v", err)
	}
}

// An operator can grant only what it holds, and can install only what it may create, change and delete.
func TestTheOperatorMayInstallEveryObjectOfItsChart(t *testing.T) {
	held := operatorRules(t, map[string]any{})
	issuers := operatorRules(t, parse(t, "rbac: {issuers: true}"))
	for _, one := range goldenCases(t) {
		if one.chart != "operator-wandb" {
			continue
		}
		out := render(t, one.chart, one.in)
		for _, object := range out.objects(t) {
			rules := held
			if foreign(object.GroupVersionKind().Group) {
				rules = issuers
			}
			for _, verb := range []string{"get", "list", "watch", "create", "patch", "update", "delete"} {
				if resource := resourceOf(object); !allows(rules, object.GroupVersionKind().Group, resource, verb) {
					t.Errorf("%s: the operator may not %s %s", one.name, verb, resource)
				}
			}
		}
		for _, role := range out.roles(t) {
			for _, rule := range role.rules {
				for _, missing := range beyond(held, rule) {
					t.Errorf("%s: %s %s grants %s, which the operator does not hold", one.name, role.kind, role.name, missing)
				}
			}
		}
	}
}

func beyond(held []rbacv1.PolicyRule, rule rbacv1.PolicyRule) []string {
	var missing []string
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if !allows(held, group, resource, verb) {
					missing = append(missing, fmt.Sprintf("%s %s in group %q", verb, resource, group))
				}
			}
		}
	}
	return missing
}

func resourceOf(object *unstructured.Unstructured) string {
	kind := strings.ToLower(object.GetKind())
	switch {
	case strings.HasSuffix(kind, "ss"):
		return kind + "es"
	case strings.HasSuffix(kind, "y"):
		return strings.TrimSuffix(kind, "y") + "ies"
	default:
		return kind + "s"
	}
}

// The tests of the console run it with the Role of that page.
func TestTheConsolesRoleIsTheDocumentedOne(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/reference/console-rbac.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "```yaml\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatal("the page has no block of YAML")
	}
	var documented rbacv1.Role
	if err := yaml.UnmarshalStrict([]byte(block), &documented); err != nil {
		t.Fatal(err)
	}
	for _, role := range render(t, "operator-wandb", input{}).roles(t) {
		if diff := cmp.Diff(documented.Rules, role.rules); role.name == "wandb-console" && diff != "" {
			t.Errorf("rules (-documented +rendered):\n%s", diff)
		}
	}
}

func TestTheConsoleReadsOnlyItsOwnSecrets(t *testing.T) {
	for _, role := range render(t, "operator-wandb", input{release: "mine"}).roles(t) {
		for _, rule := range role.rules {
			if !slices.Contains(rule.Resources, "secrets") {
				continue
			}
			if len(rule.ResourceNames) == 0 || slices.Contains(rule.Verbs, "list") || slices.Contains(rule.Verbs, "watch") {
				t.Errorf("Role %s reads Secrets without naming them: %v", role.name, rule)
			}
			for _, verb := range []string{"update", "patch"} {
				if slices.Contains(rule.Verbs, verb) && !slices.Equal(rule.ResourceNames, []string{"mine-spec-user"}) {
					t.Errorf("Role %s may %s %v; the console writes the user layer only", role.name, verb, rule.ResourceNames)
				}
			}
		}
	}
}

func TestOnlyProgramsThatCallKubernetesGetAToken(t *testing.T) {
	wants := map[string]bool{
		"operator-wandb Deployment/wandb-app":     false,
		"operator-wandb Deployment/wandb-console": true,
		"deploy-server Deployment/wandb":          false,
	}
	for what, want := range wants {
		name, pod, _ := strings.Cut(what, " ")
		template, found := render(t, name, input{values: minimal(name)}).pods(t)[pod]
		if mounted := template.Spec.AutomountServiceAccountToken; !found || mounted == nil || *mounted != want {
			t.Errorf("%s: automountServiceAccountToken = %v, want %v", what, mounted, want)
		}
	}
}
