package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxForm bounds the bodies of pages' requests.
const maxForm = 64 << 10

// failure is the JSON of every error of the pages' API.
type failure struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // only types of this package come here, and they all encode
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // nobody is left to tell
}

// unavailable writes status and headers of an answer that asks to try later. The official client counts its tries and
// waits this long between them: much less would make it give up within a short outage.
func unavailable(w http.ResponseWriter) {
	const least, spread = 5, 10
	w.Header().Set("Retry-After", strconv.Itoa(least+rand.IntN(spread)))
	w.WriteHeader(http.StatusServiceUnavailable)
}

// seconds is a wait as Retry-After has it, rounded up.
func seconds(wait time.Duration) string {
	return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
}

// fail answers with an error of the rules, and logs what went wrong inside.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var field *account.FieldError
	var many *account.TooManyError
	hint := fault.Hint(err)
	switch reason := fault.Reason(err, ""); {
	case errors.As(err, &field):
		status := http.StatusUnprocessableEntity
		if reason == account.ReasonTaken {
			status = http.StatusConflict
		}
		writeJSON(w, status, failure{Error: sentence(field.Sentence()), Field: field.Field, Hint: hint})
	case errors.As(err, &many):
		w.Header().Set("Retry-After", many.Seconds())
		writeJSON(w, http.StatusTooManyRequests, failure{Error: "Too many attempts.", Hint: hint})
	case reason == account.ReasonSetupDone:
		writeJSON(w, http.StatusConflict, failure{Error: "An administrator exists already.", Hint: hint})
	case reason == account.ReasonRefused:
		writeJSON(w, http.StatusUnauthorized, failure{Error: "The name or the password is wrong.", Hint: hint})
	case reason == account.ReasonInUse:
		writeJSON(w, http.StatusConflict, failure{Error: sentence(fault.Message(err)), Hint: hint})
	case reason == account.ReasonNotFound:
		writeJSON(w, http.StatusNotFound, failure{Error: "There is no such thing.", Hint: hint})
	case reason == quota.ReasonInvalid:
		writeJSON(w, http.StatusUnprocessableEntity, failure{Error: sentence(err.Error()), Field: "quota", Hint: hint})
	case reason == access.ReasonForbidden:
		writeJSON(w, http.StatusForbidden, failure{Error: sentence(err.Error()), Hint: hint})
	case reason == store.ReasonUnavailable:
		s.logger.WarnContext(r.Context(), "request found no database", "error", err)
		w.Header().Set("Content-Type", "application/json")
		unavailable(w)
		_, _ = io.WriteString(w, `{"error":"The database does not answer.","hint":"Try again in a moment."}`)
	case r.Context().Err() != nil: // the client hung up, or waited too long
		writeJSON(w, http.StatusServiceUnavailable, failure{Error: "The request took too long."})
	default:
		s.logger.ErrorContext(r.Context(), "request failed", "error", err)
		writeJSON(w, http.StatusInternalServerError, failure{Error: "Something went wrong inside the server."})
	}
}

// readForm decodes a small JSON body; false means that it has answered.
func readForm(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err == nil {
		return true
	}
	status, text := http.StatusBadRequest, "The request is not the JSON that this address expects."
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status, text = http.StatusRequestEntityTooLarge, fmt.Sprintf("The request is larger than %d bytes.", maxForm)
	}
	writeJSON(w, status, failure{Error: text})
	return false
}

// sentence makes a sentence of a rule's text, which is all lower case.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first := text[0]
	if first >= 'a' && first <= 'z' {
		first -= 'a' - 'A'
	}
	return string(first) + text[1:] + "."
}
