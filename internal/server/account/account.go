package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Reasons of the faults that this package returns. Others come from the store.
const (
	// ReasonInvalid: a value breaks a rule. The error is an *InvalidError, which names the field.
	ReasonInvalid = "Invalid"
	// ReasonTaken: somebody else has that username, email address or key.
	ReasonTaken = "Taken"
	// ReasonSetupDone: the first user exists already.
	ReasonSetupDone = "SetupDone"
	// ReasonNotFound: there is no such user or key.
	ReasonNotFound = "NotFound"
	// ReasonRefused: the credentials are wrong.
	ReasonRefused = "Refused"
	// ReasonTooMany: too many attempts; the error is a *TooManyError, which says when to try again.
	ReasonTooMany = "TooMany"
)

// DefaultSessionLength is long enough that a person who looks in every few weeks stays signed in.
const DefaultSessionLength = 720 * time.Hour

// Config sets up a Service.
type Config struct {
	// SessionLength is how long a session lasts after its last use; 0 means DefaultSessionLength.
	SessionLength time.Duration
	// AllowTeamCreation lets everybody make teams; otherwise administrators of the instance do.
	AllowTeamCreation bool
	// Logger hears of failures of background work; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
}

// Service holds the rules of accounts. Its methods may be called from any goroutine.
type Service struct {
	store         *store.Store
	logger        *slog.Logger
	now           func() time.Time
	sessionLength time.Duration
	teamCreation  bool
	hasher        *hasher
	attempts      *attempts
	usage         *usage
}

// New returns a service on a store.
func New(s *store.Store, cfg Config) *Service {
	service := &Service{
		store: s, logger: cfg.Logger, now: cfg.Now, sessionLength: cfg.SessionLength, hasher: newHasher(),
		teamCreation: cfg.AllowTeamCreation,
	}
	if service.logger == nil {
		service.logger = slog.Default()
	}
	if service.now == nil {
		service.now = time.Now
	}
	if service.sessionLength <= 0 {
		service.sessionLength = DefaultSessionLength
	}
	service.attempts = newAttempts(service.now)
	service.usage = newUsage()
	return service
}

// User is an account as its owner and administrators see it.
type User struct {
	ID        store.ID
	Username  string
	Email     string
	Name      string
	Admin     bool
	CreatedAt time.Time
	// Service marks the account of a program, which belongs to a team.
	Service bool
	// Disabled users keep everything and are let in nowhere.
	Disabled bool
	// DefaultEntity is the entity that the user writes to where a request names none; empty means the user's own.
	DefaultEntity string
	// ExternalID and LoginName are what a directory calls the user, where it told.
	ExternalID, LoginName string
}

func userOf(row store.User) User {
	return User{
		ID: row.ID, Username: string(row.Username), Email: string(row.Email), Name: string(row.Name), Admin: row.Admin,
		CreatedAt: row.CreatedAt.Time(), Service: row.Kind == store.KindService, Disabled: row.DisabledAt != 0,
		DefaultEntity: string(row.DefaultEntity), ExternalID: string(row.ExternalID), LoginName: string(row.LoginName),
	}
}

// Entity is the name of the entity that the user writes to where a request names none.
func (u User) Entity() string {
	if u.DefaultEntity != "" {
		return u.DefaultEntity
	}
	return u.Username
}

// NewUser is a user to be made.
type NewUser struct {
	Username string
	Email    string
	// Name is shown to people; empty means the username.
	Name string
	// Password may be empty where the user only uses API keys. Such a user cannot sign in.
	Password redact.Secret
	Admin    bool
	// APIKey, where set, becomes the user's first key: any string that the official client accepts.
	APIKey redact.Secret
	// ExternalID and LoginName are what a directory calls the user.
	ExternalID, LoginName string
	// Disabled makes a user who is let in nowhere yet.
	Disabled bool
}

// AllowTeamCreation tells whether everybody may make teams.
func (s *Service) AllowTeamCreation() bool { return s.teamCreation }

// NeedsSetup tells whether no user was ever made, so that the next visitor makes the first administrator.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	exists, err := s.store.AnyUser(ctx)
	return !exists, err
}

// Setup makes the first user, an administrator, and signs it in. Of several calls at once one succeeds; the others, and
// every later call, fail with ReasonSetupDone.
func (s *Service) Setup(ctx context.Context, n NewUser) (User, Session, error) {
	n.Admin = true
	if exists, err := s.store.AnyUser(ctx); err != nil {
		return User{}, Session{}, err
	} else if exists {
		return User{}, Session{}, setupDone()
	}
	if n.Password == "" {
		return User{}, Session{}, invalid("password", "choose a password")
	}
	row, err := s.prepare(ctx, n)
	if err != nil {
		return User{}, Session{}, err
	}
	session, sessionRow := s.newSession(0)
	created, err := s.create(ctx, store.NewUser{User: row, First: true, Session: &sessionRow})
	if err != nil {
		return User{}, Session{}, err
	}
	return userOf(created), session, nil
}

