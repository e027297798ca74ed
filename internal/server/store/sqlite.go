package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

const (
	// sqliteBusyTimeout is how long a statement waits for another program's write, such as a command in the same pod.
	sqliteBusyTimeout = 10 * time.Second
	// sqliteReaders is how many reads run at once; more only compete for the processor.
	sqliteReaders = 8
)

type sqliteEngine struct{ path string }

func (sqliteEngine) name() string { return "sqlite" }

func (e sqliteEngine) connect() (read, write *sql.DB, err error) {
	connector, err := sqlite.NewConnector(e.dsn())
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", e.path, err)
	}
	read, write = sql.OpenDB(connector), sql.OpenDB(connector)
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteReaders)
	write.SetMaxOpenConns(1)
	return read, write, nil
}

// dsn is a file URI, so that a path may hold any character.
func (e sqliteEngine) dsn() string {
	path, err := filepath.Abs(e.path)
	if err != nil {
		path = e.path
	}
	options := url.Values{}
	options.Set("_busy_timeout", fmt.Sprint(sqliteBusyTimeout.Milliseconds()))
	options.Set("_journal_mode", "WAL")
	options.Set("_synchronous", "FULL")
	options.Set("_foreign_keys", "on")
	options.Set("_txlock", "immediate")
	options.Set("_dqs", "false")
	return (&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String()
}

// reach makes the first connection alone: it may change the journal mode, for which SQLite does not wait when another
// program does the same.
func (e sqliteEngine) reach(ctx context.Context, db *sql.DB) error {
	lock := e.fileLock()
	if err := lock.Lock(ctx, db); err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), lock.Unlock(ctx, db))
}

func (sqliteEngine) query(db *sql.DB) *bun.DB { return bun.NewDB(db, sqlitedialect.New()) }

// durability reads back what dsn asks for: a file system without shared memory silently keeps another journal mode.
func (e sqliteEngine) durability(ctx context.Context, db *sql.DB) error {
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
		return fmt.Errorf("journal_mode is %s and synchronous is %d: an acknowledged write could be lost", journal, synchronous)
	}
	return nil
}

func (e sqliteEngine) migrator() migrationLock {
	return migrationLock{locker: e.fileLock()}
}

func (e sqliteEngine) fileLock() *fileLock { return &fileLock{path: e.path + ".lock"} }

// fileLock keeps two programs on one SQLite file from opening it first, or migrating it, at once. The system frees it when its holder ends.
type fileLock struct {
	path string
	file *os.File
}

// Lock waits until no other program holds the file.
func (l *fileLock) Lock(ctx context.Context, _ *sql.DB) error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the database file: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			l.file = file
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return errors.Join(fmt.Errorf("lock the database file: %w", err), file.Close())
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return errors.Join(fmt.Errorf("wait for another program: %w", err), file.Close())
		}
	}
}

// Unlock lets the next program migrate.
func (l *fileLock) Unlock(context.Context, *sql.DB) error { return l.file.Close() }
