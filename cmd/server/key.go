package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func keyCreateCommand(s *settings) *cobra.Command {
	var username, description, key string
	create := &cobra.Command{
		Use: "create", Short: "Create an API key and print it, this once", Args: cobra.NoArgs,
		Long: "Create an API key and print it: it is kept as a hash, and cannot be shown again. A key may also be given: any string " +
			"that the wandb client accepts.",
		Example: "  server admin key create --username ada --description laptop",
	}
	f := create.Flags()
	f.StringVar(&username, "username", "", "the user")
	f.StringVar(&description, "description", "", "a note that tells keys apart")
	f.StringVar(&key, "key", "", "the key; \"-\" reads it from standard input (default: a new random one)")
	require(create, "username")
	create.RunE = s.administer(func(ctx context.Context, cmd *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		given, err := chooseKey(key, linesOf(cmd.InOrStdin()))
		if err != nil {
			return nil, err
		}
		made, secret, err := createKey(ctx, accounts, user, given, description)
		if err != nil {
			return nil, err
		}
		out := toKeyOutput(made)
		out.Key = secret.Reveal()
		return out, nil
	})
	return create
}

func createKey(ctx context.Context, accounts *account.Service, user account.User, given redact.Secret, description string) (account.Key, redact.Secret, error) {
	if given == "" {
		return accounts.CreateKey(ctx, user, description)
	}
	made, err := accounts.AddKey(ctx, user, given, description)
	return made, given, err
}

func keyListCommand(s *settings) *cobra.Command {
	var username string
	list := &cobra.Command{Use: "list", Short: "List the API keys of a user, oldest first", Args: cobra.NoArgs}
	list.Flags().StringVar(&username, "username", "", "the user")
	require(list, "username")
	list.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		keys, err := accounts.Keys(ctx, user)
		out := make([]keyOutput, len(keys))
		for i, k := range keys {
			out[i] = toKeyOutput(k)
		}
		return out, err
	})
	return list
}

func keyRevokeCommand(s *settings) *cobra.Command {
	var username, id string
	revoke := &cobra.Command{Use: "revoke", Short: "Revoke an API key at once", Args: cobra.NoArgs}
	revoke.Flags().StringVar(&username, "username", "", "the user")
	revoke.Flags().StringVar(&id, "id", "", "the key, as `server admin key list` prints it")
	require(revoke, "username", "id")
	revoke.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read --id: %w", err)
		}
		return map[string]string{"revoked": id}, accounts.RevokeKey(ctx, user, store.ID(number))
	})
	return revoke
}
