package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Session is a signed-in browser.
type Session struct {
	// Token goes into the cookie and is known nowhere else.
	Token redact.Secret
	// ExpiresAt is when it ends unless it is used before.
	ExpiresAt time.Time
}

// maxLogin bounds what is looked up and remembered for the name in a sign-in form.
const maxLogin = maxEmail

// SignIn checks a username or email address with its password and begins a session. It fails with ReasonRefused for an
// unknown user and a wrong password alike, and with ReasonTooMany after too many failures of this account or this address.
func (s *Service) SignIn(ctx context.Context, login string, password redact.Secret, address string) (User, Session, error) {
	login = fold(strings.TrimSpace(login))
	if login == "" || len(login) > maxLogin || len(password) > maxPassword {
		return User{}, Session{}, refused()
	}
	if wait := s.attempts.take(login, address); wait > 0 {
		return User{}, Session{}, tooMany(wait)
	}
	row, err := s.userByLogin(ctx, login)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return User{}, Session{}, err
	}
	ok, outdated, err := s.hasher.verify(ctx, string(row.PasswordHash), password) // also for nobody: see decoy
	if err != nil {
		return User{}, Session{}, err
	}
	if !ok || row.DisabledAt != 0 {
		return User{}, Session{}, refused()
	}
	s.attempts.giveBack(login, address)
	if outdated {
		if err := s.rehash(ctx, row, password); err != nil {
			return User{}, Session{}, err
		}
	}
	session, sessionRow := s.newSession(row.ID)
	if err := s.store.InsertSession(ctx, sessionRow); err != nil {
		return User{}, Session{}, err
	}
	return userOf(row), session, nil
}

// userByLogin finds a user by username, or by email address, which alone holds an "@".
func (s *Service) userByLogin(ctx context.Context, login string) (store.User, error) {
	if strings.Contains(login, "@") {
		return s.store.UserByEmail(ctx, login)
	}
	return s.store.UserByUsername(ctx, login)
}

func (s *Service) rehash(ctx context.Context, row store.User, password redact.Secret) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.store.RehashPassword(ctx, row.ID, string(row.PasswordHash), hash)
}

func (s *Service) newSession(user store.ID) (Session, store.Session) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	token := base64.RawURLEncoding.EncodeToString(raw)
	now := s.now()
	expires := now.Add(s.sessionLength)
	return Session{Token: redact.Secret(token), ExpiresAt: expires},
		store.Session{TokenHash: digest(token), UserID: user, CreatedAt: store.At(now), ExpiresAt: store.At(expires)}
}

// BySession returns the user of a session token; ReasonRefused where the session has ended.
func (s *Service) BySession(ctx context.Context, token redact.Secret) (User, error) {
	user, _, err := s.sessionOwner(ctx, token)
	return user, err
}

// KeepSession is BySession for a browser's own request, which counts as a use: where a good part of the session's life has
// passed, its end moves, and renewed holds the session for a new cookie.
func (s *Service) KeepSession(ctx context.Context, token redact.Secret) (user User, renewed *Session, err error) {
	user, expires, err := s.sessionOwner(ctx, token)
	if err != nil {
		return User{}, nil, err
	}
	until := s.now().Add(s.sessionLength)
	if until.Sub(expires) < max(time.Minute, s.sessionLength/24) { // not a write for every request
		return user, nil, nil
	}
	if err := s.store.ExtendSession(ctx, digest(token.Reveal()), until); err != nil {
		return User{}, nil, err
	}
	return user, &Session{Token: token, ExpiresAt: until}, nil
}

func (s *Service) sessionOwner(ctx context.Context, token redact.Secret) (User, time.Time, error) {
	if token == "" || len(token) > maxKey {
		return User{}, time.Time{}, refused()
	}
	owner, err := s.store.OwnerOfSession(ctx, digest(token.Reveal()), s.now())
	if errors.Is(err, store.ErrNotFound) {
		return User{}, time.Time{}, refused()
	}
	if err != nil {
		return User{}, time.Time{}, err
	}
	return userOf(owner.User), owner.ExpiresAt.Time(), nil
}

// SignOut ends a session; one that has ended already is no failure.
func (s *Service) SignOut(ctx context.Context, token redact.Secret) error {
	return s.store.DeleteSession(ctx, digest(token.Reveal()))
}

// digest is under what a key or token is kept. Both hold enough random bits that a slow hash would add nothing.
func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
