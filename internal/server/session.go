package server

import (
	"encoding/json"
	"net/http"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/version"
)

type userJSON struct {
	Name     string `json:"name"`
	Username string `json:"username"`
	Email    string `json:"email"`
	Admin    bool   `json:"admin"`
}

func toUserJSON(u account.User) *userJSON {
	return &userJSON{Name: u.Name, Username: u.Username, Email: u.Email, Admin: u.Admin}
}

type sessionJSON struct {
	User    *userJSON       `json:"user"`
	Setup   bool            `json:"setup"`
	Version string          `json:"version"`
	Host    string          `json:"host"`
	Banners json.RawMessage `json:"banners,omitempty"`
	// SSO tells that people can sign in at an identity provider.
	SSO bool `json:"sso"`
}

// session tells a page who is signed in and what it is talking to. Nobody being signed in is no failure.
func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	answer := sessionJSON{Version: version.Version, Host: s.host.String(), Banners: s.cfg.Banners, SSO: s.identity.SignsIn()}
	if sessionToken(r) != "" {
		user, err := s.browserUser(w, r)
		switch {
		case err == nil:
			answer.User = toUserJSON(user)
			writeJSON(w, http.StatusOK, answer)
			return
		case fault.Reason(err, "") == account.ReasonRefused:
			s.clearSession(w)
		default:
			s.fail(w, r, err)
			return
		}
	}
	var err error
	if answer.Setup, err = s.accounts.NeedsSetup(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// setup makes the first administrator.
func (s *Server) setup(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	var form struct {
		Name     string        `json:"name"`
		Username string        `json:"username"`
		Email    string        `json:"email"`
		Password redact.Secret `json:"password"`
	}
	if !readForm(w, r, &form) {
		return
	}
	user, session, err := s.accounts.Setup(r.Context(), account.NewUser{
		Name: form.Name, Username: form.Username, Email: form.Email, Password: form.Password,
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	noteUser(r.Context(), user)
	s.logger.InfoContext(r.Context(), "first administrator created", "user", user.Username)
	s.setSession(w, session)
	writeJSON(w, http.StatusCreated, map[string]any{"user": toUserJSON(user)})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	var form struct {
		Login    string        `json:"login"`
		Password redact.Secret `json:"password"`
	}
	if !readForm(w, r, &form) {
		return
	}
	user, session, err := s.accounts.SignIn(r.Context(), form.Login, form.Password, s.clientAddress(r))
	if err != nil {
		s.metrics.signIns.WithLabelValues(fault.Reason(err, "Error")).Inc()
		s.fail(w, r, err)
		return
	}
	s.metrics.signIns.WithLabelValues("OK").Inc()
	noteUser(r.Context(), user)
	if old := sessionToken(r); old != "" { // the browser forgets it
		if err := s.accounts.SignOut(r.Context(), old); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.setSession(w, session)
	writeJSON(w, http.StatusOK, map[string]any{"user": toUserJSON(user)})
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	if token := sessionToken(r); token != "" {
		if err := s.accounts.SignOut(r.Context(), token); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.clearSession(w)
	w.WriteHeader(http.StatusNoContent)
}

// administrator answers another program that was handed a browser's cookies and wants to know whether they are an
// administrator's. The session's life is not extended, since a new cookie would not reach the browser.
func (s *Server) administrator(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	user, err := s.accounts.BySession(r.Context(), sessionToken(r))
	switch {
	case fault.Reason(err, "") == account.ReasonRefused:
		writeJSON(w, http.StatusUnauthorized, failure{Error: "Nobody is signed in.", Hint: "Sign in at " + s.host.String() + "/login."})
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	noteUser(r.Context(), user)
	if !user.Admin {
		writeJSON(w, http.StatusForbidden, failure{Error: "This user is no administrator."})
		return
	}
	w.Header().Set("X-Wandb-User-Name", user.Username)
	w.Header().Set("X-Wandb-User-Email", user.Email)
	writeJSON(w, http.StatusOK, map[string]any{"user": toUserJSON(user)})
}

// administered lets only administrators of the instance through, by API key, access token or session.
func (s *Server) administered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setAPIHeaders(w)
		w.Header().Set("Cache-Control", "no-store")
		user, err := s.authenticate(w, r)
		switch {
		case fault.Reason(err, "") == account.ReasonRefused:
			if r.Header.Get("Authorization") != "" { // a browser, which sends a cookie, would ask its user for a password
				w.Header().Set("WWW-Authenticate", `Bearer realm="W&B API key"`)
			}
			writeJSON(w, http.StatusUnauthorized, failure{Error: "An administrator's API key is needed.", Hint: "Get one at " + s.host.String() + "/authorize."})
		case err != nil:
			s.fail(w, r, err)
		case !user.Admin:
			writeJSON(w, http.StatusForbidden, failure{Error: "This user is no administrator."})
		default:
			next.ServeHTTP(w, r.WithContext(account.WithUser(r.Context(), user)))
		}
	})
}
