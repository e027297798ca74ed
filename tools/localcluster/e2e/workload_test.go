package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// workload is a restricted pod with a volume behind a Service and an Ingress.
const workload = `apiVersion: v1
kind: Namespace
metadata:
  name: probe
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: probe}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: probe, namespace: probe}
spec:
  selector: {matchLabels: {app: probe}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: probe}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: probe
          image: IMAGE
          args: [serve]
          env: [{name: CA_PEM, valueFrom: {configMapKeyRef: {name: ca, key: ca.crt}}}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: v1
kind: Service
metadata: {name: probe, namespace: probe}
spec:
  selector: {app: probe}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: probe, namespace: probe}
spec:
  rules:
    - host: HOST
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: probe, port: {name: http}}}}]}
`

// deployWorkload brings the workload to Ready.
func (c *testCluster) deployWorkload(t *testing.T, archive string) {
	t.Helper()
	// A name of another registry: the node finds it in its own.
	image := strings.TrimSpace(c.run(t, "load", archive))
	if !strings.HasPrefix(image, "10.88.0.1:5000/kubewandb/probe@sha256:") {
		t.Fatalf("load printed %q", image)
	}
	host := "wandb." + c.name + ".test"
	c.apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: probe}\n")
	c.kubectl(t, "create", "configmap", "ca", "-n", "probe", "--from-file=ca.crt="+c.env["CA_FILE"])
	c.apply(t, strings.NewReplacer("IMAGE", "ghcr.io/kubewandb/probe:v1", "HOST", host).Replace(workload))
	c.kubectl(t, "rollout", "status", "-n", "probe", "deployment/probe", "--timeout=120s")
}

// inPod runs the probe in the workload's pod.
func (c *testCluster) inPod(t *testing.T, args ...string) string {
	t.Helper()
	return c.kubectl(t, append([]string{"exec", "-n", "probe", "deploy/probe", "--", "/probe"}, args...)...)
}

// fetchInPod wants the workload's answer from a URL, asked for in its pod. A pod
// that has just become ready is reachable a moment later, as on any cluster.
func (c *testCluster) fetchInPod(t *testing.T, url string) {
	t.Helper()
	const limit = 10 * time.Second
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(c.env["BIN"], "kubectl"),
			"exec", "-n", "probe", "deploy/probe", "--", "/probe", "fetch", url)
		cmd.Env = c.environ()
		out, err := cmd.CombinedOutput()
		if err == nil && strings.HasPrefix(string(out), "hello") {
			return
		}
		if time.Since(begun) > limit {
			t.Fatalf("the pod got no answer from %s: %v\n%s", url, err, out)
		}
	}
}

// podIdentity is the pod's id and restarts, which repairs must not change.
func (c *testCluster) podIdentity(t *testing.T) string {
	t.Helper()
	return c.kubectl(t, "get", "pods", "-n", "probe",
		"-o", `jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{end}`)
}
