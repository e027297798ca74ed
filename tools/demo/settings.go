package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/Masterminds/semver/v3"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// firstVersion is what the first release of a new demo is called.
const firstVersion = "0.1.0"

// Settings say where the demo runs.
type Settings struct {
	// Name of the local cluster.
	Name string
	// Dir holds what the demo makes and keeps between runs: the CA, tokens, the licence, the kubeconfig.
	Dir string
	// Context names a context of the user's kubeconfig; "" means a local cluster.
	Context string
	// ImageRepo is where images are pushed to when Context is set.
	ImageRepo string
	// Domain is the parent of the two host names.
	Domain string
	// CAFile is the authority behind the ingress of a cluster that is not ours.
	CAFile string
}

// Demo is one installation of the system.
type Demo struct {
	settings Settings
	cluster  cluster
	out      io.Writer
	progress *progress
}

// New checks the settings and fills in what they leave open.
func New(settings Settings, out, log io.Writer) (*Demo, error) {
	if (settings.Context == "") != (settings.ImageRepo == "") {
		return nil, &fault.Error{Reason: "SettingsIncomplete", Op: "read settings",
			Hint: "An existing cluster needs both: make demo CONTEXT=<kube context> IMAGE_REPO=<registry/path>."}
	}
	if settings.Dir == "" {
		settings.Dir = settings.Name
	}
	dir, err := filepath.Abs(settings.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve folder %s: %w", settings.Dir, err)
	}
	settings.Dir = dir
	if settings.Domain == "" {
		settings.Domain = settings.Name + ".test"
	}
	demo := &Demo{settings: settings, out: out, progress: newProgress(log)}
	if settings.Context == "" {
		demo.cluster = &localCluster{demo: demo}
	} else {
		demo.cluster = &existingCluster{demo: demo}
	}
	return demo, nil
}

func (d *Demo) path(name string) string { return filepath.Join(d.settings.Dir, name) }
func (d *Demo) wandbURL() string        { return "https://wandb." + d.settings.Domain }
func (d *Demo) deployURL() string       { return "https://deploy." + d.settings.Domain }
func (d *Demo) deployHost() string      { return "deploy." + d.settings.Domain }

// state is what the demo remembers between runs.
type state struct {
	// Version is the application version of the newest release.
	Version string `json:"version"`
}

func (d *Demo) readState() (state, error) {
	data, err := os.ReadFile(d.path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return state{Version: firstVersion}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("parse %s (delete it to start from version %s): %w", d.path("state.json"), firstVersion, err)
	}
	return s, nil
}

func (d *Demo) writeState(s state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := os.WriteFile(d.path("state.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// nextPatch returns 0.1.3 for 0.1.2.
func nextPatch(version string) (string, error) {
	parsed, err := semver.NewVersion(version)
	if err != nil {
		return "", fmt.Errorf("parse version %q: %w", version, err)
	}
	next := parsed.IncPatch()
	return next.String(), nil
}
