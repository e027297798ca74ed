package cluster

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/debian"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/pki"
)

//go:embed config
var configs embed.FS

// settings are what the configuration templates refer to.
type settings struct {
	Dir, Group, Domain, Socket                string
	PluginFolder, PauseImage, Registry        string
	NodeName, NodeAddress                     string
	PodRange, PodNodeRange                    string
	DNSAddress, IngressAddress                string
	Authority, KubeletCertificate, KubeletKey string
	ProxyKubeconfig, DNSKubeconfig            string
}

func (c *Cluster) settings() settings {
	l := c.layout
	return settings{
		Dir: l.Dir(), Group: l.group(), Domain: l.Domain(), Socket: l.socket(),
		PluginFolder: debian.PluginFolder, PauseImage: c.pauseImage, Registry: PullRegistry,
		NodeName: nodeName, NodeAddress: nodeAddress,
		PodRange: podRange, PodNodeRange: podNodeRange,
		DNSAddress: dnsAddress, IngressAddress: ingressAddress,
		Authority: l.Authority(), KubeletCertificate: l.cert("kubelet-server"), KubeletKey: l.key("kubelet-server"),
		ProxyKubeconfig: l.config("kube-proxy.kubeconfig"), DNSKubeconfig: l.config("dns.kubeconfig"),
	}
}

// writeConfigs renders the files that components read.
func (c *Cluster) writeConfigs() error {
	for file, target := range map[string]string{
		"containerd.toml": "containerd.toml",
		"hosts.toml":      "registries/_default/hosts.toml",
		"cni.conflist":    "cni/10-pods.conflist",
		"kubelet.yaml":    "kubelet.yaml",
		"kube-proxy.yaml": "kube-proxy.yaml",
		"Corefile":        "Corefile",
		"audit.yaml":      "audit.yaml",
	} {
		content, err := render(file, c.settings())
		if err != nil {
			return err
		}
		if err := writeFile(c.layout.config(target), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func render(file string, s settings) ([]byte, error) {
	parsed, err := template.New(file).Option("missingkey=error").ParseFS(configs, "config/"+file)
	if err != nil {
		return nil, fmt.Errorf("parse configuration template: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("render configuration %s: %w", file, err)
	}
	return out.Bytes(), nil
}

// kubeconfig is the content of a kubeconfig file; JSON is YAML.
func kubeconfig(cluster, server, user string, authority []byte, pair pki.Pair) ([]byte, error) {
	type named map[string]any
	content, err := json.MarshalIndent(named{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []named{{"name": cluster, "cluster": named{
			"server": server, "certificate-authority-data": authority,
		}}},
		"users": []named{{"name": user, "user": named{
			"client-certificate-data": pair.Certificate, "client-key-data": pair.Key,
		}}},
		"contexts":        []named{{"name": cluster, "context": named{"cluster": cluster, "user": user}}},
		"current-context": cluster,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig: %w", err)
	}
	return append(content, '\n'), nil
}

// writeFile leaves a file that has the content already alone, so that its time
// tells when it changed.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create folder of %s: %w", path, err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