// CreateUser makes a user, whoever was there before.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (User, error) {
	row, err := s.prepare(ctx, n)
	if err != nil {
		return User{}, err
	}
	write := store.NewUser{User: row, Profile: s.profileOf(n)}
	if n.APIKey != "" {
		if err := CheckKey(n.APIKey); err != nil {
			return User{}, err
		}
		key := s.keyRow(n.APIKey, "")
		write.Key = &key
	}
	created, err := s.create(ctx, write)
	if err != nil {
		return User{}, err
	}
	user := userOf(created)
	user.Disabled, user.ExternalID, user.LoginName = n.Disabled, n.ExternalID, n.LoginName
	return user, nil
}

// profileOf is nil where there is nothing to note.
func (s *Service) profileOf(n NewUser) *store.Profile {
	if n.ExternalID == "" && n.LoginName == "" && !n.Disabled {
		return nil
	}
	p := &store.Profile{ExternalID: store.Text(n.ExternalID), LoginName: store.Text(n.LoginName), LoginKey: store.Text(fold(n.LoginName))}
	if n.Disabled {
		p.DisabledAt = store.At(s.now())
	}
	return p
}

// prepare checks a new user and makes its row.
func (s *Service) prepare(ctx context.Context, n NewUser) (store.User, error) {
	if n.Name == "" {
		n.Name = n.Username
	}
	for _, err := range []error{CheckUsername(n.Username), CheckEmail(n.Email), CheckName(n.Name)} {
		if err != nil {
			return store.User{}, err
		}
	}
	row := store.User{
		Username: store.Text(n.Username), UsernameKey: store.Text(fold(n.Username)),
		Email: store.Text(n.Email), EmailKey: store.Text(fold(n.Email)),
		Name: store.Text(n.Name), Admin: n.Admin, CreatedAt: store.At(s.now()),
	}
	if n.Password == "" {
		return row, nil
	}
	if err := CheckPassword(n.Password, n.Username, n.Email); err != nil {
		return store.User{}, err
	}
	hash, err := s.hasher.hash(ctx, n.Password)
	if err != nil {
		return store.User{}, err
	}
	row.PasswordHash = store.Text(hash)
	return row, nil
}

func (s *Service) create(ctx context.Context, n store.NewUser) (store.User, error) {
	created, err := s.store.CreateUser(ctx, n)
	switch {
	case errors.Is(err, store.ErrNotFirst):
		return store.User{}, setupDone()
	case errors.Is(err, store.ErrDuplicate):
		return store.User{}, s.explainTaken(ctx, n)
	}
	return created, err
}

// explainTaken finds out which unique value was taken, to name the field.
func (s *Service) explainTaken(ctx context.Context, n store.NewUser) error {
	if other, err := s.store.UserByUsername(ctx, string(n.User.UsernameKey)); err == nil {
		if other.DeletedAt != 0 {
			return taken("username", "this username belonged to a user who was deleted")
		}
		return taken("username", "this username is taken")
	}
	if _, err := s.store.UserByEmail(ctx, string(n.User.EmailKey)); err == nil {
		return taken("email", "this email address is taken")
	}
	if _, err := s.store.EntityByName(ctx, string(n.User.UsernameKey)); err == nil {
		return taken("username", "this name is taken by a team")
	}
	if n.Key != nil {
		return taken("key", "this API key is in use")
	}
	return taken("username", "this name is taken")
}

// UserByUsername finds a user for an administrator.
func (s *Service) UserByUsername(ctx context.Context, username string) (User, error) {
	row, err := s.store.UserByUsername(ctx, fold(username))
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.DeletedAt != 0) {
		return User{}, &fault.Error{
			Reason: ReasonNotFound, Op: fmt.Sprintf("find user %q", username),
			Err: errors.New("there is no such user"), Hint: "List users with: server admin user list",
		}
	}
	if err != nil {
		return User{}, err
	}
	return userOf(row), nil
}

// Users calls visit with every user, oldest first.
func (s *Service) Users(ctx context.Context, visit func(User) error) error {
	const page = 500
	for after := store.ID(0); ; {
		rows, err := s.store.Users(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := visit(userOf(row)); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].ID
	}
}

// SetPassword replaces a user's password and ends the user's sessions.
func (s *Service) SetPassword(ctx context.Context, u User, password redact.Secret) error {
	if err := CheckPassword(password, u.Username, u.Email); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.store.SetPassword(ctx, u.ID, hash)
}

// DeleteUser ends an account: its keys and sessions are refused from now on. Its name stays taken, its address is free.
// What is in its personal projects stays for administrators of the instance; with projects, these are deleted as well.
func (s *Service) DeleteUser(ctx context.Context, u User, projects bool) error {
	return s.store.DeleteUser(ctx, u.ID, projects, s.now())
}

// NewPassword makes a password of 128 random bits, for a user who is to be given one.
func NewPassword() redact.Secret { return redact.Secret(rand.Text()) }
