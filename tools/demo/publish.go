package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// publishFirst puts the charts into the Helm repository and makes the channel, the licence and the first release,
// each only where it is missing or differs.
func (d *Demo) publishFirst(ctx context.Context, version string, images map[string]imageReference) error {
	if err := d.waitDeployServer(ctx); err != nil {
		return err
	}
	operator := chartSource{name: "operator", appVersion: version, imageDigest: images["controller-manager"].Digest}
	if _, err := d.publishChart(ctx, operator); err != nil {
		return err
	}
	chartVersion, err := d.publishChart(ctx, applicationChart)
	if err != nil {
		return err
	}
	if err := d.ensureChannel(ctx); err != nil {
		return err
	}
	_, err = d.keepSecret("license.jwt", func() (string, error) {
		token, err := d.deploy(ctx, "license", "issue", "--customer", customer, "--channel", channelName, "--expires", "8760h", "-o", "token")
		return strings.TrimSpace(token), err
	})
	if err != nil {
		return err
	}
	return d.publishRelease(ctx, version, chartVersion, images)
}

// deploy runs the deploy server's command line.
func (d *Demo) deploy(ctx context.Context, arguments ...string) (string, error) {
	return invocation{env: d.programEnv()}.run(ctx, "deploy-server", arguments...)
}

// repositoryEntry is one version of a chart in the Helm repository's index.
type repositoryEntry struct {
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

// applicationChart installs images that the release's values name, so its own version says all.
var applicationChart = chartSource{name: "operator-wandb", appVersion: firstVersion}

// publishChart uploads a chart and returns its version: the newest one in the repository where that has the same
// content, else the next. A published version never changes.
func (d *Demo) publishChart(ctx context.Context, chart chartSource) (string, error) {
	content, err := d.fetch(ctx, d.deployURL()+"/charts/index.yaml")
	if err != nil {
		return "", err
	}
	var index struct {
		Entries map[string][]repositoryEntry `json:"entries"`
	}
	if err := yaml.Unmarshal(content, &index); err != nil {
		return "", fmt.Errorf("parse the Helm repository's index: %w", err)
	}
	version := firstVersion
	if entries := index.Entries[chart.name]; len(entries) > 0 {
		newest := entries[0]
		_, packed, err := d.packageChart(ctx, chart, newest.Version)
		if err != nil {
			return "", err
		}
		if digest := sha256.Sum256(packed); strings.TrimPrefix(newest.Digest, "sha256:") == hex.EncodeToString(digest[:]) {
			return newest.Version, nil
		}
		if version, err = nextPatch(newest.Version); err != nil {
			return "", err
		}
	}
	path, _, err := d.packageChart(ctx, chart, version)
	if err != nil {
		return "", err
	}
	_, err = d.deploy(ctx, "chart", "push", path)
	return version, err
}

func (d *Demo) ensureChannel(ctx context.Context) error {
	_, showErr := d.deploy(ctx, "channel", "show", channelName)
	if showErr == nil {
		return nil
	}
	_, err := d.deploy(ctx, "channel", "create", channelName)
	return err
}

// publishRelease publishes and promotes a release, unless the channel already points at one of the same content.
func (d *Demo) publishRelease(ctx context.Context, version, chartVersion string, images map[string]imageReference) error {
	values := map[string]any{
		"app":     map[string]any{"image": imageValues(images["server"])},
		"console": map[string]any{"image": imageValues(images["console"])},
	}
	content, err := yaml.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode release values: %w", err)
	}
	marker := fmt.Appendf(nil, "# %s, chart operator-wandb %s\n%s", version, chartVersion, content)
	path := d.path("release-values.yaml")
	if sameFile(path, marker) {
		return nil
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, marker, 0o644); err != nil {
		return fmt.Errorf("write release values: %w", err)
	}
	digest := sha256.Sum256(marker)
	name := "v" + version + "-" + hex.EncodeToString(digest[:4])
	if _, err := d.deploy(ctx, "release", "publish", "--name", name, "--chart", "operator-wandb",
		"--chart-version", chartVersion, "--values", temporary, "--promote", channelName); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("remember release values: %w", err)
	}
	return nil
}

func imageValues(image imageReference) map[string]any {
	return map[string]any{"repository": image.Repository, "digest": image.Digest}
}
