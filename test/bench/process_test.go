package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

// process is the operator while it runs.
type process struct {
	scene   *scene
	command *exec.Cmd
	output  *bytes.Buffer
	debug   string
}

// usage is what /proc tells about a process.
type usage struct {
	cpu            time.Duration
	peak, resident int64
}

// startOperator runs the operator under test and waits until it works.
func (s *scene) startOperator() *process {
	s.b.Helper()
	kubeconfig := s.kubeconfig()
	p := &process{scene: s, output: &bytes.Buffer{}}
	readyURL := s.readyURL
	var ownEnvironment []string
	if s.command == "" {
		probes := freeAddress(s.b)
		readyURL = "http://" + probes + "/readyz"
		p.command = exec.Command(buildOperator(s.b), "--kubeconfig", kubeconfig, "--concurrency", strconv.Itoa(s.concurrency))
		ownEnvironment = []string{
			"OPERATOR_NAMESPACE=" + namespace, "WATCH_NAMESPACES=" + namespace, "POD_NAME=controller-manager-0",
			"AIRGAPPED=true", "LEADER_ELECT=true", "CHARTS_DIR=" + filepath.Dir(s.chart), "METRICS_BIND_ADDRESS=0",
			"HEALTH_PROBE_BIND_ADDRESS=" + probes,
		}
		if s.parameters.profile != "" {
			p.debug = freeAddress(s.b)
			ownEnvironment = append(ownEnvironment, "PROFILE_BIND_ADDRESS="+p.debug)
		}
	} else {
		p.command = exec.Command("/bin/sh", "-c", "exec "+s.command)
	}
	p.command.Env = append(append(os.Environ(), ownEnvironment...), "KUBECONFIG="+kubeconfig, "BENCH_NAMESPACE="+namespace,
		"BENCH_CHARTS="+filepath.Dir(s.chart), "BENCH_CONCURRENCY="+strconv.Itoa(s.concurrency))
	p.command.Stdout, p.command.Stderr = p.output, p.output
	// What ends the benchmark must end the operator as well.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(s.b, p.command.Start())
	for began := time.Now(); readyURL != ""; pause(s.b, 100*time.Millisecond) {
		if answers(s.b, readyURL) {
			break
		}
		if time.Since(began) > time.Minute {
			p.stop()
			s.b.Fatalf("the operator does not become ready:\n%s", p.output)
		}
	}
	pause(s.b, settle)
	return p
}

// kubeconfig makes one for a user of the operator's own, with every right.
func (s *scene) kubeconfig() string {
	s.b.Helper()
	user, err := s.environment.AddUser(envtest.User{Name: operatorUser, Groups: []string{"system:masters"}}, nil)
	must(s.b, err)
	config := user.Config()
	file := filepath.Join(s.folder, "kubeconfig")
	must(s.b, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:  map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: namespace}}, CurrentContext: "x",
	}, file))
	return file
}

// buildOperator compiles the program as its image holds it.
func buildOperator(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "controller-manager")
	command := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./cmd/controller-manager")
	command.Dir, command.Env = testenv.Root(b), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func (p *process) stop() {
	p.scene.b.Helper()
	_ = p.command.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(time.Minute, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	_ = p.command.Wait()
	if p.scene.b.Failed() {
		p.scene.b.Logf("log of the operator:\n%s", p.output)
	}
}

// usage reads what the process has used so far.
func (p *process) usage() usage {
	p.scene.b.Helper()
	pid := p.command.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(p.scene.b, err)
	// The name in parentheses may hold spaces; user and system time are the 12th and 13th field behind it, in hundredths.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := int64(0)
	for _, field := range fields[11:13] {
		value, err := strconv.ParseInt(field, 10, 64)
		must(p.scene.b, err)
		ticks += value
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(p.scene.b, err)
	return usage{
		cpu: time.Duration(ticks) * 10 * time.Millisecond, peak: memory(p.scene.b, status, "VmHWM"), resident: memory(p.scene.b, status, "VmRSS"),
	}
}

func memory(b *testing.B, status []byte, part string) int64 {
	b.Helper()
	found := regexp.MustCompile(part + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		b.Fatalf("no %s in the status of the process", part)
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	must(b, err)
	return kilobytes << 10
}

// profile records CPU and memory until the returned function is called, where the parameters name a folder.
func (p *process) profile(name string) (stop func()) {
	p.scene.b.Helper()
	if p.debug == "" {
		return func() {}
	}
	done := make(chan error, 1)
	go func() { done <- p.fetch("profile?seconds=5", name+"-cpu.pprof") }()
	return func() {
		p.scene.b.Helper()
		must(p.scene.b, p.fetch("heap", name+"-heap.pprof"))
		must(p.scene.b, p.fetch("allocs", name+"-allocs.pprof"))
		must(p.scene.b, <-done)
	}
}

func (p *process) fetch(what, file string) error {
	request, err := http.NewRequestWithContext(p.scene.b.Context(), http.MethodGet, "http://"+p.debug+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.scene.parameters.profile, file), content, 0o600)
}

func answers(b *testing.B, url string) bool {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	must(b, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

func freeAddress(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
