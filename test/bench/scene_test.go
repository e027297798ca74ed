package bench

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

const namespace = "bench"

// operatorUser is who the operator is to the API server; the audit log counts his requests alone.
const operatorUser = "operator-under-test"

// scene is one API server with one namespace. Each run has its own: what earlier runs left behind would cost the later.
type scene struct {
	b *testing.B
	parameters
	folder, chart string

	environment *envtest.Environment
	config      *rest.Config
	clients     kubernetes.Interface
	dynamic     dynamic.Interface
	mapper      meta.RESTMapper
	audit       *audit
	resources   *template.Template
	// controller ends the goroutine that plays the controller of Deployments.
	controller context.CancelFunc
}

func newScene(b *testing.B) *scene {
	b.Helper()
	if os.Getenv(testenv.AssetsVariable) == "" {
		b.Fatalf("%s is not set: run `make bench RUN=Operator`", testenv.AssetsVariable)
	}
	s := &scene{b: b, parameters: readParameters(b), folder: b.TempDir()}
	var err error
	s.resources, err = template.New("resource").Option("missingkey=error").Parse(s.template)
	must(b, err)
	s.chart = writeChart(b, s.folder)
	s.audit = newAudit(b, s.folder)
	ctrl.SetLogger(logr.Discard())
	s.environment = &envtest.Environment{
		CRDDirectoryPaths: []string{s.crds}, ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: 3 * time.Minute, ControlPlaneStopTimeout: time.Minute,
	}
	s.environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", s.audit.policy).Set("audit-log-path", s.audit.log).Set("audit-log-maxsize", "2000").
		Set("service-cluster-ip-range", "10.0.0.0/16") // each resource has a Service
	if s.config, err = s.environment.Start(); err != nil {
		_ = s.environment.Stop()
		b.Fatalf("start an API server: %v", err)
	}
	s.connect()
	return s
}

func (s *scene) connect() {
	s.b.Helper()
	s.config.QPS, s.config.Burst = -1, -1
	var err error
	s.clients, err = kubernetes.NewForConfig(s.config)
	must(s.b, err)
	s.dynamic, err = dynamic.NewForConfig(s.config)
	must(s.b, err)
	groups, err := restmapper.GetAPIGroupResources(discovery.NewDiscoveryClient(s.clients.Discovery().RESTClient()))
	must(s.b, err)
	s.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	_, err = s.clients.CoreV1().Namespaces().Create(s.b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(s.b, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.b.Context()))
	s.controller = cancel
	playDeploymentController(ctx, s.clients)
}

func (s *scene) close() {
	s.controller()
	if err := s.environment.Stop(); err != nil {
		s.b.Errorf("stop the API server: %v", err)
	}
}

// resource renders the custom resource of a number.
func (s *scene) resource(number int) *unstructured.Unstructured {
	s.b.Helper()
	var text bytes.Buffer
	must(s.b, s.resources.Execute(&text, map[string]string{"Namespace": namespace, "Name": fmt.Sprintf("r-%04d", number), "Chart": s.chart}))
	object := &unstructured.Unstructured{}
	must(s.b, yaml.Unmarshal(text.Bytes(), &object.Object))
	return object
}

func (s *scene) interfaceOf(kind schema.GroupVersionKind) dynamic.ResourceInterface {
	s.b.Helper()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	must(s.b, err)
	return s.dynamic.Resource(mapping.Resource).Namespace(namespace)
}

// install creates resources from several workers and returns the time from the first create to the last Ready.
func (s *scene) install(count int) time.Duration {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(s.b.Context(), patience)
	defer cancel()
	objects := make([]*unstructured.Unstructured, count)
	for number := range objects {
		objects[number] = s.resource(number)
	}
	resources := s.interfaceOf(objects[0].GroupVersionKind())
	ready := watchReady(ctx, s.b, resources, count)
	started := time.Now()
	s.each(count, func(number int) error {
		_, err := resources.Create(ctx, objects[number], metav1.CreateOptions{})
		return err
	})
	if err := <-ready; err != nil {
		s.b.Fatalf("not every resource became Ready: %v", err)
	}
	return time.Since(started)
}

// each calls do for every number below count, from as many workers as the parameters say.
func (s *scene) each(count int, do func(number int) error) {
	s.b.Helper()
	numbers := make(chan int)
	var group sync.WaitGroup
	errs := make(chan error, count)
	for range s.concurrency {
		group.Go(func() {
			for number := range numbers {
				if err := do(number); err != nil {
					errs <- err
				}
			}
		})
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	group.Wait()
	select {
	case err := <-errs:
		s.b.Fatal(err)
	default:
	}
}

// touch changes a label of every Deployment, which is nothing that a release cares about.
func (s *scene) touch() {
	s.b.Helper()
	deployments := s.clients.AppsV1().Deployments(namespace)
	list, err := deployments.List(s.b.Context(), metav1.ListOptions{})
	must(s.b, err)
	s.each(len(list.Items), func(number int) error {
		_, err := deployments.Patch(s.b.Context(), list.Items[number].Name, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"touched":"yes"}}}`), metav1.PatchOptions{})
		return err
	})
}

// awaitQuiet waits until the operator has sent nothing for a while, but what keeps it the leader.
func (s *scene) awaitQuiet() {
	s.b.Helper()
	const quiet = 3 * time.Second
	last, since := -1, time.Now()
	for time.Since(since) < quiet {
		if now := s.audit.counted().withoutLeases(); now != last {
			last, since = now, time.Now()
		}
		pause(s.b, 200*time.Millisecond)
	}
}

// writeChart packs a chart of a ConfigMap, a ServiceAccount, a Service and a Deployment without pods.
func writeChart(b *testing.B, folder string) string {
	b.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	packed := tar.NewWriter(zipped)
	for name, content := range map[string]string{
		"app/Chart.yaml":  "apiVersion: v2\nname: app\nversion: 1.0.0\nappVersion: 1.0.0\n",
		"app/values.yaml": "color: red\nreplicas: 0\n",
		"app/templates/app.yaml": `{{- $name := printf "%s-app" .Release.Name }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ $name }}, labels: {app: {{ $name }}}}
data: {color: {{ .Values.color | quote }}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ $name }}, labels: {app: {{ $name }}}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ $name }}, labels: {app: {{ $name }}}}
spec: {selector: {app: {{ $name }}}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ $name }}, labels: {app: {{ $name }}}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ $name }}}}
  template:
    metadata: {labels: {app: {{ $name }}}}
    spec:
      serviceAccountName: {{ $name }}
      containers: [{name: app, image: "example/app:1", ports: [{name: http, containerPort: 8080}], envFrom: [{configMapRef: {name: {{ $name }}}}]}]
`,
	} {
		must(b, packed.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := packed.Write([]byte(content))
		must(b, err)
	}
	must(b, packed.Close())
	must(b, zipped.Close())
	folder = filepath.Join(folder, "charts")
	must(b, os.MkdirAll(folder, 0o700))
	file := filepath.Join(folder, "app.tgz")
	must(b, os.WriteFile(file, buffer.Bytes(), 0o600))
	return file
}
