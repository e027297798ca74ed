package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/testenv"
	"github.com/kubewandb/kubewandb/test/vendortest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience is how long a test waits for something that takes well under a second on an idle machine.
const patience = 60 * time.Second

// installation is one operator with a deploy server, a chart repository and a namespace of its own.
type installation struct {
	t         *testing.T
	api       client.Client
	namespace string
	config    Config
	vendor    *vendortest.Vendor
	key       license.SigningKey
	logs      *logBuffer
	requests  *requestCounter
	stop      func()
}

// newInstallation makes everything but the operator itself, which start runs. A change function may edit its
// configuration first.
func newInstallation(t *testing.T, change ...func(*Config)) *installation {
	t.Helper()
	return newInstallationOn(t, testenv.Start(t), testenv.Namespace(t), change...)
}

// newInstallationOn makes an installation on a given API server.
func newInstallationOn(t *testing.T, base *rest.Config, namespace string, change ...func(*Config)) *installation {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, appsv1.AddToScheme(scheme))
	api, err := client.New(base, client.Options{Scheme: scheme})
	must(t, err)
	key, err := license.GenerateKey()
	must(t, err)
	i := &installation{
		t: t, api: api, namespace: namespace, vendor: newVendor(t), key: key, logs: &logBuffer{},
		requests: &requestCounter{},
	}
	observed := rest.CopyConfig(base)
	observed.Wrap(i.requests.wrap)
	i.config = Config{
		RESTConfig: observed, Logger: logr.FromSlogHandler(slog.NewJSONHandler(i.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Namespace: i.namespace, Pod: "operator-0", ChannelURL: i.vendor.URL(), Keys: license.NewKeySet(key),
		MetricsAddress: "0", ProbeAddress: "0",
		// Tests share a server: an operator that sees every namespace would write NamespaceNotGranted over the status of others.
		Isolated: true,
	}
	for _, each := range change {
		each(&i.config)
	}
	ctrl.SetLogger(i.config.Logger)
	return i
}

// start runs the operator until the test ends or stop is called.
func (i *installation) start() {
	i.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	config := i.config
	go func() { ended <- Run(ctx, config) }()
	var once sync.Once
	i.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					i.t.Errorf("the operator ended with %v", err)
				}
			case <-time.After(patience):
				i.t.Error("the operator did not end")
			}
		})
	}
	i.t.Cleanup(func() {
		i.stop()
		if i.t.Failed() {
			i.t.Logf("log of the operator:\n%s", i.logs.String())
		}
	})
}

// running starts an operator that has installed release v1, and returns the resource, which is Ready.
func (i *installation) running(change ...func(*appsv1.WeightsAndBiases)) types.NamespacedName {
	i.t.Helper()
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed(), change...)
	i.awaitReady(key)
	return key
}

// licence issues a licence of this installation's vendor.
func (i *installation) licence(expires time.Time) redact.Secret {
	i.t.Helper()
	token, err := license.Issue(license.Claims{
		Issuer: "vendor", Customer: "acme", ID: "licence-1", Channel: "stable", IssuedAt: time.Now().Add(-time.Hour), ExpiresAt: expires,
	}, i.key)
	must(i.t, err)
	return token
}

// resource makes a resource called wandb with the given values, and returns its name.
func (i *installation) resource(values map[string]any, change ...func(*appsv1.WeightsAndBiases)) types.NamespacedName {
	i.t.Helper()
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "wandb"}}
	var err error
	cr.Spec.Values, err = appsv1.ObjectOf(values)
	must(i.t, err)
	for _, each := range change {
		each(cr)
	}
	must(i.t, i.api.Create(i.t.Context(), cr))
	return client.ObjectKeyFromObject(cr)
}

// licensed are values with a good licence.
func (i *installation) licensed() map[string]any {
	return map[string]any{"global": map[string]any{"license": i.licence(time.Now().Add(24 * time.Hour)).Reveal()}}
}

// get reads the resource.
func (i *installation) get(key types.NamespacedName) *appsv1.WeightsAndBiases {
	i.t.Helper()
	cr := &appsv1.WeightsAndBiases{}
	must(i.t, i.api.Get(i.t.Context(), key, cr))
	return cr
}

// update changes the resource as a person would.
func (i *installation) update(key types.NamespacedName, change func(*appsv1.WeightsAndBiases)) {
	i.t.Helper()
	cr := i.get(key)
	before := cr.DeepCopy()
	change(cr)
	must(i.t, i.api.Patch(i.t.Context(), cr, client.MergeFrom(before)))
}

// await waits until the resource satisfies ok, and says what it looked like last if it never does.
func (i *installation) await(key types.NamespacedName, what string, ok func(*appsv1.WeightsAndBiases) bool) *appsv1.WeightsAndBiases {
	i.t.Helper()
	var cr *appsv1.WeightsAndBiases
	eventually(i.t, what, func() bool {
		cr = i.get(key)
		return ok(cr)
	}, func() string {
		text, _ := json.MarshalIndent(cr.Status, "", " ")
		return string(text)
	})
	return cr
}

