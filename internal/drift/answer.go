package drift

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// maxFields bounds the fields that one reason names.
const maxFields = 4

// answered returns the API server's refusal, or nil where it did not answer: then nothing else will succeed either.
func answered(err error) apierrors.APIStatus {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.IsServerTimeout(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) {
		return nil
	}
	return status
}

// reasonOf cuts a refusal down to its reason and the fields it names: the rest may quote values.
func reasonOf(status apierrors.APIStatus) string {
	answer := status.Status()
	reason := string(answer.Reason)
	if reason == "" || answer.Reason == metav1.StatusReasonUnknown {
		reason = fmt.Sprintf("HTTP %d", answer.Code)
	}
	if answer.Details == nil {
		return reason
	}
	var fields []string
	for _, cause := range answer.Details.Causes {
		if cause.Field != "" && len(fields) < maxFields {
			fields = append(fields, cause.Field)
		}
	}
	if len(fields) == 0 {
		return reason
	}
	return reason + " (" + strings.Join(fields, ", ") + ")"
}

// isUntypeable tells refusals after which comparing the structure still makes sense: the API server took offence at the
// merged object, or does not serve server-side apply for the kind.
func isUntypeable(status apierrors.APIStatus) bool {
	answer := status.Status()
	switch answer.Code {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	case http.StatusInternalServerError:
		// The API server words it so when it cannot merge, for lists with duplicate keys for example. Other failures of
		// its own, as of a webhook, say nothing about the object.
		return strings.Contains(answer.Message, "failed to create typed patch object")
	}
	return false
}

// isUnknownKind tells that the cluster does not serve the kind.
func isUnknownKind(err error) bool {
	var group *discovery.ErrGroupDiscoveryFailed
	return meta.IsNoMatchError(err) || errors.As(err, &group) ||
		apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// interrupted words an error that ends the work on a release. The API server's own words are kept out of it.
func interrupted(op string, err error) error {
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		return &fault.Error{Reason: known.Reason, Op: op, Retry: fault.Retryable(err), Err: err}
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		err = errors.New("the API server answered " + reasonOf(status))
	}
	return &fault.Error{
		Reason: appsv1.ReasonInternalError, Op: op, Retry: true, Err: err,
		Hint: "It is tried again; if it goes on, see whether the API server can be reached: kubectl get --raw /readyz",
	}
}
