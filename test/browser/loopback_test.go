package browser_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

// hostName needs no entry anywhere: browsers know that *.localhost is this machine.
const hostName = "wandb.localhost"

// installation is application and console as they are shipped, as processes on this machine, behind one TLS host. The
// cluster is a real API server, with objects as the operator and a kubelet would leave them.
type installation struct {
	url, console, ca string
	password         string
	secrets          func(name string) *corev1.Secret
	setStatus        func(status string)
	stopApplication  func()
	consoleProcess   int
}

func install(t *testing.T) *installation {
	t.Helper()
	admin := testenv.Start(t)
	kube, err := kubernetes.NewForConfig(admin)
	must(t, err)
	dyn, err := dynamic.NewForConfig(admin)
	must(t, err)
	namespace := testenv.Namespace(t)
	i := &installation{password: "5hq2-loopback-console"}
	i.populate(t, kube, dyn, namespace)

	folder := t.TempDir()
	kubeconfig := filepath.Join(folder, "kubeconfig")
	writeKubeconfig(t, kubeconfig, serviceAccount(t, kube, admin, namespace))
	application, console := freeAddress(t), freeAddress(t)
	i.serveTLS(t, folder, application, console)
	bin, err := programs()
	must(t, err)
	i.stopApplication, _ = start(t, filepath.Join(bin, "server"), "http://"+application+"/ready", "serve",
		"--data-dir", filepath.Join(folder, "data"), "--host", i.url, "--listen", application, "--metrics-listen", "")
	_, i.consoleProcess = start(t, filepath.Join(bin, "console"), "http://"+console+"/console/api/ready", "serve",
		"--host", i.url, "--listen", console, "--metrics-listen", "", "--kubeconfig", kubeconfig, "--auth-service", application,
		"--release-name", "wandb", "--release-namespace", namespace, "--operator-namespace", "operators")
	return i
}

// populate makes what the operator makes, and pods as a kubelet reports them.
func (i *installation) populate(t *testing.T, kube kubernetes.Interface, dyn dynamic.Interface, namespace string) {
	t.Helper()
	for name, data := range map[string]map[string]string{
		"wandb-password":     {"password": i.password},
		"wandb-session-keys": {"console": "bG9vcGJhY2sgc2Vzc2lvbiBrZXkgb2YgdGhpcnR5LXR3byBieXRlcw=="},
		"wandb-spec-user":    {"values": "{}", "chart": "null", "metadata": "null"},
		"wandb-spec-active": {
			"chart":    `{"url":"https://deploy.example.com/charts","name":"operator-wandb","version":"0.1.0"}`,
			"metadata": `{"channelName":"stable","releaseName":"v0.1.0"}`,
			"values":   `{"global":{"host":"https://wandb.example.com","license":"eyJhbGciOi.loopback.license"},"app":{"image":{"tag":"0.1.0"}}}`,
		},
	} {
		_, err := kube.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
		must(t, err)
	}
	i.secrets = func(name string) *corev1.Secret {
		secret, err := kube.CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		return secret
	}
	resources := dyn.Resource(schema.GroupVersionResource{Group: "apps.wandb.com", Version: "v1", Resource: "weightsandbiases"}).Namespace(namespace)
	_, err := resources.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps.wandb.com/v1", "kind": "WeightsAndBiases", "metadata": map[string]any{"name": "wandb"},
		"spec": map[string]any{"values": map[string]any{"global": map[string]any{"host": "https://wandb.example.com"}}},
	}}, metav1.CreateOptions{})
	must(t, err)
	i.setStatus = func(status string) {
		object, err := resources.Get(t.Context(), "wandb", metav1.GetOptions{})
		must(t, err)
		var fields map[string]any
		must(t, yaml.Unmarshal([]byte(status), &fields))
		object.Object["status"] = fields
		_, err = resources.UpdateStatus(t.Context(), object, metav1.UpdateOptions{})
		must(t, err)
	}
	for component, ready := range map[string]bool{"app": true, "console": true, "migrate": false} {
		createPod(t, kube, namespace, component, ready)
	}
	_, err = kube.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "wandb-migrate."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "wandb-migrate-1", Namespace: namespace},
		Type:           corev1.EventTypeWarning, Reason: "Failed", Message: `Failed to pull image "example.com/migrate:0.1.0"`, LastTimestamp: metav1.Now(),
	}, metav1.CreateOptions{})
	must(t, err)
}

func createPod(t *testing.T, kube kubernetes.Interface, namespace, component string, ready bool) {
	t.Helper()
	pods := kube.CoreV1().Pods(namespace)
	image := "example.com/" + component + ":0.1.0"
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "wandb-" + component + "-1",
			Labels: map[string]string{"app.kubernetes.io/instance": "wandb", "app.kubernetes.io/component": component},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: component, Image: image}}},
	}, metav1.CreateOptions{})
	must(t, err)
	now := metav1.Now()
	container := corev1.ContainerStatus{Name: component, Image: image, Ready: ready}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &now, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if ready {
		container.ImageID = "example.com/" + component + "@sha256:" + strings.Repeat("3f", 32)
		container.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
	} else {
		pod.Status.Phase, pod.Status.Conditions[0].Status = corev1.PodPending, corev1.ConditionFalse
		container.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: `Back-off pulling image "` + image + `"`}
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{container}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	must(t, err)
}

