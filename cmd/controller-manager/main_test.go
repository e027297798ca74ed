package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
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

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	// maxIdleMemory is what the operator may take while nothing happens: its own memory, which the kubelet and control
	// groups call rss.
	maxIdleMemory = 30 << 20
	// maxIdleResident counts the clean pages of the program file too, which the kernel takes back when it needs them.
	maxIdleResident = 64 << 20
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build compiles the program as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "controller-manager")
	// The same flags as tools/image: a third of the program's memory is its own code, and cgo would double that.
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:  map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}}, CurrentContext: "x",
	}, file))
	return file
}

// chart writes a chart of one ConfigMap into a folder of local charts.
func chart(t *testing.T) string {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for name, content := range map[string]string{
		"app/Chart.yaml":            "apiVersion: v2\nname: app\nversion: 1.0.0\n",
		"app/templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-config}\ndata: {color: {{ .Values.color | quote }}}\n",
	} {
		must(t, packed.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := packed.Write([]byte(content))
		must(t, err)
	}
	must(t, packed.Close())
	must(t, zipped.Close())
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "app.tgz"), buffer.Bytes(), 0o600))
	return folder
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	must(t, err)
	return response.StatusCode, string(body)
}

func eventually(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("%s did not come about", what)
		}
	}
}

// resident reads a part of the resident memory of a process: VmRSS for all of it, RssAnon or RssFile.
func resident(t *testing.T, pid int, part string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	found := regexp.MustCompile(part + `:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("no %s", part)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	must(t, err)
	return kilobytes << 10
}

// TestProgram runs the program as its Deployment does: from environment variables, with leader election, until a signal
// ends it.
func TestProgram(t *testing.T) {
	config := testenv.Start(t)
	namespace := testenv.Namespace(t)
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, appsv1.AddToScheme(scheme))
	api, err := client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	binary, folder, metrics, probes := build(t), chart(t), freePort(t), freePort(t)
	environment := append(os.Environ(), "OPERATOR_NAMESPACE="+namespace, "WATCH_NAMESPACES="+namespace,
		"LEADER_ELECT=true", "AIRGAPPED=true", "CHARTS_DIR="+folder, "METRICS_BIND_ADDRESS="+metrics,
		"HEALTH_PROBE_BIND_ADDRESS="+probes, "POD_NAME=controller-manager-0", "HELM_CACHE_HOME="+t.TempDir())
	file := kubeconfig(t, config)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--kubeconfig", file)
	var output bytes.Buffer
	command.Env, command.Stderr = environment, &output
	must(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill() })

	eventually(t, "/readyz", 30*time.Second, func() bool { status, _ := get(t, "http://"+probes+"/readyz"); return status == http.StatusOK })
	if status, _ := get(t, "http://"+probes+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wandb"}}
	cr.Spec.Chart, err = appsv1.ObjectOf(map[string]any{"path": filepath.Join(folder, "app.tgz")})
	must(t, err)
	cr.Spec.Values, err = appsv1.ObjectOf(map[string]any{"color": "blue"})
	must(t, err)
	must(t, api.Create(t.Context(), cr))
	eventually(t, "Ready", 60*time.Second, func() bool {
		must(t, api.Get(t.Context(), client.ObjectKeyFromObject(cr), cr))
		return meta.IsStatusConditionTrue(cr.Status.Conditions, appsv1.ConditionReady)
	})
	found := &corev1.ConfigMap{}
	must(t, api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "wandb-config"}, found))
	if found.Data["color"] != "blue" {
		t.Errorf("configuration %v", found.Data)
	}
	_, text := get(t, "http://"+metrics+"/metrics")
	for _, want := range []string{
		`kubewandb_release_info{chart="app",chart_version="1.0.0",name="wandb",namespace="` + namespace,
		`kubewandb_condition{name="wandb",namespace="` + namespace + `",status="True",type="Ready"} 1`,
		`kubewandb_passes_total{`, `kubewandb_steps_total{action="Install"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// The runtime gives memory back some minutes after a peak; what counts is what it settles at.
	time.Sleep(20 * time.Second)
	pid := command.Process.Pid
	memory, idle := resident(t, pid, "RssAnon"), resident(t, pid, "VmRSS")
	t.Logf("idle RSS %d KiB, of which %d KiB anonymous and %d KiB of files", idle>>10, memory>>10, resident(t, pid, "RssFile")>>10)
	if memory > maxIdleMemory {
		t.Errorf("idle memory is %d MiB, at most %d MiB are allowed", memory>>20, maxIdleMemory>>20)
	}
	if idle > maxIdleResident {
		t.Errorf("idle RSS with the pages of the program is %d MiB, at most %d MiB are allowed", idle>>20, maxIdleResident>>20)
	}

	farewell := exec.CommandContext(t.Context(), binary, "release-finalizers", "--kubeconfig", file)
	must(t, command.Process.Signal(syscall.SIGTERM))
	if err := command.Wait(); err != nil {
		t.Errorf("the program ended with %v\n%s", err, output.String())
	}
	farewell.Env = environment
	if out, err := farewell.CombinedOutput(); err != nil {
		t.Errorf("release-finalizers: %v\n%s", err, out)
	}
	must(t, api.Get(t.Context(), client.ObjectKeyFromObject(cr), cr))
	if len(cr.Finalizers) > 0 {
		t.Errorf("finalizers %v after release-finalizers", cr.Finalizers)
	}
	apply := exec.CommandContext(t.Context(), binary, "crd", "apply", "--kubeconfig", file)
	apply.Env = environment
	if out, err := apply.CombinedOutput(); err != nil {
		t.Errorf("crd apply: %v\n%s", err, out)
	}
}

func TestSignedTrustWithoutAVerifierDoesNotStart(t *testing.T) {
	config := testenv.Start(t)
	command := command()
	command.SetArgs([]string{"--kubeconfig", kubeconfig(t, config), "--channel-trust", "Signed", "--metrics-bind-address", "0", "--health-probe-bind-address", "0"})
	err := command.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(message(err), "CHANNEL_TRUST=TLS") {
		t.Errorf("the program said %v", err)
	}
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	tests := map[string]struct {
		variables map[string]string
		arguments []string
		want      string
		fails     bool
	}{
		"should take the variable":            {variables: map[string]string{"WATCH_NAMESPACES": "a,b"}, want: "a,b"},
		"should prefer the flag":              {variables: map[string]string{"WATCH_NAMESPACES": "a"}, arguments: []string{"--watch-namespaces", "c"}, want: "c"},
		"should refuse what it cannot read":   {variables: map[string]string{"DEBUG": "perhaps"}, fails: true},
		"should leave the default to nothing": {want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &settings{}
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			s.addShared(flags)
			must(t, flags.Parse(test.arguments))
			err := commandline.FromEnvironment(flags, commandline.Named, func(name string) (string, bool) { value, ok := test.variables[name]; return value, ok })
			if (err != nil) != test.fails || (!test.fails && s.watch != test.want) {
				t.Errorf("watch = %q, error %v; want %q", s.watch, err, test.want)
			}
		})
	}
}
