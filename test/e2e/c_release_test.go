package e2e

import (
	"strings"
	"testing"
	"time"
)

// Several times what it takes on an idle machine (0.1 and 4 s), and far less than where the operator asks by itself.
const (
	noticeLimit  = 10 * time.Second
	rolloutLimit = time.Minute
)

// TestC1AReleaseRollsOutWithoutAHuman publishes a second release, which nobody has to wait for.
func TestC1AReleaseRollsOutWithoutAHuman(t *testing.T) {
	// What the console's test has saved last may still be rolling out.
	awaitCondition(t, time.Minute, "UpToDate", "True", "UpToDate")
	awaitCondition(t, time.Minute, "Ready", "True", "Ready")
	before, imageBefore := resource(t), applicationImage(t)

	output, err := demo(t.Context(), "release")
	if err != nil {
		t.Fatalf("make demo-release: %v\n%s", err, output)
	}
	t.Log(output)

	after := resource(t)
	if after.Status.Release.Name == before.Status.Release.Name {
		t.Errorf("the release is still %s", after.Status.Release.Name)
	}
	if after.Metadata.Generation != before.Metadata.Generation {
		t.Errorf("the custom resource's generation went from %d to %d: somebody wrote its spec", before.Metadata.Generation, after.Metadata.Generation)
	}
	if after.Status.Release.Revision != before.Status.Release.Revision+1 {
		t.Errorf("the Helm revision went from %d to %d, want one more", before.Status.Release.Revision, after.Status.Release.Revision)
	}
	if image := applicationImage(t); image == imageBefore || image == "" {
		t.Errorf("the application still runs image %q", image)
	}
	for name, limit := range map[string]time.Duration{"noticed": noticeLimit, "Ready": rolloutLimit} {
		took, found := durationIn(output, name)
		if !found {
			t.Errorf("make demo-release does not say how long it took until %s", name)
		} else if took > limit {
			t.Errorf("%s after %s, want under %s", name, took, limit)
		}
	}
	var history []struct {
		Status string `json:"status"`
	}
	decode(t, shell(t, "helm", "history", "wandb", "-n", namespace, "-o", "json"), &history)
	if last := history[len(history)-1]; last.Status != "deployed" {
		t.Errorf("helm history ends with %q, want deployed", last.Status)
	}
}

// durationIn finds "<mark> <seconds> s" in the report of make demo-release.
func durationIn(report, mark string) (time.Duration, bool) {
	for line := range strings.Lines(report) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " after ")
		if found && strings.HasPrefix(name, mark) {
			took, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(value), " ", ""))
			return took, err == nil
		}
	}
	return 0, false
}

func applicationImage(t *testing.T) string {
	t.Helper()
	var image string
	for _, p := range pods(t, namespace, "app.kubernetes.io/component=app") {
		for _, container := range p.Status.ContainerStatuses {
			image = container.ImageID
		}
	}
	return image
}
