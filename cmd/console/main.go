// Command console is the System Console of one installation of W&B Server.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/console"
	"github.com/kubewandb/kubewandb/internal/version"
	"github.com/kubewandb/kubewandb/internal/webui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "console", Short: "System Console of W&B Server",
		Version: version.Version, SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(serveCommand())
	return root
}

// settings is what the command line and the environment say.
type settings struct {
	console.Config
	banners    string
	kubeconfig string
	logLevel   string
}

func serveCommand() *cobra.Command {
	var s settings
	serve := &cobra.Command{
		Use: "serve", Short: "Serve the System Console at /console",
		Long: "Serve the System Console at /console.\n\nEvery flag can be set by an environment variable of the same name in upper snake case; the flag wins.",
		Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return commandline.FromEnvironment(cmd.Flags(), commandline.Named, os.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), s) },
	}
	f := serve.Flags()
	f.StringVar(&s.Host, "host", "", "external URL of the installation with its scheme, https://wandb.example.com")
	f.StringVar(&s.Listen, "listen", ":8082", "address of pages and API")
	f.StringVar(&s.MetricsListen, "metrics-listen", ":8182", "address of Prometheus metrics at /metrics; empty means none")
	f.StringVar(&s.ReleaseName, "release-name", "", "name of the custom resource WeightsAndBiases")
	f.StringVar(&s.ReleaseNamespace, "release-namespace", "", "namespace of the custom resource")
	f.StringVar(&s.OperatorNamespace, "operator-namespace", "", "namespace of the operator, for hints")
	f.StringVar(&s.AuthService, "auth-service", "", "host:port of the application, which knows its administrators; empty means sign-in by password only")
	f.StringVar(&s.banners, "banners", "", "JSON of the banners that the pages show")
	f.IntVar(&s.ProxyHops, "proxy-hops", 1, "proxies in front that append to X-Forwarded-For; 0 means that the header is not trusted")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig file; empty means the service account of the pod")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	return serve
}

func run(ctx context.Context, s settings) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return fmt.Errorf("read log level: %w", err)
	}
	cfg := s.Config
	cfg.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	klog.SetSlogLogger(cfg.Log)
	cfg.Banners = json.RawMessage(strings.TrimSpace(s.banners))
	cfg.Pages = webui.Console(console.BasePath)
	if err := connect(&cfg, s.kubeconfig); err != nil {
		return err
	}
	server, err := console.New(cfg)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

func connect(cfg *console.Config, kubeconfig string) error {
	var client *rest.Config
	var err error
	if kubeconfig == "" {
		client, err = rest.InClusterConfig()
	} else {
		client, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return fmt.Errorf("find the Kubernetes API (set KUBECONFIG outside of a cluster): %w", err)
	}
	client.UserAgent = version.UserAgent("console")
	client.QPS, client.Burst = 50, 100 // a page makes several calls at once; the API server has its own limits
	client.ContentType = "application/vnd.kubernetes.protobuf"
	client.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	if cfg.Kube, err = kubernetes.NewForConfig(client); err != nil {
		return fmt.Errorf("make Kubernetes client: %w", err)
	}
	if cfg.Dynamic, err = dynamic.NewForConfig(client); err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	return nil
}
