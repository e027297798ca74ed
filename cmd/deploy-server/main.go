// Command deploy-server is the vendor's side of the release channel: "serve" runs the server, every other command
// administers one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(arguments)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "error: %v\n", err)
	if hint := fault.Hint(err); hint != "" {
		_, _ = fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "deploy-server",
		Short:         "Publish releases to channels, and serve them to operators",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c := &cli{}
	root.PersistentPreRunE = func(command *cobra.Command, _ []string) error { return fromEnvironment(command.Flags()) }
	root.AddCommand(newServe(), c.newChannel(), c.newChart(), c.newLicense(), c.newRelease(), c.newTrust())
	return root
}

// config is what "serve" needs.
type config struct {
	deploy   deploy.Config
	logLevel string
}

func newServe() *cobra.Command {
	var cfg config
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the deploy server",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return run(command.Context(), cfg, command.ErrOrStderr())
		},
	}
	flags := command.Flags()
	flags.StringVar(&cfg.deploy.Listen, "listen", ":8080", "TCP address to listen on (env LISTEN)")
	flags.StringVar(&cfg.deploy.DataDir, "data-dir", "/vol/data", "folder that holds everything that is kept (env DATA_DIR)")
	flags.StringVar(&cfg.deploy.ExternalURL, "external-url", "", "URL at which customers reach the server (env EXTERNAL_URL; default http://localhost:PORT)")
	flags.StringVar(&cfg.deploy.AdminTokenFile, "admin-token-file", "", "file with the admin token (env ADMIN_TOKEN_FILE; default DATA_DIR/admin-token, made at the first start)")
	flags.StringVar(&cfg.deploy.LicenseKeyFile, "license-key-file", "", "PEM file with the Ed25519 key that signs licences (env LICENSE_KEY_FILE; default DATA_DIR/keys, made at the first start)")
	flags.IntVar(&cfg.deploy.MaxHeld, "max-held", deploy.DefaultMaxHeld, "how many requests may wait for a change at once (env MAX_HELD)")
	flags.StringVar(&cfg.logLevel, "log-level", "info", "debug, info, warn or error (env LOG_LEVEL)")
	named(flags)
	return command
}

// run serves until ctx ends.
func run(ctx context.Context, cfg config, stderr io.Writer) (err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.logLevel)); err != nil {
		return fmt.Errorf("read log level: %w", err)
	}
	cfg.deploy.Logger = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.deploy.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if cfg.deploy.ExternalURL == "" {
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return errors.Join(fmt.Errorf("read listen address: %w", err), listener.Close())
		}
		cfg.deploy.ExternalURL = "http://localhost:" + port
	}
	server, err := deploy.New(ctx, cfg.deploy)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return errors.Join(server.Serve(ctx, listener), server.Close())
}

// environmentName is the annotation that names a flag's environment variable. Flags of administrating commands that say what to
// do, such as --channel, have none: one that is set by chance must not choose the channel.
const environmentName = "environment"

// named gives every flag of the set the variable of its name.
func named(flags *pflag.FlagSet) {
	flags.VisitAll(func(flag *pflag.Flag) {
		flag.Annotations = map[string][]string{environmentName: commandline.Named(flag)}
	})
}

// fromEnvironment sets each annotated flag that the command line left out. An empty variable is none.
func fromEnvironment(flags *pflag.FlagSet) error {
	return commandline.FromEnvironment(flags,
		func(flag *pflag.Flag) []string { return flag.Annotations[environmentName] },
		func(name string) (string, bool) { value := os.Getenv(name); return value, value != "" })
}
