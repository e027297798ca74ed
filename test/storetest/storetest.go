// Package storetest opens real databases for tests: a new SQLite file, and a new database of a real MySQL.
package storetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/mysql"
)

// Each runs a test on an empty, migrated database of each kind.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, cfg store.Config) { test(t, Open(t, cfg)) })
}

// EachConfig runs a test with the address of an empty database of each kind.
func EachConfig(t *testing.T, test func(t *testing.T, cfg store.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("mysql", func(t *testing.T) { test(t, MySQL(t)) })
}

// SQLite is the address of a new file.
func SQLite(t testing.TB) store.Config {
	return store.Config{SQLitePath: filepath.Join(t.TempDir(), "wandb.sqlite"), Logger: slog.New(slog.DiscardHandler)}
}

// MySQL is the address of a new database.
func MySQL(t testing.TB) store.Config {
	db := mysql.Start(t)
	return store.Config{
		MySQL: &store.MySQL{
			Host: db.Host, Port: db.Port, Database: db.Name, User: db.User, Password: redact.Secret(db.Password),
		},
		Logger: slog.New(slog.DiscardHandler),
	}
}

// Open opens and migrates a database; it is closed when the test ends.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	if err := s.Prepare(t.Context(), true); err != nil {
		t.Fatalf("prepare the database: %v", err)
	}
	return s
}
