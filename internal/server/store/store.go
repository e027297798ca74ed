package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// Config says where the database is.
type Config struct {
	// SQLitePath is the file of the SQLite database; its folder must exist. Used when MySQL is nil.
	SQLitePath string
	// MySQL, where set, is used in place of SQLite.
	MySQL *MySQL
	// Logger hears of migrations; nil means slog.Default().
	Logger *slog.Logger
}

// Store is the database. Its methods may be called from any goroutine, and fail with ReasonUnavailable until Prepare has
// returned nil once.
type Store struct {
	engine engine
	logger *slog.Logger
	ids    idSource
	// pools is nil until the database was reached: the query layer asks MySQL for its version when it is made.
	pools atomic.Pointer[pools]
}

// pools are two views of one database. SQLite has one writer at a time: a pool of one connection makes writers queue in
// order here, where they would poll for the lock otherwise. MySQL uses one pool for both.
type pools struct {
	read, write *bun.DB
}

// engine is what differs between the two databases: connecting, locking migrations, and proving durability.
type engine interface {
	// connect opens the pools without reaching the database.
	connect() (read, write *sql.DB, err error)
	// reach makes the first connection.
	reach(ctx context.Context, db *sql.DB) error
	// query wraps a pool in the query layer; the database must be reachable.
	query(db *sql.DB) *bun.DB
	// durability returns an error where an acknowledged write could be lost.
	durability(ctx context.Context, db *sql.DB) error
	// migrator returns what keeps two programs from migrating at once.
	migrator() migrationLock
	name() string
}

// Open prepares to use a database without reaching it. Close frees it.
func Open(cfg Config) (*Store, error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	s := &Store{logger: logger, engine: sqliteEngine{path: cfg.SQLitePath}}
	if cfg.MySQL != nil {
		e, err := newMySQLEngine(*cfg.MySQL)
		if err != nil {
			return nil, err
		}
		s.engine = e
	}
	return s, nil
}

// Engine names the database: "sqlite" or "mysql".
func (s *Store) Engine() string { return s.engine.name() }

// Prepare reaches the database and, with migrate, brings its schema up to this program's. It may be called again after a
// failure, and is safe beside other programs that do the same. ReasonSchemaTooNew tells that this program must not work on it.
func (s *Store) Prepare(ctx context.Context, migrate bool) error {
	if s.pools.Load() == nil {
		if err := s.reach(ctx); err != nil {
			return err
		}
	}
	if migrate {
		return s.migrate(ctx)
	}
	schema, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	return schema.readable()
}

func (s *Store) reach(ctx context.Context) error {
	read, write, err := s.engine.connect()
	if err != nil {
		return &fault.Error{Reason: ReasonUnavailable, Op: "open the " + s.engine.name() + " database", Retry: true, Err: err}
	}
	if err := s.engine.reach(ctx, write); err != nil {
		return errors.Join(
			&fault.Error{Reason: ReasonUnavailable, Op: "reach the " + s.engine.name() + " database", Retry: true, Err: err},
			closePools(read, write))
	}
	p := &pools{read: s.engine.query(read)}
	p.write = p.read
	if write != read {
		p.write = s.engine.query(write)
	}
	if !s.pools.CompareAndSwap(nil, p) {
		return closePools(read, write)
	}
	return nil
}

func closePools(read, write *sql.DB) error {
	err := write.Close()
	if read != write {
		err = errors.Join(err, read.Close())
	}
	return err
}

// Close ends the connections.
func (s *Store) Close() error {
	p := s.pools.Load()
	if p == nil {
		return nil
	}
	if err := closePools(p.read.DB, p.write.DB); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

// Pools returns the pool for reading and the one for writing, for the metrics of their connections; nil before Prepare.
func (s *Store) Pools() (read, write *sql.DB) {
	if p := s.pools.Load(); p != nil {
		return p.read.DB, p.write.DB
	}
	return nil, nil
}

var errNotPrepared = errors.New("the database has not been reached yet")

// view runs a query that only reads.
func (s *Store) view(ctx context.Context, op string, fn func(db bun.IDB) error) error {
	p := s.pools.Load()
	if p == nil {
		return classify(op, errNotPrepared)
	}
	return classify(op, fn(p.read))
}

// Transactions that the database undid are repeated so often, each time after a longer pause.
const (
	transactionTries = 6
	transactionPause = 5 * time.Millisecond
)

// update runs a transaction, and runs it again where the database undid it to resolve a deadlock. When it returns nil the
// writes are on stable storage. ErrLate tells that the request of ctx came too long ago.
func (s *Store) update(ctx context.Context, op string, fn func(ctx context.Context, tx bun.Tx) error) error {
	p := s.pools.Load()
	if p == nil {
		return classify(op, errNotPrepared)
	}
	for try := 1; ; try++ {
		err := p.write.RunInTx(ctx, nil, punctual(fn))
		if err == nil || !mayRepeat(err) || try == transactionTries {
			return classify(op, err)
		}
		if err := pause(ctx, time.Duration(try)*transactionPause); err != nil {
			return classify(op, err)
		}
	}
}

// pause waits for between half and the whole of d, so that two transactions do not meet again.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ID is the primary key of a row.
type ID int64

// NewID returns an id that no other row or object has.
func (s *Store) NewID() ID { return s.ids.next() }

// idSource makes ids that grow with time and differ between programs that write to one database: milliseconds since 2024
// in the upper 41 bits, 22 random bits below them.
type idSource struct {
	mu   sync.Mutex
	last ID
	// seams for tests
	now func() time.Time
}

const (
	idEpochMillis = 1_704_067_200_000 // 2024-01-01T00:00:00Z
	idRandomBits  = 22
)

func (s *idSource) next() ID {
	now := time.Now
	if s.now != nil {
		now = s.now
	}
	id := ID((now().UnixMilli()-idEpochMillis)<<idRandomBits | rand.Int64N(1<<idRandomBits))
	s.mu.Lock()
	defer s.mu.Unlock()
	if id <= s.last {
		id = s.last + 1
	}
	s.last = id
	return id
}
