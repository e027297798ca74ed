package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/operator"
	"github.com/kubewandb/kubewandb/internal/version"
)

// maxFileSize bounds the files with keys.
const maxFileSize = 1 << 20

// settings is what the command line and the environment say.
type settings struct {
	kubeconfig string
	debug      bool
	namespace  string
	watch      string
	isolation  string

	pod, release         string
	channelURL, trust    string
	keysFile, rootFile   string
	dataDir              string
	airgapped            bool
	chartsDir, cacheDir  string
	sources, kinds       string
	notifyURL, notifyKey string
	notifyKinds          string
	metrics, probes      string
	profile              string
	concurrency          int
	leaderElect, managed bool
}

// addShared adds what every command of the program understands.
func (s *settings) addShared(f *pflag.FlagSet) {
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig file; empty means the service account of the pod")
	f.BoolVar(&s.debug, "debug", false, "log more")
	f.StringVar(&s.namespace, "operator-namespace", "wandb", "namespace of the operator")
	f.StringVar(&s.watch, "watch-namespaces", "", "comma-separated namespaces where the operator has rights; empty means its own")
	f.StringVar(&s.isolation, "isolation-namespaces", "", "like watch-namespaces, and resources elsewhere are not even read")
}

func (s *settings) addOwn(f *pflag.FlagSet) {
	f.StringVar(&s.pod, "pod-name", "", "name of the operator's pod; empty means the name of the host")
	f.StringVar(&s.release, "operator-release", "operator", "name of the Helm release of the operator, for hints")
	f.StringVar(&s.channelURL, "deployer-channel-url", channel.DefaultBaseURL, "base URL of the deploy server")
	f.StringVar(&s.trust, "channel-trust", string(channel.TrustTLS), "what releases have to prove: TLS or Signed")
	f.StringVar(&s.keysFile, "license-jwks-file", "", "file with the JWKS of the issuers of licences; empty knows no issuer")
	f.StringVar(&s.rootFile, "channel-root-file", "", "the publisher's root.json; trust Signed needs it")
	f.StringVar(&s.dataDir, "helm-data-home", "", "folder for what the signed catalog was accepted with; empty means a temporary one")
	f.BoolVar(&s.airgapped, "airgapped", false, "never ask the deploy server")
	f.StringVar(&s.chartsDir, "charts-dir", "/charts", "folder that spec.chart.path must lie in")
	f.StringVar(&s.cacheDir, "helm-cache-home", "", "folder for downloaded charts; empty keeps them in memory")
	f.StringVar(&s.sources, "chart-sources", "", "comma-separated prefixes of URLs that charts may come from; empty means any")
	f.StringVar(&s.kinds, "allow-cluster-objects", "", "comma-separated kinds that charts may make outside their namespace")
	f.StringVar(&s.notifyURL, "notify-url-file", "", "file with the URL of a webhook that is told what happens; empty tells nobody")
	f.StringVar(&s.notifyKey, "notify-key-file", "", "file with the key that notifications are signed with; empty signs nothing")
	f.StringVar(&s.notifyKinds, "notify-kinds", "", "comma-separated kinds of notifications; empty means all")
	f.StringVar(&s.metrics, "metrics-bind-address", ":8080", "address of metrics; 0 turns them off")
	f.StringVar(&s.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	f.StringVar(&s.profile, "profile-bind-address", "", "loopback address of /debug/pprof; empty turns it off")
	f.IntVar(&s.concurrency, "concurrency", operator.DefaultConcurrency, "how many releases are worked on at a time")
	f.BoolVar(&s.leaderElect, "leader-elect", false, "act only while holding the Lease of the leader")
	s.addCompatible(f)
}

// addCompatible accepts flags that installations of version 1.x pass, and that mean nothing here.
func (s *settings) addCompatible(f *pflag.FlagSet) {
	for _, name := range []string{"zap-devel", "metrics-secure", "enable-http2"} {
		f.Bool(name, false, "accepted and ignored")
		_ = f.MarkHidden(name)
	}
	f.BoolVar(&s.managed, "managed-spec-enabled", false, "refused: see the error")
	_ = f.MarkHidden("managed-spec-enabled")
}

func (s *settings) namespaces() []string {
	return operator.Namespaces(s.watch + "," + s.isolation)
}

func (s *settings) cluster() (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if s.kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("find the Kubernetes API (set KUBECONFIG outside of a cluster): %w", err)
	}
	return config, nil
}

func (s *settings) config(ctx context.Context, log logr.Logger) (operator.Config, error) {
	if s.managed {
		return operator.Config{}, &fault.Error{
			Reason: "ConfigInvalid", Op: "start operator: managed-spec-enabled is not supported",
			Hint: "Put the managed specification into spec.values and spec.chart, and set AIRGAPPED=true.",
		}
	}
	cluster, err := s.cluster()
	if err != nil {
		return operator.Config{}, err
	}
	keys, err := s.keys()
	if err != nil {
		return operator.Config{}, err
	}
	verifier, err := s.verifier()
	if err != nil {
		return operator.Config{}, err
	}
	pod := s.pod
	if pod == "" {
		if pod, err = os.Hostname(); err != nil {
			return operator.Config{}, fmt.Errorf("read the name of the host: %w", err)
		}
	}
	isolated := s.isolation != ""
	if !isolated {
		if isolated, err = operator.Isolated(ctx, cluster); err != nil {
			return operator.Config{}, err // says what it did
		}
	}
	return operator.Config{
		RESTConfig: cluster, Logger: log, Namespace: s.namespace, Pod: pod, Release: s.release,
		WatchNamespaces: s.namespaces(), Isolated: isolated,
		ChannelURL: s.channelURL, Trust: channel.Trust(s.trust), Verifier: verifier, Airgapped: s.airgapped, Keys: keys,
		ChartsDir: s.chartsDir, ChartSources: operator.Namespaces(s.sources), CacheDir: s.cacheDir,
		ClusterKinds:  operator.Namespaces(s.kinds),
		NotifyURLFile: s.notifyURL, NotifyKeyFile: s.notifyKey, NotifyKinds: operator.Namespaces(s.notifyKinds),
		MetricsAddress: s.metrics, ProbeAddress: s.probes, ProfileAddress: s.profile, LeaderElect: s.leaderElect,
		Concurrency: s.concurrency,
	}, nil
}

// keys reads the JWKS of the issuers of licences.
func (s *settings) keys() (*license.KeySet, error) {
	if s.keysFile == "" {
		return nil, nil
	}
	document, err := readFile(s.keysFile)
	if err != nil {
		return nil, fmt.Errorf("read the keys of licences: %w", err)
	}
	keys, err := license.ParseJWKS(document)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.keysFile, err)
	}
	return keys, nil
}

// verifier checks signatures against the publisher's root; nil where no root is given.
func (s *settings) verifier() (channel.Verifier, error) {
	if s.rootFile == "" {
		return nil, nil
	}
	root, err := readFile(s.rootFile)
	if err != nil {
		return nil, fmt.Errorf("read the publisher's root: %w", err)
	}
	data := s.dataDir
	if data == "" {
		data = os.TempDir()
	}
	// a fault that says it all
	return channel.NewSignedCatalog(channel.SignedCatalogOptions{
		Root: root, Dir: filepath.Join(data, "catalog"), UserAgent: version.UserAgent("controller-manager"),
	})
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err // names the file
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxFileSize)) // names the file
}

// message is what a person reads when the program ends: the error and what mends it.
func message(err error) string { return fault.Message(err) }
