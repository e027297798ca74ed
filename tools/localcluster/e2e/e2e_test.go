package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	first  = "lctest-a"
	second = "lctest-b"
)

// TestCluster walks through the life of one cluster, and of a second one beside
// it. The parts build on each other: starting a cluster for each would take
// longer than everything else.
func TestCluster(t *testing.T) {
	require(t)
	program, probe := filepath.Join(t.TempDir(), "localcluster"), filepath.Join(t.TempDir(), "probe")
	compile(t, "..", program)
	compile(t, "./probe", probe)
	archive := archiveOf(t, probe, "ghcr.io/kubewandb/probe:v1")

	a := start(t, program, first)
	t.Run("a second up changes nothing and takes seconds", func(t *testing.T) {
		before := a.records(t)
		took := a.up(t)
		for name, record := range a.records(t) {
			if before[name] != record {
				t.Errorf("%s was started anew", name)
			}
		}
		if limit := 30 * time.Second; took > limit {
			t.Errorf("it took %s, more than %s", took, limit)
		}
	})
	a.deployWorkload(t, archive)
	t.Run("a restricted pod writes to its volume", func(t *testing.T) { checkVolume(t, a) })
	t.Run("names lead to the pod", func(t *testing.T) { checkNames(t, a, probe) })
	t.Run("large bodies pass the ingress", func(t *testing.T) { checkUpload(t, a) })
	t.Run("logs reach the client", func(t *testing.T) {
		if got := a.kubectl(t, "logs", "-n", "probe", "deploy/probe"); !strings.Contains(got, "probe serves") {
			t.Errorf("logs = %q", got)
		}
	})
	t.Run("nothing leaves the machine", func(t *testing.T) { checkConfined(t, a) })
	t.Run("writes are audited without secrets", func(t *testing.T) { checkAudit(t, a) })
	t.Run("up repairs what was killed", func(t *testing.T) { checkRepair(t, a) })
	t.Run("two clusters live side by side", func(t *testing.T) { checkCoexistence(t, a, program, archive) })
	t.Run("up repairs a lost network", func(t *testing.T) { checkNetworkRepair(t, a) })
	t.Run("a released volume's folder goes", func(t *testing.T) { checkReclaim(t, a) })
	t.Run("down leaves nothing", func(t *testing.T) { checkDown(t, a) })
}

func checkVolume(t *testing.T, c *testCluster) {
	if got := c.inPod(t, "stat", "/data/hello"); got != "uid=65532 gid=65532\n" {
		t.Errorf("the pod's file has %q; its group must be the fsGroup", got)
	}
	folders, err := filepath.Glob(filepath.Join(c.state(), "volumes", "*", "hello"))
	if err != nil || len(folders) != 1 {
		t.Errorf("the file is not in the volume's folder: %v, %v", folders, err)
	}
}

// checkNames asks by each name, from the pod and from the machine. The machine
// asks with this program, which may use a C library, and with one without.
func checkNames(t *testing.T, c *testCluster, probe string) {
	public := "https://wandb." + c.name + ".test/"
	for _, url := range []string{"http://probe/", "http://probe.probe.svc.cluster.local/", public} {
		c.fetchInPod(t, url)
	}
	authority, err := os.ReadFile(c.env["CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, []string{"CA_PEM=" + string(authority)}, "", probe, "fetch", public); got != "hello, 0 bytes over https\n" {
		t.Errorf("a static program on the machine got %q", got)
	}
	response, err := c.client(t).Get("https://deploy." + c.name + ".test/")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("a name without a rule answered %s", response.Status)
	}
	if response, err = c.client(t).Get("http://wandb." + c.name + ".test/"); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Request.URL.Scheme != "https" {
		t.Errorf("plain HTTP ended at %s with %s", response.Request.URL, response.Status)
	}
}

