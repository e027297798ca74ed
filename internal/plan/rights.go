package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Right is what one Role or binding gains and loses, in words.
type Right struct {
	// Object is kind and name: "Role wandb-console".
	Object string `json:"object"`
	// Gains and Loses read like "get, list pods" or "to ServiceAccount wandb-app".
	Gains []string `json:"gains,omitempty"`
	Loses []string `json:"loses,omitempty"`
}

// Rights returns how the rights that Roles grant, and those to whom they are granted, change.
func Rights(before, after []Object) []Right {
	oldKeys, old := indexed(before)
	newKeys, current := indexed(after)
	var result []Right
	for _, key := range followedBy(newKeys, oldKeys) {
		object := current[key]
		if object.Kind == "" {
			object = old[key]
		}
		if group, _, _ := strings.Cut(object.APIVersion, "/"); group != "rbac.authorization.k8s.io" {
			continue
		}
		was, is := grants(old[key]), grants(current[key])
		right := Right{Object: object.String(), Gains: words(without(is, was)), Loses: words(without(was, is))}
		if len(right.Gains)+len(right.Loses) > 0 {
			result = append(result, right)
		}
	}
	return result
}

// grant is one verb on one thing, or one subject that a binding names.
type grant struct{ verb, thing string }

func grants(object Object) map[grant]bool {
	found := map[grant]bool{}
	switch object.Kind {
	case "Role", "ClusterRole":
		for _, item := range listOf(object.Content["rules"]) {
			rule, _ := item.(map[string]any)
			addRule(found, rule)
		}
	case "RoleBinding", "ClusterRoleBinding":
		role, _ := object.Content["roleRef"].(map[string]any)
		for _, item := range listOf(object.Content["subjects"]) {
			subject, _ := item.(map[string]any)
			name := textOf(subject["name"])
			if namespace := textOf(subject["namespace"]); namespace != "" && namespace != object.Namespace {
				name = namespace + "/" + name
			}
			found[grant{thing: fmt.Sprintf("%s %s to %s %s", textOf(role["kind"]), textOf(role["name"]), textOf(subject["kind"]), name)}] = true
		}
	}
	return found
}

func addRule(found map[grant]bool, rule map[string]any) {
	var things []string
	for _, location := range texts(rule["nonResourceURLs"]) {
		things = append(things, "URL "+location)
	}
	for _, group := range texts(rule["apiGroups"]) {
		for _, resource := range texts(rule["resources"]) {
			thing := resource
			if resource == "*" {
				thing = "every resource"
			}
			if group == "*" {
				thing += " of every group"
			} else if group != "" {
				thing += "." + group
			}
			names := texts(rule["resourceNames"])
			if len(names) == 0 {
				things = append(things, thing)
			}
			for _, name := range names {
				things = append(things, fmt.Sprintf("%s %q", thing, name))
			}
		}
	}
	for _, verb := range texts(rule["verbs"]) {
		if verb == "*" {
			verb = "do everything with"
		}
		for _, thing := range things {
			found[grant{verb, thing}] = true
		}
	}
}

func texts(value any) []string {
	var result []string
	for _, item := range listOf(value) {
		if text, ok := item.(string); ok {
			result = append(result, text)
		}
	}
	return result
}

func without(all, known map[grant]bool) []grant {
	var rest []grant
	for one := range all {
		if !known[one] {
			rest = append(rest, one)
		}
	}
	return rest
}

// words joins the verbs of each thing, and the things that have the same verbs: "get, list pods, services".
func words(list []grant) []string {
	verbs := map[string][]string{}
	for _, one := range list {
		verbs[one.thing] = append(verbs[one.thing], one.verb)
	}
	things := map[string][]string{}
	for _, thing := range slices.Sorted(maps.Keys(verbs)) {
		slices.SortFunc(verbs[thing], byUse)
		joined := strings.Join(verbs[thing], ", ")
		things[joined] = append(things[joined], thing)
	}
	var result []string
	for _, joined := range slices.Sorted(maps.Keys(things)) {
		if joined == "" {
			result = append(result, things[joined]...)
			continue
		}
		result = append(result, joined+" "+strings.Join(things[joined], ", "))
	}
	return result
}

// byUse orders verbs as people list them: reading before writing.
func byUse(a, b string) int {
	usual := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	rank := func(verb string) int {
		if at := slices.Index(usual, verb); at >= 0 {
			return at
		}
		return len(usual)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// followedBy returns a, followed by what b holds beyond it.
func followedBy(a, b []string) []string {
	seen := make(map[string]bool, len(a))
	for _, item := range a {
		seen[item] = true
	}
	result := slices.Clone(a)
	for _, item := range b {
		if !seen[item] {
			seen[item] = true
			result = append(result, item)
		}
	}
	return result
}
