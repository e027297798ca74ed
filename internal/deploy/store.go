package deploy

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	databaseName = "deploy.db"
	busyTimeout  = 10 * time.Second
	// readers is how many reads run at once; more only compete for the processor.
	readers = 4
	// takeOver is how long a starting server waits for the one before it to let go of the data.
	takeOver = 30 * time.Second
)

// migrations are numbered and never change once released.
//
//go:embed migrations/*.sql
var migrations embed.FS

// store is the database of one server. Every write is on stable storage when the call returns: WAL with full syncs.
type store struct {
	// write has one connection, so that writers queue instead of failing; read has several.
	write, read *bun.DB
	lock        *os.File
}

// openStore opens the database in dir, which it holds alone until close: what channels offer is kept in memory, and a
// second process would not notice a promotion.
func openStore(ctx context.Context, dir string) (*store, error) {
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &store{lock: lock}
	if err := s.open(ctx, filepath.Join(dir, databaseName)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *store) open(ctx context.Context, path string) error {
	// SQLite gives its other files the permissions of this one.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, privatePerms)
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	write, err := connect(path, 1)
	if err != nil {
		return err
	}
	s.write = write
	if err := migrate(ctx, write.DB); err != nil {
		return err
	}
	if err := checkDurability(ctx, write.DB); err != nil {
		return err
	}
	s.read, err = connect(path, readers)
	return err
}

func connect(path string, connections int) (*bun.DB, error) {
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
	}}
	source := url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

// checkDurability reads back what connect asked for: a file system without shared memory silently keeps another
// journal mode.
func checkDurability(ctx context.Context, db *sql.DB) error {
	var journal string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return fmt.Errorf("read journal_mode: %w", err)
	}
	var synchronous int
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return fmt.Errorf("read synchronous: %w", err)
	}
	const full = 2
	if journal != "wal" || synchronous < full {
		return &fault.Error{
			Reason: "StorageNotDurable", Op: "check database", Hint: "Put the data folder on a local file system.",
			Err: fmt.Errorf("journal_mode is %s and synchronous is %d: an acknowledged write could be lost", journal, synchronous),
		}
	}
	return nil
}

// lockDir waits for the lock of the folder: during a rolling update the old server still holds it for a moment. The
// system frees it when its holder ends, however that happens.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(&fault.Error{
				Reason: "DataDirInUse", Op: "lock data folder", Err: err, Retry: true,
				Hint: "Another deploy-server uses this data folder. Run one replica, with the Deployment's strategy Recreate.",
			}, file.Close())
		}
	}
}

func (s *store) close() error {
	var errs []error
	for _, db := range []*bun.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// ping tells whether the database answers.
func (s *store) ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("reach database: %w", err)
	}
	return nil
}

// stamp and moment convert between times and the whole microseconds that the database holds.
func stamp(t time.Time) int64      { return t.UnixMicro() }
func moment(micro int64) time.Time { return time.UnixMicro(micro).UTC() }
