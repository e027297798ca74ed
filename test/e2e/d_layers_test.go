package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// TestD1TheUserLayerOverridesTheChannelAndTheResourceOverridesBoth walks one value through the layers, down to the pod.
func TestD1TheUserLayerOverridesTheChannelAndTheResourceOverridesBoth(t *testing.T) {
	setUserLayer(t, map[string]any{"app": map[string]any{"extraEnv": map[string]any{"E2E_LAYER": "user"}}})
	awaitEnv(t, "user")

	shell(t, "kubectl", "patch", "wandb", "wandb", "--type=merge", "-p", `{"spec":{"values":{"app":{"extraEnv":{"E2E_LAYER":"resource"}}}}}`)
	awaitEnv(t, "resource")

	shell(t, "kubectl", "patch", "wandb", "wandb", "--type=json", "-p", `[{"op":"remove","path":"/spec/values/app"}]`)
	awaitEnv(t, "user")

	setUserLayer(t, map[string]any{})
	awaitEnv(t, "")
}

func setUserLayer(t *testing.T, values map[string]any) {
	t.Helper()
	encoded, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	shell(t, "kubectl", "patch", "secret", "wandb-spec-user", "--type=merge", "-p",
		fmt.Sprintf(`{"data":{"values":%q}}`, base64.StdEncoding.EncodeToString(encoded)))
}

// awaitEnv waits until the application runs, Ready, with the value.
func awaitEnv(t *testing.T, want string) {
	t.Helper()
	took := eventually(t, 2*time.Minute, func() string {
		got := shell(t, "kubectl", "get", "deployment", "wandb-app", "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="E2E_LAYER")].value}`)
		if got != want {
			return fmt.Sprintf("E2E_LAYER is %q in the Deployment, want %q", got, want)
		}
		if ready := resource(t).condition("Ready"); ready.Status != "True" {
			return fmt.Sprintf("Ready=%s, reason %s: %s", ready.Status, ready.Reason, ready.Message)
		}
		return ""
	})
	t.Logf("E2E_LAYER=%q after %s", want, took)
	applicationPod(t)
}
