package server

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/identity"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// jwtBearer is the only grant of the token address (RFC 7523).
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// ssoCookie keeps an attempt to sign in at the provider in the browser that makes it.
	ssoCookie = "wandb_sso"
)

// attemptCookie can be neither read nor set by another host, where this one has https.
func (s *Server) attemptCookie(value string, age time.Duration) *http.Cookie {
	cookie := s.cookie(value)
	cookie.Name, cookie.MaxAge = s.attemptCookieName(), int(age.Seconds())
	if value == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

func (s *Server) attemptCookieName() string {
	if s.host.Scheme == "https" {
		return "__Host-" + ssoCookie
	}
	return ssoCookie
}

// beginSignOn sends a browser to the identity provider.
func (s *Server) beginSignOn(w http.ResponseWriter, r *http.Request) {
	if !s.identity.SignsIn() {
		notFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	address, ticket, err := s.identity.Begin(r.Context(), r.URL.Query().Get("next"))
	if err != nil {
		s.signOnFailed(w, r, err)
		return
	}
	http.SetCookie(w, s.attemptCookie(ticket.Reveal(), identity.AttemptLife))
	redirect(w, address)
}

// finishSignOn signs in whoever comes back from the identity provider.
func (s *Server) finishSignOn(w http.ResponseWriter, r *http.Request) {
	if !s.identity.SignsIn() {
		notFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the code
	var ticket redact.Secret
	if cookie, err := r.Cookie(s.attemptCookieName()); err == nil {
		ticket = redact.Secret(cookie.Value)
	}
	http.SetCookie(w, s.attemptCookie("", 0)) // one attempt, one answer
	id, next, err := s.identity.Finish(r.Context(), r.URL.Query(), ticket)
	if err != nil {
		s.signOnFailed(w, r, err)
		return
	}
	user, session, err := s.accounts.SignInIdentity(r.Context(), id, s.cfg.IdentityPolicy)
	if err != nil {
		s.signOnFailed(w, r, err)
		return
	}
	noteUser(r.Context(), user)
	s.metrics.signIns.WithLabelValues("OK").Inc()
	if old := sessionToken(r); old != "" { // the browser forgets it
		if err := s.accounts.SignOut(r.Context(), old); err != nil {
			s.signOnFailed(w, r, err)
			return
		}
	}
	s.setSession(w, session)
	redirect(w, next)
}

// signOnFailed leads back to the sign-in page, which tells what happened in words of its own: what a provider wrote is for
// the log only.
func (s *Server) signOnFailed(w http.ResponseWriter, r *http.Request, err error) {
	code := "refused"
	switch fault.Reason(err, "") {
	case identity.ReasonUnavailable, store.ReasonUnavailable:
		code = "unavailable"
	case account.ReasonNoAccount, account.ReasonRefused:
		code = "account"
	}
	s.metrics.signIns.WithLabelValues(fault.Reason(err, "Error")).Inc()
	s.logger.WarnContext(r.Context(), "sign-on failed", "reason", fault.Reason(err, "Error"), "error", err, "hint", fault.Hint(err))
	redirect(w, "/login?sso="+code)
}

// redirect sends the browser elsewhere without a body: http.Redirect would repeat the address in one.
func redirect(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

// oauthError is the body of a refused exchange; the official client shows it to its user.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// exchangeToken gives a program an access token for an identity token.
func (s *Server) exchangeToken(w http.ResponseWriter, r *http.Request) {
	if s.identity == nil {
		notFound(w, r)
		return
	}
	setAPIHeaders(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, oauthError{Error: "invalid_request", Description: "the request could not be read"})
		return
	}
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil || form.Get("assertion") == "":
		writeJSON(w, http.StatusBadRequest, oauthError{Error: "invalid_request", Description: "an assertion is missing"})
		return
	case form.Get("grant_type") != jwtBearer:
		writeJSON(w, http.StatusBadRequest, oauthError{Error: "unsupported_grant_type", Description: "the only grant is " + jwtBearer})
		return
	}
	token, life, err := s.accessToken(r, form.Get("assertion"))
	if err != nil {
		s.exchangeFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": token.Reveal(), "token_type": "Bearer", "expires_in": int64(life.Seconds()),
	})
}

func (s *Server) accessToken(r *http.Request, assertion string) (redact.Secret, time.Duration, error) {
	id, err := s.identity.Verify(r.Context(), assertion)
	if err != nil {
		return "", 0, err
	}
	user, err := s.accounts.UserByIdentity(r.Context(), id)
	if err != nil {
		return "", 0, err
	}
	noteUser(r.Context(), user)
	return s.accounts.IssueAccessToken(r.Context(), user)
}

func (s *Server) exchangeFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.logger.WarnContext(r.Context(), "identity token not exchanged", "error", err)
	var refusal *fault.Error
	switch reason := fault.Reason(err, ""); {
	case reason == identity.ReasonUnavailable, reason == store.ReasonUnavailable:
		w.Header().Set("Content-Type", "application/json")
		unavailable(w)
		_, _ = io.WriteString(w, `{"error":"temporarily_unavailable"}`)
	case reason == account.ReasonNoAccount:
		writeJSON(w, http.StatusForbidden, oauthError{Error: "invalid_grant", Description: "no account of this server is linked with the token's subject"})
	case (reason == identity.ReasonRefused || reason == account.ReasonRefused) && errors.As(err, &refusal):
		// Without the hint, which is for people at the sign-in page.
		writeJSON(w, http.StatusBadRequest, oauthError{Error: "invalid_grant", Description: refusal.Err.Error()})
	default:
		s.fail(w, r, err)
	}
}
