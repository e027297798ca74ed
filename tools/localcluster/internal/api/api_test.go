package api

import "testing"

func TestObjectPath(t *testing.T) {
	for name, test := range map[string]struct{ document, want string }{
		"core, with namespace": {"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}", "/api/v1/namespaces/b/services/a"},
		"core, without":        {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}", "/api/v1/namespaces/a"},
		"group":                {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}", "/apis/apps/v1/namespaces/b/deployments/a"},
		"group, without":       {"apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: a}", "/apis/networking.k8s.io/v1/ingressclasses/a"},
		"unknown kind":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := objectPath([]byte(test.document))
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("objectPath = %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
