package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// migrations are numbered and never change once released. Each holds statements that may be repeated, since MySQL commits
// every one of them by itself: a program that dies between two of them runs the file again.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock holds one of the two kinds of lock that goose knows.
type migrationLock struct {
	locker  lock.Locker
	session lock.SessionLocker
}

// Schema is the state of the database's schema.
type Schema struct {
	// Applied is the version in the database; 0 for an empty one.
	Applied int64 `json:"applied"`
	// Wanted is the newest version that this program knows. A newer program may have applied more.
	Wanted int64 `json:"wanted"`
	// ReadableBy is the oldest version whose programs can work on the database.
	ReadableBy int64 `json:"readableBy"`
}

func (s *Store) migrate(ctx context.Context) error {
	failure := func(err error) error {
		return &fault.Error{Reason: "MigrationFailed", Op: "migrate the database", Retry: true, Err: err}
	}
	current, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	if err := current.readable(); err != nil || current.Applied > current.Wanted {
		return err
	}
	if err := s.stateLevel(ctx, current.Wanted); err != nil {
		return failure(err)
	}
	if current.Applied == current.Wanted {
		return nil
	}
	provider, err := s.provider()
	if err != nil {
		return failure(err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return failure(err)
	}
	for _, result := range results {
		s.logger.InfoContext(ctx, "migration applied", "version", result.Source.Version, "duration", result.Duration.String())
	}
	return nil
}

// Schema reads which migrations were applied.
func (s *Store) Schema(ctx context.Context) (Schema, error) {
	provider, err := s.provider()
	if err != nil {
		return Schema{}, err
	}
	var schema Schema
	for _, source := range provider.ListSources() {
		schema.Wanted = max(schema.Wanted, source.Version)
	}
	schema.Applied, err = provider.GetDBVersion(ctx)
	if err != nil {
		return Schema{}, classify("read the schema version", err)
	}
	if schema.Applied > 0 {
		schema.ReadableBy, err = s.readableBy(ctx, schema.Applied)
	}
	return schema, err
}

func (s *Store) provider() (*goose.Provider, error) {
	p := s.pools.Load()
	if p == nil {
		return nil, classify("read the migrations", errNotPrepared)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	dialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if l := s.engine.migrator(); l.session != nil {
		dialect = goose.DialectMySQL
		options = append(options, goose.WithSessionLocker(l.session))
	} else {
		options = append(options, goose.WithLocker(l.locker))
	}
	provider, err := goose.NewProvider(dialect, p.write.DB, files, options...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}

// Health tells whether the database can be relied upon now: reachable, durable, and with every migration that this
// program needs. The schema is returned where it could be read, also beside an error.
func (s *Store) Health(ctx context.Context) (Schema, error) {
	p := s.pools.Load()
	if p == nil {
		return Schema{}, classify("check the database", errNotPrepared)
	}
	schema, err := s.Schema(ctx)
	if err != nil {
		return Schema{}, err
	}
	if err := schema.readable(); err != nil {
		return schema, err
	}
	if err := s.engine.durability(ctx, p.write.DB); err != nil {
		return schema, &fault.Error{
			Reason: "DatabaseNotDurable", Op: "check the database", Err: err,
			Hint: "Set it with SET PERSIST, or in the database's configuration; the server looks again by itself.",
		}
	}
	if schema.Applied < schema.Wanted {
		return schema, &fault.Error{
			Reason: "MigrationPending", Retry: true,
			Op:   fmt.Sprintf("check the database: schema %d is applied and %d is needed", schema.Applied, schema.Wanted),
			Hint: "Run: server migrate",
		}
	}
	return schema, nil
}
