package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

type keyJSON struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	CreatedAt   time.Time  `json:"createdAt"`
	LastUsedAt  *time.Time `json:"lastUsedAt"`
}

// signedIn returns the user of a page's request; false means that it has answered.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) (account.User, bool) {
	setAPIHeaders(w)
	user, err := s.browserUser(w, r)
	if fault.Reason(err, "") == account.ReasonRefused {
		writeJSON(w, http.StatusUnauthorized, failure{Error: "Nobody is signed in.", Hint: "Sign in at " + s.host.String() + "/login."})
		return account.User{}, false
	}
	if err != nil {
		s.fail(w, r, err)
		return account.User{}, false
	}
	return user, true
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	user, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	keys, err := s.accounts.Keys(r.Context(), user)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := make([]keyJSON, len(keys))
	for i, key := range keys {
		answer[i] = keyJSON{ID: formatID(key.ID), Name: key.Name, Description: key.Description, CreatedAt: key.CreatedAt}
		if used := key.LastUsedAt; !used.IsZero() {
			answer[i].LastUsedAt = &used
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// createKey is the only answer that ever holds an API key.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request) {
	user, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	var form struct {
		Description string `json:"description"`
	}
	if !readForm(w, r, &form) {
		return
	}
	key, secret, err := s.accounts.CreateKey(r.Context(), user, form.Description)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]string{"id": formatID(key.ID), "name": key.Name, "key": secret.Reveal()})
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) {
	user, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		writeJSON(w, http.StatusNotFound, failure{Error: "There is no such key."})
		return
	}
	err = s.accounts.RevokeKey(r.Context(), user, store.ID(id))
	if fault.Reason(err, "") == account.ReasonNotFound {
		writeJSON(w, http.StatusNotFound, failure{Error: "There is no such key."})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// formatID makes a string of an id: JavaScript's numbers end before ours do.
func formatID(id store.ID) string { return strconv.FormatInt(int64(id), 10) }
