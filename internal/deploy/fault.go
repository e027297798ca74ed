package deploy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Reasons of the protocol between operators and deploy servers; see docs/architecture.md.
const (
	reasonLicenseInvalid = "LicenseInvalid"
	reasonLicenseExpired = "LicenseExpired"
	reasonLicenseRevoked = "LicenseRevoked"
	reasonBusy           = "Busy"
	reasonTooMany        = "TooManyFailures"
	reasonTokenInvalid   = "AdminTokenInvalid"
	reasonInvalid        = "RequestInvalid"
	reasonTooLarge       = "TooLarge"
	reasonNotReady       = "NotReady"
)

// statusOf maps a fault to the HTTP status. What is no fault is an internal error.
func statusOf(err error) int {
	reason := fault.Reason(err, "")
	switch reason {
	case reasonLicenseInvalid, reasonTokenInvalid:
		return http.StatusUnauthorized
	case reasonLicenseExpired, reasonLicenseRevoked:
		return http.StatusForbidden
	case reasonBusy, reasonNotReady:
		return http.StatusServiceUnavailable
	case reasonTooMany:
		return http.StatusTooManyRequests
	case reasonInvalid:
		return http.StatusBadRequest
	case reasonTooLarge:
		return http.StatusRequestEntityTooLarge
	case "ChartInvalid", catalog.ReasonReleaseInvalid:
		return http.StatusUnprocessableEntity
	case "ChartImmutable", "ReleaseImmutable", "ChannelExists", "TrustKeysExist", "SigningKeyMissing":
		return http.StatusConflict
	}
	if strings.HasSuffix(reason, "NotFound") {
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// respondFailure writes a failure. The text of an internal error stays in the log.
func respondFailure(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	status := statusOf(err)
	body := admin.Failure{Error: err.Error(), Reason: fault.Reason(err, "InternalError"), Hint: fault.Hint(err)}
	switch status {
	case http.StatusUnauthorized:
		challenge := `Basic realm="license", charset="UTF-8"`
		if strings.HasPrefix(r.URL.Path, admin.Path) {
			challenge = `Bearer realm="admin"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", cmp.Or(w.Header().Get("Retry-After"), retryAfter()))
	case http.StatusInternalServerError:
		logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err.Error())
		body = admin.Failure{Error: "the server failed", Reason: "InternalError", Hint: "Look into the log of the deploy server."}
	}
	respond(w, status, body)
}

func respond(w http.ResponseWriter, status int, document any) {
	text, err := json.Marshal(document)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the server failed","reason":"InternalError"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // The client may have gone; nobody is left to tell.
}

func notFound(reason, op, text, hint string) error {
	return &fault.Error{Reason: reason, Op: op, Err: errors.New(text), Hint: hint}
}

func invalid(op, text string) error {
	return &fault.Error{Reason: reasonInvalid, Op: op, Err: errors.New(text), Hint: "Correct the request."}
}

func tooLarge(op, what string, most int64) error {
	return &fault.Error{Reason: reasonTooLarge, Op: op, Err: fmt.Errorf("%s must not exceed %d bytes", what, most), Hint: "Send less."}
}

// bounded cuts text that somebody sent to one short line.
func bounded(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// actor is who says to have done something.
func actor(by string) string { return cmp.Or(bounded(by), "admin") }
