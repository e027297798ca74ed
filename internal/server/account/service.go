package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// firstKeyLife is how long the person who made a service account may fetch its first key.
const firstKeyLife = 10 * time.Minute

// namingTries bounds the search for a username that nobody has.
const namingTries = 20

// NewService is a service account to be made.
type NewService struct {
	// Team is the one that it belongs to and writes to.
	Team Team
	// Username may be empty: it is then made of the description.
	Username    string
	Description string
	// APIKey, where set, becomes its first key.
	APIKey redact.Secret
	// FirstKeyFor, where no key is given, is who may fetch the first key with FirstKey, once and for ten minutes.
	FirstKeyFor store.ID
	Role        Role
}

// CreateService makes a service account: a user without password and personal entity, who is a member of one team.
func (s *Service) CreateService(ctx context.Context, n NewService) (User, error) {
	if n.Description == "" {
		n.Description = "service account"
	}
	if err := CheckDescription(n.Description); err != nil {
		return User{}, err
	}
	if n.Username != "" {
		return s.createService(ctx, n)
	}
	base := usernameFrom(n.Team.Name + "-" + n.Description)
	return unused(base, func(name string) (User, error) {
		n.Username = name
		return s.createService(ctx, n)
	})
}

// unused makes something under a name like base that nobody has yet.
func unused(base string, make func(name string) (User, error)) (User, error) {
	for try := 1; ; try++ {
		name := base
		if try > 1 {
			name = fmt.Sprintf("%s-%d", base, try)
		}
		made, err := make(name)
		var field *FieldError
		if !errors.As(err, &field) || field.Field != "username" || field.fault.Reason != ReasonTaken || try == namingTries {
			return made, err
		}
	}
}

func (s *Service) createService(ctx context.Context, n NewService) (User, error) {
	if err := CheckUsername(n.Username); err != nil {
		return User{}, err
	}
	if n.Role == 0 {
		n.Role = RoleMember
	}
	now := store.At(s.now())
	write := store.NewUser{
		User: store.User{
			Username: store.Text(n.Username), UsernameKey: store.Text(fold(n.Username)), Name: store.Text(n.Description),
			// No address: the column is unique, and no address can look like this.
			EmailKey: store.Text("service:" + fold(n.Username)), CreatedAt: now,
		},
		NoEntity: true,
		Profile:  &store.Profile{Kind: store.KindService, TeamID: n.Team.ID, DefaultEntityID: n.Team.ID},
		Member:   &store.Member{EntityID: n.Team.ID, Role: int64(n.Role), JoinedAt: now},
	}
	switch {
	case n.APIKey != "":
		if err := CheckKey(n.APIKey); err != nil {
			return User{}, err
		}
		key := s.keyRow(n.APIKey, n.Description)
		write.Key = &key
	case n.FirstKeyFor != 0:
		write.Profile.KeyFor, write.Profile.KeyUntil = n.FirstKeyFor, store.At(s.now().Add(firstKeyLife))
	}
	row, err := s.create(ctx, write)
	if err != nil {
		return User{}, err
	}
	user := userOf(row)
	user.Service, user.DefaultEntity = true, n.Team.Name
	return user, nil
}

// FirstKeys makes the first key of each service account in a team that this user made in the last minutes, and returns
// them by account. The official client reads the key of a new account from the list of members: that is the one time that
// it is shown.
func (s *Service) FirstKeys(ctx context.Context, entity store.ID, by User) (map[store.ID]redact.Secret, error) {
	members, err := s.store.Members(ctx, entity)
	if err != nil {
		return nil, err
	}
	keys := map[store.ID]redact.Secret{}
	for _, m := range members {
		if m.KeyFor != by.ID || m.KeyFor == 0 || m.KeyUntil <= store.At(s.now()) {
			continue
		}
		secret := newKey()
		err := s.store.ClaimKey(ctx, m.ID, by.ID, s.now(), s.keyRow(secret, "first key"))
		if errors.Is(err, store.ErrNotFound) { // another request was first
			continue
		}
		if err != nil {
			return nil, err
		}
		keys[m.ID] = secret
	}
	return keys, nil
}

// CreateUserByEmail makes a user of whom only the address is known, with a username made of it and without a password.
func (s *Service) CreateUserByEmail(ctx context.Context, email string, admin bool) (User, error) {
	if err := CheckEmail(email); err != nil {
		return User{}, err
	}
	return unused(usernameFrom(email), func(name string) (User, error) {
		return s.CreateUser(ctx, NewUser{Username: name, Email: email, Admin: admin})
	})
}
