package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/coredns/coredns/coremain"

	// The plugins that the cluster's configuration names, and no other: each
	// one more would bring its provider's client library.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// runDNS hands over to CoreDNS, which reads the process's arguments and handles
// signals itself; it returns only when the server has stopped.
func runDNS(_ context.Context, args []string, _ *slog.Logger) error {
	flags := flag.NewFlagSet("dns", flag.ContinueOnError)
	conf := flags.String("conf", "", "CoreDNS configuration file")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	os.Args = []string{"coredns", "-conf", *conf, "-quiet"}
	coremain.Run()
	return nil
}
