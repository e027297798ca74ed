package store_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestWhatOlderLevelsWroteIsRead takes each level that a release had from its own rows to the newest level.
func TestWhatOlderLevelsWroteIsRead(t *testing.T) {
	levels, err := filepath.Glob("testdata/levels/*.sql")
	if err != nil || len(levels) == 0 {
		t.Fatalf("there are no levels: %v", err)
	}
	for _, rows := range levels {
		level, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(rows), ".sql"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("level "+strconv.FormatInt(level, 10), func(t *testing.T) {
			storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
				s, err := store.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				if err := s.MigrateTo(t.Context(), level, rows); err != nil {
					t.Fatalf("fill level %d: %v", level, err)
				}
				if _, err := s.Health(t.Context()); err == nil {
					t.Error("a database of an older level is called healthy")
				}
				if err := s.Prepare(t.Context(), true); err != nil {
					t.Fatalf("migrate from level %d: %v", level, err)
				}
				if schema, err := s.Health(t.Context()); err != nil || schema.Applied != schema.Wanted {
					t.Fatalf("after the migration: %+v, %v", schema, err)
				}
				readAccounts(t, s)
			})
		})
	}
}

// readAccounts finds the people of every level.
func readAccounts(t *testing.T, s *store.Store) {
	accounts := account.New(s, account.Config{})
	user, _, err := accounts.SignIn(t.Context(), "ada@example.com", "an upgrade keeps 42", "192.0.2.1")
	if err != nil || user.Username != "Ada" || !user.Admin || user.Entity() != "Ada" {
		t.Errorf("signing in gives %+v, %v", user, err)
	}
	for username, key := range map[string]redact.Secret{
		"Ada":   "user_gw0-0123456789abcdef0123456789abcdef01234567",
		"grace": "cf7a7346284aacd5c8e0c9f9481f6a76c0096104",
	} {
		if user, err := accounts.ByKey(t.Context(), key); err != nil || user.Username != username {
			t.Errorf("the key of %s gives %+v, %v", username, user, err)
		}
	}
	if needs, err := accounts.NeedsSetup(t.Context()); needs || err != nil {
		t.Errorf("the instance wants a first administrator again: %v", err)
	}
	if _, err := accounts.UserByUsername(t.Context(), "gone"); err == nil {
		t.Error("a deleted user is back")
	}
}
