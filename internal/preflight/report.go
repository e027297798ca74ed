package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Result of one check.
type Result string

const (
	// Passed: what is needed is there.
	Passed Result = "Passed"
	// Failed: the release would not work, so that nothing may be applied.
	Failed Result = "Failed"
	// Warning: the release works, or may work, and somebody should know of something.
	Warning Result = "Warning"
	// Skipped: the check could not be made, or the values give it nothing to look at.
	Skipped Result = "Skipped"
)

// Names of the checks, in the order in which a report has them.
const (
	KubernetesVersion = "kubernetes-version"
	Licence           = "licence"
	Host              = "host"
	IngressClass      = "ingress-class"
	StorageClass      = "storage-class"
	Capacity          = "capacity"
	MySQLReachable    = "mysql-reachable"
	MySQLVersion      = "mysql-version"
	MySQLParameters   = "mysql-parameters"
	BucketAccess      = "bucket-access"
	BucketCORS        = "bucket-cors"
	Egress            = "egress"
)

const (
	// maxStatus is the bound that the custom resource sets on status.preflight.
	maxStatus = 32
	// maxMessage keeps a status small whatever a database or a bucket answers.
	maxMessage = 1024
)

// Check is what one check found.
type Check struct {
	// Name is one of the constants above.
	Name   string
	Result Result
	// Message says what was found, and where something should be done, what to run or change.
	Message string
	// Idle tells of a skipped check that the values give nothing to look at: nobody misses it.
	Idle bool
}

// Report is what one run found.
type Report struct {
	// Checks has every check once, in a fixed order.
	Checks []Check
	// At is when the run began.
	At time.Time
}

// Blocking tells that a check failed, so that nothing may be applied.
func (r Report) Blocking() bool { return r.count(Failed) > 0 }

func (r Report) count(result Result) int {
	count := 0
	for _, check := range r.Checks {
		if check.Result == result && !check.Idle {
			count++
		}
	}
	return count
}

// Status returns the checks that did not pass and those that could not be made, for the status of the resource: failures
// first, then warnings, then what was skipped. Nil where there is nothing to tell.
func (r Report) Status() []appsv1.CheckStatus {
	var list []appsv1.CheckStatus
	for _, check := range r.ordered() {
		if check.Result == Passed || check.Idle || len(list) == maxStatus {
			continue
		}
		list = append(list, appsv1.CheckStatus{Name: check.Name, Result: string(check.Result), Message: check.Message})
	}
	return list
}

// ordered returns the checks with the gravest first, and otherwise in their own order.
func (r Report) ordered() []Check {
	rank := map[Result]int{Failed: 0, Warning: 1, Skipped: 2, Passed: 3}
	checks := slices.Clone(r.Checks)
	slices.SortStableFunc(checks, func(a, b Check) int { return cmp.Compare(rank[a.Result], rank[b.Result]) })
	return checks
}

// Verdict returns status, reason and message of condition Preflight. The message names the first finding in full and the
// others by name.
func (r Report) Verdict() (status metav1.ConditionStatus, reason, message string) {
	switch {
	case r.Blocking():
		return metav1.ConditionFalse, appsv1.ReasonFailed, r.summary(Failed)
	case r.count(Warning) > 0:
		return metav1.ConditionTrue, appsv1.ReasonPassedWithWarnings, r.summary(Warning)
	default:
		message = fmt.Sprintf("checks passed: %d", r.count(Passed))
		if skipped := r.count(Skipped); skipped > 0 {
			message += fmt.Sprintf("; could not be made: %d", skipped)
		}
		return metav1.ConditionTrue, appsv1.ReasonPassed, message
	}
}

func (r Report) summary(result Result) string {
	var first string
	var others []string
	for _, check := range r.Checks {
		switch {
		case check.Result != result:
		case first == "":
			first = check.Name + ": " + check.Message
		default:
			others = append(others, check.Name)
		}
	}
	if len(others) > 0 {
		first += " (also: " + strings.Join(others, ", ") + ")"
	}
	return first
}

// Text returns a table for a terminal: one line a check.
func (r Report) Text() string {
	width := 0
	for _, check := range r.Checks {
		width = max(width, len(check.Name))
	}
	marks := map[Result]string{Passed: "✓", Failed: "✗", Warning: "!", Skipped: "–"}
	var b strings.Builder
	for _, check := range r.Checks {
		fmt.Fprintf(&b, "%s %-*s  %s\n", marks[check.Result], width, check.Name, oneLine(check.Message))
	}
	return b.String()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func passed(name, format string, values ...any) Check {
	return Check{Name: name, Result: Passed, Message: fmt.Sprintf(format, values...)}
}

func failed(name, format string, values ...any) Check {
	return Check{Name: name, Result: Failed, Message: fmt.Sprintf(format, values...)}
}

func warning(name, format string, values ...any) Check {
	return Check{Name: name, Result: Warning, Message: fmt.Sprintf(format, values...)}
}

func skipped(name, format string, values ...any) Check {
	return Check{Name: name, Result: Skipped, Message: fmt.Sprintf(format, values...)}
}

// idle says why the values give a check nothing to look at.
func idle(name, why string) Check {
	return Check{Name: name, Result: Skipped, Message: why, Idle: true}
}
