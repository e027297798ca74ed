package account

import (
	"context"
	"errors"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// ReasonNoAccount: an identity provider vouches for somebody who has no account here, and may not have one made.
const ReasonNoAccount = "NoAccount"

const (
	// AccessTokenLife is how long an access token lasts; the official client renews it five minutes before.
	AccessTokenLife = time.Hour
	// AccessTokenPrefix tells an access token from an API key, both of which come as bearer tokens.
	AccessTokenPrefix = "kwat_"
	// maxSubject is what OpenID Connect allows, and the column holds.
	maxSubject = 255
	maxIssuer  = 2048
)

// Identity is somebody for whom an identity provider vouches.
type Identity struct {
	Issuer, Subject string
	// Email may be used only where EmailVerified.
	Email         string
	EmailVerified bool
	// Login is the name that the provider prefers, and Name the one shown to people; both may be empty.
	Login, Name string
}

// check refuses an identity that names nobody, which could otherwise be taken for anybody.
func (id Identity) check() error {
	if id.Issuer == "" || id.Subject == "" || len(id.Issuer) > maxIssuer || len(id.Subject) > maxSubject {
		return noAccount("the identity provider names nobody", "")
	}
	return nil
}

// IdentityPolicy says what an identity without a linked user may become.
type IdentityPolicy struct {
	// Provision makes a user at the first sign-in.
	Provision bool
	// LinkByEmail links the user who has the verified address. Whoever rules the provider rules those accounts.
	LinkByEmail bool
}

// SignInIdentity begins a session for the user that an identity belongs to, and finds or makes that user as the policy
// allows. Who is the very first user becomes administrator.
func (s *Service) SignInIdentity(ctx context.Context, id Identity, policy IdentityPolicy) (User, Session, error) {
	if err := id.check(); err != nil {
		return User{}, Session{}, err
	}
	user, err := s.UserByIdentity(ctx, id)
	if fault.Reason(err, "") == ReasonNoAccount {
		user, err = s.adopt(ctx, id, policy)
	}
	if err != nil {
		return User{}, Session{}, err
	}
	session, row := s.newSession(user.ID)
	return user, session, s.store.InsertSession(ctx, row)
}

// UserByIdentity returns the user that an identity is linked with; ReasonNoAccount where there is none, and where the user
// was disabled.
func (s *Service) UserByIdentity(ctx context.Context, id Identity) (User, error) {
	if err := id.check(); err != nil {
		return User{}, err
	}
	row, err := s.store.UserByIdentity(ctx, digest(id.Issuer), id.Subject)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return User{}, noAccount("no account is linked with this identity", "Ask an administrator of this instance for an account.")
	case err != nil:
		return User{}, err
	case row.DisabledAt != 0:
		return User{}, &fault.Error{
			Reason: ReasonRefused, Op: "sign in", Err: errors.New("this account is disabled"), Hint: "Ask an administrator of this instance.",
		}
	}
	return userOf(row), nil
}

// adopt links an identity with the user who has its address, or with a new one.
func (s *Service) adopt(ctx context.Context, id Identity, policy IdentityPolicy) (User, error) {
	if !id.EmailVerified || CheckEmail(id.Email) != nil {
		return User{}, noAccount("the identity provider has not verified an email address of yours",
			"Verify the address at the provider, or ask an administrator to link the account: server admin user link")
	}
	row, err := s.store.UserByEmail(ctx, fold(id.Email))
	switch {
	case err == nil && policy.LinkByEmail:
		return s.adoptExisting(ctx, id, userOf(row))
	case err == nil:
		if user, found := s.UserByIdentity(ctx, id); found == nil { // another request of the same browser has just made it
			return user, nil
		}
		return User{}, noAccount("an account with your email address exists, and is not linked with your identity",
			"Ask an administrator to link it: server admin user link")
	case !errors.Is(err, store.ErrNotFound):
		return User{}, err
	case !policy.Provision:
		return User{}, noAccount("you have no account here", "Ask an administrator of this instance for an account.")
	}
	return s.provision(ctx, id)
}

