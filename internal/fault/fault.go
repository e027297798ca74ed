// Package fault is the error that people read: what was being done, a stable machine-readable reason, and the command
// or change that mends it.
//
// The reason becomes the reason of a Kubernetes condition and a label of a metric; the hint is printed by the command
// line, the console and the condition's message alike. A fault wraps its cause, so errors.Is and errors.As see through.
package fault

import (
	"errors"
	"fmt"
)

// Error is one failure that a person or a machine can act on.
type Error struct {
	// Reason is a CamelCase identifier, stable across releases: "ChartNotFound".
	Reason string
	// Op is what was being done, as a verb phrase: "fetch chart operator-wandb 1.2.3".
	Op string
	// Hint says what to run or change. It is a full sentence, and never holds a secret.
	Hint string
	// Retry tells whether the same call may succeed later without anybody changing anything.
	Retry bool
	// Err is the cause; nil where the fault is its own cause.
	Err error
}

var _ error = (*Error)(nil)

// Error returns "op: cause". The hint is not part of it: whoever shows the error asks for Hint.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns the reason of the outermost fault in err's chain, or fallback where there is none.
func Reason(err error, fallback string) string {
	var e *Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return fallback
}

// Hint returns the hint of the outermost fault in err's chain that has one, or "".
func Hint(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Retryable tells whether the outermost fault in err's chain says that waiting may help. An error that is no fault is
// taken as transient: nobody has classified it, and retrying is the choice that loses nothing.
func Retryable(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Retry
	}
	return err != nil
}

// Message returns the text shown to a person: the error, and the hint where there is one.
func Message(err error) string {
	if err == nil {
		return ""
	}
	if hint := Hint(err); hint != "" {
		return err.Error() + ". " + hint
	}
	return err.Error()
}
