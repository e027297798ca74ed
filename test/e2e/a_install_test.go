package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// warmLimit is what the README promises for a start with everything built.
const warmLimit = 3 * time.Minute

func TestA1EveryWorkloadIsReady(t *testing.T) {
	for _, ns := range []string{namespace, "deploy"} {
		found := pods(t, ns, "")
		if len(found) == 0 {
			t.Errorf("namespace %s has no pods", ns)
		}
		for _, p := range found {
			if p.Status.Phase != "Succeeded" && !p.ready() {
				t.Errorf("pod %s/%s is %s, not Ready", ns, p.Metadata.Name, p.Status.Phase)
			}
		}
		var object struct {
			Metadata struct {
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
		}
		decode(t, shell(t, "kubectl", "get", "namespace", ns, "-o", "json"), &object)
		if got := object.Metadata.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
			t.Errorf("namespace %s enforces %q, want the restricted Pod Security Standard", ns, got)
		}
	}
	shell(t, "kubectl", "wait", "wandb/wandb", "--for=condition=Ready", "--timeout=10s")
	if system.warm > warmLimit {
		t.Errorf("a second up took %s, want under %s", system.warm, warmLimit)
	}
	t.Logf("second up: %s", system.warm)
}

func TestA2TheResourceTellsItsStory(t *testing.T) {
	table := shell(t, "kubectl", "get", "wandb")
	header, row, _ := strings.Cut(table, "\n")
	if !strings.Contains(header, "READY") || !strings.Contains(row, "True") || !strings.Contains(row, resource(t).Status.Release.Name) {
		t.Errorf("kubectl get wandb shows neither readiness nor the release:\n%s", table)
	}
	for _, name := range []string{"Ready", "LicenseValid", "ChannelReachable", "SpecResolved", "Released", "UpToDate"} {
		if got := resource(t).condition(name); got.Status != "True" {
			t.Errorf("%s = %q, reason %s: %s", name, got.Status, got.Reason, got.Message)
		}
	}
	password := shell(t, "kubectl", "get", "secret", "wandb-password", "-o", "jsonpath={.data.password}")
	if len(password) < 16 {
		t.Errorf("the console password of the mission's command has %d characters in base64", len(password))
	}
}

func TestA3PythonGoAndAPodReachTheApplication(t *testing.T) {
	url := system.env["WANDB_BASE_URL"] + "/healthz"
	shell(t, "python3", "-c", `
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
assert urllib.request.urlopen(sys.argv[1], context=context, timeout=10).status == 200
`, url, system.env["CA_FILE"])

	program := filepath.Join(t.TempDir(), "visitor")
	shell(t, "env", "CGO_ENABLED=0", "go", "build", "-o", program, "./test/e2e/visitor")
	shell(t, program, "get", url)

	runVisitor(t, "visitor", "get", url)
	eventually(t, time.Minute, func() string {
		phase := shell(t, "kubectl", "get", "pod", "visitor", "-o", "jsonpath={.status.phase}")
		if phase == "Failed" {
			t.Fatalf("the pod can't fetch %s: %s", url, shell(t, "kubectl", "logs", "visitor"))
		}
		if phase != "Succeeded" {
			return "the pod is " + phase
		}
		return ""
	})
}
