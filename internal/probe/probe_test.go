package probe_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/probe"
	"github.com/kubewandb/kubewandb/internal/probe/report"
)

func made(checks ...probe.Check) probe.Report { return probe.Report{Checks: checks} }

func inside(name string, result report.Result) probe.Check {
	return probe.Check{Name: name, Path: report.Inside, Result: result}
}

func outside(name string, result report.Result) probe.Check {
	return probe.Check{Name: name, Path: report.Outside, Result: result}
}

func TestRegressed(t *testing.T) {
	for sentence, test := range map[string]struct {
		before, after probe.Report
		want          []probe.Check
	}{
		"passed before, fails after": {
			made(inside("api", report.Passed)), made(inside("api", report.Failed)), []probe.Check{inside("api", report.Failed)},
		},
		"failed before as well":                   {made(inside("api", report.Failed)), made(inside("api", report.Failed)), nil},
		"skipped before":                          {made(inside("api", report.Skipped)), made(inside("api", report.Failed)), nil},
		"cannot be made any more":                 {made(inside("api", report.Passed)), made(inside("api", report.Skipped)), nil},
		"a check that is new":                     {made(), made(inside("api", report.Failed)), nil},
		"the outside path":                        {made(outside("api", report.Passed)), made(outside("api", report.Failed)), nil},
		"passed outside before, fails inside now": {made(outside("api", report.Passed)), made(inside("api", report.Failed)), nil},
		"nothing changed":                         {made(inside("api", report.Passed)), made(inside("api", report.Passed)), nil},
	} {
		if diff := cmp.Diff(test.want, probe.Regressed(test.before, test.after)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

func TestJudge(t *testing.T) {
	broken := outside("sign-in", report.Failed)
	broken.Message = "no such host"
	for sentence, test := range map[string]struct {
		report probe.Report
		want   probe.Verdict
	}{
		"all passed":              {made(inside("api", report.Passed), outside("api", report.Passed)), probe.Verdict{Status: metav1.ConditionTrue, Reason: v1.ReasonPassed, Message: "2 checks passed"}},
		"one passed":              {made(inside("api", report.Passed)), probe.Verdict{Status: metav1.ConditionTrue, Reason: v1.ReasonPassed, Message: "1 check passed"}},
		"one could not be made":   {made(inside("api", report.Passed), inside("viewer", report.Skipped)), probe.Verdict{Status: metav1.ConditionTrue, Reason: v1.ReasonPassed, Message: "1 check passed; 1 could not be made"}},
		"one failed":              {made(inside("api", report.Passed), broken), probe.Verdict{Status: metav1.ConditionFalse, Reason: v1.ReasonFailed, Message: "1 of 2 checks failed: outside/sign-in: no such host"}},
		"nothing was looked at":   {made(), probe.Verdict{Status: metav1.ConditionUnknown, Reason: v1.ReasonProbeUnusable, Message: "the probe could make no check"}},
		"nothing could be looked": {made(inside("viewer", report.Skipped)), probe.Verdict{Status: metav1.ConditionUnknown, Reason: v1.ReasonProbeUnusable, Message: "the probe could make no check"}},
		"many failed": {
			made(inside("a", report.Failed), inside("b", report.Failed), inside("c", report.Failed), inside("d", report.Failed), inside("e", report.Failed)),
			probe.Verdict{Status: metav1.ConditionFalse, Reason: v1.ReasonFailed, Message: "5 of 5 checks failed: inside/a; inside/b; inside/c; and 2 more"},
		},
	} {
		if diff := cmp.Diff(test.want, probe.Judge(test.report)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

func TestStatus(t *testing.T) {
	want := []v1.CheckStatus{{Name: "inside/api", Result: "Passed"}, {Name: "outside/api", Result: "Failed"}, {Name: "inside/viewer", Result: "Skipped"}}
	got := probe.Status(made(inside("api", report.Passed), outside("api", report.Failed), inside("viewer", report.Skipped)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}
