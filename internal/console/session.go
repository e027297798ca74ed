package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	sessionCookie   = "wandb_console_session"
	sessionLifetime = 12 * time.Hour
	sessionIssuer   = "kubewandb-console"
	// passwordUser is who a person is who knows the installation's password.
	passwordUser = "administrator"
)

// Ways to sign in, as the pages name them.
const (
	methodPassword    = "password"
	methodApplication = "application"
)

// user is somebody who is signed in.
type user struct {
	Name   string `json:"name"`
	Method string `json:"method"`
}

// tokens issues and checks session tokens. A token holds no secret: it names its user and carries a keyed digest of the
// password that it was issued under, so that changing the password ends it.
type tokens struct {
	// audience names the installation: a token of one is void at every other, even with the same key.
	audience string
	now      func() time.Time
}

type sessionClaims struct {
	jwt.RegisteredClaims
	// Password is passwordDigest at the time of issue.
	Password string `json:"pwd"`
}

// issue returns a token for somebody who gave the password.
func (t tokens) issue(keys keyring) (string, error) {
	now := t.now()
	claims := sessionClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    sessionIssuer,
			Subject:   passwordUser,
			Audience:  jwt.ClaimStrings{t.audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(sessionLifetime)),
		},
		Password: passwordDigest(keys),
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(keys.sessionKey)
	if err != nil {
		return "", fmt.Errorf("sign session: %w", err)
	}
	return token, nil
}

// check returns the user of a token that is signed, in time, for this installation, and issued under today's password.
func (t tokens) check(token string, keys keyring) (user, bool) {
	var claims sessionClaims
	_, err := jwt.ParseWithClaims(token, &claims,
		func(*jwt.Token) (any, error) { return keys.sessionKey, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(sessionIssuer),
		jwt.WithAudience(t.audience),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(t.now),
	)
	if err != nil || subtle.ConstantTimeCompare([]byte(claims.Password), []byte(passwordDigest(keys))) != 1 {
		return user{}, false
	}
	return user{Name: claims.Subject, Method: methodPassword}, true
}

func passwordDigest(keys keyring) string {
	mac := hmac.New(sha256.New, keys.sessionKey)
	mac.Write([]byte("console password\x00" + keys.password.Reveal()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// samePassword compares without telling through its duration how much of given is right, or how long the password is.
func samePassword(given string, keys keyring) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(keys.password.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// cookie builds a cookie of the console; an empty value removes it.
func (s *Server) cookie(name, value string, lifetime time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     BasePath,
		MaxAge:   int(lifetime.Seconds()),
		HttpOnly: true,
		Secure:   s.cfg.secure(),
		SameSite: http.SameSiteStrictMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}
