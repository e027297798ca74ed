package helm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// masked is an error whose text shows no credential. Its cause stays reachable for errors.Is and errors.As, never for
// printing.
type masked struct {
	text  string
	cause error
}

func (e *masked) Error() string { return e.text }

func (e *masked) Unwrap() error { return e.cause }

// mask returns err with secrets replaced in its text. Inner faults keep their words: they are ours, and name no values.
func mask(err error, secrets []redact.Secret) error {
	text := spec.MaskText(err.Error(), secrets)
	if text == err.Error() {
		return err
	}
	return &masked{text: text, cause: err}
}

// failed classifies what Helm or the API server said about an action on a release.
func failed(op, reason string, err error, secrets []redact.Secret) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return fmt.Errorf("%s: %w", op, err)
	}
	f := &fault.Error{Reason: reason, Op: op, Err: mask(err, secrets)}
	switch text := err.Error(); {
	case errors.Is(err, errActionOver), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		f.Retry = true
		f.Hint = "The action was cut short; it is taken up again."
	case apierrors.IsForbidden(err):
		f.Reason = v1.ReasonPermissionMissing
		f.Hint = "Grant the operator the right that the message names, or leave out the part of the chart that needs it."
	case apierrors.IsConflict(err):
		f.Retry = true
		f.Hint = "Somebody else changed the release at the same time; it is looked at afresh."
	case strings.Contains(text, "invalid ownership metadata"):
		f.Hint = "An object of that name exists and belongs to nobody or to another release. Remove it, or hand it over with " +
			"label app.kubernetes.io/managed-by=Helm and annotations meta.helm.sh/release-name and meta.helm.sh/release-namespace."
	case strings.Contains(text, "another operation (install/upgrade/rollback) is in progress"):
		f.Reason = v1.ReasonHelmLocked
		f.Retry = true
		f.Hint = "A revision is pending; it is released once nobody works on it."
	case errors.Is(err, driver.ErrReleaseExists):
		f.Retry = true
		f.Hint = "Somebody else made that revision at the same time; it is looked at afresh."
	case strings.Contains(text, "Too long: may not be more than 1048576 bytes"), strings.Contains(text, "Too long: must have at most 1048576 bytes"):
		f.Hint = "Chart and values do not fit into Helm's release Secret. Move certificate bundles and other large texts into ConfigMaps."
	case isTransient(err):
		f.Retry = true
		f.Hint = "The API server did not answer as it should; the action is tried again."
	case strings.Contains(text, "hooks failed"), strings.Contains(text, "failed pre-install"), strings.Contains(text, "failed post-install"):
		f.Hint = "A hook of the chart failed. Its Job and pods are still there unless the chart deletes them: see `kubectl describe jobs` and `kubectl logs`."
	}
	return f
}

func isTransient(err error) bool {
	return apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || strings.Contains(err.Error(), "connection refused") ||
		strings.Contains(err.Error(), "cluster unreachable")
}
