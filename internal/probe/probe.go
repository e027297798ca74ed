// Package probe judges what a release's own probe reported: whether the application does what people need of it, and
// whether a new release broke something that worked before.
package probe

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/probe/report"
)

// Report is what one run of a probe found.
type Report = report.Report

// Check is one thing that a probe looked at.
type Check = report.Check

// Verdict is condition Verified as a report gives it.
type Verdict struct {
	// Status is Unknown where nothing could be checked.
	Status metav1.ConditionStatus
	// Reason is Passed, Failed or ProbeUnusable.
	Reason string
	// Message is a sentence for people.
	Message string
}

// Parse finds the report in a pod's log: report.ErrNone where the pod printed none, as plain Helm tests do.
func Parse(log []byte) (Report, error) { return report.Parse(log) }

// Regressed returns the inside checks that passed before and fail after: what fails a release. A check of the outside
// path may fail for reasons that no release causes, and one that was not made before says nothing about this release.
func Regressed(before, after Report) []Check {
	passed := map[string]bool{}
	for _, check := range before.Checks {
		if check.Path == report.Inside && check.Result == report.Passed {
			passed[check.Name] = true
		}
	}
	var regressed []Check
	for _, check := range after.Failing() {
		if check.Path == report.Inside && passed[check.Name] {
			regressed = append(regressed, check)
		}
	}
	return regressed
}

// Describe words checks for a condition or an event, at most three of them; empty for none.
func Describe(checks []Check) string {
	const worded = 3
	var words []string
	for _, check := range checks[:min(len(checks), worded)] {
		word := string(check.Path) + "/" + check.Name
		if check.Message != "" {
			word += ": " + check.Message
		}
		words = append(words, word)
	}
	if more := len(checks) - worded; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// Judge returns the condition that a report stands for.
func Judge(r Report) Verdict {
	counts := map[report.Result]int{}
	for _, check := range r.Checks {
		counts[check.Result]++
	}
	passed, skipped := counts[report.Passed], counts[report.Skipped]
	switch {
	case counts[report.Failed] > 0:
		message := fmt.Sprintf("%d of %d checks failed: %s", counts[report.Failed], len(r.Checks)-skipped, Describe(r.Failing()))
		return Verdict{Status: metav1.ConditionFalse, Reason: v1.ReasonFailed, Message: message}
	case passed == 0:
		return Verdict{Status: metav1.ConditionUnknown, Reason: v1.ReasonProbeUnusable, Message: "the probe could make no check"}
	case skipped > 0:
		message := fmt.Sprintf("%s; %d could not be made", count(passed), skipped)
		return Verdict{Status: metav1.ConditionTrue, Reason: v1.ReasonPassed, Message: message}
	default:
		return Verdict{Status: metav1.ConditionTrue, Reason: v1.ReasonPassed, Message: count(passed)}
	}
}

func count(passed int) string {
	if passed == 1 {
		return "1 check passed"
	}
	return fmt.Sprintf("%d checks passed", passed)
}

// Status returns the checks as status.verification holds them, named "inside/sign-in".
func Status(r Report) []v1.CheckStatus {
	results := map[report.Result]string{report.Passed: "Passed", report.Failed: "Failed", report.Skipped: "Skipped"}
	statuses := make([]v1.CheckStatus, 0, len(r.Checks))
	for _, check := range r.Checks[:min(len(r.Checks), report.MaxChecks)] {
		statuses = append(statuses, v1.CheckStatus{
			Name: string(check.Path) + "/" + check.Name, Result: results[check.Result], Message: check.Message,
		})
	}
	return statuses
}
