// Package cluster puts the pieces together: it brings a one-node Kubernetes up,
// says how it is, and takes it down.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/address"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/netns"
)

// Addresses inside the node's network. Every cluster has the same ones, each in
// a network namespace of its own.
const (
	nodeAddress    = "10.88.0.1"
	nodePrefix     = "10.88.0.1/24"
	nodeBridge     = "node0"
	nodeName       = "node"
	podRange       = "10.244.0.0/16"
	podNodeRange   = "10.244.0.0/24"
	serviceRange   = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
	dnsAddress     = "10.96.0.10"
	ingressAddress = "10.96.0.11"
	registryPort   = "5000"
)

// PullRegistry is the registry's address for the node's runtime and pods.
const PullRegistry = nodeAddress + ":" + registryPort

// maxPath keeps the sockets below the state folder within the 107 bytes that a
// socket's path may have.
const maxPath = 70

// Layout knows where everything of one cluster is.
type Layout struct {
	Name string
	// Root is the folder of all clusters.
	Root string
	// Cache is the folder of built programs.
	Cache string
}

// NewLayout checks the name and finds the folders by the XDG rules.
func NewLayout(name string) (Layout, error) {
	if !regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`).MatchString(name) {
		return Layout{}, fmt.Errorf("use cluster name %q: it is at most 20 lower-case letters, digits and dashes, and starts with a letter", name)
	}
	state, err := xdg("XDG_STATE_HOME", ".local/state")
	if err != nil {
		return Layout{}, err
	}
	cache, err := xdg("XDG_CACHE_HOME", ".cache")
	if err != nil {
		return Layout{}, err
	}
	l := Layout{Name: name, Root: filepath.Join(state, "kubewandb", "clusters"), Cache: filepath.Join(cache, "kubewandb")}
	if dir := l.Dir(); len(dir) > maxPath {
		return Layout{}, fmt.Errorf("use state folder %s: its path has %d bytes, %d are the most with sockets below it; set XDG_STATE_HOME to a shorter one", dir, len(dir), maxPath)
	}
	return l, nil
}

func xdg(variable, fallback string) (string, error) {
	if dir := os.Getenv(variable); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("use %s=%s: it must be absolute", variable, dir)
		}
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.Join(fmt.Errorf("find the home folder; set %s", variable), err)
	}
	return filepath.Join(home, fallback), nil
}

// Dir is the cluster's folder.
func (l Layout) Dir() string { return filepath.Join(l.Root, l.Name) }

func (l Layout) path(elements ...string) string {
	return filepath.Join(append([]string{l.Dir()}, elements...)...)
}

// Authority is the certificate that clients trust.
func (l Layout) Authority() string    { return l.path("ca.crt") }
func (l Layout) authorityKey() string { return l.path("ca.key") }

// Kubeconfig has the administrator's credentials and the loopback address.
func (l Layout) Kubeconfig() string { return l.path("kubeconfig") }

// Bin has links to kubectl and the node's other programs.
func (l Layout) Bin() string { return l.path("bin") }

// Logs has one file per component, and audit.log.
func (l Layout) Logs() string { return l.path("logs") }

// Lock is held by up and down.
func (l Layout) Lock() string      { return filepath.Join(l.Root, "."+l.Name+".lock") }
func (l Layout) indexLock() string { return filepath.Join(l.Root, ".addresses.lock") }

// Index remembers the clusters' addresses.
func (l Layout) Index() address.Index {
	return address.Index{Path: filepath.Join(l.Root, "addresses.json")}
}

// Namespace is the cluster's network namespace.
func (l Layout) Namespace() netns.Namespace { return netns.Namespace{Name: l.group()} }

// group names the network namespace and the control groups.
func (l Layout) group() string { return "kubewandb-" + l.Name }

// Domain is the suffix of the cluster's public names.
func (l Layout) Domain() string { return l.Name + ".test" }

// Names are those that the hosts file resolves. The wildcard that cluster DNS
// and the certificate have cannot be written there.
func (l Layout) Names() []string {
	return []string{"wandb." + l.Domain(), "deploy." + l.Domain(), "storage." + l.Domain(), "sso." + l.Domain()}
}

func (l Layout) cert(name string) string   { return l.path("pki", name+".crt") }
func (l Layout) key(name string) string    { return l.path("pki", name+".key") }
func (l Layout) config(name string) string { return l.path("config", name) }
func (l Layout) record(name string) string { return l.path("processes", name+".json") }
func (l Layout) log(name string) string    { return filepath.Join(l.Logs(), name+".log") }
func (l Layout) socket() string            { return l.path("run", "containerd.sock") }
func (l Layout) volumes() string           { return l.path("volumes") }
