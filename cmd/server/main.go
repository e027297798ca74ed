// Command server is W&B Server: it serves the official wandb client and the web application, and administers accounts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/version"
	"github.com/kubewandb/kubewandb/internal/webui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "server:", fault.Message(err))
		os.Exit(1)
	}
}

// settings are the flags that more than one command has, and those of serve.
type settings struct {
	server.Config
	banners        string
	logLevel       string
	noProvisioning bool
}

func command() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use: "server", Short: "W&B Server: accounts, API keys, the GraphQL of the wandb client, and the web application",
		Long: "W&B Server: accounts, API keys, the GraphQL of the wandb client, and the web application.\n\n" +
			"Configuration can also be set by environment variables: each flag of `server serve` and `server probe`, and each that every " +
			"command has, by its name in upper snake case, --data-dir by DATA_DIR. A flag wins. In a pod the variables are set already.",
		Version: version.Version, SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd, os.LookupEnv) },
	}
	f := root.PersistentFlags()
	f.StringVar(&s.DataDir, "data-dir", server.DefaultDataDir, "folder of the SQLite database and of files")
	f.StringVar(&s.MySQL.Host, "mysql-host", "", "host of a MySQL 8 database; empty means SQLite")
	f.IntVar(&s.MySQL.Port, "mysql-port", server.DefaultMySQLPort, "port of MySQL")
	f.StringVar(&s.MySQL.Database, "mysql-database", server.DefaultMySQLDatabase, "name of the database")
	f.StringVar(&s.MySQL.User, "mysql-user", "", "user of the database")
	f.Var((*secret)(&s.MySQL.Password), "mysql-password", "password of the database user; better as a variable, since others can read command lines")
	f.StringVar(&s.MySQL.CACertPath, "mysql-ca-cert-path", "", "PEM file of the certificate authority of MySQL; makes encryption mandatory")
	f.BoolVar(&s.SkipMigrations, "skip-migrations", false, "leave the database's schema to `server migrate`")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(serveCommand(s), migrateCommand(s), probeCommand(), adminCommand(s))
	return root
}

func serveCommand(s *settings) *cobra.Command {
	serve := &cobra.Command{
		Use: "serve", Short: "Serve the wandb client and the web application", Args: cobra.NoArgs,
		Example: "  server serve --data-dir ./data --host http://127.0.0.1:8080",
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := s.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			s.Logger, s.Pages = logger, webui.App
			s.applyIdentity()
			s.Banners = json.RawMessage(strings.TrimSpace(s.banners))
			return server.Run(cmd.Context(), s.Config)
		},
	}
	f := serve.Flags()
	f.StringVar(&s.Host, "host", "", "external URL with its scheme, https://wandb.example.com")
	f.StringVar(&s.Listen, "listen", server.DefaultListen, "address of everything but metrics")
	f.StringVar(&s.MetricsListen, "metrics-listen", server.DefaultMetricsListen, "address of Prometheus metrics at /metrics; empty means none")
	bucketFlags(f, &s.Bucket)
	f.Var((*secret)(&s.License), "license", "licence token; better as a variable")
	f.DurationVar(&s.SessionLength, "session-length", account.DefaultSessionLength, "how long a browser stays signed in after its last visit")
	s.identityFlags(f)
	f.StringVar(&s.banners, "banners", "", "JSON of the banners that the pages show")
	f.IntVar(&s.ProxyHops, "proxy-hops", 1, "proxies in front that append to X-Forwarded-For; 0 means that the header is not trusted")
	f.Float64Var(&s.RateLimit, "rate-limit", 0, "batches of metrics per second that one user may send in the long run, and four times as many GraphQL operations; 0 means no limit")
	quotaFlag(f, &s.StorageQuota)
	f.StringSliceVar(&s.DisabledFeatures, "disabled-features", nil, "features of the client's protocol that clients are told this server does not have, should one of them fail a client")
	f.DurationVar(&s.ShutdownDelay, "shutdown-delay", 0, "how long requests are still accepted after the signal to end")
	return serve
}

func (s *settings) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("read LOG_LEVEL: %w", err)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
}

// secret is a flag whose value is never shown.
type secret redact.Secret

var _ pflag.Value = (*secret)(nil)

func (s *secret) Set(value string) error { *s = secret(value); return nil }
func (s *secret) String() string         { return redact.Secret(*s).String() }
func (s *secret) Type() string           { return "string" }
