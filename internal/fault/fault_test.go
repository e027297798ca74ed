package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
)

func TestFaultKeepsReasonHintAndCauseThroughWrapping(t *testing.T) {
	inner := &fault.Error{Reason: "RepositoryUnreachable", Op: "fetch index", Hint: "Check the URL.", Retry: true, Err: io.ErrUnexpectedEOF}
	wrapped := fmt.Errorf("observe: %w", &fault.Error{Reason: "ChartNotFound", Op: "load chart", Err: inner})

	if got := fault.Reason(wrapped, "Unknown"); got != "ChartNotFound" {
		t.Errorf("Reason = %q, want the outermost one", got)
	}
	if got := fault.Hint(wrapped); got != "Check the URL." {
		t.Errorf("Hint = %q, want the first hint in the chain", got)
	}
	if fault.Retryable(wrapped) {
		t.Error("Retryable = true, want the outermost fault's word")
	}
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	want := "observe: load chart: fetch index: unexpected EOF. Check the URL."
	if got := fault.Message(wrapped); got != want {
		t.Errorf("Message = %q, want %q", got, want)
	}
}

func TestPlainErrorsHaveDefaults(t *testing.T) {
	plain := errors.New("connection reset")
	if got := fault.Reason(plain, "Unknown"); got != "Unknown" {
		t.Errorf("Reason = %q, want the fallback", got)
	}
	if !fault.Retryable(plain) || fault.Retryable(nil) {
		t.Error("an unclassified error is worth a retry, no error is not")
	}
	if fault.Hint(plain) != "" || fault.Message(nil) != "" {
		t.Error("a plain error has no hint, no error has no message")
	}
}
