package account

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Key is an API key without the key itself.
type Key struct {
	ID store.ID
	// Name is the first characters of the key, by which its owner knows it again.
	Name        string
	Description string
	CreatedAt   time.Time
	// LastUsedAt is exact to about a minute; zero for a key that was never used.
	LastUsedAt time.Time
}

const (
	// keyBytes random bytes give the 40 hexadecimal digits that every generation of the client knows.
	keyBytes = 20
	// keyNameLength characters of a key are shown. The 32 bits that they reveal leave 128.
	keyNameLength = 8
	// maxKeysPerUser bounds a list that is read as a whole.
	maxKeysPerUser = 200
)

// CreateKey makes an API key. It is returned this once.
func (s *Service) CreateKey(ctx context.Context, u User, description string) (Key, redact.Secret, error) {
	secret := newKey()
	key, err := s.AddKey(ctx, u, secret, description)
	return key, secret, err
}

func newKey() redact.Secret {
	raw := make([]byte, keyBytes)
	_, _ = rand.Read(raw) // never fails
	return redact.Secret(hex.EncodeToString(raw))
}

// AddKey gives a user a key that an administrator chose.
func (s *Service) AddKey(ctx context.Context, u User, secret redact.Secret, description string) (Key, error) {
	if err := CheckKey(secret); err != nil {
		return Key{}, err
	}
	if err := CheckDescription(description); err != nil {
		return Key{}, err
	}
	if keys, err := s.store.KeysOf(ctx, u.ID); err != nil {
		return Key{}, err
	} else if len(keys) >= maxKeysPerUser {
		return Key{}, invalid("key", "a user may have %d keys: revoke one first", maxKeysPerUser)
	}
	row, err := s.store.InsertKey(ctx, u.ID, s.keyRow(secret, description))
	if errors.Is(err, store.ErrDuplicate) {
		return Key{}, taken("key", "this API key is in use")
	}
	if err != nil {
		return Key{}, err
	}
	return keyOf(row), nil
}

func (s *Service) keyRow(secret redact.Secret, description string) store.Key {
	k := secret.Reveal()
	return store.Key{
		Hash: digest(k), Name: store.Text(k[:min(keyNameLength, len(k))]), Description: store.Text(description),
		CreatedAt: store.At(s.now()),
	}
}

func keyOf(row store.Key) Key {
	return Key{
		ID: row.ID, Name: string(row.Name), Description: string(row.Description),
		CreatedAt: row.CreatedAt.Time(), LastUsedAt: row.LastUsedAt.Time(),
	}
}

// Keys returns the keys of a user, oldest first.
func (s *Service) Keys(ctx context.Context, u User) ([]Key, error) {
	rows, err := s.store.KeysOf(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(row)
	}
	return keys, nil
}

// RevokeKey removes a key of a user; ReasonNotFound where the user has no such key. No later request with it is let in, at
// any replica.
func (s *Service) RevokeKey(ctx context.Context, u User, id store.ID) error {
	err := s.store.DeleteKey(ctx, u.ID, id)
	if errors.Is(err, store.ErrNotFound) {
		return &fault.Error{Reason: ReasonNotFound, Op: "revoke the API key", Err: errors.New("there is no such key")}
	}
	return err
}

// KeyOwner returns whose key this is; ReasonNotFound where there is no such key.
func (s *Service) KeyOwner(ctx context.Context, id store.ID) (User, error) {
	row, err := s.store.UserOfKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return User{}, &fault.Error{Reason: ReasonNotFound, Op: "find the API key", Err: errors.New("there is no such key")}
	}
	return userOf(row), err
}

// ByKey returns the user whose key this is; ReasonRefused where nobody's.
func (s *Service) ByKey(ctx context.Context, secret redact.Secret) (User, error) {
	user, _, err := s.Owner(ctx, secret)
	return user, err
}

// Owner returns the user whose key this is, and the id of the key; ReasonRefused where nobody's.
func (s *Service) Owner(ctx context.Context, secret redact.Secret) (User, store.ID, error) {
	if secret == "" || len(secret) > maxKey {
		return User{}, 0, unknownKey()
	}
	owner, err := s.store.OwnerOfKey(ctx, digest(secret.Reveal()))
	if errors.Is(err, store.ErrNotFound) {
		return User{}, 0, unknownKey()
	}
	if err != nil {
		return User{}, 0, err
	}
	s.usage.note(owner.KeyID, owner.KeyLastUsedAt.Time(), s.now())
	return userOf(owner.User), owner.KeyID, nil
}

func unknownKey() error {
	return &fault.Error{Reason: ReasonRefused, Op: "check the API key", Err: errors.New("this API key is unknown or was revoked")}
}
