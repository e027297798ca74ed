package operator

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// BenchmarkOperatorNoChangePass looks again and again at a resource that is Ready: in this process, over a real API server.
func BenchmarkOperatorNoChangePass(b *testing.B) {
	requests := &requestCounter{}
	o, api, key := runReady(b, requests)
	pass := func() {
		if _, err := o.reconciler.Reconcile(b.Context(), reconcile.Request{NamespacedName: key}); err != nil {
			b.Fatal(err)
		}
	}
	awaitStatus(b, api, key)
	pass()
	reads, writes := requests.reads.Load(), len(requests.written())
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		pass()
	}
	b.StopTimer()
	wrote := len(requests.written()) - writes
	b.ReportMetric(float64(requests.reads.Load()-reads)/float64(b.N), "reads/op")
	b.ReportMetric(float64(wrote)/float64(b.N), "writes/op")
	if wrote > 0 {
		b.Errorf("%d passes without a change wrote:\n%v", b.N, requests.written()[writes:])
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// runReady runs an operator with one resource of four objects.
func runReady(b *testing.B, requests *requestCounter) (*operator, client.Client, types.NamespacedName) {
	b.Helper()
	cluster, namespace, charts := testenv.Start(b), testenv.Namespace(b), b.TempDir()
	for name, content := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
		"templates/app.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: app}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template: {metadata: {labels: {app: app}}, spec: {containers: [{name: app, image: app}]}}
`,
	} {
		file := filepath.Join(charts, "app", name)
		check(b, os.MkdirAll(filepath.Dir(file), 0o700))
		check(b, os.WriteFile(file, []byte(content), 0o600))
	}
	scheme := runtime.NewScheme()
	check(b, clientgoscheme.AddToScheme(scheme))
	check(b, appsv1.AddToScheme(scheme))
	api, err := client.New(cluster, client.Options{Scheme: scheme})
	check(b, err)
	cluster.Wrap(requests.wrap)
	config := Config{
		RESTConfig: cluster, Logger: logr.FromSlogHandler(slog.DiscardHandler), Namespace: namespace, Pod: "operator-0", Isolated: true,
		Airgapped: true, ChartsDir: charts, MetricsAddress: "0", ProbeAddress: "0",
	}
	check(b, config.settle())
	ctrl.SetLogger(config.Logger)
	ctx, stop := context.WithCancelCause(context.WithoutCancel(b.Context()))
	o := &operator{config: config, log: config.Logger, stop: stop}
	check(b, o.build())
	ended := make(chan error, 1)
	go func() { ended <- o.manager.Start(ctx) }()
	b.Cleanup(func() {
		stop(nil)
		check(b, <-ended)
		o.close()
	})
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wandb"}}
	cr.Spec.Chart, err = appsv1.ObjectOf(map[string]any{"path": filepath.Join(charts, "app")})
	check(b, err)
	check(b, api.Create(b.Context(), cr))
	return o, api, client.ObjectKeyFromObject(cr)
}

// awaitStatus plays the controller of Deployments until the resource is Ready.
func awaitStatus(b *testing.B, api client.Client, key types.NamespacedName) {
	b.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		deployment := &k8sappsv1.Deployment{}
		err := api.Get(b.Context(), types.NamespacedName{Namespace: key.Namespace, Name: "app"}, deployment)
		if err == nil && deployment.Status.ObservedGeneration != deployment.Generation {
			deployment.Status.ObservedGeneration = deployment.Generation
			deployment.Status.Conditions = []k8sappsv1.DeploymentCondition{
				{Type: k8sappsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			}
			check(b, api.Status().Update(b.Context(), deployment))
		}
		cr := &appsv1.WeightsAndBiases{}
		check(b, api.Get(b.Context(), key, cr))
		if meta.IsStatusConditionTrue(cr.Status.Conditions, appsv1.ConditionReady) {
			return
		}
		if time.Since(began) > patience {
			b.Fatalf("the resource does not become Ready: %+v", cr.Status.Conditions)
		}
	}
}
