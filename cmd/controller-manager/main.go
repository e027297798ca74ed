// Command controller-manager is the operator: it installs, configures and updates W&B Server from WeightsAndBiases
// resources.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubewandb/kubewandb/charts"
	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/operator"
	"github.com/kubewandb/kubewandb/internal/version"
)

func main() {
	// The Helm SDK prints what it finds odd about values through the standard logger, the values included.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "controller-manager:", message(err))
		os.Exit(1)
	}
}

func command() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use: "controller-manager", Short: "Install, configure and update W&B Server from WeightsAndBiases resources",
		Long: "Install, configure and update W&B Server from WeightsAndBiases resources.\n\n" +
			"Every flag can be set by an environment variable of the same name in upper snake case; the flag wins.",
		Version: version.Version, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return commandline.FromEnvironment(cmd.Flags(), commandline.Named, os.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), s) },
	}
	s.addShared(root.PersistentFlags())
	s.addOwn(root.Flags())
	root.AddCommand(definitionCommand(s), farewellCommand(s))
	return root
}

func definitionCommand(s *settings) *cobra.Command {
	return commandline.Group("crd", "Look after the custom resource definition", &cobra.Command{
		Use: "apply", Short: "Bring the custom resource definition up to this version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := s.cluster()
			if err != nil {
				return err
			}
			if err := operator.ApplyDefinition(cmd.Context(), config, charts.ResourceDefinition()); err != nil {
				return err // says what it did
			}
			s.logger().Info("definition applied", "version", version.Version)
			return nil
		},
	})
}

func farewellCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "release-finalizers", Short: "Stop the operator and take its finalizer off every resource; workloads stay",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := s.cluster()
			if err != nil {
				return err
			}
			// says what it did
			return operator.ReleaseFinalizers(cmd.Context(), operator.Farewell{
				RESTConfig: config, Logger: s.logger(), Namespace: s.namespace, WatchNamespaces: s.namespaces(),
			})
		},
	}
}

// run assembles the configuration and hands over.
func run(ctx context.Context, s *settings) error {
	log := s.logger()
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	config, err := s.config(ctx, log)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version.Version, "namespaces", config.WatchNamespaces, "isolated", config.Isolated,
		"airgapped", config.Airgapped, "trust", config.Trust)
	return operator.Run(ctx, config) // says what it did
}

func (s *settings) logger() logr.Logger {
	level := slog.LevelInfo
	if s.debug {
		level = slog.LevelDebug
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
