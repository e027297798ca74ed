package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// visitorImage builds and loads the visitor's image once.
var visitorImage = sync.OnceValues(func() (string, error) {
	out, err := os.MkdirTemp("", "visitor")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(out)
	archive, err := try(context.Background(), "", "go", "run", "./tools/image", "--version", "0.0.1", "--out", out, "visitor=./test/e2e/visitor")
	if err != nil {
		return "", err
	}
	image, err := try(context.Background(), "", "localcluster", "--name", clusterName, "load", strings.TrimSpace(archive))
	return strings.TrimSpace(image), err
})

// runVisitor starts a pod that passes the restricted Pod Security Standard and trusts the demo's CA, with a Service of the
// same name on port 8080, until the test ends.
func runVisitor(t *testing.T, name, verb, argument string) {
	t.Helper()
	image, err := visitorImage()
	if err != nil {
		t.Fatalf("load the visitor's image: %v", err)
	}
	ca, err := os.ReadFile(system.env["CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	apply(t, fmt.Sprintf(visitorManifest, name, strings.ReplaceAll(string(ca), "\n", "\n    "), image, verb, argument))
	t.Cleanup(func() {
		if _, err := try(context.Background(), "", "kubectl", "delete", "pod/"+name, "service/"+name, "configmap/"+name,
			"--ignore-not-found", "--grace-period=1"); err != nil {
			t.Errorf("remove the visitor: %v", err)
		}
	})
}

const visitorManifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s}
data:
  ca.crt: |
    %[2]s
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {visitor: %[1]s}
  ports: [{port: 8080}]
---
apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
  labels: {visitor: %[1]s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: visitor
    image: %[3]s
    args: [%[4]q, %[5]q]
    env: [{name: SSL_CERT_FILE, value: /ca/ca.crt}]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: ca, mountPath: /ca}]
  volumes: [{name: ca, configMap: {name: %[1]s}}]
`