// awaitReady waits until the newest generation is Ready.
func (i *installation) awaitReady(key types.NamespacedName) *appsv1.WeightsAndBiases {
	i.t.Helper()
	return i.await(key, "Ready", func(cr *appsv1.WeightsAndBiases) bool {
		return cr.Status.ObservedGeneration == cr.Generation && meta.IsStatusConditionTrue(cr.Status.Conditions, appsv1.ConditionReady)
	})
}

// awaitCondition waits for a condition with a status and a reason, and returns its message.
func (i *installation) awaitCondition(key types.NamespacedName, kind string, status metav1.ConditionStatus, reason string) string {
	i.t.Helper()
	var message string
	i.await(key, fmt.Sprintf("%s=%s %s", kind, status, reason), func(cr *appsv1.WeightsAndBiases) bool {
		found := meta.FindStatusCondition(cr.Status.Conditions, kind)
		if found == nil || found.Status != status || found.Reason != reason {
			return false
		}
		message = found.Message
		return true
	})
	return message
}

// configMap reads what the chart of the tests renders.
func (i *installation) configMap(name string) *corev1.ConfigMap {
	i.t.Helper()
	found := &corev1.ConfigMap{}
	must(i.t, i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: name}, found))
	return found
}

func (i *installation) awaitConfig(want map[string]string) {
	i.t.Helper()
	var got map[string]string
	eventually(i.t, fmt.Sprintf("configuration %v", want), func() bool {
		found := &corev1.ConfigMap{}
		if i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: "wandb-config"}, found) != nil {
			return false
		}
		got = found.Data
		for key, value := range want {
			if got[key] != value {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprint(got) })
}

func (i *installation) secret(name string) *corev1.Secret {
	i.t.Helper()
	found := &corev1.Secret{}
	must(i.t, i.api.Get(i.t.Context(), types.NamespacedName{Namespace: i.namespace, Name: name}, found))
	return found
}

// revisions returns the statuses in Helm's storage by revision, as "1 superseded".
func (i *installation) revisions() []string {
	i.t.Helper()
	list := &corev1.SecretList{}
	must(i.t, i.api.List(i.t.Context(), list, client.InNamespace(i.namespace), client.MatchingLabels{"owner": "helm", "name": "wandb"}))
	found := []string{}
	for _, item := range list.Items {
		found = append(found, item.Labels["version"]+" "+item.Labels["status"])
	}
	return found
}

// uids returns the identities of everything that runs, to show later that nothing was replaced.
func (i *installation) uids() map[string]types.UID {
	i.t.Helper()
	found := map[string]types.UID{}
	deployments, maps := &k8sappsv1.DeploymentList{}, &corev1.ConfigMapList{}
	must(i.t, i.api.List(i.t.Context(), deployments, client.InNamespace(i.namespace)))
	must(i.t, i.api.List(i.t.Context(), maps, client.InNamespace(i.namespace)))
	for _, item := range deployments.Items {
		found["Deployment "+item.Name] = item.UID
	}
	for _, item := range maps.Items {
		found["ConfigMap "+item.Name] = item.UID
	}
	return found
}

// events returns the events about the resource as "type reason".
func (i *installation) events() []string {
	i.t.Helper()
	list := &eventsv1.EventList{}
	must(i.t, i.api.List(i.t.Context(), list, client.InNamespace(i.namespace)))
	found := []string{}
	for _, item := range list.Items {
		found = append(found, item.Type+" "+item.Reason)
	}
	return found
}

// playKubelet makes every Deployment of the namespace ready as it appears, unless its annotation "test/hold" says
// otherwise: no controller runs beside the API server.
func (i *installation) playKubelet() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			list := &k8sappsv1.DeploymentList{}
			if i.api.List(ctx, list, client.InNamespace(i.namespace)) != nil {
				continue
			}
			for _, item := range list.Items {
				if item.Annotations["test/hold"] == "" && item.Status.ObservedGeneration != item.Generation {
					item.Status = readyStatus(item)
					_ = i.api.Status().Update(ctx, &item)
				}
			}
		}
	}()
	i.t.Cleanup(func() { cancel(); <-done })
}

func readyStatus(deployment k8sappsv1.Deployment) k8sappsv1.DeploymentStatus {
	replicas := *deployment.Spec.Replicas
	return k8sappsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas,
		AvailableReplicas: replicas,
		Conditions: []k8sappsv1.DeploymentCondition{
			{Type: k8sappsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
			{Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		},
	}
}

// requestCounter counts requests that write, and remembers them.
type requestCounter struct {
	mu     sync.Mutex
	writes []string
	reads  atomic.Int64
}

func (c *requestCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodGet {
			c.reads.Add(1)
		} else if !strings.HasPrefix(request.URL.Path, "/apis/authorization.k8s.io/") {
			c.mu.Lock()
			c.writes = append(c.writes, request.Method+" "+request.URL.Path)
			c.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

func (c *requestCounter) written() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.writes...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// logBuffer collects what the operator logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok holds. It fails the test with what last looked like otherwise.
func eventually(t *testing.T, what string, ok func() bool, last func() string) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come about; last:\n%s", what, last())
		case <-ticker.C:
		}
	}
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// writeSecret makes a Secret as a person would.
func (i *installation) writeSecret(name string, data map[string]string) {
	i.t.Helper()
	must(i.t, i.api.Create(i.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name}, StringData: data,
	}))
}

func oneGibibyte() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
}
