package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	k8sappsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
	"github.com/kubewandb/kubewandb/test/vendortest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	// patience is how long a test waits for what takes seconds on an idle machine.
	patience = 90 * time.Second
	// recovery is how long an operator that was hurt may take. A Lease that a dead process held takes 15 seconds of it.
	recovery = 120 * time.Second
	// quiet is how long a test looks for what must not come: an event wakes an operator within milliseconds.
	quiet = 2 * time.Second
)

// program builds the operator as it is shipped, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	binary, err := filepath.Abs(filepath.Join("..", "artifacts", "chaos", "controller-manager"))
	if err != nil {
		return "", fmt.Errorf("resolve folder for artifacts: %w", err)
	}
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "../../cmd/controller-manager")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return binary, nil
})

// place is a namespace of an API server with a vendor, a kubelet that the test plays, and the resource wandb.
type place struct {
	t         *testing.T
	base      *rest.Config
	api       client.Client
	namespace string
	vendor    *vendortest.Vendor
	key       types.NamespacedName
}

// newPlace makes everything but the operator. The first release is on offer.
func newPlace(t *testing.T, base *rest.Config) *place {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, appsv1.AddToScheme(scheme))
	base = rest.CopyConfig(base)
	base.QPS, base.Burst = -1, -1
	api, err := client.New(base, client.Options{Scheme: scheme})
	must(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "chaos-"}}
	must(t, api.Create(t.Context(), namespace))
	p := &place{t: t, base: base, api: api, namespace: namespace.Name, vendor: vendortest.New(t)}
	p.key = types.NamespacedName{Namespace: p.namespace, Name: "wandb"}
	p.vendor.AddChart("1.0.0", application("1.0.0", false))
	p.vendor.AddChart("2.0.0", application("2.0.0", true))
	p.vendor.Publish("v1", "1.0.0", map[string]any{"tag": "1"})
	p.playControllers()
	return p
}

// process is one operator. Its pod's name is its own; no pod stands behind it unless a test makes one.
type process struct {
	command *exec.Cmd
	log     *output
	done    chan struct{}
	err     error
}

// output keeps what a process logs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(line)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// kubeconfig writes the file that reaches the API server through a proxy.
func kubeconfig(t *testing.T, cluster clientcmdapi.Cluster, user clientcmdapi.AuthInfo) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"c": &cluster},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": &user},
		Contexts:  map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}}, CurrentContext: "x",
	}, file))
	return file
}

// environment is what the chart of the operator sets for an operator of one namespace.
func (p *place) environment(pod string, more ...string) []string {
	return append([]string{
		"OPERATOR_NAMESPACE=" + p.namespace, "ISOLATION_NAMESPACES=" + p.namespace, "POD_NAME=" + pod,
		"DEPLOYER_CHANNEL_URL=" + p.vendor.URL(), "METRICS_BIND_ADDRESS=0", "HEALTH_PROBE_BIND_ADDRESS=0",
		"GOMAXPROCS=2",
	}, more...)
}

// run starts an operator that reaches the API server with a kubeconfig.
func (p *place) run(file string, environment []string) *process {
	p.t.Helper()
	binary, err := program()
	must(p.t, err)
	started := &process{command: exec.Command(binary, "--kubeconfig", file), log: &output{}, done: make(chan struct{})}
	started.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.t.TempDir()}, environment...)
	started.command.Stderr = started.log
	must(p.t, started.command.Start())
	go func() {
		started.err = started.command.Wait()
		close(started.done)
	}()
	p.t.Cleanup(func() {
		started.kill()
		if p.t.Failed() || os.Getenv("CHAOS_LOG") != "" {
			p.t.Logf("log of %v:\n%s", environment[:3], started.log)
		}
	})
	return started
}

// start runs an isolated operator behind a proxy.
func (p *place) start(pod string, through *proxy, more ...string) *process {
	p.t.Helper()
	file := kubeconfig(p.t, clientcmdapi.Cluster{Server: through.server.URL}, clientcmdapi.AuthInfo{})
	return p.run(file, p.environment(pod, more...))
}

