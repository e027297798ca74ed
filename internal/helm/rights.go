package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// installVerbs are what Helm needs on each kind that it installs; the watch is what waiting for hooks and deletion needs.
func installVerbs() []string {
	return []string{"get", "list", "watch", "create", "patch", "delete"}
}

// MissingRights tells whether the caller's own rights suffice to install objects: to write each kind, and, since nobody
// may grant what he does not hold, every rule of the Roles that the chart makes. What is missing is a fault
// PermissionMissing whose hint holds the Role to apply. Nothing is written.
func (c *Client) MissingRights(ctx context.Context, objects []Object) error {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	needed, err := c.neededRights(objects)
	if err != nil {
		return &fault.Error{
			Reason: v1.ReasonChartInvalid, Op: "check rights for the chart's objects", Err: err,
			Hint: "The cluster does not know a kind that the chart uses. Install its CustomResourceDefinition, or turn off the part of the chart that needs it.",
		}
	}
	missing := map[string][]rbacv1.PolicyRule{}
	for _, namespace := range slices.Sorted(maps.Keys(needed)) {
		rules, err := c.lacking(ctx, namespace, needed[namespace])
		if err != nil {
			return failed("check rights in namespace "+namespace, v1.ReasonInternalError, err, nil)
		}
		if len(rules) > 0 {
			missing[namespace] = rules
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return c.permissionFault(ctx, missing)
}

// neededRights lists, per namespace ("" is the cluster), the rules that installing objects takes.
func (c *Client) neededRights(objects []Object) (map[string][]rbacv1.PolicyRule, error) {
	needed := map[string][]rbacv1.PolicyRule{}
	seen := map[string]bool{}
	own := ownKinds(objects)
	for _, object := range objects {
		mapping, err := c.mappingFor(object.APIVersion, object.Kind)
		if err != nil {
			if own[object.APIVersion+"/"+object.Kind] {
				continue
			}
			return nil, err
		}
		key := object.Namespace + "/" + mapping.Resource.GroupResource().String()
		if !seen[key] {
			seen[key] = true
			needed[object.Namespace] = append(needed[object.Namespace], rbacv1.PolicyRule{
				APIGroups: []string{mapping.Resource.Group}, Resources: []string{mapping.Resource.Resource}, Verbs: installVerbs(),
			})
		}
		if mapping.Resource.Group == rbacv1.GroupName && (object.Kind == "Role" || object.Kind == "ClusterRole") {
			granted, err := grantedRules(object)
			if err != nil {
				return nil, err
			}
			needed[object.Namespace] = append(needed[object.Namespace], granted...)
		}
	}
	return needed, nil
}

// ownKinds lists the kinds that CRDs among objects are going to bring.
func ownKinds(objects []Object) map[string]bool {
	kinds := map[string]bool{}
	for _, object := range objects {
		if object.Kind != "CustomResourceDefinition" {
			continue
		}
		specification, _ := object.Content["spec"].(map[string]any)
		names, _ := specification["names"].(map[string]any)
		versions, _ := specification["versions"].([]any)
		for _, version := range versions {
			if fields, ok := version.(map[string]any); ok {
				kinds[text(specification, "group")+"/"+text(fields, "name")+"/"+text(names, "kind")] = true
			}
		}
	}
	return kinds
}

func grantedRules(object Object) ([]rbacv1.PolicyRule, error) {
	var role rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Content, &role); err != nil {
		return nil, fmt.Errorf("read rules of %s: %w", object.Ref, err)
	}
	return role.Rules, nil
}

// lacking returns the parts of needed that the caller does not hold. One review per namespace answers nearly everything;
// where the authorizer cannot list rules, each right is asked for by itself.
func (c *Client) lacking(ctx context.Context, namespace string, needed []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	review := &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: cmp.Or(namespace, metav1.NamespaceDefault)},
	}
	review, err := c.clientset.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("list own rules: %w", err)
	}
	var lacking []right
	for _, rule := range needed {
		for _, one := range split(rule) {
			// Rules of the cluster cannot be told apart from those of a namespace in the review's answer.
			if namespace != "" && held(one, review.Status) {
				continue
			}
			allowed, err := c.allowed(ctx, namespace, one)
			if err != nil {
				return nil, err
			}
			if !allowed {
				lacking = append(lacking, one)
			}
		}
	}
	return gather(lacking), nil
}

func (c *Client) allowed(ctx context.Context, namespace string, one right) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if one.url != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: one.url, Verb: one.verb}
	} else {
		resource, subresource, _ := strings.Cut(one.resource, "/")
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: one.verb, Group: one.group, Resource: resource, Subresource: subresource, Name: one.name,
		}
	}
	answer, err := c.clientset.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask for the right to %s %s: %w", one.verb, one.resource, err)
	}
	return answer.Status.Allowed, nil
}

// right is one verb on one resource, or on one URL.
type right struct {
	verb, group, resource, name, url string
}

func split(rule rbacv1.PolicyRule) []right {
	var rights []right
	for _, verb := range rule.Verbs {
		for _, location := range rule.NonResourceURLs {
			rights = append(rights, right{verb: verb, url: location})
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				if len(rule.ResourceNames) == 0 {
					rights = append(rights, right{verb: verb, group: group, resource: resource})
				}
				for _, name := range rule.ResourceNames {
					rights = append(rights, right{verb: verb, group: group, resource: resource, name: name})
				}
			}
		}
	}
	return rights
}

