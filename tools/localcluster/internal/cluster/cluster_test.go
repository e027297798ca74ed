package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/build"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/pki"
	"github.com/kubewandb/kubewandb/tools/localcluster/internal/progress"
)

func testCluster(t *testing.T) *Cluster {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", filepath.Join(os.TempDir(), "lc"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	layout, err := NewLayout("lctest-u")
	if err != nil {
		t.Fatal(err)
	}
	layout.Root = t.TempDir()
	c := New(layout, progress.New(io.Discard), filepath.Join(t.TempDir(), "hosts"))
	c.address, c.pauseImage = "127.77.0.9", PullRegistry+"/localcluster/pause@sha256:0"
	c.programs["containerd"] = "/usr/bin/containerd"
	return c
}

func TestNewLayoutChecksNameAndPath(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/s")
	for _, name := range []string{"", "Demo", "1st", "a_b", "-a", "a-", "../x", strings.Repeat("a", 21)} {
		if _, err := NewLayout(name); err == nil {
			t.Errorf("NewLayout(%q) was accepted", name)
		}
	}
	for _, name := range []string{"a", "demo", "lctest-a", strings.Repeat("a", 20)} {
		if _, err := NewLayout(name); err != nil {
			t.Errorf("NewLayout(%q): %v", name, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", "/"+strings.Repeat("long/", 12))
	if _, err := NewLayout("demo"); err == nil {
		t.Error("a state folder that leaves no room for sockets was accepted")
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	if _, err := NewLayout("demo"); err == nil {
		t.Error("a relative state folder was accepted")
	}
}

func TestEveryConfigurationRenders(t *testing.T) {
	c := testCluster(t)
	if err := c.writeConfigs(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"containerd.toml":                {`restrict_oom_score_adj = true`, c.pauseImage, c.layout.socket()},
		"kubelet.yaml":                   {"cgroupRoot: /kubewandb-lctest-u", "failCgroupV1: false", c.layout.path("pods")},
		"Corefile":                       {"lctest-u.test {", "{{ .Name }} 60 IN A 10.96.0.11"},
		"cni/10-pods.conflist":           {c.layout.path("cni")},
		"registries/_default/hosts.toml": {"http://10.88.0.1:5000"},
	} {
		content, err := readFile(c.layout.config(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(content), text) {
				t.Errorf("%s lacks %q:\n%s", file, text, content)
			}
		}
	}
	for _, file := range []string{"kubelet.yaml", "kube-proxy.yaml", "audit.yaml", "cni/10-pods.conflist"} {
		content, err := readFile(c.layout.config(file))
		if err != nil {
			t.Fatal(err)
		}
		var parsed map[string]any
		if err := yaml.UnmarshalStrict(content, &parsed); err != nil {
			t.Errorf("parse %s: %v", file, err)
		}
	}
}

func TestCertificatesCoverNamesAndAddresses(t *testing.T) {
	c := testCluster(t)
	leaves := c.serverLeaves()
	has := func(leaf pki.Leaf, name string) bool {
		for _, one := range leaf.Names {
			if one == name {
				return true
			}
		}
		return false
	}
	for leaf, names := range map[string][]string{
		"ingress":        {"wandb.lctest-u.test", "deploy.lctest-u.test", "*.lctest-u.test"},
		"kube-apiserver": {"127.77.0.9", "10.96.0.1", "10.88.0.1", "kubernetes.default.svc"},
		"kubelet-server": {"10.88.0.1"},
	} {
		for _, name := range names {
			if !has(leaves[leaf], name) {
				t.Errorf("the certificate of %s lacks %s: %v", leaf, name, leaves[leaf].Names)
			}
		}
	}
}

func TestKubeconfigsUseTheRightServer(t *testing.T) {
	c := testCluster(t)
	if err := c.writeCertificates(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		c.layout.Kubeconfig():                 "https://127.77.0.9:6443",
		c.layout.config("kubelet.kubeconfig"): "https://10.88.0.1:6443",
	} {
		content, err := readFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Clusters []struct{ Cluster struct{ Server string } }
		}
		if err := json.Unmarshal(content, &parsed); err != nil {
			t.Fatal(err)
		}
		if got := parsed.Clusters[0].Cluster.Server; got != want {
			t.Errorf("server in %s = %s, want %s", file, got, want)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, which holds a key, has mode %v (%v)", file, info.Mode(), err)
		}
	}
}

func TestStagesAndNamesAgree(t *testing.T) {
	c := testCluster(t)
	var names []string
	for _, members := range c.stages(build.Output{Kubernetes: "/k", Services: "/s"}) {
		for _, member := range members {
			names = append(names, member.name)
			if member.healthy == nil || !filepath.IsAbs(member.argv[0]) {
				t.Errorf("%s lacks a check or has a relative program %s", member.name, member.argv[0])
			}
		}
	}
	if got, want := strings.Join(names, " "), strings.Join(componentNames(), " "); got != want {
		t.Errorf("stages start %s, status shows %s", got, want)
	}
}

func TestDigestAsksForARestart(t *testing.T) {
	c := testCluster(t)
	if err := errors.Join(c.writeConfigs(), c.writeCertificates()); err != nil {
		t.Fatal(err)
	}
	out := build.Output{Kubernetes: "/k", Services: "/s"}
	digest := func(x component, network string) string {
		t.Helper()
		sum, err := c.digest(x, network)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	original := digest(c.kubelet(out), "n1")
	if digest(c.kubelet(out), "n1") != original {
		t.Error("nothing changed, yet the kubelet would be restarted")
	}
	if digest(c.kubelet(out), "n2") == original {
		t.Error("a new network namespace would leave the kubelet in the old one")
	}
	if digest(c.kubelet(build.Output{Kubernetes: "/k2"}), "n1") == original {
		t.Error("a new program would not be started")
	}
	if err := os.WriteFile(c.layout.config("kubelet.yaml"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if digest(c.kubelet(out), "n1") == original {
		t.Error("a changed configuration would not be read")
	}
	audit := filepath.Join(c.layout.Logs(), "audit.log")
	before := digest(c.apiServer(out), "n1")
	if err := os.MkdirAll(c.layout.Logs(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(audit, []byte("one event"), 0o600); err != nil {
		t.Fatal(err)
	}
	if digest(c.apiServer(out), "n1") != before {
		t.Error("the growing audit log would restart the API server")
	}
}

func TestAwait(t *testing.T) {
	failing := func(context.Context) error { return errors.New("no") }
	if err := await(t.Context(), time.Second, nil, always); err != nil {
		t.Errorf("await of what passes: %v", err)
	}
	if err := await(t.Context(), 10*time.Millisecond, nil, failing); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("await of what fails: %v", err)
	}
	ended := make(chan struct{})
	close(ended)
	begun := time.Now()
	if err := await(t.Context(), time.Minute, ended, failing); err == nil || time.Since(begun) > 30*time.Second {
		t.Errorf("await of an ended process: %v after %s", err, time.Since(begun))
	}
}

func TestTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("a\nb\nc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tail(file, 2); got != "b\nc" {
		t.Errorf("tail = %q", got)
	}
	if got := tail(file+"x", 2); got != "" {
		t.Errorf("tail of a missing file = %q", got)
	}
}
