package preflight

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// Numbers of errors of MySQL.
const (
	accessDenied         = 1045
	databaseAccessDenied = 1044
	databaseUnknown      = 1049
	tooManyConnections   = 1040
	hostNotPrivileged    = 1130
)

// database is where the database is and how to sign in, as the chart passes it to the application.
type database struct {
	host, port, name, user string
	password               redact.Secret
	// authority is PEM; empty means that nobody checks who the server is.
	authority string
}

func (d database) address() string { return net.JoinHostPort(d.host, d.port) }

// mysql makes the three checks of the database over one connection.
func (r *run) mysql(ctx context.Context) []Check {
	settings := section(r.Values, "global", "mysql")
	if settings["host"] == nil || settings["host"] == "" {
		why := "global.mysql.host is empty: the data is kept on the volume"
		return []Check{idle(MySQLReachable, why), idle(MySQLVersion, why), idle(MySQLParameters, why)}
	}
	found, problem := r.database(ctx, settings)
	if problem != nil {
		return unreached(problem.check(MySQLReachable, r.Namespace))
	}
	db, err := r.open(found)
	if err != nil {
		return unreached(failed(MySQLReachable, "global.mysql: %v", err))
	}
	defer func() { _ = db.Close() }()
	reached := passed(MySQLReachable, "%s lets %s into database %s", found.address(), found.user, found.name)
	if err := db.PingContext(ctx); err != nil {
		decoded, ok := r.decoded(ctx, found, err)
		if !ok {
			return unreached(r.judgeConnection(found, err))
		}
		_ = db.Close()
		db = decoded
		reached = warning(MySQLReachable, "%s takes the password only percent-decoded. Charts that put it into a URL want it so; where the chart passes it as it is, decode it.", found.address())
	}
	variables, err := readVariables(ctx, db)
	if err != nil {
		why := "the settings could not be read: " + err.Error()
		return []Check{reached, skipped(MySQLVersion, "%s", why), skipped(MySQLParameters, "%s", why)}
	}
	return []Check{reached, judgeVersion(variables), judgeParameters(variables)}
}

// unreached is a database that nothing more can be asked of.
func unreached(reason Check) []Check {
	why := "the database was not reached"
	return []Check{reason, skipped(MySQLVersion, "%s", why), skipped(MySQLParameters, "%s", why)}
}

// database resolves global.mysql.
func (r *run) database(ctx context.Context, settings map[string]any) (database, *unresolved) {
	var d database
	var password string
	for _, field := range []struct {
		key  string
		into *string
	}{{"host", &d.host}, {"port", &d.port}, {"database", &d.name}, {"user", &d.user}, {"caCert", &d.authority}} {
		value, problem := r.setting(ctx, "global.mysql."+field.key, settings[field.key])
		if problem != nil {
			return database{}, problem
		}
		*field.into = strings.TrimSpace(value)
	}
	d.port, d.name, d.user = cmp.Or(d.port, "3306"), cmp.Or(d.name, "wandb_local"), cmp.Or(d.user, "wandb")
	value, path := settings["password"], "global.mysql.password"
	name := text(settings, "passwordSecret", "name")
	if _, isMap := value.(map[string]any); !isMap && name != "" {
		key := cmp.Or(text(settings, "passwordSecret", "passwordKey"), "MYSQL_PASSWORD")
		value, path = secretRef(name, key), "global.mysql.passwordSecret"
	}
	password, problem := r.setting(ctx, path, value)
	if problem != nil {
		return database{}, problem
	}
	d.password = redact.Secret(password)
	r.learn(d.password)
	return d, nil
}

func secretRef(name, key string) map[string]any {
	return map[string]any{"secretKeyRef": map[string]any{"name": name, "key": key}}
}

