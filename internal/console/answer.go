package console

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// problem is a failure as the pages show it.
type problem struct {
	status int
	// retryAfter tells the client when to come back; 0 means not said.
	retryAfter time.Duration

	Message string `json:"error"`
	Field   string `json:"field,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// Line and Path say where in the text of the user layer the problem stands: Line counts from 1, Path is dotted.
	Line int    `json:"line,omitempty"`
	Path string `json:"path,omitempty"`
}

var errSignedOut = problem{status: http.StatusUnauthorized, Message: "You are not signed in."}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"The answer cannot be written as JSON."}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that hung up is nothing that this answer could mend.
	_, _ = w.Write(append(text, '\n'))
}

func refuse(w http.ResponseWriter, p problem) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	answer(w, p.status, p)
}

// refuseError answers with what a person can do about err, and records err itself: texts of the Kubernetes API name
// service accounts and objects, which is more than an anonymous reader needs.
func (s *Server) refuseError(w http.ResponseWriter, r *http.Request, err error) {
	p := s.describe(err)
	s.cfg.Log.WarnContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", p.status, "error", err)
	refuse(w, p)
}

func (s *Server) describe(err error) problem {
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return problem{status: http.StatusServiceUnavailable, Message: sentence(own.Op), Hint: own.Hint}
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return problem{
			status:  http.StatusServiceUnavailable,
			Message: "The Kubernetes API refuses the console.",
			Hint:    "Compare the Role of the console's service account in namespace " + s.cfg.ReleaseNamespace + " with docs/reference/console-rbac.md.",
		}
	default:
		return problem{
			status:     http.StatusServiceUnavailable,
			retryAfter: 2 * time.Second,
			Message:    "The Kubernetes API does not answer.",
			Hint:       "The console tries again by itself. If this lasts, check the API server and the network policies of namespace " + s.cfg.ReleaseNamespace + ".",
		}
	}
}

// sentence makes a sentence of a verb phrase such as "read console password".
func sentence(op string) string {
	return "The console cannot " + op + "."
}

// readJSON decodes the body into target. It answers the request itself, and returns false, where the body is no JSON of
// that form or longer than limit bytes.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, target any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(target)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return true
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, problem{status: http.StatusRequestEntityTooLarge, Message: "The request is too large."})
		return false
	}
	// The decoder's own text may quote the body, and with it a password.
	refuse(w, problem{status: http.StatusBadRequest, Message: "The request is not the JSON object that this address expects."})
	return false
}
