package preflight

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

func TestTheVerdictFollowsFromTheGravestFinding(t *testing.T) {
	for sentence, c := range map[string]struct {
		checks   []Check
		blocking bool
		status   metav1.ConditionStatus
		reason   string
		message  string
	}{
		"a failure blocks and is told in full": {
			[]Check{warning(Host, "w"), failed(MySQLVersion, "too old"), failed(BucketAccess, "denied"), passed(Egress, "p")},
			true, metav1.ConditionFalse, appsv1.ReasonFailed, "mysql-version: too old (also: bucket-access)",
		},
		"a warning does not block": {
			[]Check{passed(Egress, "p"), warning(Host, "http"), skipped(Capacity, "s")},
			false, metav1.ConditionTrue, appsv1.ReasonPassedWithWarnings, "host: http",
		},
		"what could not be made is counted": {
			[]Check{passed(Egress, "p"), skipped(Capacity, "needs: list nodes"), idle(Host, "nothing")},
			false, metav1.ConditionTrue, appsv1.ReasonPassed, "checks passed: 1; could not be made: 1",
		},
		"what nobody misses is not counted": {
			[]Check{passed(Egress, "p"), idle(Host, "nothing")},
			false, metav1.ConditionTrue, appsv1.ReasonPassed, "checks passed: 1",
		},
	} {
		report := Report{Checks: c.checks}
		status, reason, message := report.Verdict()
		if report.Blocking() != c.blocking || status != c.status || reason != c.reason || message != c.message {
			t.Errorf("%s: got blocking=%v %s %s %q", sentence, report.Blocking(), status, reason, message)
		}
	}
}

func TestStatusHoldsFindingsGravestFirstAndBounded(t *testing.T) {
	report := Report{Checks: []Check{
		passed("a", ""), skipped("b", "b"), warning("c", "c"), idle("d", "d"), failed("e", "e"), warning("f", "f"),
	}}
	var got []string
	for _, check := range report.Status() {
		got = append(got, check.Name+" "+check.Result)
	}
	if text := strings.Join(got, ", "); text != "e Failed, c Warning, f Warning, b Skipped" {
		t.Errorf("got %s", text)
	}
	report = Report{}
	for i := range 40 {
		report.Checks = append(report.Checks, warning(fmt.Sprint(i), "w"))
	}
	report.Checks = append(report.Checks, failed("last", "f"))
	if got := report.Status(); len(got) != 32 || got[0].Name != "last" {
		t.Errorf("got %d checks, first %s", len(got), got[0].Name)
	}
}

func TestTextHasOneLineACheck(t *testing.T) {
	got := Report{At: time.Now(), Checks: []Check{
		passed("a", "fine"), warning("long-name", "two\nlines"), failed("b", "no"), skipped("c", "needs: list nodes"),
	}}.Text()
	want := "✓ a          fine\n! long-name  two lines\n✗ b          no\n– c          needs: list nodes\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestALongMessageIsCutBetweenCharacters(t *testing.T) {
	r := &run{}
	for shift := range 4 {
		got := r.clean(strings.Repeat("x", shift) + strings.Repeat("ö", maxMessage))
		if len(got) > maxMessage || !strings.HasSuffix(got, "ö…") {
			t.Errorf("shift %d: %d bytes, ends with %q", shift, len(got), got[len(got)-6:])
		}
	}
}
