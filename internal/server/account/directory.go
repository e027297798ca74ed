package account

import (
	"context"
	"errors"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Change is what a directory or an administrator changes of a user; nil leaves a value as it is.
type Change struct {
	Email, Name           *string
	Admin                 *bool
	ExternalID, LoginName *string
	// Disabled stops the user's keys and sessions at once, on every replica.
	Disabled *bool
	// Password replaces the password and ends the user's sessions.
	Password *redact.Secret
}

// UserByID finds a user; ReasonNotFound where there is none or it was deleted.
func (s *Service) UserByID(ctx context.Context, id store.ID) (User, error) {
	return s.existing(s.store.User(ctx, id))
}

// UserByDirectory finds a user by what a directory calls it: a username of ours, an email address, or the name it was made
// with.
func (s *Service) UserByDirectory(ctx context.Context, name string) (User, error) {
	row, err := s.userByLogin(ctx, fold(name))
	if errors.Is(err, store.ErrNotFound) {
		row, err = s.store.UserByLogin(ctx, fold(name))
	}
	return s.existing(row, err)
}

// UserByEmail finds a user by address.
func (s *Service) UserByEmail(ctx context.Context, email string) (User, error) {
	return s.existing(s.store.UserByEmail(ctx, fold(email)))
}

// UserByExternalID finds a user by the id that a directory gave it.
func (s *Service) UserByExternalID(ctx context.Context, id string) (User, error) {
	return s.existing(s.store.UserByExternalID(ctx, id))
}

func (s *Service) existing(row store.User, err error) (User, error) {
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.DeletedAt != 0) {
		return User{}, missing("find the user", "there is no such user", "List users with: server admin user list")
	}
	return userOf(row), err
}

// ShareTeam tells whether two users know each other.
func (s *Service) ShareTeam(ctx context.Context, a, b User) (bool, error) {
	return s.store.ShareTeam(ctx, a.ID, b.ID)
}

// UpdateUser changes a user.
func (s *Service) UpdateUser(ctx context.Context, u User, c Change) error {
	if err := checkChange(c, u); err != nil {
		return err
	}
	change := store.UserChange{Admin: c.Admin, Name: text(c.Name), ExternalID: text(c.ExternalID)}
	if c.Email != nil {
		change.Email, change.EmailKey = text(c.Email), folded(c.Email)
	}
	if c.LoginName != nil {
		change.LoginName, change.LoginKey = text(c.LoginName), folded(c.LoginName)
	}
	err := s.store.UpdateUser(ctx, u.ID, change)
	if errors.Is(err, store.ErrDuplicate) {
		return taken("email", "this email address is taken")
	}
	if err != nil {
		return err
	}
	if c.Password != nil {
		if err := s.SetPassword(ctx, u, *c.Password); err != nil {
			return err
		}
	}
	if c.Disabled == nil || *c.Disabled == u.Disabled {
		return nil
	}
	at := time.Time{}
	if *c.Disabled {
		at = s.now()
	}
	return s.store.SetDisabled(ctx, u.ID, at)
}

func checkChange(c Change, u User) error {
	email := u.Email
	if c.Email != nil {
		email = *c.Email
		if err := CheckEmail(email); err != nil {
			return err
		}
	}
	if c.Name != nil {
		if err := CheckName(*c.Name); err != nil {
			return err
		}
	}
	for field, value := range map[string]*string{"externalId": c.ExternalID, "userName": c.LoginName} {
		if value != nil && len(*value) > maxEmail {
			return invalid(field, "use at most %d bytes", maxEmail)
		}
	}
	if c.Password != nil {
		return CheckPassword(*c.Password, u.Username, email)
	}
	return nil
}

func text(s *string) *store.Text {
	if s == nil {
		return nil
	}
	t := store.Text(*s)
	return &t
}

func folded(s *string) *store.Text {
	f := fold(*s)
	return text(&f)
}

// CreateDirectoryUser makes a user for a directory, which calls it n.Username. Where that is no username of ours, such as an
// email address, one is made of it, and the directory's name is kept beside.
func (s *Service) CreateDirectoryUser(ctx context.Context, n NewUser) (User, error) {
	if CheckUsername(n.Username) == nil {
		return s.CreateUser(ctx, n)
	}
	if len(n.Username) > maxEmail {
		return User{}, invalid("userName", "use at most %d bytes", maxEmail)
	}
	n.LoginName = n.Username
	return unused(usernameFrom(n.Username), func(username string) (User, error) {
		n.Username = username
		return s.CreateUser(ctx, n)
	})
}