// keep runs an operator behind a proxy, and again whenever it ends by itself, as the kubelet does: a leader that cannot
// renew its Lease, because the machine is busy, has to end. The function that is returned ends it for good.
func (p *place) keep(pod string, through *proxy, more ...string) (latest func() *process, end func()) {
	p.t.Helper()
	file, environment := kubeconfig(p.t, clientcmdapi.Cluster{Server: through.server.URL}, clientcmdapi.AuthInfo{}), p.environment(pod, more...)
	var mu sync.Mutex
	current, stop, stopped := p.run(file, environment), make(chan struct{}), make(chan struct{})
	latest = func() *process {
		mu.Lock()
		defer mu.Unlock()
		return current
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-latest().done:
				p.t.Logf("%s ended with %v and is started again", pod, latest().err)
				next := p.run(file, environment)
				mu.Lock()
				current = next
				mu.Unlock()
			}
		}
	}()
	return latest, sync.OnceFunc(func() {
		close(stop)
		<-stopped
		latest().kill()
	})
}

// kill is SIGKILL, also for a process that is stopped.
func (o *process) kill() {
	_ = o.command.Process.Kill()
	<-o.done
}

// end asks the process to end, as the kubelet does.
func (o *process) end(t *testing.T) {
	t.Helper()
	must(t, o.command.Process.Signal(syscall.SIGTERM))
	select {
	case <-o.done:
	case <-time.After(patience):
		t.Fatal("the operator does not end")
	}
}

// awaitWork waits until the process looks at resources.
func (o *process) awaitWork(t *testing.T) {
	t.Helper()
	eventually(t, "the operator at work", patience, func() bool { return strings.Contains(o.log.String(), "Starting workers") }, o.log.String)
}

// create makes the resource, and with it a user layer that has to survive everything.
func (p *place) create() {
	p.t.Helper()
	must(p.t, p.api.Create(p.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "wandb-spec-user"},
		StringData: map[string]string{"values": `{"color":"teal"}`, "chart": "null", "metadata": "{}"},
	}))
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "wandb"}}
	must(p.t, p.api.Create(p.t.Context(), cr))
}

func (p *place) resource() *appsv1.WeightsAndBiases {
	p.t.Helper()
	cr := &appsv1.WeightsAndBiases{}
	p.read(func() error { return p.api.Get(p.t.Context(), p.key, cr) })
	return cr
}

// read asks the API server until it answers: on a busy machine it sometimes does not.
func (p *place) read(ask func() error) {
	p.t.Helper()
	var err error
	eventually(p.t, "an answer of the API server", patience, func() bool {
		err = ask()
		return err == nil
	}, func() string { return fmt.Sprint(err) })
}

// awaitRelease waits until the named release runs, is Ready, and its tag is in the configuration.
func (p *place) awaitRelease(name, tag string, limit time.Duration) {
	p.t.Helper()
	var cr *appsv1.WeightsAndBiases
	eventually(p.t, "release "+name+" Ready", limit, func() bool {
		cr = p.resource()
		state := cr.Status
		config := &corev1.ConfigMap{}
		if p.api.Get(p.t.Context(), types.NamespacedName{Namespace: p.namespace, Name: "wandb-config"}, config) != nil {
			return false
		}
		return state.ObservedGeneration == cr.Generation && state.Release != nil && state.Release.Name == name && config.Data["tag"] == tag &&
			meta.IsStatusConditionTrue(state.Conditions, appsv1.ConditionReady) &&
			meta.IsStatusConditionTrue(state.Conditions, appsv1.ConditionUpToDate) &&
			!slices.ContainsFunc(p.revisions(), func(revision string) bool { return strings.Contains(revision, "pending") })
	}, func() string {
		text, _ := json.MarshalIndent(cr.Status, "", " ")
		return fmt.Sprintf("revisions %v, status %s", p.revisions(), text)
	})
}

// revisions returns every revision of every Helm release of the namespace, as "wandb 1 superseded".
func (p *place) revisions() []string {
	p.t.Helper()
	list := &corev1.SecretList{}
	p.read(func() error {
		return p.api.List(p.t.Context(), list, client.InNamespace(p.namespace), client.MatchingLabels{"owner": "helm"})
	})
	found := []string{}
	for _, item := range list.Items {
		found = append(found, item.Labels["name"]+" "+item.Labels["version"]+" "+item.Labels["status"])
	}
	slices.Sort(found)
	return found
}

func (p *place) find(object client.Object, name string) bool {
	p.t.Helper()
	found := false
	p.read(func() error {
		err := p.api.Get(p.t.Context(), types.NamespacedName{Namespace: p.namespace, Name: name}, object)
		found = err == nil
		return client.IgnoreNotFound(err)
	})
	return found
}

