package kubectl_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/kubectl"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

var update = flag.Bool("update", false, "write golden files and the reference instead of comparing")

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	caller = "ada@example.com"
	// canary is in every credential of the fixtures.
	canary = "canary-9f2c61d0"
	// deadline is generous: machines that run tests are slow.
	deadline = 60 * time.Second
)

func instant() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// bench is a namespace of the test's own, and a command line that points at it.
type bench struct {
	t          *testing.T
	namespace  string
	kubeconfig string
	client     client.Client
	wrap       func(http.RoundTripper) http.RoundTripper
	input      string
}

var ada struct {
	sync.Once
	kubeconfig []byte
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, namespace: testenv.Namespace(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	ada.Do(func() { ada.kubeconfig = kubeconfigOf(t, testenv.As(t, caller, "system:masters")) })
	if err := os.WriteFile(b.kubeconfig, ada.kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := appsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.client, err = client.New(testenv.Start(t), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	return b
}

func kubeconfigOf(t *testing.T, config *rest.Config) []byte {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["test"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	file.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	file.CurrentContext = "test"
	content, err := clientcmd.Write(*file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// run runs one command line in the bench's namespace.
func (b *bench) run(arguments ...string) (code int, out, errs string) {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*deadline)
	defer cancel()
	code = kubectl.Execute(ctx, append(arguments, "--kubeconfig", b.kubeconfig, "-n", b.namespace), kubectl.Streams{
		In: strings.NewReader(b.input), Out: &stdout, Err: &stderr, Wrap: b.wrap,
		Now: instant,
	})
	return code, stdout.String(), stderr.String()
}

// ok runs a command that has to succeed.
func (b *bench) ok(arguments ...string) string {
	b.t.Helper()
	code, out, errs := b.run(arguments...)
	if code != kubectl.ExitDone {
		b.t.Fatalf("%v: exit code %d\n%s%s", arguments, code, out, errs)
	}
	return out + errs
}

func (b *bench) create(object client.Object) {
	b.t.Helper()
	object.SetNamespace(b.namespace)
	if err := b.client.Create(b.t.Context(), object); err != nil {
		b.t.Fatal(err)
	}
}

// resource makes a custom resource with an empty user layer.
func (b *bench) resource(change func(*appsv1.WeightsAndBiases)) *appsv1.WeightsAndBiases {
	b.t.Helper()
	resource := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Name: "wandb"}}
	if change != nil {
		change(resource)
	}
	status := resource.Status
	b.create(resource)
	resource.Status = status
	if err := b.client.Status().Update(b.t.Context(), resource); err != nil {
		b.t.Fatal(err)
	}
	b.secret("wandb-spec-user", map[string][]byte{
		"values": []byte(`{"global":{"mysql":{"password":"` + canary + `-user"}}}`), "yaml": []byte("# " + canary + "-text"),
	})
	return resource
}

func (b *bench) secret(name string, data map[string][]byte) *corev1.Secret {
	b.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	b.create(secret)
	return secret
}

func (b *bench) status(change func(*appsv1.WeightsAndBiasesStatus)) {
	b.t.Helper()
	resource := &appsv1.WeightsAndBiases{}
	if err := b.client.Get(b.t.Context(), b.key("wandb"), resource); err != nil {
		b.t.Error(err)
		return
	}
	change(&resource.Status)
	if err := b.client.Status().Update(b.t.Context(), resource); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: b.namespace, Name: name}
}

func (b *bench) userLayer() *corev1.Secret {
	b.t.Helper()
	secret := &corev1.Secret{}
	if err := b.client.Get(b.t.Context(), b.key("wandb-spec-user"), secret); err != nil {
		b.t.Fatal(err)
	}
	return secret
}

func (b *bench) requests() request.Set {
	b.t.Helper()
	set, err := request.Decode(b.userLayer().Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return set
}

// manifests of the fixtures: what runs, and what is planned.
func manifest(image string) string {
	return fmt.Sprintf(`---
# Source: app/templates/all.yaml
apiVersion: v1
kind: Service
metadata:
  name: wandb-app
spec:
  ports: [{port: 8080}]
---
# Source: app/templates/all.yaml
apiVersion: v1
kind: Secret
metadata:
  name: wandb-session
stringData:
  key: %s-rendered
---
# Source: app/templates/all.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: wandb-app
spec:
  selector: {matchLabels: {app: wandb}}
  template:
    metadata: {labels: {app: wandb}}
    spec:
      containers: [{name: app, image: "%s"}]
`, canary, image)
}

// plan stores a plan that changes the image of a Deployment, and returns it.
func (b *bench) plan() *plan.Plan {
	b.t.Helper()
	parse := func(text string) []plan.Object {
		var objects []plan.Object
		for document := range strings.SplitSeq(text, "---\n") {
			var content map[string]any
			if err := yaml.Unmarshal([]byte(document), &content); err != nil {
				b.t.Fatal(err)
			}
			if content == nil {
				continue
			}
			object := plan.Object{Content: content, Namespace: b.namespace}
			object.APIVersion, _ = content["apiVersion"].(string)
			object.Kind, _ = content["kind"].(string)
			metadata, _ := content["metadata"].(map[string]any)
			object.Name, _ = metadata["name"].(string)
			objects = append(objects, object)
		}
		return objects
	}
	made := plan.Make(
		plan.Header{Release: "2026.2", Chart: "operator-wandb", ChartVersion: "2.0.0", Namespace: b.namespace, CreatedAt: instant()},
		plan.Inputs{ChartDigest: "sha256:c", Values: "v", Kubernetes: "v1.35.4", APIs: "sha256:a", Renderer: "1"},
		parse(manifest("wandb/app:1")), parse(manifest("wandb/app:2")), plan.Options{},
	)
	data, err := plan.Encode(made, manifest("wandb/app:2"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.secret("wandb-plan", data)
	b.status(func(status *appsv1.WeightsAndBiasesStatus) {
		summary := made.Summary()
		status.Plan = &summary
	})
	return made
}

// helmRelease puts revision 3 of release wandb into Helm's storage, as Helm writes it.
func (b *bench) helmRelease() {
	b.t.Helper()
	stored := map[string]any{
		"name": "wandb", "namespace": b.namespace, "version": 3, "manifest": manifest("wandb/app:1"),
		"info":   map[string]any{"status": "deployed", "first_deployed": instant(), "last_deployed": instant(), "description": "Install complete"},
		"config": map[string]any{"global": map[string]any{"mysql": map[string]any{"password": canary + "-config"}}},
		"chart": map[string]any{
			"metadata": map[string]any{"apiVersion": "v2", "name": "operator-wandb", "version": "1.0.0"},
			"schema": base64.StdEncoding.EncodeToString([]byte(
				`{"properties":{"app":{"properties":{"pepper":{"type":"string","x-secret":true}}}}}`)),
		},
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		b.t.Fatal(err)
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(raw); err != nil {
		b.t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "sh.helm.release.v1.wandb.v3",
			Labels: map[string]string{"owner": "helm", "name": "wandb", "status": "deployed", "version": "3"},
		},
		Type: "helm.sh/release.v1",
		Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
	})
}

// active stores the specification that was applied last.
func (b *bench) active() {
	b.secret("wandb-spec-active", map[string][]byte{
		"values": []byte(`{"global":{"host":"https://wandb.example.com","mysql":{"password":"` + canary + `-active"}},` +
			`"app":{"replicas":2,"pepper":"` + canary + `-pepper","env":["a","b"]}}`),
		"chart": []byte(`{"url":"https://charts.example.com","name":"operator-wandb","version":"1.0.0","password":"` + canary + `-chart"}`),
		"origins": []byte(`{"global.host":{"layer":"resource","shadowed":["user","channel"]},"global.mysql.password":{"layer":"user"},` +
			`"app.replicas":{"layer":"channel"},"app.pepper":{"layer":"channel"},"app.env":{"layer":"resource","merged":["channel"]}}`),
	})
}
