package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type variable struct{ name, value string }

// variables is the environment in which kubectl, helm, our programs and the official client all find the demo.
func (d *Demo) variables() []variable {
	list := []variable{
		{"KUBECONFIG", d.kubeconfig()},
		{"WANDB_BASE_URL", d.wandbURL()},
		{"CONSOLE_URL", d.wandbURL() + "/console"},
		{"DEPLOY_URL", d.deployURL()},
		{"HELM_REPO_URL", d.deployURL() + "/charts"},
		{"DEPLOY_TOKEN_FILE", d.path("admin-token")},
		// The demo's Helm repository stays apart from those of the user.
		{"HELM_REPOSITORY_CONFIG", d.path("helm/repositories.yaml")},
		{"HELM_REPOSITORY_CACHE", d.path("helm/repository")},
	}
	if ca := d.cluster.authority(); ca != "" {
		// Both replace the system's roots, so they hold the demo's authority beside them.
		bundle := d.path("ca-bundle.crt")
		list = append(list, variable{"CA_FILE", ca}, variable{"SSL_CERT_FILE", bundle}, variable{"REQUESTS_CA_BUNDLE", bundle})
	}
	return append(list, variable{"PATH", strings.TrimPrefix(d.pathVariable(), "PATH=")})
}

// pathVariable puts our programs first on the PATH, once.
func (d *Demo) pathVariable() string {
	bin, err := filepath.Abs(binDir)
	if err != nil {
		bin = binDir
	}
	path := os.Getenv("PATH")
	if strings.HasPrefix(path, bin+string(os.PathListSeparator)) {
		return "PATH=" + path
	}
	return "PATH=" + bin + string(os.PathListSeparator) + path
}

// Env prints export lines, quoted for a POSIX shell.
func (d *Demo) Env(context.Context) error {
	if _, err := os.Stat(d.kubeconfig()); err != nil {
		return fmt.Errorf("the demo is not running (start it with: make demo): %w", err)
	}
	for _, v := range d.variables() {
		if _, err := fmt.Fprintf(d.out, "export %s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`)); err != nil {
			return fmt.Errorf("print environment: %w", err)
		}
	}
	return nil
}

// systemRoots are the places where Linux distributions keep the public authorities.
var systemRoots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}

// writeAuthorityBundle joins the system's roots and the demo's authority.
func (d *Demo) writeAuthorityBundle() error {
	ca := d.cluster.authority()
	if ca == "" {
		return nil
	}
	bundle, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("read CA: %w", err)
	}
	for _, path := range systemRoots {
		if roots, err := os.ReadFile(path); err == nil {
			bundle = append(append(bundle, '\n'), roots...)
			break
		}
	}
	if err := os.WriteFile(d.path("ca-bundle.crt"), bundle, 0o644); err != nil {
		return fmt.Errorf("write CA bundle: %w", err)
	}
	return nil
}
