package server

import (
	"net/http"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// invitationToken comes in a header, since addresses are logged.
const invitationToken = "X-Invitation"

// invitation tells a page whom an invitation is for.
func (s *Server) invitation(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	found, err := s.accounts.InvitationByToken(r.Context(), redact.Secret(r.Header.Get(invitationToken)))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Email     string    `json:"email"`
		ExpiresAt time.Time `json:"expiresAt"`
	}{found.Email, found.ExpiresAt})
}

// acceptInvitation makes the account of somebody who was invited, and signs it in.
func (s *Server) acceptInvitation(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	var form struct {
		Token    redact.Secret `json:"token"`
		Name     string        `json:"name"`
		Username string        `json:"username"`
		Password redact.Secret `json:"password"`
	}
	if !readForm(w, r, &form) {
		return
	}
	user, session, err := s.accounts.Accept(r.Context(), form.Token, account.NewUser{
		Name: form.Name, Username: form.Username, Password: form.Password,
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	noteUser(r.Context(), user)
	s.setSession(w, session)
	writeJSON(w, http.StatusCreated, map[string]any{"user": toUserJSON(user)})
}
