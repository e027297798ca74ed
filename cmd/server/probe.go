package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/probe/report"
	"github.com/kubewandb/kubewandb/internal/server/inspection"
)

// maxCAFile bounds a file of certificates.
const maxCAFile = 1 << 20

func probeCommand() *cobra.Command {
	var cfg inspection.Config
	var caFiles []string
	probe := &cobra.Command{
		Use: "probe", Short: "Check a running server from inside and outside, and report what works", Args: cobra.NoArgs,
		Long: "Check a running server the way its users reach it, and print a report. The last line is the report as JSON, which the " +
			"operator reads; the lines before it say the same to people. The command changes nothing on the server, reads no database, and " +
			"fails when a check failed. A check that could not be made is skipped and fails nothing.\n\n" +
			"Checks: `ready` (inside only), `sign-in` (the page and its script), `api`, `cors` (the server's own pages may use a " +
			"browser's cookie, other sites may not) and `viewer` (needs an API key).",
		Example: "  server probe --inside-url http://127.0.0.1:8080 --host https://wandb.example.com",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.CAs, err = readCAs(caFiles); err != nil {
				return err
			}
			found, err := inspection.Run(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return printReport(cmd.OutOrStdout(), found)
		},
	}
	f := probe.Flags()
	f.StringVar(&cfg.Inside, "inside-url", "", "URL of the server inside the cluster, http://wandb-app:8080")
	f.StringVar(&cfg.Outside, "host", "", "external URL, as browsers use it; empty skips the checks from outside")
	f.Var((*secret)(&cfg.Key), "api-key", "API key for the checks that need one; better as a variable")
	f.StringSliceVar(&caFiles, "ca-file", nil, "PEM file of a certificate authority to trust beside the system's; may be repeated")
	f.DurationVar(&cfg.Timeout, "timeout", inspection.DefaultTimeout, "how long checks that fail are tried again")
	return probe
}

// printReport prints a line for each check and the report, and fails when a check failed.
func printReport(w io.Writer, found report.Report) error {
	for _, check := range found.Checks {
		if _, err := fmt.Fprintf(w, "%s %s/%s (%s) %s\n", check.Result, check.Path, check.Name, check.Duration, check.Message); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	line, err := found.Line()
	if err != nil {
		return err
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if failing := found.Failing(); len(failing) > 0 {
		return fmt.Errorf("%d of %d checks failed", len(failing), len(found.Checks))
	}
	return nil
}

// readCAs adds files to the system's certificate authorities; nil where there are no files.
func readCAs(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificate authorities: %w", err)
	}
	for _, name := range files {
		if err := addCAs(pool, name); err != nil {
			return nil, &fault.Error{
				Reason: "ConfigurationInvalid", Op: "read certificate authorities", Err: err, Hint: "Name a file with PEM certificates in --ca-file.",
			}
		}
	}
	return pool, nil
}

func addCAs(pool *x509.CertPool, name string) error {
	file, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	pem, err := io.ReadAll(io.LimitReader(file, maxCAFile))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New(name + " holds no certificate")
	}
	return nil
}
