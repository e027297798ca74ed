package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// adminTimeout bounds one command, also where the database does not answer.
const adminTimeout = time.Minute

// open reaches the database of a command. A running server may use the same one.
func (s *settings) open(cmd *cobra.Command) (*store.Store, error) {
	logger, err := s.logger(cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	s.Logger = logger
	cfg := s.StoreConfig()
	if cfg.MySQL == nil {
		if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
			return nil, &fault.Error{
				Reason: "DataDirUnusable", Op: "make the data folder", Err: err, Hint: "Name the server's folder with --data-dir.",
			}
		}
	}
	return store.Open(cfg)
}

// administer runs an action on accounts and prints its result as JSON.
func (s *settings) administer(action func(ctx context.Context, cmd *cobra.Command, accounts *account.Service) (any, error)) func(*cobra.Command, []string) error {
	return s.onDatabase(func(ctx context.Context, cmd *cobra.Command, database *store.Store) (any, error) {
		return action(ctx, cmd, account.New(database, account.Config{Logger: s.Logger}))
	})
}

// onDatabase runs an action on the database of a command and prints its result as JSON.
func (s *settings) onDatabase(action func(ctx context.Context, cmd *cobra.Command, database *store.Store) (any, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) (err error) {
		ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
		defer cancel()
		if !cmd.Flags().Changed("log-level") {
			s.logLevel = "warn" // what a server logs would only disturb
		}
		database, err := s.open(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, database.Close()) }()
		if err := database.Prepare(ctx, !s.SkipMigrations); err != nil {
			return err
		}
		result, err := action(ctx, cmd, database)
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), result)
	}
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func migrateCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema up to this program's", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			database, err := s.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, database.Close()) }()
			if err := database.Prepare(cmd.Context(), true); err != nil {
				return err
			}
			schema, err := database.Schema(cmd.Context())
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), map[string]any{"database": database.Engine(), "schema": schema})
		},
	}
}

func adminCommand(s *settings) *cobra.Command {
	user := commandline.Group("user", "Create, list, change and delete users", userCreateCommand(s), userListCommand(s), userSetPasswordCommand(s), userDeleteCommand(s), userLinkCommand(s),
		userSetActiveCommand(s, "disable", "Stop a user's keys and sessions at once", true),
		userSetActiveCommand(s, "enable", "Let a disabled user's keys and password work again", false))
	key := commandline.Group("key", "Create, list and revoke API keys", keyCreateCommand(s), keyListCommand(s), keyRevokeCommand(s))
	root := commandline.Group("admin", "Administer accounts, projects and quotas; prints JSON",
		user, key, projectCommand(s), quotaCommand(s), teamCommand(s), orgCommand(s), memberCommand(s), serviceCommand(s))
	root.Long = "Administer accounts, projects and quotas. The commands work on the server's database, beside a running server, and print JSON."
	return root
}

type keyOutput struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	CreatedAt   time.Time  `json:"createdAt"`
	LastUsedAt  *time.Time `json:"lastUsedAt"`
	// Key is there where it was just created, and only then.
	Key string `json:"key,omitempty"`
}

func toKeyOutput(k account.Key) keyOutput {
	out := keyOutput{ID: strconv.FormatInt(int64(k.ID), 10), Name: k.Name, Description: k.Description, CreatedAt: k.CreatedAt}
	if !k.LastUsedAt.IsZero() {
		out.LastUsedAt = &k.LastUsedAt
	}
	return out
}

// lines reads secrets from standard input, one a line, so that they stand in no command line.
type lines struct{ scanner *bufio.Scanner }

func linesOf(r io.Reader) lines { return lines{bufio.NewScanner(io.LimitReader(r, 64<<10))} }

func (l lines) next(what string) (redact.Secret, error) {
	if !l.scanner.Scan() {
		return "", fmt.Errorf("read the %s from standard input: %w", what, errors.Join(l.scanner.Err(), io.ErrUnexpectedEOF))
	}
	return redact.Secret(l.scanner.Text()), nil
}