// open prepares a connection with the encryption that the application uses. It sends nothing.
func (r *run) open(d database) (*sql.DB, error) {
	if number, err := strconv.Atoi(d.port); err != nil || number < 1 || number > 65535 {
		return nil, fmt.Errorf("port %q is none", d.port)
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DialFunc = "tcp", d.address(), r.Dial
	config.User, config.Passwd, config.DBName = d.user, d.password.Reveal(), d.name
	config.Timeout, config.ReadTimeout, config.WriteTimeout = connectTime, checkTime, checkTime
	config.Logger = &mysql.NopLogger{} // every failure is returned as well
	config.TLSConfig = "preferred"
	if d.authority != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(d.authority)) {
			return nil, errors.New("caCert holds no certificate in PEM form")
		}
		config.TLS = checkedTLS(roots, d.host)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("configure the connection: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

// checkedTLS checks certificates as the server does: those that managed databases make for one instance name no host, and
// the standard check, which this replaces, refuses them.
func checkedTLS(roots *x509.CertPool, host string) *tls.Config {
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
				return &certificateError{err}
			}
			return nil
		},
	}
}

// certificateError tells a certificate that is not trusted from a server that is away.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return "check the certificate: " + e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// decoded tries a refused password once more without its percent-encoding: charts of today's operator put it into a URL.
func (r *run) decoded(ctx context.Context, d database, refusal error) (*sql.DB, bool) {
	var answer *mysql.MySQLError
	if !errors.As(refusal, &answer) || answer.Number != accessDenied {
		return nil, false
	}
	plain, err := url.PathUnescape(d.password.Reveal())
	if err != nil || plain == d.password.Reveal() {
		return nil, false
	}
	d.password = redact.Secret(plain)
	r.learn(d.password)
	db, err := r.open(d)
	if err != nil {
		return nil, false
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, false
	}
	return db, true
}

// judgeConnection says what a failed connection means.
func (r *run) judgeConnection(d database, err error) Check {
	var answer *mysql.MySQLError
	var certificate *certificateError
	switch {
	case errors.As(err, &answer):
		return judgeRefusal(d, answer)
	case errors.As(err, &certificate):
		return failed(MySQLReachable, "%s has a certificate that global.mysql.caCert does not vouch for: %v. Set caCert to the authority's certificate.", d.address(), certificate.err)
	case errors.Is(err, mysql.ErrNoTLS):
		return failed(MySQLReachable, "%s does not encrypt, and global.mysql.caCert asks for it. Turn TLS on in the server, or remove caCert.", d.address())
	case r.Outside:
		return skipped(MySQLReachable, "%s is not reached from here (%s); pods may reach it: the operator looks", d.address(), cause(err))
	default:
		return failed(MySQLReachable, "%s is not reached: %s. Check global.mysql.host and port, and that the network lets pods of namespace %s through.", d.address(), cause(err), r.Namespace)
	}
}

func judgeRefusal(d database, answer *mysql.MySQLError) Check {
	switch answer.Number {
	case accessDenied, hostNotPrivileged:
		return failed(MySQLReachable, "%s refuses user %s: %s. Check global.mysql.user and the password, and that the user may come from any host ('%s'@'%%').", d.address(), d.user, answer.Message, d.user)
	case databaseUnknown:
		return failed(MySQLReachable, "%s has no database %s. Run `CREATE DATABASE %s CHARACTER SET utf8mb4`.", d.address(), d.name, d.name)
	case databaseAccessDenied:
		return failed(MySQLReachable, "%s keeps user %s out of database %s. Run `GRANT ALL ON %s.* TO '%s'@'%%'`.", d.address(), d.user, d.name, d.name, d.user)
	case tooManyConnections:
		return failed(MySQLReachable, "%s has no connection left. Raise max_connections, or end what holds them.", d.address())
	default:
		return failed(MySQLReachable, "%s refuses the connection: %v.", d.address(), answer)
	}
}

// readVariables returns those variables of the server that a check judges; one that it does not have is absent.
func readVariables(ctx context.Context, db *sql.DB) (variables, error) {
	rows, err := db.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(judged, "','")+"')")
	if err != nil {
		return nil, fmt.Errorf("ask for variables: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := variables{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("read variables: %w", err)
		}
		found[strings.ToLower(name)] = value
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read variables: %w", err)
	}
	// The database may have a character set of its own.
	row := db.QueryRowContext(ctx, "SELECT @@character_set_database")
	var charset string
	if err := row.Scan(&charset); err == nil {
		found[characterSet] = charset
	}
	return found, nil
}
