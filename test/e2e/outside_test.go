package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
)

// leaveOutside takes back what a test set, and then what it published.
func leaveOutside(t *testing.T, patch string) {
	t.Helper()
	configure(t, patch)
	shell(t, "kubectl", "delete", "service,endpointslice,ingress,secret", "-l", "e2e=outside", "--ignore-not-found")
}

// configure changes the resource and waits until the change has arrived.
func configure(t *testing.T, patch string) {
	t.Helper()
	patchResource(t, patch)
	awaitCondition(t, 3*time.Minute, "UpToDate", "True", "UpToDate")
	awaitCondition(t, 3*time.Minute, "Ready", "True", "Ready")
}

// publish gives something outside of the cluster a name that pods, browsers and clients know.
func publish(t *testing.T, service, host, port string) {
	t.Helper()
	name := map[string]any{"name": service, "namespace": namespace}
	number := json.Number(port)
	apply(t, manifest(t,
		map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": maps.Clone(name), "spec": map[string]any{
			"ports": []any{map[string]any{"name": "http", "port": 80, "targetPort": number}},
		}},
		map[string]any{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
			"metadata": map[string]any{
				"name": service + "-1", "namespace": namespace, "labels": map[string]string{"kubernetes.io/service-name": service},
			},
			"ports":     []any{map[string]any{"name": "http", "port": number}},
			"endpoints": []any{map[string]any{"addresses": []string{host}}},
		},
		map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": maps.Clone(name), "spec": map[string]any{
			"rules": []any{map[string]any{"host": publicName(service), "http": map[string]any{"paths": []any{map[string]any{
				"path": "/", "pathType": "Prefix",
				"backend": map[string]any{"service": map[string]any{"name": service, "port": map[string]any{"name": "http"}}},
			}}}}},
		}},
	))
}

// publicName is the host name of a published service; the machine's hosts file must know it.
func publicName(service string) string { return service + "." + clusterName + ".test" }

// manifest is a list of objects, each with the label that a test removes them by.
func manifest(t *testing.T, objects ...map[string]any) string {
	t.Helper()
	var text strings.Builder
	for _, object := range objects {
		metadata, _ := object["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]string)
		if labels == nil {
			labels = map[string]string{}
		}
		labels["e2e"] = "outside"
		metadata["labels"] = labels
		text.WriteString("---\n")
		text.Write(encode(t, object))
		text.WriteByte('\n')
	}
	return text.String()
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
