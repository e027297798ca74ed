// Command services holds the programs that serve the node beside Kubernetes:
// cluster DNS, the ingress controller, the volume provisioner, the image
// registry, and the forwarder that makes the node reachable from the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubewandb/kubewandb/tools/localcluster/node/internal/forward"
	"github.com/kubewandb/kubewandb/tools/localcluster/node/internal/ingress"
	"github.com/kubewandb/kubewandb/tools/localcluster/node/internal/provisioner"
	"github.com/kubewandb/kubewandb/tools/localcluster/node/internal/registry"
)

// service runs until ctx ends or it cannot go on.
type service func(ctx context.Context, args []string, log *slog.Logger) error

func services() map[string]service {
	return map[string]service{
		"dns":         runDNS,
		"forward":     runForward,
		"ingress":     runIngress,
		"provisioner": runProvisioner,
		"registry":    runRegistry,
	}
}

func runForward(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("forward", flag.ContinueOnError)
	targets := flags.String("targets", "", "comma-separated addresses; connections accepted on descriptor 3+i go to the i-th")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	return forward.Run(ctx, strings.Split(*targets, ","), log)
}

func runRegistry(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	listen := flags.String("listen", "", "address to serve on")
	root := flags.String("root", "", "folder that keeps blobs and manifests")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	return registry.Serve(ctx, *listen, *root, log)
}

func runIngress(ctx context.Context, args []string, log *slog.Logger) error {
	var options ingress.Options
	flags := flag.NewFlagSet("ingress", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "credentials for the API server")
	flags.StringVar(&options.HTTPAddress, "http", "", "address for plain HTTP, which is redirected")
	flags.StringVar(&options.HTTPSAddress, "https", "", "address for HTTPS")
	flags.StringVar(&options.HealthAddress, "health", "", "address of /healthz")
	flags.StringVar(&options.CertificateFile, "certificate", "", "default certificate")
	flags.StringVar(&options.KeyFile, "key", "", "key of the default certificate")
	flags.StringVar(&options.PublishedAddress, "published-address", "", "address written to the status of each Ingress")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	return ingress.Run(ctx, client, options, log)
}

func runProvisioner(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "credentials for the API server")
	root := flags.String("root", "", "folder below which each volume gets a folder")
	node := flags.String("node", "", "name of the node that has the folder")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	return provisioner.Run(ctx, client, *root, *node, log)
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	// The default of 5 requests a second would slow a burst of Ingress updates.
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "localcluster"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make API client: %w", err)
	}
	return client, nil
}

func run(args []string, out io.Writer) int {
	all := services()
	if len(args) == 0 || all[args[0]] == nil {
		names := make([]string, 0, len(all))
		for name := range all {
			names = append(names, name)
		}
		sort.Strings(names)
		_, _ = fmt.Fprintf(out, "usage: services <service> [flags]\nservices: %s\n", strings.Join(names, ", "))
		return 2
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := all[args[0]](ctx, args[1:], log); err != nil && !errors.Is(err, context.Canceled) {
		log.Error("service ended", "service", args[0], "error", err)
		return 1
	}
	return 0
}

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }
