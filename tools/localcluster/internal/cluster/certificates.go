package cluster

import (
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/api"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/pki"
)

// insideServer is the API server's address for programs on the node.
const insideServer = "https://" + nodeAddress + ":6443"

// outsideServer is the API server's address on the machine.
func (c *Cluster) outsideServer() string { return "https://" + c.address + ":6443" }

// serverLeaves are the certificates that programs serve with, by file name.
func (c *Cluster) serverLeaves() map[string]pki.Leaf {
	loopback := []string{"localhost", "127.0.0.1"}
	domain := c.layout.Domain()
	return map[string]pki.Leaf{
		"kube-apiserver": {CommonName: "kube-apiserver", Names: append([]string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			serviceAddress, nodeAddress, c.address,
		}, loopback...)},
		"kubelet-server":          {CommonName: "kubelet", Names: []string{nodeName, nodeAddress}},
		"kube-controller-manager": {CommonName: "kube-controller-manager", Names: loopback},
		"kube-scheduler":          {CommonName: "kube-scheduler", Names: loopback},
		"ingress":                 {CommonName: "wandb." + domain, Names: append(c.layout.Names(), "*."+domain)},
	}
}

// clientLeaves are the certificates with which programs sign in, by file name.
// The names of Kubernetes' own programs are those that its built-in roles are
// bound to.
func clientLeaves() map[string]pki.Leaf {
	return map[string]pki.Leaf{
		"admin":                     {CommonName: "localcluster:admin", Organizations: []string{"system:masters"}},
		"apiserver-kubelet-client":  {CommonName: "kube-apiserver"},
		"front-proxy-client":        {CommonName: "front-proxy-client"},
		"controller-manager-client": {CommonName: "system:kube-controller-manager"},
		"scheduler-client":          {CommonName: "system:kube-scheduler"},
		"kube-proxy-client":         {CommonName: "system:kube-proxy"},
		"kubelet-client":            {CommonName: "system:node:" + nodeName, Organizations: []string{"system:nodes"}},
		"dns-client":                {CommonName: "localcluster:dns"},
		"ingress-client":            {CommonName: "localcluster:ingress"},
		"provisioner-client":        {CommonName: "localcluster:provisioner"},
	}
}

// kubeconfigs says which client certificate each kubeconfig file holds.
func kubeconfigs() map[string]string {
	return map[string]string{
		"kube-controller-manager.kubeconfig": "controller-manager-client",
		"kube-scheduler.kubeconfig":          "scheduler-client",
		"kube-proxy.kubeconfig":              "kube-proxy-client",
		"kubelet.kubeconfig":                 "kubelet-client",
		"dns.kubeconfig":                     "dns-client",
		"ingress.kubeconfig":                 "ingress-client",
		"provisioner.kubeconfig":             "provisioner-client",
	}
}

// writeCertificates makes the authority, what it signs, and the kubeconfigs.
func (c *Cluster) writeCertificates() error {
	l := c.layout
	authority, err := pki.OpenAuthority(l.Authority(), l.authorityKey(), "kubewandb localcluster "+l.Name)
	if err != nil {
		return err
	}
	pairs := map[string]pki.Pair{}
	for _, leaves := range []map[string]pki.Leaf{c.serverLeaves(), clientLeaves()} {
		for name, leaf := range leaves {
			if pairs[name], err = authority.Ensure(leaf, l.cert(name), l.key(name)); err != nil {
				return err
			}
		}
	}
	if _, err := pki.EnsureKey(l.key("service-accounts")); err != nil {
		return err
	}
	for file, name := range kubeconfigs() {
		content, err := kubeconfig(l.Name, insideServer, name, authority.PEM, pairs[name])
		if err != nil {
			return err
		}
		if err := writeFile(l.config(file), content, 0o600); err != nil {
			return err
		}
	}
	content, err := kubeconfig(l.Name, c.outsideServer(), "admin", authority.PEM, pairs["admin"])
	if err != nil {
		return err
	}
	return writeFile(l.Kubeconfig(), content, 0o600)
}

// client calls the API server from within the node's network, so that it works
// before the forwarder runs.
func (c *Cluster) client() (*api.Client, error) {
	l := c.layout
	authority, errA := readFile(l.Authority())
	cert, errB := readFile(l.cert("admin"))
	key, errC := readFile(l.key("admin"))
	if err := errors.Join(errA, errB, errC); err != nil {
		return nil, fmt.Errorf("read the administrator's credentials (run up first): %w", err)
	}
	return api.New(api.Options{
		Base: insideServer, Authority: authority, Certificate: cert, Key: key,
		Dial: l.Namespace().DialContext,
	})
}
