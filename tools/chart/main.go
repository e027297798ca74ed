// Command chart keeps what is derived from the charts in step with them, and packs them.
//
//	chart docs [--check]                                          README.md, files/without-effect.json, docs/reference/configuration.md
//	chart package --version 1.2.3 --app-version 1.2.3 --out dist  dist/<chart>-1.2.3.tgz, the same bytes every time
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/tools/chart/archive"
	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	cmd := &cobra.Command{Use: "chart", Short: "Generate the references of the charts, and pack them", SilenceUsage: true, SilenceErrors: true}
	root := cmd.PersistentFlags().String("root", ".", "folder of the repository")
	cmd.AddCommand(docsCommand(root), packageCommand(root))
	return cmd
}

func docsCommand(root *string) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Write what is generated from values.schema.json",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			files, err := reference.Generate(*root)
			if err != nil {
				return err
			}
			if check {
				return compare(*root, files)
			}
			return write(*root, files)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; fail when a file is not up to date")
	return cmd
}

func packageCommand(root *string) *cobra.Command {
	var version, appVersion, out string
	var annotations map[string]string
	cmd := &cobra.Command{
		Use:   "package [CHART...]",
		Short: "Pack the charts, or those that are named",
		RunE: func(cmd *cobra.Command, names []string) error {
			if appVersion == "" {
				appVersion = version
			}
			if len(names) == 0 {
				names = reference.Charts()
			}
			files := map[string][]byte{}
			for _, name := range names {
				packed, err := archive.Pack(filepath.Join(*root, "charts", name), archive.Release{
					Version: version, AppVersion: appVersion, Annotations: annotations,
				})
				if err != nil {
					return err
				}
				files[packed.FileName()] = packed.Data
				fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(out, packed.FileName()))
			}
			return write(out, files)
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "version of the charts")
	cmd.Flags().StringVar(&appVersion, "app-version", "", "version of the programs; empty means that of the charts")
	cmd.Flags().StringVar(&out, "out", "dist", "folder for the archives")
	cmd.Flags().StringToStringVar(&annotations, "annotation", nil, "annotation of Chart.yaml, for example kubewandb.io/image-digest=sha256:…")
	if err := cmd.MarkFlagRequired("version"); err != nil {
		cmd.RunE = func(*cobra.Command, []string) error { return err }
	}
	return cmd
}

func compare(root string, files map[string][]byte) error {
	var errs []error
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !bytes.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s is not up to date: run go run ./tools/chart docs", path))
		}
	}
	return errors.Join(errs...)
}

func write(root string, files map[string][]byte) error {
	for path, data := range files {
		target := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	return nil
}
