package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestH1DeletionEndsAndKeepsData deletes the custom resource as the last act of the story: the release goes, data and
// settings stay.
func TestH1DeletionEndsAndKeepsData(t *testing.T) {
	claims := shell(t, "kubectl", "get", "pvc", "-o", "jsonpath={.items[*].metadata.uid}")
	if strings.TrimSpace(claims) == "" {
		t.Fatal("there is no volume whose survival could be shown")
	}
	settings := shell(t, "kubectl", "get", "secret", "wandb-spec-user", "-o", "jsonpath={.metadata.uid}")

	began := time.Now()
	shell(t, "kubectl", "delete", "wandb", "wandb", "--timeout=60s")
	t.Logf("kubectl delete wandb took %s", time.Since(began).Round(100*time.Millisecond))

	if left := shell(t, "helm", "list", "-n", namespace, "-q"); strings.Contains(" "+strings.Join(strings.Fields(left), " ")+" ", " wandb ") {
		t.Errorf("the Helm release remains: %s", left)
	}
	eventually(t, time.Minute, func() string {
		return strings.TrimSpace(shell(t, "kubectl", "get", "deployments,services,ingresses", "-l", "app.kubernetes.io/instance=wandb", "-o", "name"))
	})
	if after := shell(t, "kubectl", "get", "pvc", "-o", "jsonpath={.items[*].metadata.uid}"); after != claims {
		t.Errorf("volumes went from %q to %q: data must stay", claims, after)
	}
	if after := shell(t, "kubectl", "get", "secret", "wandb-spec-user", "-o", "jsonpath={.metadata.uid}"); after != settings {
		t.Errorf("the user layer went from %q to %q: settings must stay", settings, after)
	}
}

// TestH2TheInstallationComesBackWithItsData applies the same resource again.
func TestH2TheInstallationComesBackWithItsData(t *testing.T) {
	shell(t, "kubectl", "apply", "-f", system.dir+"/demo/operator.yaml")
	awaitCondition(t, 2*time.Minute, "Ready", "True", "")
	users := admin(t, "user", "list")
	if !strings.Contains(users, administrator) {
		t.Errorf("the administrator who signed up before the deletion is gone: %s", users)
	}
}