func (s *Service) adoptExisting(ctx context.Context, id Identity, user User) (User, error) {
	if user.Disabled {
		return User{}, refused()
	}
	err := s.LinkIdentity(ctx, user, id.Issuer, id.Subject)
	if fault.Reason(err, "") == ReasonTaken { // by another request of the same browser
		return s.UserByIdentity(ctx, id)
	}
	return user, err
}

func (s *Service) provision(ctx context.Context, id Identity) (User, error) {
	base := usernameFrom(id.Email)
	if id.Login != "" {
		base = usernameFrom(id.Login)
	}
	name := id.Name
	if CheckName(name) != nil {
		name = ""
	}
	anybody, err := s.store.AnyUser(ctx)
	if err != nil {
		return User{}, err
	}
	user, err := unused(base, func(username string) (User, error) {
		row, err := s.prepare(ctx, NewUser{Username: username, Email: id.Email, Name: name, Admin: !anybody})
		if err != nil {
			return User{}, err
		}
		created, err := s.create(ctx, store.NewUser{User: row, First: !anybody, Identity: s.identityRow(id.Issuer, id.Subject)})
		return userOf(created), err
	})
	switch reason := fault.Reason(err, ""); {
	case reason == ReasonSetupDone: // somebody else was first meanwhile
		return s.provision(ctx, id)
	case reason == ReasonTaken: // another request of the same browser may have made the user
		if other, found := s.UserByIdentity(ctx, id); found == nil {
			return other, nil
		}
	}
	return user, err
}

func (s *Service) identityRow(issuer, subject string) *store.Identity {
	return &store.Identity{
		IssuerHash: digest(issuer), Issuer: store.Text(issuer), Subject: store.Text(subject), CreatedAt: store.At(s.now()),
	}
}

// LinkIdentity lets whoever is this at an identity provider sign in as the user; service accounts can be linked as well, to
// be used with identity tokens.
func (s *Service) LinkIdentity(ctx context.Context, u User, issuer, subject string) error {
	switch {
	case issuer == "" || len(issuer) > maxIssuer:
		return invalid("issuer", "name the issuer by its URL")
	case subject == "" || len(subject) > maxSubject:
		return invalid("subject", "name the subject, at most %d bytes", maxSubject)
	}
	row := s.identityRow(issuer, subject)
	row.UserID = u.ID
	err := s.store.InsertIdentity(ctx, *row)
	if errors.Is(err, store.ErrDuplicate) {
		return taken("subject", "this identity is linked with an account")
	}
	return err
}

func noAccount(text, hint string) error {
	return &fault.Error{Reason: ReasonNoAccount, Op: "sign in", Err: errors.New(text), Hint: hint}
}

// IssueAccessToken makes a short-lived bearer token for a user. It ends with the user's sessions.
func (s *Service) IssueAccessToken(ctx context.Context, u User) (redact.Secret, time.Duration, error) {
	token := AccessTokenPrefix + newToken().Reveal()
	now := s.now()
	err := s.store.InsertSession(ctx, store.Session{
		TokenHash: tokenDigest(token), UserID: u.ID, CreatedAt: store.At(now), ExpiresAt: store.At(now.Add(AccessTokenLife)),
	})
	return redact.Secret(token), AccessTokenLife, err
}

// ByAccessToken returns the user of a bearer token; ReasonRefused where it has ended.
func (s *Service) ByAccessToken(ctx context.Context, token redact.Secret) (User, error) {
	if len(token) > maxKey {
		return User{}, unknownToken()
	}
	owner, err := s.store.OwnerOfSession(ctx, tokenDigest(token.Reveal()), s.now())
	if errors.Is(err, store.ErrNotFound) {
		return User{}, unknownToken()
	}
	if err != nil {
		return User{}, err
	}
	return userOf(owner.User), nil
}

// tokenDigest differs from the digest of a session's cookie, though both stand in one table: neither works as the other.
func tokenDigest(token string) []byte { return digest("access token\x00" + token) }

func unknownToken() error {
	return &fault.Error{Reason: ReasonRefused, Op: "check the access token", Err: errors.New("this access token is unknown or has expired")}
}
