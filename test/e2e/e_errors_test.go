package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noticedWithin is how soon a fault must show in the conditions.
const noticedWithin = time.Minute

// TestE1EachFaultHasItsOwnReasonAndRunningWorkloadsStay makes every fault that the custom resource can meet, reads what
// the conditions say, and checks that no pod was touched; then it mends the fault and waits for Ready again.
func TestE1EachFaultHasItsOwnReasonAndRunningWorkloadsStay(t *testing.T) {
	faults := []struct {
		name      string
		condition string
		reason    string
		says      string
		make      func(*testing.T)
		mend      func(*testing.T)
	}{
		{
			name: "licence that is no token", condition: "LicenseValid", reason: "Malformed", says: "licence",
			make: func(t *testing.T) { setLicense(t, "not-a-licence") },
			mend: func(t *testing.T) { setLicense(t, readFile(t, "license.jwt")) },
		},
		{
			name: "licence with a forged signature", condition: "LicenseValid", reason: "SignatureInvalid", says: "licence",
			make: func(t *testing.T) { setLicense(t, forge(readFile(t, "license.jwt"))) },
			mend: func(t *testing.T) { setLicense(t, readFile(t, "license.jwt")) },
		},
		{
			name: "deploy server unreachable", condition: "ChannelReachable", reason: "", says: "",
			make: func(t *testing.T) {
				shell(t, "kubectl", "scale", "-n", "deploy", "deployment/deploy-server", "--replicas=0")
			},
			mend: func(t *testing.T) {
				shell(t, "kubectl", "scale", "-n", "deploy", "deployment/deploy-server", "--replicas=1")
				shell(t, "kubectl", "rollout", "status", "-n", "deploy", "deployment/deploy-server", "--timeout=90s")
			},
		},
		{
			name: "chart that does not exist", condition: "Released", reason: "ChartNotFound", says: "operator-wandb",
			make: func(t *testing.T) {
				patchResource(t, fmt.Sprintf(`{"spec":{"chart":{"url":%q,"name":"operator-wandb","version":"99.0.0"}}}`, system.env["HELM_REPO_URL"]))
			},
			mend: func(t *testing.T) { patchResource(t, `{"spec":{"chart":null}}`) },
		},
		{
			name: "chart descriptor that matches no form", condition: "SpecResolved", reason: "ChartInvalid", says: "chart",
			make: func(t *testing.T) { patchResource(t, `{"spec":{"chart":{"uri":"https://example.test","name":1}}}`) },
			mend: func(t *testing.T) { patchResource(t, `{"spec":{"chart":null}}`) },
		},
		{
			name: "values that the chart's schema forbids", condition: "SpecResolved", reason: "ValuesInvalid", says: "global.size",
			make: func(t *testing.T) { patchResource(t, `{"spec":{"values":{"global":{"size":"enormous"}}}}`) },
			mend: func(t *testing.T) { patchResource(t, `{"spec":{"values":{"global":{"size":"dev"}}}}`) },
		},
		{
			name: "user layer that is no map", condition: "SpecResolved", reason: "LayerInvalid", says: "wandb-spec-user",
			make: func(t *testing.T) {
				shell(t, "kubectl", "patch", "secret", "wandb-spec-user", "--type=merge", "-p",
					fmt.Sprintf(`{"data":{"values":%q}}`, base64.StdEncoding.EncodeToString([]byte(`["a list"]`))))
			},
			mend: func(t *testing.T) { setUserLayer(t, map[string]any{}) },
		},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			before := applicationUIDs(t)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("kubectl describe:\n%s", describe())
				}
			})
			fault.make(t)
			mended := false
			defer func() {
				if !mended {
					fault.mend(t)
				}
			}()
			got := awaitCondition(t, noticedWithin, fault.condition, "False", fault.reason)
			t.Logf("%s=False, %s: %s", fault.condition, got.Reason, got.Message)
			if !strings.Contains(strings.ToLower(got.Message), strings.ToLower(fault.says)) || len(got.Message) < 20 {
				t.Errorf("the message does not say what to do about %q: %s", fault.says, got.Message)
			}
			if after := applicationUIDs(t); after != before {
				t.Errorf("pods changed from %s to %s", before, after)
			}
			fault.mend(t)
			mended = true
			awaitCondition(t, 90*time.Second, fault.condition, "True", "")
			awaitCondition(t, 90*time.Second, "Ready", "True", "")
			if after := applicationUIDs(t); after != before {
				t.Errorf("mending it changed pods from %s to %s", before, after)
			}
		})
	}
}

func TestE2WrongTypesInSpecAreRefusedAtAdmission(t *testing.T) {
	for name, patch := range map[string]string{
		"values is a list":  `{"spec":{"values":["a"]}}`,
		"chart is a string": `{"spec":{"chart":"operator-wandb"}}`,
		"suspend is a word": `{"spec":{"suspend":"yes"}}`,
		"trust is unknown":  `{"spec":{"update":{"trust":"Maybe"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := try(t.Context(), "", "kubectl", "patch", "wandb", "wandb", "--type=merge", "-p", patch)
			if err == nil {
				t.Fatalf("the API server accepted %s", patch)
			}
			if !strings.Contains(err.Error(), "spec.") {
				t.Errorf("the refusal does not name the field: %v", err)
			}
		})
	}
}

// TestE3AMalformedReleaseIsNamed points the operator at a server whose answer is no release, the way a customer would:
// through the operator's chart.
func TestE3AMalformedReleaseIsNamed(t *testing.T) {
	before := applicationUIDs(t)
	runVisitor(t, "bad-channel", "serve", `{"metadata":{"releaseId":5},"chart":"none"}`)
	setChannel := func(url string) {
		shell(t, "helm", "upgrade", "operator", "wandb/operator", "-n", namespace, "--reuse-values", "--set", "channel.url="+url, "--wait")
	}
	setChannel("http://bad-channel:8080")
	defer func() {
		setChannel(system.env["DEPLOY_URL"])
		awaitCondition(t, 90*time.Second, "ChannelReachable", "True", "")
		if after := applicationUIDs(t); after != before {
			t.Errorf("pods changed from %s to %s", before, after)
		}
	}()
	got := awaitCondition(t, noticedWithin, "ChannelReachable", "False", "MalformedRelease")
	if !strings.Contains(got.Message, "releaseId") && !strings.Contains(got.Message, "metadata") {
		t.Errorf("the message does not name the field: %s", got.Message)
	}
}

func describe() string {
	text, err := try(context.Background(), "", "kubectl", "describe", "wandb", "wandb")
	return fmt.Sprint(text, err)
}

func patchResource(t *testing.T, patch string) {
	t.Helper()
	shell(t, "kubectl", "patch", "wandb", "wandb", "--type=merge", "-p", patch)
}

func setLicense(t *testing.T, token string) {
	t.Helper()
	shell(t, "kubectl", "patch", "secret", "demo-license", "--type=merge", "-p",
		fmt.Sprintf(`{"data":{"license":%q}}`, base64.StdEncoding.EncodeToString([]byte(token))))
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(system.dir, "demo", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// forge changes the signature of a token and nothing else.
func forge(token string) string {
	at := strings.LastIndex(token, ".") + 1
	return token[:at] + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
}