func held(one right, status authorizationv1.SubjectRulesReviewStatus) bool {
	if one.url != "" {
		return slices.ContainsFunc(status.NonResourceRules, func(rule authorizationv1.NonResourceRule) bool {
			return matches(rule.Verbs, one.verb) && slices.ContainsFunc(rule.NonResourceURLs, func(pattern string) bool {
				prefix, wild := strings.CutSuffix(pattern, "*")
				return pattern == one.url || (wild && strings.HasPrefix(one.url, prefix))
			})
		})
	}
	return slices.ContainsFunc(status.ResourceRules, func(rule authorizationv1.ResourceRule) bool {
		return matches(rule.Verbs, one.verb) && matches(rule.APIGroups, one.group) && matchesResource(rule.Resources, one.resource) &&
			(len(rule.ResourceNames) == 0 || (one.name != "" && slices.Contains(rule.ResourceNames, one.name)))
	})
}

func matches(patterns []string, wanted string) bool {
	return slices.Contains(patterns, wanted) || slices.Contains(patterns, "*")
}

func matchesResource(patterns []string, wanted string) bool {
	if matches(patterns, wanted) {
		return true
	}
	_, subresource, ok := strings.Cut(wanted, "/")
	return ok && slices.Contains(patterns, "*/"+subresource)
}

// gather turns single rights back into rules that a person can read: one per group, resource and name, verbs together.
func gather(rights []right) []rbacv1.PolicyRule {
	type key struct{ group, resource, name, url string }
	verbs := map[key][]string{}
	var order []key
	for _, one := range rights {
		k := key{one.group, one.resource, one.name, one.url}
		if _, known := verbs[k]; !known {
			order = append(order, k)
		}
		if !slices.Contains(verbs[k], one.verb) {
			verbs[k] = append(verbs[k], one.verb)
		}
	}
	rules := make([]rbacv1.PolicyRule, 0, len(order))
	for _, k := range order {
		rule := rbacv1.PolicyRule{Verbs: verbs[k]}
		if k.url != "" {
			rule.NonResourceURLs = []string{k.url}
		} else {
			rule.APIGroups, rule.Resources = []string{k.group}, []string{k.resource}
		}
		if k.name != "" {
			rule.ResourceNames = []string{k.name}
		}
		if last := len(rules) - 1; last >= 0 && mergeable(rules[last], rule) {
			rules[last].Resources = append(rules[last].Resources, k.resource)
			continue
		}
		rules = append(rules, rule)
	}
	return rules
}

func mergeable(a, b rbacv1.PolicyRule) bool {
	return len(a.NonResourceURLs)+len(b.NonResourceURLs)+len(a.ResourceNames)+len(b.ResourceNames) == 0 &&
		slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.Verbs, b.Verbs)
}

func (c *Client) permissionFault(ctx context.Context, missing map[string][]rbacv1.PolicyRule) error {
	var wanting []string
	for _, namespace := range slices.Sorted(maps.Keys(missing)) {
		for _, rule := range missing[namespace] {
			for _, what := range append(slices.Clone(rule.Resources), rule.NonResourceURLs...) {
				wanting = append(wanting, strings.Join(rule.Verbs, ",")+" "+what)
			}
		}
	}
	manifest, err := c.grant(ctx, missing)
	if err != nil {
		return fmt.Errorf("word the Role to apply: %w", err)
	}
	return &fault.Error{
		Reason: v1.ReasonPermissionMissing,
		Op:     "check rights for the chart's objects",
		Hint:   "Have an administrator of the cluster apply this, or leave out the part of the chart that needs it:\n" + manifest,
		Err:    errors.New("the operator lacks: " + listing(wanting)),
	}
}

// grant writes the Roles and bindings that would suffice.
func (c *Client) grant(ctx context.Context, missing map[string][]rbacv1.PolicyRule) (string, error) {
	const name = "kubewandb-chart-rights"
	subject := c.whoAmI(ctx)
	var documents []string
	for _, namespace := range slices.Sorted(maps.Keys(missing)) {
		prefix := ""
		if namespace == "" {
			prefix = "Cluster"
		}
		meta := map[string]any{"name": name}
		if namespace != "" {
			meta["namespace"] = namespace
		}
		for _, object := range []map[string]any{
			{"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": prefix + "Role", "metadata": meta, "rules": missing[namespace]},
			{
				"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": prefix + "RoleBinding", "metadata": meta,
				"roleRef":  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: prefix + "Role", Name: name},
				"subjects": []rbacv1.Subject{subject},
			},
		} {
			document, err := yaml.Marshal(object)
			if err != nil {
				return "", fmt.Errorf("encode Role: %w", err)
			}
			documents = append(documents, string(document))
		}
	}
	return strings.Join(documents, "---\n"), nil
}

// whoAmI names the caller for a binding. Where the API server does not tell, a placeholder stands.
func (c *Client) whoAmI(ctx context.Context) rbacv1.Subject {
	review, err := c.clientset.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		if !apierrors.IsNotFound(err) {
			c.logger.Debug("the API server does not tell who the caller is", "error", err)
		}
		return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "OPERATOR-SERVICE-ACCOUNT", Namespace: "OPERATOR-NAMESPACE"}
	}
	user := review.Status.UserInfo.Username
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		namespace, name, _ := strings.Cut(account, ":")
		return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: namespace}
	}
	return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}
}
