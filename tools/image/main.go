// Command image builds the container images of this project without a container engine: one static Go program on an
// empty base, the roots of public certificate authorities, user 65532, and a CycloneDX bill of materials beside it.
//
// Two builds of the same sources give the same bytes, and so the same digest.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/spf13/cobra"
)

type options struct {
	version   string
	platforms []string
	out       string
	repo      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use:   "image --version 1.2.3 PROGRAM...",
		Short: "Build container images of programs",
		Long: `A program is a folder below cmd/, or name=./path/of/its/main/package. Builds each program for each platform and writes, below --out,
  <program>.tar        an archive that "localcluster load" and "docker load" read (first platform)
  <program>/           an OCI image layout with every platform
  <program>.cdx.json   the CycloneDX bill of materials
With --repo, each image is also pushed to <repo>/<program>:<version>, and its digest reference is printed.`,
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, programs []string) error {
			for _, argument := range programs {
				program, source, elsewhere := strings.Cut(argument, "=")
				if !elsewhere {
					source = "./cmd/" + program
				}
				reference, err := run(cmd.Context(), opts, program, source)
				if err != nil {
					return fmt.Errorf("build image of %s: %w", program, err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), reference)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&opts.version, "version", "", "version that the program reports and the image is tagged with (required)")
	cmd.Flags().StringSliceVar(&opts.platforms, "platform", []string{"linux/amd64"}, "platforms to build, comma separated")
	cmd.Flags().StringVar(&opts.out, "out", "dist/images", "folder to write to")
	cmd.Flags().StringVar(&opts.repo, "repo", "", "registry and path to push to, for example registry.example.com/kubewandb")
	_ = cmd.MarkFlagRequired("version")
	return cmd
}

// run builds one program's images and returns what to print: the pushed digest reference, or the archive's path.
func run(ctx context.Context, opts options, program, source string) (string, error) {
	if err := os.MkdirAll(opts.out, 0o755); err != nil {
		return "", fmt.Errorf("make output folder: %w", err)
	}
	index := v1.ImageIndex(empty.Index)
	var first v1.Image
	for _, text := range opts.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return "", fmt.Errorf("parse platform %q: %w", text, err)
		}
		binary, err := compile(ctx, opts, program, source, *platform)
		if err != nil {
			return "", err
		}
		image, err := assemble(binary, program, opts.version, *platform)
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: platform},
		})
		if first == nil {
			first = image
			if err := writeBillOfMaterials(binary, program, opts.version, filepath.Join(opts.out, program+".cdx.json")); err != nil {
				return "", err
			}
		}
	}
	archive, err := write(opts, program, first, index)
	if err != nil {
		return "", err
	}
	if opts.repo == "" {
		return archive, nil
	}
	return push(ctx, opts, program, index)
}

func write(opts options, program string, first v1.Image, index v1.ImageIndex) (string, error) {
	tag, err := name.NewTag("kubewandb/" + program + ":" + opts.version)
	if err != nil {
		return "", fmt.Errorf("name image: %w", err)
	}
	archive := filepath.Join(opts.out, program+".tar")
	if err := tarball.WriteToFile(archive, tag, first); err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	folder := filepath.Join(opts.out, program)
	if err := os.RemoveAll(folder); err != nil {
		return "", fmt.Errorf("clear image layout: %w", err)
	}
	if _, err := layout.Write(folder, index); err != nil {
		return "", fmt.Errorf("write image layout: %w", err)
	}
	return archive, nil
}

func push(ctx context.Context, opts options, program string, index v1.ImageIndex) (string, error) {
	text := strings.TrimSuffix(opts.repo, "/") + "/" + program + ":" + opts.version
	reference, err := name.ParseReference(text, schemeOptions(text)...)
	if err != nil {
		return "", fmt.Errorf("parse reference %q: %w", text, err)
	}
	err = remote.WriteIndex(reference, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return "", fmt.Errorf("push %s (is the registry reachable, and are you logged in to it?): %w", text, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return "", errors.Join(errors.New("read digest of pushed index"), err)
	}
	return reference.Context().Digest(digest.String()).String(), nil
}

// schemeOptions allows plain http to a registry on this machine, as container engines do.
func schemeOptions(text string) []name.Option {
	host, _, _ := strings.Cut(text, "/")
	if address, err := netip.ParseAddrPort(host); err == nil && address.Addr().IsLoopback() {
		return []name.Option{name.Insecure}
	}
	return nil
}
