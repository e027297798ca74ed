package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// binDir is where programs for this machine are built; `make demo-env` puts it on the PATH.
	binDir   = "bin"
	imageDir = "dist/images"
	chartDir = "dist/charts"
)

// buildTools builds what the demo itself runs on this machine.
func (d *Demo) buildTools(ctx context.Context) error {
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", binDir, err)
	}
	absolute, err := filepath.Abs(filepath.Join(binDir, "localcluster"))
	if err != nil {
		return fmt.Errorf("resolve %s: %w", binDir, err)
	}
	environment := []string{"CGO_ENABLED=0"}
	if d.settings.Context == "" {
		if _, err := (invocation{env: environment}).run(ctx, "go", "-C", "tools/localcluster", "build", "-o", absolute, "."); err != nil {
			return err
		}
	}
	return nil
}

// buildPrograms builds our programs and helm for this machine.
func (d *Demo) buildPrograms(ctx context.Context) error {
	_, err := invocation{env: []string{"CGO_ENABLED=0"}}.run(ctx, "go", "build", "-trimpath", "-o", binDir+"/", "./cmd/...", "helm.sh/helm/v4/cmd/helm")
	return err
}

// buildWeb builds the pages that programs embed, unless they are newer than everything they are built from.
func (d *Demo) buildWeb(ctx context.Context) error {
	built, err := os.Stat("internal/webui/dist/app/index.html")
	if err == nil {
		newest, err := newestIn("web")
		if err != nil {
			return err
		}
		if !newest.After(built.ModTime()) {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the built pages: %w", err)
	}
	_, err = invocation{}.run(ctx, "make", "--no-print-directory", "web")
	return err
}

// newestIn returns the newest modification time of the sources below folder.
func newestIn(folder string) (time.Time, error) {
	var newest time.Time
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "node_modules" || entry.Name() == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("look through %s: %w", folder, err)
	}
	return newest, nil
}

// buildImages builds images and returns, per program, its archive, or its pushed reference where push has the flags of a
// repository.
func (d *Demo) buildImages(ctx context.Context, version string, push []string, programs ...string) ([]string, error) {
	arguments := append([]string{"run", "./tools/image", "--version", version, "--out", imageDir}, push...)
	output, err := invocation{}.run(ctx, "go", append(arguments, programs...)...)
	if err != nil {
		return nil, err
	}
	lines := strings.Fields(output)
	if len(lines) != len(programs) {
		return nil, fmt.Errorf("tools/image printed %d lines for %d programs", len(lines), len(programs))
	}
	return lines, nil
}

// linkPrograms puts the cluster's kubectl beside our own programs.
func (d *Demo) linkPrograms(from string) error {
	target, err := filepath.Abs(filepath.Join(from, "kubectl"))
	if err != nil {
		return fmt.Errorf("resolve %s: %w", from, err)
	}
	link := filepath.Join(binDir, "kubectl")
	if current, err := os.Readlink(link); err == nil && current == target {
		return nil
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", link, err)
	}
	if err := os.Symlink(target, link); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	return nil
}

// chartSource is what a packed chart is made of, beside its folder.
type chartSource struct {
	name       string
	appVersion string
	// imageDigest pins the image that the chart installs; "" where values do.
	imageDigest string
}

// packageChart packs a chart; the bytes depend on nothing but the sources and the version.
func (d *Demo) packageChart(ctx context.Context, chart chartSource, version string) (path string, content []byte, err error) {
	arguments := []string{"run", "./tools/chart", "package", "--version", version, "--app-version", chart.appVersion, "--out", chartDir}
	if chart.imageDigest != "" {
		arguments = append(arguments, "--annotation", "kubewandb.io/image-digest="+chart.imageDigest)
	}
	if _, err := (invocation{}).run(ctx, "go", append(arguments, chart.name)...); err != nil {
		return "", nil, err
	}
	path = filepath.Join(chartDir, chart.name+"-"+version+".tgz")
	content, err = os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("read packaged chart: %w", err)
	}
	return path, content, nil
}

// sameFile tells whether the file at path holds content.
func sameFile(path string, content []byte) bool {
	current, err := os.ReadFile(path)
	return err == nil && bytes.Equal(current, content)
}
