package chaos

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// TestEmptyAnswerUninstallsNothing: a vendor that suddenly offers nothing has not said that anything has to go.
func TestEmptyAnswerUninstallsNothing(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"nothing at all":           "",
		"null":                     "null",
		"empty list":               "[]",
		"empty object":             "{}",
		"object of an empty list":  `{"releases":[]}`,
		"release without a chart":  `{"metadata":{"releaseId":"id-v2","releaseName":"v2"},"chart":{},"values":{}}`,
		"release of nothing named": `{"metadata":{},"chart":null,"values":null}`,
	}
	parts := map[string]func(*testing.T){}
	for name, answer := range answers {
		parts[name] = func(t *testing.T) { playEmptyAnswer(t, answer) }
	}
	together(t, crowd, parts)
}

func playEmptyAnswer(t *testing.T, answer string) {
	p := newPlace(t, testenv.Start(t))
	through := newProxy(t, p.base)
	p.create()
	first := p.start("operator-1", through)
	p.awaitRelease("v1", "1", patience)
	treasure, objects, revisions := p.treasure(), p.objects(), p.revisions()
	unchanged := func(when string) {
		t.Helper()
		linger(quiet)
		if diff := cmp.Diff(objects, p.objects()) + cmp.Diff(treasure, p.treasure()) + cmp.Diff(revisions, p.revisions()); diff != "" {
			t.Errorf("%s something was changed:\n%s", when, diff)
		}
		if !meta.IsStatusConditionTrue(p.resource().Status.Conditions, appsv1.ConditionReady) {
			t.Errorf("%s the installation is no longer Ready: %+v", when, p.resource().Status.Conditions)
		}
	}
	p.vendor.Offer(answer)
	eventually(t, "the answer noticed", patience, func() bool {
		return meta.IsStatusConditionFalse(p.resource().Status.Conditions, appsv1.ConditionChannelReachable)
	}, first.log.String)
	unchanged("after the answer")
	first.kill()
	second := p.start("operator-2", through)
	second.awaitWork(t)
	unchanged("after a restart")
	second.end(t)
}

// TestManualRollbackIsNoNewSpecification: `helm rollback` by hand makes a revision that looks like an older
// specification. It is said and stays, and everything rests, until another release comes.
func TestManualRollbackIsNoNewSpecification(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Start(t))
	p.create()
	operator := p.start("operator-1", newProxy(t, p.base))
	p.awaitRelease("v1", "1", patience)
	p.vendor.Publish("v2", "2.0.0", map[string]any{"tag": "2"})
	p.awaitRelease("v2", "2", patience)
	byHand, err := helm.New(helm.Config{RESTConfig: p.base})
	must(t, err)
	_, err = byHand.Rollback(t.Context(), p.namespace, "wandb", 1, time.Minute)
	must(t, err)
	eventually(t, "the rollback reported", patience, func() bool {
		found := meta.FindStatusCondition(p.resource().Status.Conditions, appsv1.ConditionUpToDate)
		return found != nil && found.Reason == appsv1.ReasonUpdateHeld && strings.Contains(found.Message, "revision 3")
	}, operator.log.String)
	linger(2 * quiet)
	want := []string{"wandb 1 superseded", "wandb 2 superseded", "wandb 3 deployed"}
	if diff := cmp.Diff(want, p.revisions()); diff != "" {
		t.Errorf("a rollback by hand gave these revisions:\n%s", diff)
	}
	p.vendor.Publish("v3", "2.0.0", map[string]any{"tag": "3"})
	p.awaitRelease("v3", "3", recovery)
	want = []string{"wandb 1 superseded", "wandb 2 superseded", "wandb 3 superseded", "wandb 4 deployed"}
	if diff := cmp.Diff(want, p.revisions()); diff != "" {
		t.Errorf("a rollback by hand gave these revisions:\n%s", diff)
	}
	operator.end(t)
}

// TestEveryLessonHasItsTest holds docs/reference/lessons.md to the tests that it names.
func TestEveryLessonHasItsTest(t *testing.T) {
	page := filepath.Join(testenv.Root(t), "docs", "reference", "lessons.md")
	text, err := os.ReadFile(page)
	must(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)` in \\[[^]]+\\]\\(([^)]+)\\)")
	lessons := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.HasPrefix(strings.TrimSpace(cells[1]), "-") || strings.TrimSpace(cells[1]) == "lesson" {
			continue
		}
		lessons++
		found := named.FindAllStringSubmatch(cells[2], -1)
		if len(found) == 0 {
			t.Errorf("this lesson names no test: %s", cells[1])
		}
		for _, each := range found {
			source, err := os.ReadFile(filepath.Join(filepath.Dir(page), each[2]))
			must(t, err)
			if !strings.Contains(string(source), "\nfunc "+each[1]+"(") {
				t.Errorf("%s does not hold %s, which a lesson names", each[2], each[1])
			}
		}
	}
	if lessons < 20 {
		t.Errorf("the page lists only %d lessons", lessons)
	}
}
