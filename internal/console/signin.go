package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/version"
)

// signInBody bounds what an anonymous client can make the console read.
const signInBody = 4 << 10

// leftCookie remembers which application session its owner signed out of the console with. Without it the application
// would sign them in again with the next request, and "Sign out" would do nothing.
const leftCookie = "wandb_console_left"

// sessionAnswer is GET /session.
type sessionAnswer struct {
	User        *user           `json:"user"`
	Instance    string          `json:"instance"`
	Namespace   string          `json:"namespace"`
	Version     string          `json:"version"`
	Application string          `json:"application"`
	Banners     json.RawMessage `json:"banners,omitempty"`
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) {
	who, err := s.authenticate(r)
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	answer(w, http.StatusOK, s.describeSession(who))
}

func (s *Server) describeSession(who *user) sessionAnswer {
	return sessionAnswer{
		User:        who,
		Instance:    s.cfg.ReleaseName,
		Namespace:   s.cfg.ReleaseNamespace,
		Version:     version.Version,
		Application: s.cfg.Host,
		Banners:     s.cfg.Banners,
	}
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	address := clientAddress(r, s.cfg.ProxyHops)
	if wait := s.limits.attempt(address); wait > 0 {
		s.metrics.signIn("limited")
		refuse(w, problem{
			status: http.StatusTooManyRequests, retryAfter: wait,
			Message: "Too many attempts to sign in.", Hint: "Wait a moment, then try again.",
		})
		return
	}
	var given struct {
		Password redact.Secret `json:"password"`
	}
	if !readJSON(w, r, signInBody, &given) {
		return
	}
	keys, err := s.secrets.live(r.Context())
	if err != nil {
		s.metrics.signIn("error")
		s.refuseError(w, r, err)
		return
	}
	if given.Password == "" || !samePassword(given.Password.Reveal(), keys) {
		s.metrics.signIn("refused")
		s.cfg.Log.WarnContext(r.Context(), "sign-in refused", "address", address.String())
		refuse(w, problem{
			status: http.StatusUnauthorized, Field: "password",
			Message: "That is not the password of this console.",
		})
		return
	}
	s.startSession(w, r, keys)
}

func (s *Server) startSession(w http.ResponseWriter, r *http.Request, keys keyring) {
	token, err := s.tokens.issue(keys)
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	address := clientAddress(r, s.cfg.ProxyHops)
	s.limits.forgive(address)
	s.metrics.signIn("accepted")
	s.cfg.Log.InfoContext(r.Context(), "signed in", "user", passwordUser, "method", methodPassword, "address", address.String())
	http.SetCookie(w, s.cookie(sessionCookie, token, sessionLifetime))
	http.SetCookie(w, s.cookie(leftCookie, "", 0))
	answer(w, http.StatusOK, s.describeSession(&user{Name: passwordUser, Method: methodPassword}))
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.cookie(sessionCookie, "", 0))
	if cookie, _, ok := applicationSession(r); ok {
		http.SetCookie(w, s.cookie(leftCookie, leftMark(cookie), sessionLifetime))
	}
	w.WriteHeader(http.StatusNoContent)
}

// authenticate returns who sent a request, or nil where nobody is signed in. An error means that this cannot be known now.
func (s *Server) authenticate(r *http.Request) (*user, error) {
	ctx, cancel := context.WithTimeout(r.Context(), kubeDeadline)
	defer cancel()
	who, err := s.byToken(ctx, r)
	if who != nil {
		return who, nil
	}
	if hasLeft(r) {
		return nil, err
	}
	if admin, ok := s.sso.administrator(ctx, r); ok {
		return &admin, nil
	}
	return nil, err
}

func (s *Server) byToken(ctx context.Context, r *http.Request) (*user, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return nil, nil
	}
	keys, err := s.secrets.recent(ctx)
	if err != nil {
		return nil, err
	}
	if who, ok := s.tokens.check(cookie.Value, keys); ok {
		return &who, nil
	}
	return nil, nil
}

// leftMark stands for an application session inside leftCookie, without telling what it is.
func leftMark(session *http.Cookie) string {
	sum := sha256.Sum256([]byte("left the console\x00" + session.Value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func hasLeft(r *http.Request) bool {
	mark, err := r.Cookie(leftCookie)
	session, _, ok := applicationSession(r)
	return err == nil && ok && subtle.ConstantTimeCompare([]byte(mark.Value), []byte(leftMark(session))) == 1
}

// comesFromApplication recognises an administrator who followed the link of the application's menu: whoever does that after
// signing out wants in again.
func comesFromApplication(r *http.Request) bool {
	if _, err := r.Cookie(leftCookie); err != nil {
		return false
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host == "" || !strings.EqualFold(from.Host, r.Host) {
		return false
	}
	return from.Path != BasePath && !strings.HasPrefix(from.Path, BasePath+"/")
}

// secure tells whether browsers reach the installation through TLS.
func (c Config) secure() bool {
	host, err := parseHost(c.Host)
	return err == nil && host.Scheme == "https"
}

func parseHost(text string) (*url.URL, error) {
	host, err := url.Parse(text)
	if err != nil || host.Host == "" || (host.Scheme != "https" && host.Scheme != "http") {
		return nil, fmt.Errorf("HOST %q is not a URL such as https://wandb.example.com", text)
	}
	return host, nil
}
