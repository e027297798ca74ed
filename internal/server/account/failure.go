package account

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// FieldError is a fault about one value that somebody entered.
type FieldError struct {
	// Field names the value: "username", "email", "name", "password", "key", "description".
	Field string
	fault *fault.Error
}

// Error says which field is wrong and why.
func (e *FieldError) Error() string { return e.Field + ": " + e.Sentence() }

// Sentence says why, without the name of the field.
func (e *FieldError) Sentence() string { return e.fault.Err.Error() }

// Unwrap returns the fault, with its reason.
func (e *FieldError) Unwrap() error { return e.fault }

func invalid(field, format string, arguments ...any) error {
	return &FieldError{Field: field, fault: &fault.Error{
		Reason: ReasonInvalid, Op: "check " + field, Err: fmt.Errorf(format, arguments...),
	}}
}

func taken(field, sentence string) error {
	return &FieldError{Field: field, fault: &fault.Error{
		Reason: ReasonTaken, Op: "check " + field, Err: errors.New(sentence),
	}}
}

func setupDone() error {
	return &fault.Error{
		Reason: ReasonSetupDone, Op: "create the first administrator", Err: errors.New("an administrator exists already"),
		Hint: "Sign in, or ask an administrator for an account.",
	}
}

func refused() error {
	return &fault.Error{
		Reason: ReasonRefused, Op: "sign in", Err: errors.New("the name or the password is wrong"),
		Hint: "An administrator can set a new password: server admin user set-password",
	}
}

// TooManyError tells that somebody tried too often.
type TooManyError struct {
	// RetryAfter is how long to wait, at least a second.
	RetryAfter time.Duration
	fault      *fault.Error
}

// Error says so.
func (e *TooManyError) Error() string { return e.fault.Error() }

// Unwrap returns the fault, with its reason and hint.
func (e *TooManyError) Unwrap() error { return e.fault }

// Seconds is RetryAfter as the header of the same name wants it.
func (e *TooManyError) Seconds() string {
	return strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds()))))
}

func tooMany(wait time.Duration) error {
	e := &TooManyError{RetryAfter: max(time.Second, wait)}
	e.fault = &fault.Error{
		Reason: ReasonTooMany, Op: "sign in", Retry: true, Err: errors.New("too many attempts"),
		Hint: "Try again in " + e.Seconds() + " seconds.",
	}
	return e
}
