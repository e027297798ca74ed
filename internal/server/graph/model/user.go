// Package model holds what the fields of the schema are read from. models_gen.go is generated.
package model

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// User is an account as GraphQL shows it.
type User struct {
	account.User
}

// ID is opaque to clients.
func (u User) ID() string { return ID("User", u.User.ID) }

// Entity is the name of the personal entity.
func (u User) Entity() string { return u.User.Entity() }

// Flags is never empty: the client decodes it as it stands.
func (u User) Flags() string { return "{}" }

// CreatedAt is when the account was made.
func (u User) CreatedAt() *time.Time { return &u.User.CreatedAt }

// DeletedAt is always null: a user that was deleted is not found.
func (u User) DeletedAt() *time.Time { return nil }

// Email is null for a service account, which has none.
func (u User) Email() *string {
	if u.User.Email == "" {
		return nil
	}
	return &u.User.Email
}

// PhotoURL is null: there are no pictures.
func (u User) PhotoURL() *string { return nil }

// ID is the form of every id: padded base64 of the type and a number. Clients refuse ids that are no strings, and some
// decode them.
func ID(kind string, id store.ID) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

func splitID(id string) (kind, number string, ok bool) {
	plain, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(plain), ":")
}
