package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
)

// mayKnow tells whether the user of the request may know the keys and teams of a user: one's own, and an administrator all.
// The client asks for them wherever a user is shown.
func mayKnow(ctx context.Context, user *model.User) bool {
	asker, ok := account.FromContext(ctx)
	return ok && (asker.Admin || asker.ID == user.User.ID)
}

func (r *Resolver) createUser(ctx context.Context, input model.CreateUserInput) (*model.User, error) {
	asker, ok := account.FromContext(ctx)
	if !ok || !asker.Admin {
		return nil, forbidden("create users", "Ask an administrator of this instance.")
	}
	admin := input.Admin != nil && *input.Admin
	if value(input.Username) == "" {
		user, err := r.Accounts.CreateUserByEmail(ctx, input.Email, admin)
		return &model.User{User: user}, err
	}
	user, err := r.Accounts.CreateUser(ctx, account.NewUser{
		Username: value(input.Username), Email: input.Email, Name: value(input.Name), Admin: admin,
	})
	return &model.User{User: user}, err
}

func (r *Resolver) updateUser(ctx context.Context, input model.UpdateUserInput) (*model.User, error) {
	user, ok := account.FromContext(ctx)
	if !ok {
		return nil, forbidden("change a user", "Sign in.")
	}
	if input.DefaultEntity != nil {
		if err := r.Accounts.SetDefaultEntity(ctx, user, *input.DefaultEntity); err != nil {
			return nil, err
		}
	}
	if input.Name != nil {
		if err := r.Accounts.UpdateUser(ctx, user, account.Change{Name: input.Name}); err != nil {
			return nil, err
		}
	}
	changed, err := r.Accounts.UserByID(ctx, user.ID)
	return &model.User{User: changed}, err
}

func (r *Resolver) generateKey(ctx context.Context, description string) (*model.APIKey, error) {
	user, ok := account.FromContext(ctx)
	if !ok {
		return nil, forbidden("create API keys", "Sign in.")
	}
	key, secret, err := r.Accounts.CreateKey(ctx, user, description)
	if err != nil {
		return nil, err
	}
	return &model.APIKey{
		ID: model.ID("ApiKey", key.ID), Name: secret.Reveal(), Description: &key.Description, CreatedAt: &key.CreatedAt,
	}, nil
}

func (r *Resolver) deleteKey(ctx context.Context, id string) error {
	asker, ok := account.FromContext(ctx)
	key, valid := model.ParseID(id, "ApiKey")
	if !ok || !valid {
		return &fault.Error{Reason: account.ReasonNotFound, Op: "find the API key", Err: errors.New("there is no such key")}
	}
	owner := asker
	if asker.Admin {
		found, err := r.Accounts.KeyOwner(ctx, key)
		if err != nil {
			return err
		}
		owner = found
	}
	return r.Accounts.RevokeKey(ctx, owner, key)
}

// search finds a user by exact username or address, among those whom the user of the request knows.
func (r *Resolver) search(ctx context.Context, query string) ([]*model.User, error) {
	asker, ok := account.FromContext(ctx)
	query = strings.TrimSpace(query)
	if !ok || query == "" {
		return nil, nil
	}
	found, err := r.Accounts.UserByDirectory(ctx, query)
	if fault.Reason(err, "") == account.ReasonNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := asker.Admin || asker.ID == found.ID
	if !known {
		if known, err = r.Accounts.ShareTeam(ctx, asker, found); err != nil {
			return nil, err
		}
	}
	if !known {
		return nil, nil
	}
	return []*model.User{{User: found}}, nil
}