func checkUpload(t *testing.T, c *testCluster) {
	const size = 256 << 20
	response, err := c.client(t).Post("https://wandb."+c.name+".test/", "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if want := "hello, 268435456 bytes over https\n"; err != nil || string(answer) != want {
		t.Errorf("answer = %q, %v; want %q", answer, err, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// client trusts the cluster's authority.
func (c *testCluster) client(t *testing.T) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(c.env["CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// checkConfined looks at the links of the namespace: each one but the loopback
// and the node's own leads to a pod's namespace, none to the machine's. An
// address reserved for documentation is unreachable from a pod.
func checkConfined(t *testing.T, c *testCluster) {
	links := output(t, nil, "", "/usr/sbin/ip", "-n", "kubewandb-"+c.name, "-o", "link")
	for line := range strings.Lines(links) {
		switch name := strings.Fields(line)[1]; {
		case name == "lo:", name == "node0:":
		case strings.HasPrefix(name, "veth") && strings.Contains(line, "link-netns"), strings.Contains(line, "link-netnsid"):
		default:
			t.Errorf("an interface leads out of the namespace: %s", line)
		}
	}
	outside, err := exec.Command("/usr/sbin/ip", "-o", "link").CombinedOutput()
	if err != nil || bytes.Contains(outside, []byte("veth")) {
		t.Errorf("the machine has an interface of a cluster: %s %v", outside, err)
	}
	cmd := exec.Command(filepath.Join(c.env["BIN"], "kubectl"), "exec", "-n", "probe", "deploy/probe", "--", "/probe", "dial", "192.0.2.1:80")
	cmd.Env = c.environ()
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the pod reached an address outside: %s", out)
	}
}

func checkAudit(t *testing.T, c *testCluster) {
	c.kubectl(t, "create", "secret", "generic", "audited", "-n", "probe", "--from-literal=key=canary-7c1f")
	content, err := os.ReadFile(filepath.Join(c.state(), "logs", "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(`"name":"audited"`)) {
		t.Error("the audit log lacks the write of a Secret")
	}
	for _, text := range []string{"canary-7c1f", "Y2FuYXJ5LTdjMWY", `"verb":"watch"`, `"verb":"get"`} {
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("the audit log holds %q", text)
		}
	}
}

func checkRepair(t *testing.T, c *testCluster) {
	pod := c.podIdentity(t)
	for name, record := range c.records(t) {
		if err := record.Signal(syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
	}
	took := c.up(t)
	t.Logf("repaired %d processes in %s", len(c.records(t)), took)
	c.run(t, "status")
	for name, record := range c.records(t) {
		if !record.Alive() {
			t.Errorf("%s does not run", name)
		}
	}
	if got := c.podIdentity(t); got != pod {
		t.Errorf("the pod was %q and is %q: repairing must not restart pods", pod, got)
	}
	c.fetchInPod(t, "https://wandb."+c.name+".test/")
	for _, name := range []string{"containerd", "ingress"} {
		if err := c.records(t)[name].Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.up(t)
	}
}

// checkNetworkRepair removes the network under running pods. They cannot be
// reached any more, so they have to start anew, with their data.
func checkNetworkRepair(t *testing.T, c *testCluster) {
	output(t, nil, "", "/usr/sbin/ip", "netns", "delete", "kubewandb-"+c.name)
	c.up(t)
	const limit = time.Minute
	for begun := time.Now(); c.restarts(t) == 0; time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > limit {
			t.Fatalf("the pod was not started anew within %s", limit)
		}
	}
	c.kubectl(t, "rollout", "status", "-n", "probe", "deployment/probe", "--timeout=60s")
	c.fetchInPod(t, "https://wandb."+c.name+".test/")
}

// coexistence is how long both clusters must leave each other alone. A kubelet
// looks for pods to remove every two seconds.
func coexistence(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LOCALCLUSTER_COEXIST")
	if text == "" {
		return 30 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("read LOCALCLUSTER_COEXIST: %v", err)
	}
	return d
}

func checkCoexistence(t *testing.T, a *testCluster, program, archive string) {
	b := start(t, program, second)
	b.deployWorkload(t, archive)
	time.Sleep(coexistence(t))
	for _, c := range []*testCluster{a, b} {
		c.run(t, "status")
		if n := c.restarts(t); n != 0 {
			t.Errorf("%s counts %d restarts", c.name, n)
		}
	}
	checkDown(t, b)
	a.run(t, "status")
	if n := a.restarts(t); n != 0 {
		t.Errorf("%s counts %d restarts after the other's end", a.name, n)
	}
	a.fetchInPod(t, "https://wandb."+a.name+".test/")
}

func checkReclaim(t *testing.T, c *testCluster) {
	c.kubectl(t, "delete", "namespace", "probe", "--timeout=60s")
	const limit = 30 * time.Second
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		left, err := os.ReadDir(filepath.Join(c.state(), "volumes"))
		if err == nil && len(left) == 0 {
			return
		}
		if time.Since(begun) > limit {
			t.Fatalf("volumes are left %s after their namespace: %v, %v", limit, left, err)
		}
	}
}

func checkDown(t *testing.T, c *testCluster) {
	state, group := c.state(), "kubewandb-"+c.name
	sockets := shimSockets(t, state)
	begun := time.Now()
	c.run(t, "down")
	t.Logf("down took %s", time.Since(begun))
	c.run(t, "down")

	// The machine's first process may take a moment to collect what has ended.
	const collectTime = 10 * time.Second
	left := processesOf(t, state, group)
	for len(left) > 0 && time.Since(begun) < collectTime {
		time.Sleep(100 * time.Millisecond)
		left = processesOf(t, state, group)
	}
	if len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(state+"/")) || bytes.Contains(mounts, []byte(group)) {
		t.Errorf("mounts are left: %v\n%s", err, mounts)
	}
	hostsFile, err := os.ReadFile("/etc/hosts")
	if err != nil || bytes.Contains(hostsFile, []byte(c.name)) {
		t.Errorf("the hosts file still names the cluster: %v\n%s", err, hostsFile)
	}
	if _, err := os.Stat("/run/netns/" + group); !os.IsNotExist(err) {
		t.Errorf("the network namespace is left: %v", err)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + group, "/sys/fs/cgroup/*/" + group} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("control groups are left: %v, %v", left, err)
		}
	}
	for _, socket := range sockets {
		if _, err := os.Stat(socket); err == nil {
			t.Errorf("a shim's socket is left: %s", socket)
		}
	}
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 2 || entries[0].Name() != "ca.crt" || entries[1].Name() != "ca.key" {
		t.Errorf("the cluster's folder holds %v, %v; only the authority stays", entries, err)
	}
}

func shimSockets(t *testing.T, state string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "run/containerd/io.containerd.runtime.v2.task/k8s.io/*/address"))
	if err != nil {
		t.Fatal(err)
	}
	var sockets []string
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil {
			sockets = append(sockets, strings.TrimPrefix(string(content), "unix://"))
		}
	}
	return sockets
}

// processesOf lists the processes that name the cluster's folder in their
// command line or belong to its control groups.
func processesOf(t *testing.T, state, group string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, dir := range files {
		command, errA := os.ReadFile(filepath.Join(dir, "cmdline"))
		groups, errB := os.ReadFile(filepath.Join(dir, "cgroup"))
		if errA != nil || errB != nil {
			continue
		}
		if bytes.Contains(command, []byte(state+"/")) || bytes.Contains(groups, []byte("/"+group)) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}