// treasure is what an upgrade must leave alone, as it was before.
func (p *place) treasure() map[string]string {
	p.t.Helper()
	found := map[string]string{}
	for _, name := range []string{"wandb-spec-user", "wandb-password", "wandb-session-keys", "wandb-installation", "wandb-database"} {
		secret := &corev1.Secret{}
		if p.find(secret, name) {
			text, err := json.Marshal(secret.Data)
			must(p.t, err)
			found["Secret "+name] = string(secret.UID) + " " + string(text)
		}
	}
	claim, deployment, service := &corev1.PersistentVolumeClaim{}, &k8sappsv1.Deployment{}, &corev1.Service{}
	for name, object := range map[string]client.Object{"wandb-data": claim, "wandb-app": deployment} {
		if p.find(object, name) {
			found[name] = string(object.GetUID())
		}
	}
	if p.find(service, "wandb-app") {
		found["Service"] = string(service.UID)
	}
	return found
}

// playControllers makes Deployments ready and finishes Jobs as they appear, until the test ends.
func (p *place) playControllers() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.playOnce(ctx)
			}
		}
	}()
	p.t.Cleanup(func() { cancel(); <-done })
}

func (p *place) playOnce(ctx context.Context) {
	deployments, jobs := &k8sappsv1.DeploymentList{}, &batchv1.JobList{}
	if p.api.List(ctx, deployments, client.InNamespace(p.namespace)) != nil || p.api.List(ctx, jobs, client.InNamespace(p.namespace)) != nil {
		return
	}
	for _, item := range deployments.Items {
		if item.Name == "controller-manager" || item.Status.ObservedGeneration == item.Generation {
			continue
		}
		replicas := ptr.Deref(item.Spec.Replicas, 1)
		item.Status = k8sappsv1.DeploymentStatus{
			ObservedGeneration: item.Generation, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
			Conditions: []k8sappsv1.DeploymentCondition{
				{Type: k8sappsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		}
		_ = p.api.Status().Update(ctx, &item)
	}
	p.playSets(ctx)
	for _, item := range jobs.Items {
		// Nothing but the garbage collector, which does not run here, takes this finalizer of a deletion in the foreground.
		if !item.DeletionTimestamp.IsZero() && len(item.Finalizers) > 0 {
			item.Finalizers = nil
			_ = p.api.Update(ctx, &item)
			continue
		}
		if len(item.Status.Conditions) > 0 {
			continue
		}
		now := metav1.Now()
		item.Status = batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Succeeded: 1, Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now},
		}}
		_ = p.api.Status().Update(ctx, &item)
	}
}

// playSets makes StatefulSets and DaemonSets ready.
func (p *place) playSets(ctx context.Context) {
	stateful, daemons := &k8sappsv1.StatefulSetList{}, &k8sappsv1.DaemonSetList{}
	if p.api.List(ctx, stateful, client.InNamespace(p.namespace)) != nil || p.api.List(ctx, daemons, client.InNamespace(p.namespace)) != nil {
		return
	}
	for _, item := range stateful.Items {
		if item.Status.ObservedGeneration != item.Generation {
			item.Status = k8sappsv1.StatefulSetStatus{
				ObservedGeneration: item.Generation, Replicas: 1, ReadyReplicas: 1, CurrentReplicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1,
				CurrentRevision: "1", UpdateRevision: "1",
			}
			_ = p.api.Status().Update(ctx, &item)
		}
	}
	for _, item := range daemons.Items {
		if item.Status.ObservedGeneration != item.Generation {
			item.Status = k8sappsv1.DaemonSetStatus{
				ObservedGeneration: item.Generation, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, NumberReady: 1,
				NumberAvailable: 1, UpdatedNumberScheduled: 1,
			}
			_ = p.api.Status().Update(ctx, &item)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok holds, and fails the test with what last tells otherwise.
func eventually(t *testing.T, what string, limit time.Duration, ok func() bool, last func() string) {
	t.Helper()
	deadline := time.After(limit)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come about within %s; last:\n%s", what, limit, last())
		case <-ticker.C:
		}
	}
}

// linger lets time pass in which something unwanted could happen.
func linger(long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	<-timer.C
}

// together runs parts of a test side by side, at most limit at a time: they wait for Leases most of the time, so that
// the number of processors says nothing about how many fit.
func together(t *testing.T, limit int, parts map[string]func(*testing.T)) {
	t.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, limit)
	for name, part := range parts {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			t.Run(name, part)
		})
	}
	group.Wait()
}
