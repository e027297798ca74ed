package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// sessionCookie is the browser's proof that it is signed in. Other programs on the same host see it, and know it by this
// name.
const sessionCookie = "wandb_session"

// sessionToken returns the token in a request's cookie; "" where there is none.
func sessionToken(r *http.Request) redact.Secret {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return redact.Secret(cookie.Value)
}

// setSession puts a session into the browser's cookie.
func (s *Server) setSession(w http.ResponseWriter, session account.Session) {
	cookie := s.cookie(session.Token.Reveal())
	cookie.Expires = session.ExpiresAt
	http.SetCookie(w, cookie)
}

// clearSession removes the cookie.
func (s *Server) clearSession(w http.ResponseWriter) {
	cookie := s.cookie("")
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

func (s *Server) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, Secure: s.host.Scheme == "https",
		SameSite: http.SameSiteLaxMode,
	}
}

// browserUser returns the user of a request's cookie, whose session it keeps alive; ReasonRefused for nobody.
func (s *Server) browserUser(w http.ResponseWriter, r *http.Request) (account.User, error) {
	user, renewed, err := s.accounts.KeepSession(r.Context(), sessionToken(r))
	if err != nil {
		return account.User{}, err
	}
	if renewed != nil {
		s.setSession(w, *renewed)
	}
	noteUser(r.Context(), user)
	return user, nil
}

// credential is how a request says who sends it.
type credential int

const (
	noCredential credential = iota
	keyCredential
	cookieCredential
	// bearerCredential is an access token, or an API key in its place.
	bearerCredential
	// otherCredential is an Authorization header of a kind that is not known.
	otherCredential
)

// credentialOf finds the credential of a request. An Authorization header wins over a cookie. The user name of Basic
// means nothing: the client sends "api", netrc "user", and people what they like.
func credentialOf(r *http.Request) (kind credential, secret redact.Secret) {
	if r.Header.Get("Authorization") != "" {
		if _, password, ok := r.BasicAuth(); ok {
			return keyCredential, redact.Secret(password)
		}
		if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
			return bearerCredential, redact.Secret(strings.TrimSpace(token))
		}
		return otherCredential, ""
	}
	if token := sessionToken(r); token != "" {
		return cookieCredential, token
	}
	return noCredential, ""
}

// authenticate returns the user of an API request by key or cookie.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (account.User, error) {
	kind, secret := credentialOf(r)
	switch kind {
	case keyCredential, bearerCredential:
		check := s.accounts.ByKey
		if kind == bearerCredential && strings.HasPrefix(secret.Reveal(), account.AccessTokenPrefix) {
			check = s.accounts.ByAccessToken
		}
		user, err := check(r.Context(), secret)
		if err == nil {
			noteUser(r.Context(), user)
		}
		return user, err
	case cookieCredential:
		return s.browserUser(w, r)
	default:
		return account.User{}, &fault.Error{
			Reason: account.ReasonRefused, Op: "authenticate", Err: errors.New("no API key came with the request"),
		}
	}
}

// authenticateKey returns the user of a request by API key, with the id of the key. No cookie is asked for.
func (s *Server) authenticateKey(_ http.ResponseWriter, r *http.Request) (account.User, store.ID, error) {
	kind, secret := credentialOf(r)
	if kind != keyCredential {
		return account.User{}, 0, &fault.Error{
			Reason: account.ReasonRefused, Op: "authenticate", Err: errors.New("no API key came with the request"),
		}
	}
	user, key, err := s.accounts.Owner(r.Context(), secret)
	if err == nil {
		noteUser(r.Context(), user)
	}
	return user, key, err
}

var errCrossOrigin = errors.New("this request did not come from the pages of this server")

// checkOrigin refuses what another site makes a browser send. A request that changes something and carries a cookie must
// say where it comes from, as every browser does; one with an API key alone comes from no browser.
func (s *Server) checkOrigin(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	cookie := sessionToken(r) != ""
	if kind, _ := credentialOf(r); (kind == keyCredential || kind == bearerCredential) && !cookie {
		return nil
	}
	if err := s.origins.Check(r); err != nil {
		return errors.Join(errCrossOrigin, err)
	}
	if cookie && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return errCrossOrigin
	}
	return nil
}

// clientAddress is the address that attempts are counted for: the entry of X-Forwarded-For that the outermost trusted
// proxy wrote, or the peer. Addresses of one IPv6 network count as one.
func (s *Server) clientAddress(r *http.Request) string {
	address := r.RemoteAddr
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if hops := s.cfg.ProxyHops; hops > 0 && len(forwarded) >= hops {
		if entry := strings.TrimSpace(forwarded[len(forwarded)-hops]); entry != "" {
			address = entry
		}
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown" // what is no address gets no allowance of its own
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

// requestInfo is filled by handlers for the access log.
type requestInfo struct{ user string }

type requestInfoKey struct{}

func withRequestInfo(ctx context.Context) (context.Context, *requestInfo) {
	info := &requestInfo{}
	return context.WithValue(ctx, requestInfoKey{}, info), info
}

func noteUser(ctx context.Context, user account.User) {
	if info, ok := ctx.Value(requestInfoKey{}).(*requestInfo); ok {
		info.user = user.Username
	}
}
