package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
)

func userCreateCommand(s *settings) *cobra.Command {
	var n account.NewUser
	var passwordStdin, noPassword bool
	var key string
	create := &cobra.Command{
		Use: "create", Short: "Create a user", Args: cobra.NoArgs,
		Long: "Create a user with a personal entity of the same name. The password is generated and printed, unless it is read from " +
			"standard input. Where both a password and an API key are read from standard input, the password is the first line.",
		Example: "  server admin user create --username ada --email ada@example.com --admin\n" +
			"  printf '%s\\n' \"$PASSWORD\" \"$KEY\" | server admin user create --username ci --email ci@example.com --password-stdin --api-key -",
	}
	f := create.Flags()
	f.StringVar(&n.Username, "username", "", "username, which is also the name of the user's entity")
	f.StringVar(&n.Email, "email", "", "email address")
	f.StringVar(&n.Name, "name", "", "name shown to people (default: the username)")
	f.BoolVar(&n.Admin, "admin", false, "make the user an administrator")
	f.BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input")
	f.BoolVar(&noPassword, "no-password", false, "create a user that cannot sign in to the pages, only use API keys")
	f.StringVar(&key, "api-key", "", "give the user this API key; \"-\" reads it from standard input")
	require(create, "username", "email")
	create.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	create.RunE = s.administer(func(ctx context.Context, cmd *cobra.Command, accounts *account.Service) (any, error) {
		input := linesOf(cmd.InOrStdin())
		generated, err := choosePassword(&n.Password, passwordStdin, noPassword, input)
		if err != nil {
			return nil, err
		}
		if n.APIKey, err = chooseKey(key, input); err != nil {
			return nil, err
		}
		user, err := accounts.CreateUser(ctx, n)
		if err != nil {
			return nil, err
		}
		out := admin.UserOf(user)
		out.Password = generated.Reveal()
		return out, nil
	})
	return create
}

// choosePassword sets a password that was read or generated; a generated one is returned to be shown.
func choosePassword(password *redact.Secret, stdin, none bool, input lines) (generated redact.Secret, err error) {
	switch {
	case stdin:
		*password, err = input.next("password")
	case !none:
		generated = account.NewPassword()
		*password = generated
	}
	return generated, err
}

// chooseKey returns a key that was given or is read.
func chooseKey(key string, input lines) (redact.Secret, error) {
	if key == "-" {
		return input.next("API key")
	}
	return redact.Secret(key), nil
}

func userListCommand(s *settings) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List users, oldest first", Args: cobra.NoArgs}
	list.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		users := []admin.User{}
		err := accounts.Users(ctx, func(u account.User) error {
			users = append(users, admin.UserOf(u))
			return nil
		})
		return users, err
	})
	return list
}

func userSetPasswordCommand(s *settings) *cobra.Command {
	var username string
	var stdin bool
	set := &cobra.Command{
		Use: "set-password", Short: "Give a user a new password and end the user's sessions", Args: cobra.NoArgs,
		Long: "Give a user a new password and end the user's sessions. The password is generated and printed, unless it is read from standard input.",
	}
	set.Flags().StringVar(&username, "username", "", "the user")
	set.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	require(set, "username")
	set.RunE = s.administer(func(ctx context.Context, cmd *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		var password redact.Secret
		generated, err := choosePassword(&password, stdin, false, linesOf(cmd.InOrStdin()))
		if err != nil {
			return nil, err
		}
		if err := accounts.SetPassword(ctx, user, password); err != nil {
			return nil, err
		}
		out := admin.UserOf(user)
		out.Password = generated.Reveal()
		return out, nil
	})
	return set
}

func userDeleteCommand(s *settings) *cobra.Command {
	var username string
	var projects bool
	del := &cobra.Command{
		Use: "delete", Short: "Delete a user, with its API keys and sessions", Args: cobra.NoArgs,
		Long: "Delete a user, with its API keys and sessions. The username stays taken, since runs carry it; the email address is free again. " +
			"What is in the user's own projects stays, and administrators reach it.",
	}
	del.Flags().BoolVar(&projects, "delete-projects", false, "delete the user's own projects as well, with everything in them")
	del.Flags().StringVar(&username, "username", "", "the user")
	require(del, "username")
	del.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		return admin.UserOf(user), accounts.DeleteUser(ctx, user, projects)
	})
	return del
}

func userLinkCommand(s *settings) *cobra.Command {
	var username, issuer, subject string
	link := &cobra.Command{
		Use: "link", Short: "Let an identity of a provider sign in as a user", Args: cobra.NoArgs,
		Long: "Let an identity of a provider sign in as a user. A service account may be linked as well: programs then exchange identity " +
			"tokens of that subject for access tokens.",
		Example: "  server admin user link --username ada --issuer https://id.example.com --subject 248289761001",
	}
	f := link.Flags()
	f.StringVar(&username, "username", "", "the user")
	f.StringVar(&issuer, "issuer", "", "URL of the provider, as OIDC_ISSUER names it")
	f.StringVar(&subject, "subject", "", "what the provider calls the user: the claim \"sub\"")
	require(link, "username", "issuer", "subject")
	link.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		return admin.UserOf(user), accounts.LinkIdentity(ctx, user, issuer, subject)
	})
	return link
}

func userSetActiveCommand(s *settings, name, short string, disabled bool) *cobra.Command {
	var username string
	set := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	set.Flags().StringVar(&username, "username", "", "the user")
	require(set, "username")
	set.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		user, err := accounts.UserByUsername(ctx, username)
		if err != nil {
			return nil, err
		}
		if err := accounts.UpdateUser(ctx, user, account.Change{Disabled: &disabled}); err != nil {
			return nil, err
		}
		user.Disabled = disabled
		return admin.UserOf(user), nil
	})
	return set
}

// require marks flags without which a command makes no sense.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that does not exist
	}
}
