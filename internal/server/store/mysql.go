package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// MySQL says where a MySQL 8 (or newer) database is and how to sign in. User and password may hold any character.
type MySQL struct {
	Host     string
	Port     int
	Database string
	User     string
	Password redact.Secret
	// CACertPath is a PEM file. Where set, the connection must be encrypted, the server's certificate must be signed by it,
	// and must be for Host if it names any host: those that managed databases make for one instance name none. Else the
	// connection is encrypted where the server can, without a check of who it is.
	CACertPath string
}

const (
	mysqlConnections = 32
	mysqlDialTimeout = 5 * time.Second
	mysqlIOTimeout   = 30 * time.Second
	mysqlIdleTime    = 30 * time.Second
	mysqlLifetime    = 5 * time.Minute // so that a failover behind one address is noticed
	// mysqlAbandonTime is after how many seconds of silence MySQL ends a connection and gives up its locks: those of a replica
	// that stands still or cannot be reached keep others from writing to the same runs. The pool keeps nothing for so long: it
	// looks for idle connections once in mysqlIdleTime.
	mysqlAbandonTime   = "70"
	mysqlMigrationLock = "kubewandb.migrate"
	mysqlMigrationWait = 5 * time.Minute
)

type mysqlEngine struct{ config *mysql.Config }

func newMySQLEngine(my MySQL) (mysqlEngine, error) {
	cfg := mysql.NewConfig()
	cfg.Net = "tcp"
	cfg.Addr = net.JoinHostPort(my.Host, strconv.Itoa(my.Port))
	cfg.User, cfg.Passwd = my.User, my.Password.Reveal()
	cfg.DBName = my.Database
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = mysqlDialTimeout, mysqlIOTimeout, mysqlIOTimeout
	cfg.Collation = "utf8mb4_bin"
	cfg.ClientFoundRows = true // rows affected means rows matched, as in SQLite
	// Arguments travel inside of the statement: one round trip in place of two. The collation above makes that safe.
	cfg.InterpolateParams = true
	cfg.RejectReadOnly = true // after a failover the old primary answers read-only: reconnect
	cfg.Params = map[string]string{
		"transaction_isolation": "'READ-COMMITTED'",
		"wait_timeout":          mysqlAbandonTime,
		// Strict mode refuses what does not fit a column, where the server's default may cut it off.
		"sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
	}
	cfg.Logger = &mysql.NopLogger{} // every failure is returned as well
	cfg.TLSConfig = "preferred"
	if my.CACertPath != "" {
		roots, err := readRoots(my.CACertPath)
		if err != nil {
			return mysqlEngine{}, err
		}
		cfg.TLS = verifiedTLS(roots, my.Host)
	}
	return mysqlEngine{config: cfg}, nil
}

// verifiedTLS checks certificates as MySQL.CACertPath promises. The standard check, which it replaces, refuses every
// certificate without the name of a host.
func verifiedTLS(roots *x509.CertPool, host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0] // TLS has made sure that there is one
			options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
			if len(leaf.DNSNames)+len(leaf.IPAddresses) > 0 {
				options.DNSName = host
			}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			if _, err := leaf.Verify(options); err != nil {
				return fmt.Errorf("check the certificate of MySQL: %w", err)
			}
			return nil
		},
	}
}

func readRoots(path string) (*x509.CertPool, error) {
	failure := func(err error) error {
		return &fault.Error{
			Reason: "MySQLCACertInvalid", Op: "read the CA certificate of MySQL", Err: err,
			Hint: "MYSQL_CA_CERT_PATH must name a PEM file with at least one certificate.",
		}
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, failure(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, failure(fmt.Errorf("%s holds no certificate", path))
	}
	return roots, nil
}

func (mysqlEngine) name() string { return "mysql" }

func (e mysqlEngine) connect() (read, write *sql.DB, err error) {
	connector, err := mysql.NewConnector(e.config)
	if err != nil {
		return nil, nil, fmt.Errorf("configure MySQL: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(mysqlConnections)
	db.SetMaxIdleConns(mysqlConnections / 2)
	db.SetConnMaxIdleTime(mysqlIdleTime)
	db.SetConnMaxLifetime(mysqlLifetime)
	return db, db, nil
}

func (mysqlEngine) reach(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }

func (mysqlEngine) query(db *sql.DB) *bun.DB { return bun.NewDB(db, mysqldialect.New()) }

// durability refuses settings under which MySQL answers a commit before it is on disk.
func (mysqlEngine) durability(ctx context.Context, db *sql.DB) error {
	var flush, binlog, syncBinlog int
	row := db.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog")
	if err := row.Scan(&flush, &binlog, &syncBinlog); err != nil {
		return fmt.Errorf("read durability settings: %w", err)
	}
	if flush != 1 {
		return fmt.Errorf("innodb_flush_log_at_trx_commit is %d and must be 1: an acknowledged write could be lost", flush)
	}
	if binlog == 1 && syncBinlog != 1 {
		return fmt.Errorf("sync_binlog is %d and must be 1: an acknowledged write could be lost", syncBinlog)
	}
	return nil
}

func (mysqlEngine) migrator() migrationLock { return migrationLock{session: namedLock{}} }

// namedLock keeps two replicas from migrating at once. MySQL frees it when its holder's connection ends.
type namedLock struct{}

// SessionLock waits until no other connection holds the lock.
func (namedLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	// The wait is split so that it stays below the read timeout of the connection.
	for deadline := time.Now().Add(mysqlMigrationWait); time.Now().Before(deadline); {
		var got sql.NullInt64
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", mysqlMigrationLock, 10).Scan(&got)
		if err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
		if got.Int64 == 1 {
			return nil
		}
	}
	return fmt.Errorf("lock migrations: another program has held the lock for %s", mysqlMigrationWait)
}

// SessionUnlock lets the next replica migrate.
func (namedLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", mysqlMigrationLock); err != nil {
		return fmt.Errorf("unlock migrations: %w", err)
	}
	return nil
}
