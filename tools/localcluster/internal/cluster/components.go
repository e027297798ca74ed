package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/build"
)

// component is one program of the cluster.
type component struct {
	name string
	argv []string
	// reads lists files, besides those named in argv, whose change asks for a
	// restart.
	reads []string
	// listens are addresses on the machine whose listeners the program inherits.
	listens []string
	healthy check
}

// stage is a set of components that start together; the next stage needs all of
// them.
type stage []component

// stages lists the components in the order of their needs.
func (c *Cluster) stages(out build.Output) []stage {
	return []stage{
		{c.etcd(out), c.registry(out), c.forwarder(out)},
		{c.apiServer(out), c.containerd()},
		{
			c.controllerManager(out), c.scheduler(out), c.kubelet(out), c.proxy(out),
			c.dns(out), c.ingress(out), c.provisioner(out),
		},
	}
}

// componentNames lists every component, in starting order.
func componentNames() []string {
	return []string{
		"etcd", "registry", "forwarder", "kube-apiserver", "containerd",
		"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
		"dns", "ingress", "provisioner",
	}
}

func (c *Cluster) etcd(out build.Output) component {
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	return component{
		name: "etcd",
		argv: []string{
			filepath.Join(out.Kubernetes, "etcd"),
			"--name=node",
			"--data-dir=" + c.layout.path("etcd"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=node=" + peer,
			// The data of a cluster that down removes need not survive a power
			// cut, and syncing costs more than everything else in etcd.
			"--unsafe-no-fsync",
			"--log-level=warn",
			"--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
		},
		healthy: c.httpCheck(client + "/health"),
	}
}

func (c *Cluster) registry(out build.Output) component {
	return component{
		name: "registry",
		argv: []string{
			filepath.Join(out.Services, "services"), "registry",
			"--listen=" + PullRegistry, "--root=" + c.layout.path("registry"),
		},
		healthy: c.httpCheck("http://" + PullRegistry + "/v2/"),
	}
}

// forwarder is what the machine can reach of the node.
func (c *Cluster) forwarder(out build.Output) component {
	ports := []string{"443", "80", "6443", registryPort}
	targets := make([]string, 0, len(ports))
	listens := make([]string, 0, len(ports))
	for _, port := range ports {
		targets = append(targets, nodeAddress+":"+port)
		listens = append(listens, c.address+":"+port)
	}
	return component{
		name:    "forwarder",
		argv:    []string{filepath.Join(out.Services, "services"), "forward", "--targets=" + strings.Join(targets, ",")},
		listens: listens,
		healthy: c.connectCheck(c.address + ":6443"),
	}
}

func (c *Cluster) apiServer(out build.Output) component {
	l := c.layout
	return component{
		name: "kube-apiserver",
		argv: []string{
			filepath.Join(out.Kubernetes, "kube-apiserver"),
			"--etcd-servers=http://127.0.0.1:2379",
			"--bind-address=" + nodeAddress, "--advertise-address=" + nodeAddress, "--secure-port=6443",
			"--tls-cert-file=" + l.cert("kube-apiserver"), "--tls-private-key-file=" + l.key("kube-apiserver"),
			"--client-ca-file=" + l.Authority(),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--allow-privileged",
			"--service-cluster-ip-range=" + serviceRange,
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + l.key("service-accounts"),
			"--service-account-signing-key-file=" + l.key("service-accounts"),
			"--kubelet-certificate-authority=" + l.Authority(),
			"--kubelet-client-certificate=" + l.cert("apiserver-kubelet-client"),
			"--kubelet-client-key=" + l.key("apiserver-kubelet-client"),
			// The node's name resolves nowhere; logs and exec use its address.
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + l.Authority(),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + l.cert("front-proxy-client"),
			"--proxy-client-key-file=" + l.key("front-proxy-client"),
			"--audit-policy-file=" + l.config("audit.yaml"),
			"--audit-log-path=" + filepath.Join(l.Logs(), "audit.log"),
			"--audit-log-maxsize=200", "--audit-log-maxbackup=1",
			"--profiling=false",
		},
		healthy: c.apiCheck("/readyz"),
	}
}

func (c *Cluster) containerd() component {
	l := c.layout
	return component{
		name:    "containerd",
		argv:    []string{c.programs["containerd"], "--config=" + l.config("containerd.toml"), "--log-level=warn"},
		reads:   []string{l.config("cni/10-pods.conflist"), l.config("registries/_default/hosts.toml")},
		healthy: c.runtimeCheck(),
	}
}

func (c *Cluster) controllerManager(out build.Output) component {
	l := c.layout
	credentials := l.config("kube-controller-manager.kubeconfig")
	return component{
		name: "kube-controller-manager",
		argv: []string{
			filepath.Join(out.Kubernetes, "kube-controller-manager"),
			"--kubeconfig=" + credentials, "--authentication-kubeconfig=" + credentials, "--authorization-kubeconfig=" + credentials,
			"--bind-address=127.0.0.1",
			"--tls-cert-file=" + l.cert("kube-controller-manager"), "--tls-private-key-file=" + l.key("kube-controller-manager"),
			"--leader-elect=false",
			"--use-service-account-credentials",
			"--root-ca-file=" + l.Authority(),
			"--service-account-private-key-file=" + l.key("service-accounts"),
			"--cluster-signing-cert-file=" + l.Authority(), "--cluster-signing-key-file=" + l.authorityKey(),
			"--cluster-cidr=" + podRange, "--allocate-node-cidrs",
			"--profiling=false",
		},
		healthy: c.tlsCheck("https://127.0.0.1:10257/healthz"),
	}
}

func (c *Cluster) scheduler(out build.Output) component {
	l := c.layout
	credentials := l.config("kube-scheduler.kubeconfig")
	return component{
		name: "kube-scheduler",
		argv: []string{
			filepath.Join(out.Kubernetes, "kube-scheduler"),
			"--kubeconfig=" + credentials, "--authentication-kubeconfig=" + credentials, "--authorization-kubeconfig=" + credentials,
			"--bind-address=127.0.0.1",
			"--tls-cert-file=" + l.cert("kube-scheduler"), "--tls-private-key-file=" + l.key("kube-scheduler"),
			"--leader-elect=false",
			"--profiling=false",
		},
		healthy: c.tlsCheck("https://127.0.0.1:10259/healthz"),
	}
}

func (c *Cluster) kubelet(out build.Output) component {
	l := c.layout
	return component{
		name: "kubelet",
		argv: []string{
			filepath.Join(out.Kubernetes, "kubelet"),
			"--config=" + l.config("kubelet.yaml"),
			"--kubeconfig=" + l.config("kubelet.kubeconfig"),
			"--root-dir=" + l.path("kubelet"),
			"--cert-dir=" + l.path("pki"),
			"--hostname-override=" + nodeName,
			"--node-ip=" + nodeAddress,
			// Statistics of containers are wanted rarely here, and gathering them
			// is most of what an idle kubelet does.
			"--housekeeping-interval=30s",
		},
		reads:   []string{l.cert("kubelet-server"), l.Authority()},
		healthy: c.httpCheck("http://127.0.0.1:10248/healthz"),
	}
}

func (c *Cluster) proxy(out build.Output) component {
	l := c.layout
	return component{
		name:    "kube-proxy",
		argv:    []string{filepath.Join(out.Kubernetes, "kube-proxy"), "--config=" + l.config("kube-proxy.yaml")},
		reads:   []string{l.config("kube-proxy.kubeconfig")},
		healthy: c.httpCheck("http://127.0.0.1:10256/livez"),
	}
}

func (c *Cluster) dns(out build.Output) component {
	l := c.layout
	return component{
		name:    "dns",
		argv:    []string{filepath.Join(out.Services, "services"), "dns", "--conf=" + l.config("Corefile")},
		reads:   []string{l.config("dns.kubeconfig")},
		healthy: c.httpCheck("http://127.0.0.1:8181/ready"),
	}
}

func (c *Cluster) ingress(out build.Output) component {
	l := c.layout
	const health = "127.0.0.1:8082"
	return component{
		name: "ingress",
		argv: []string{
			filepath.Join(out.Services, "services"), "ingress",
			"--kubeconfig=" + l.config("ingress.kubeconfig"),
			"--http=" + nodeAddress + ":80", "--https=" + nodeAddress + ":443", "--health=" + health,
			"--certificate=" + l.cert("ingress"), "--key=" + l.key("ingress"),
			"--published-address=" + ingressAddress,
		},
		healthy: c.httpCheck("http://" + health + "/healthz"),
	}
}

func (c *Cluster) provisioner(out build.Output) component {
	l := c.layout
	return component{
		name: "provisioner",
		argv: []string{
			filepath.Join(out.Services, "services"), "provisioner",
			"--kubeconfig=" + l.config("provisioner.kubeconfig"),
			"--root=" + l.volumes(), "--node=" + nodeName,
		},
		healthy: always,
	}
}

// digest names everything that the component was started with: its arguments,
// the content of the files it reads, and the network it lives in. Another digest
// asks for a restart.
func (c *Cluster) digest(x component, network string) (string, error) {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q %q %q\n", x.argv, x.listens, network)
	files := append([]string{}, x.reads...)
	for _, argument := range x.argv {
		if _, value, ok := strings.Cut(argument, "="); ok && filepath.IsAbs(value) && !strings.HasPrefix(value, c.layout.Logs()) {
			files = append(files, value)
		}
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := readFile(file)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(sum, "%s %x\n", file, sha256.Sum256(content))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