// serviceAccount gives the console the Role of its reference page and nothing else.
func serviceAccount(t *testing.T, kube kubernetes.Interface, admin *rest.Config, namespace string) *rest.Config {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "console-rbac.md"))
	must(t, err)
	var role rbacv1.Role
	must(t, yaml.UnmarshalStrict(regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)[1], &role))
	_, err = kube.RbacV1().Roles(namespace).Create(t.Context(), &role, metav1.CreateOptions{})
	must(t, err)
	_, err = kube.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "wandb-console"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "wandb-console"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "wandb-console", Namespace: namespace}},
	}, metav1.CreateOptions{})
	must(t, err)
	token, err := kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "wandb-console", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = token.Status.Token
	return config
}

func writeKubeconfig(t *testing.T, file string, config *rest.Config) {
	t.Helper()
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: "it",
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it"}},
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"it": {Token: config.BearerToken}},
	}, file))
}

// serveTLS stands in for the ingress: one host, two programs, and a certificate of an authority that only the test knows.
func (i *installation) serveTLS(t *testing.T, folder, application, console string) {
	t.Helper()
	certificate, ca := certificates(t)
	i.ca = filepath.Join(folder, "ca.crt")
	must(t, os.WriteFile(i.ca, ca, 0o600))
	to := func(address string) http.Handler {
		target := &url.URL{Scheme: "http", Host: address}
		return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		}}
	}
	mux := http.NewServeMux()
	mux.Handle("/", to(application))
	mux.Handle("/console", to(console))
	mux.Handle("/console/", to(console))
	ingress := httptest.NewUnstartedServer(mux)
	ingress.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	ingress.StartTLS()
	t.Cleanup(func() {
		ingress.CloseClientConnections() // a browser keeps its event stream open
		ingress.Close()
	})
	_, port, err := net.SplitHostPort(ingress.Listener.Addr().String())
	must(t, err)
	i.url = "https://" + net.JoinHostPort(hostName, port)
	i.console = i.url + "/console"
}

func certificates(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	template := func(name string) *x509.Certificate {
		serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
		must(t, err)
		return &x509.Certificate{
			SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := template("test authority")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	leaf := template(hostName)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{hostName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
}

// programs builds server and console once for all tests, below test/artifacts.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := filepath.Abs(filepath.Join("..", "artifacts", "bin"))
	if err != nil {
		return "", err
	}
	const module = "github.com/kubewandb/kubewandb/cmd/"
	output, err := exec.Command("go", "build", "-o", folder+string(filepath.Separator), module+"server", module+"console").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return folder, nil
})

// start runs a program until the test ends, or until the function that it returns is called, and waits until it is ready.
func start(t *testing.T, path, ready string, arguments ...string) (stop func(), process int) {
	t.Helper()
	var log bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(t.Context()), path, arguments...)
	command.Stderr = &log
	must(t, command.Start())
	stop = sync.OnceFunc(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Errorf("%s ended with %v\n%s", filepath.Base(path), err, log.String())
		}
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), log.String())
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for !answers(t, ready) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready after 30 s", filepath.Base(path))
		}
		<-time.After(50 * time.Millisecond)
	}
	return stop, command.Process.Pid
}

// consoleMemory is the resident memory of the console, in MiB.
func (i *installation) consoleMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.consoleProcess))
	must(t, err)
	match := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatalf("no VmRSS in %s", status)
	}
	kilobytes, err := strconv.Atoi(string(match[1]))
	must(t, err)
	return kilobytes >> 10
}

func answers(t *testing.T, address string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	must(t, err)
	response, err := (&http.Client{Timeout: 2 * time.Second}).Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func statusOf(ready bool) string {
	now := time.Now().UTC().Format(time.RFC3339)
	condition := func(kind, status, reason, message string) string {
		return fmt.Sprintf("- {type: %s, status: %q, reason: %s, message: %q, lastTransitionTime: %q}\n", kind, status, reason, message, now)
	}
	status := "observedGeneration: 1\nrelease: {id: \"11\", name: v0.1.0, chart: operator-wandb, chartVersion: 0.1.0, revision: 1, deployedAt: \"" + now + "\"}\n" +
		"channel: {name: stable, releaseName: v0.2.0, checkedAt: \"" + now + "\"}\n"
	if ready {
		return status + "nextStep: Wait for the next release.\nconditions:\n" +
			condition("Ready", "True", "Ready", "All workloads are ready.") +
			condition("UpToDate", "True", "UpToDate", "") + condition("Reconciling", "False", "Ready", "") +
			condition("LicenseValid", "True", "Valid", "") + condition("ChannelReachable", "True", "Reachable", "")
	}
	return status + "nextStep: Wait until the workloads of revision 1 are ready.\nconditions:\n" +
		condition("Ready", "False", "Progressing", "Workloads are starting.") +
		condition("Reconciling", "True", "Progressing", "Workloads are starting.")
}
