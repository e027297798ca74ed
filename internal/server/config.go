package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/identity"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// DefaultListen is the port that the chart's Service names.
	DefaultListen = ":8080"
	// DefaultMetricsListen is another port, so that metrics are not reachable through the ingress.
	DefaultMetricsListen = ":8181"
	// DefaultDataDir is where the chart mounts the volume.
	DefaultDataDir = "/vol/data"
	// DefaultMySQLPort and DefaultMySQLDatabase are used where a MySQL host is set.
	DefaultMySQLPort     = 3306
	DefaultMySQLDatabase = "wandb_local"

	databaseFile = "wandb.sqlite"
)

// Config is what a server needs to know.
type Config struct {
	// Host is the external URL: scheme and host, without a path.
	Host string
	// Listen is the address of everything; MetricsListen that of /metrics, and empty for none.
	Listen        string
	MetricsListen string
	// DataDir holds the SQLite database and files. It is made where it is missing.
	DataDir string
	// MySQL is used in place of SQLite where its Host is set.
	MySQL store.MySQL
	// Bucket is where objects are kept. DataDir, ExternalURL, Logger and Observe are filled in by New.
	Bucket blob.Config
	// License is the licence token of the installation. It is shown in log and metrics; nothing is refused for want of one.
	License redact.Secret
	// SessionLength is how long a browser stays signed in after its last visit; 0 means account.DefaultSessionLength.
	SessionLength time.Duration
	// AllowTeamCreation lets everybody make teams; otherwise administrators of the instance do.
	AllowTeamCreation bool
	// Identity is the provider that people sign in at; without an issuer they use passwords only.
	Identity identity.Config
	// IdentityPolicy says what somebody becomes whom the provider vouches for.
	IdentityPolicy account.IdentityPolicy
	// Banners is JSON that the pages show; nil for none.
	Banners json.RawMessage
	// ProxyHops is how many proxies in front append to X-Forwarded-For: the address of a client is that many entries from
	// the right. 0 means that the header is not trusted.
	ProxyHops int
	// RateLimit is how many batches of metrics per second one user may send in the long run, and four times as many GraphQL
	// operations. 0 means no limit.
	RateLimit float64
	// StorageQuota is how many bytes an entity may store that has no quota of its own: more than that, and it begins no new run.
	// 0 means any number.
	StorageQuota int64
	// DisabledFeatures are features of the client's protocol that clients are told this server does not have: they then ask in
	// the way of older servers, which is answered as well.
	DisabledFeatures []string
	// ShutdownDelay is how long requests are still accepted after the signal to end, while /ready says no: longer than a
	// load balancer needs to notice. With a single pod, 0.
	ShutdownDelay time.Duration
	// SkipMigrations leaves the database's schema to `server migrate`; the server is not ready until that has run.
	SkipMigrations bool
	// Pages makes the handler of the web application, which shows files of the origins that it is given; nil means that there
	// is none.
	Pages func(storage ...string) http.Handler
	// Logger is used for everything; nil means slog.Default().
	Logger *slog.Logger

	// seams for tests
	Now func() time.Time
	// LateAfter is how long a request may wait until it is not written any more; 0 means store.LateAfter.
	LateAfter time.Duration
}

// StoreConfig says where the database is.
func (c Config) StoreConfig() store.Config {
	cfg := store.Config{SQLitePath: filepath.Join(c.DataDir, databaseFile), Logger: c.Logger}
	if c.MySQL.Host != "" {
		cfg.MySQL = &c.MySQL
	}
	return cfg
}

// Check returns everything that is wrong with a configuration that is to be served.
func (c Config) Check() error {
	var problems []error
	if _, err := parseHost(c.Host); err != nil {
		problems = append(problems, err)
	}
	if err := graph.CheckFeatures(c.DisabledFeatures); err != nil {
		problems = append(problems, err)
	}
	if err := c.Identity.Check(); err != nil {
		problems = append(problems, err)
	}
	if len(c.Banners) > 0 && !json.Valid(c.Banners) {
		problems = append(problems, errors.New("BANNERS is not JSON"))
	}
	if c.ProxyHops < 0 {
		problems = append(problems, errors.New("PROXY_HOPS is negative"))
	}
	if c.RateLimit < 0 {
		problems = append(problems, errors.New("RATE_LIMIT is negative"))
	}
	if c.SessionLength < 0 {
		problems = append(problems, errors.New("SESSION_LENGTH is negative"))
	}
	if err := errors.Join(problems...); err != nil {
		return &fault.Error{
			Reason: "ConfigurationInvalid", Op: "read the configuration", Err: err,
			Hint: "Run `server serve --help` for what each flag and variable means.",
		}
	}
	return c.bucketConfig().Check()
}

// parseHost reads the external URL and drops a slash at its end.
func parseHost(host string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(host, "/"))
	switch {
	case host == "":
		return nil, errors.New("HOST is not set: it is the URL by which browsers and clients reach this server, such as https://wandb.example.com")
	case err != nil:
		return nil, fmt.Errorf("HOST is no URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("HOST is %q and must begin with https:// or http://", host)
	case u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("HOST is %q and must be a scheme and a host only", host)
	}
	return u, nil
}
