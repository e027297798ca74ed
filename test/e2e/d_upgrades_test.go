package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestD2AnApprovedPlanIsWhatIsApplied looks at a plan and approves it as an administrator does.
func TestD2AnApprovedPlanIsWhatIsApplied(t *testing.T) {
	patchResource(t, `{"spec":{"update":{"policy":"Approval"}}}`)
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
	patchResource(t, `{"spec":{"values":{"app":{"extraEnv":{"E2E_LAYER":"approved"}}}}}`)
	awaitCondition(t, time.Minute, "UpToDate", "False", "AwaitingApproval")
	if ready := resource(t).condition("Ready"); ready.Status != "True" {
		t.Errorf("Ready=%s while an update waits: %s", ready.Status, ready.Message)
	}
	// Exit code 1 says that a plan waits, as that of kubectl diff does.
	plan, err := try(t.Context(), "", "kubectl", "wandb", "diff")
	if err == nil || !strings.Contains(plan, "env[E2E_LAYER]") || !strings.Contains(plan, "1 to change") {
		t.Errorf("kubectl wandb diff gave %v and printed:\n%s", err, plan)
	}
	shell(t, "kubectl", "wandb", "approve", "--yes", "--wait")
	awaitEnv(t, "approved")
	patchResource(t, `{"spec":{"update":null,"values":{"app":null}}}`)
	awaitEnv(t, "")
	if story := shell(t, "kubectl", "wandb", "status"); !strings.Contains(story, "Succeeded") {
		t.Errorf("kubectl wandb status printed:\n%s", story)
	}
}

// TestD3AReleaseThatDoesNotStartIsRolledBack breaks the application's image and waits for the operator to help itself.
func TestD3AReleaseThatDoesNotStartIsRolledBack(t *testing.T) {
	before, image := resource(t).Status.Release.Revision, applicationImage(t)
	patchResource(t, `{"spec":{"timeout":"1m","values":{"app":{"image":{"repository":"127.0.0.1:1/none","tag":"none","digest":""}}}}}`)
	awaitCondition(t, 4*time.Minute, "Released", "False", "RolledBack")
	awaitCondition(t, 2*time.Minute, "Ready", "True", "Ready")
	after := awaitCondition(t, time.Minute, "UpToDate", "False", "ReleaseFailed")
	if !strings.Contains(after.Message, "kubectl wandb retry") {
		t.Errorf("the message does not say what to do: %s", after.Message)
	}
	if got := resource(t).Status.Release.Revision; got != before+2 {
		t.Errorf("the revision went from %d to %d, want the failed one and the rollback", before, got)
	}
	if got := applicationImage(t); got != image {
		t.Errorf("the application runs image %s, before it was %s", got, image)
	}
	patchResource(t, `{"spec":{"timeout":null,"values":{"app":null}}}`)
	awaitCondition(t, time.Minute, "UpToDate", "True", "UpToDate")
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
}

// TestD4ARotatedSecretRestartsJustThePodsThatUseIt changes a Secret that the application's pods mount.
func TestD4ARotatedSecretRestartsJustThePodsThatUseIt(t *testing.T) {
	uid := func(component string) string {
		running := pods(t, namespace, "app.kubernetes.io/component="+component)
		if len(running) != 1 {
			return fmt.Sprintf("%d pods", len(running))
		}
		return running[0].Metadata.UID
	}
	shell(t, "kubectl", "create", "secret", "generic", "e2e-rotation", "--from-literal=password=first")
	patchResource(t, `{"spec":{"values":{"app":{"extraVolumes":[{"name":"e2e","secret":{"secretName":"e2e-rotation"}}]}}}}`)
	awaitCondition(t, time.Minute, "UpToDate", "True", "UpToDate")
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
	app, console := uid("app"), uid("console")
	shell(t, "kubectl", "patch", "secret", "e2e-rotation", "--type=merge", "-p", `{"stringData":{"password":"second"}}`)
	took := eventually(t, time.Minute, func() string {
		if now := uid("app"); now == app || strings.HasSuffix(now, "pods") {
			return "the application still runs as " + now
		}
		return ""
	})
	t.Logf("the application's pod was replaced after %s", took)
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
	if now := uid("console"); now != console {
		t.Errorf("the console's pod was replaced too: %s, before %s", now, console)
	}
	patchResource(t, `{"spec":{"values":{"app":null}}}`)
	awaitCondition(t, time.Minute, "UpToDate", "True", "UpToDate")
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
	shell(t, "kubectl", "delete", "secret", "e2e-rotation")
}

// TestD5DriftIsToldAndTakenBack changes an object of the release behind the operator's back.
func TestD5DriftIsToldAndTakenBack(t *testing.T) {
	awaitCondition(t, time.Minute, "Drifted", "False", "InSync")
	shell(t, "kubectl", "scale", "deployment/wandb-console", "--replicas=2")
	told := awaitCondition(t, time.Minute, "Drifted", "True", "ObjectsChanged")
	if !strings.Contains(told.Message, "Deployment wandb-console") || !strings.Contains(told.Message, "/spec/replicas") {
		t.Errorf("the message is %q", told.Message)
	}
	patchResource(t, `{"spec":{"drift":{"mode":"Correct"}}}`)
	awaitCondition(t, time.Minute, "Drifted", "False", "InSync")
	if replicas := shell(t, "kubectl", "get", "deployment/wandb-console", "-o", "jsonpath={.spec.replicas}"); replicas != "1" {
		t.Errorf("the console has %s replicas, want 1", replicas)
	}
	patchResource(t, `{"spec":{"drift":null}}`)
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
}
