package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/drift"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/preflight"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/version"
)

// program is what the operator calls itself in requests and events.
const program = "controller-manager"

// Run works until ctx ends, or until the operator cannot go on.
func Run(ctx context.Context, config Config) error {
	if err := config.settle(); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	o := &operator{config: config, log: config.Logger, stop: stop}
	if err := o.build(); err != nil {
		return fmt.Errorf("start operator: %w", err)
	}
	defer o.close()
	if err := o.manager.Start(ctx); err != nil {
		return fmt.Errorf("run operator: %w", err)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("run operator: %w", cause)
	}
	return nil
}

// operator holds the parts of one process while they are put together.
type operator struct {
	config Config
	log    logr.Logger
	stop   context.CancelCauseFunc

	manager    manager.Manager
	live       client.Client
	followers  map[channel.Trust]*channel.Follower
	reconciler *Reconciler
	locker     *release.Locker
	runner     *release.Runner
	loads      *release.Runner
	wakes      *bell
	trim       *trimmer
	drift      *drift.Watcher
	// fenced reaches the API server and writes only while this process holds the Lease of a release.
	fenced *rest.Config
}

func (o *operator) build() error {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("register types: %w", err)
	}
	cluster := rest.CopyConfig(o.config.RESTConfig)
	cluster.UserAgent = version.UserAgent(program)
	// The API server's own priority and fairness limits us; a second limit here only adds latency.
	cluster.QPS, cluster.Burst = -1, -1
	// The finalizer's name is older than the API server's advice on names, and that advice comes with every write.
	cluster.WarningHandler = rest.NoWarnings{}
	var err error
	if o.manager, err = ctrl.NewManager(cluster, o.options(scheme)); err != nil {
		return fmt.Errorf("make manager: %w", err)
	}
	o.live, err = client.New(cluster, client.Options{Scheme: scheme, Mapper: o.manager.GetRESTMapper(), HTTPClient: o.manager.GetHTTPClient()})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if err := o.manager.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return fmt.Errorf("add health check: %w", err)
	}
	if err := o.manager.AddReadyzCheck("readyz", o.ready); err != nil {
		return fmt.Errorf("add ready check: %w", err)
	}
	return o.assemble(cluster)
}

// options limit the caches: resources in full, of everything else only the metadata, and only where rights were granted.
func (o *operator) options(scheme *runtime.Scheme) ctrl.Options {
	granted := map[string]cache.Config{}
	for _, namespace := range o.config.WatchNamespaces {
		granted[namespace] = cache.Config{}
	}
	resources := cache.ByObject{}
	if !o.config.Isolated {
		resources.Namespaces = map[string]cache.Config{cache.AllNamespaces: {}}
	}
	managed := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{"app.kubernetes.io/managed-by": "Helm"})}
	grace := release.DefaultGrace + 10*time.Second
	return ctrl.Options{
		Scheme: scheme, Logger: o.log,
		LeaderElection: o.config.LeaderElect, LeaderElectionID: LeaderElectionID,
		LeaderElectionNamespace: o.config.Namespace,
		// The next leader may begin at once when we have ended in good order: every step has returned by then.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
		HealthProbeBindAddress:        o.config.ProbeAddress,
		PprofBindAddress:              o.config.ProfileAddress,
		Metrics:                       metricsserver.Options{BindAddress: o.config.MetricsAddress},
		Cache: cache.Options{
			DefaultNamespaces: granted,
			DefaultTransform:  slim,
			ByObject: map[client.Object]cache.ByObject{
				&appsv1.WeightsAndBiases{}:  resources,
				metadataOf(deploymentKind):  managed,
				metadataOf(statefulSetKind): managed,
				metadataOf(podKind):         managed,
			},
		},
	}
}

func (o *operator) assemble(cluster *rest.Config) error {
	if err := o.follow(); err != nil {
		return err
	}
	o.wakes, o.trim = &bell{}, newTrimmer()
	o.runner = &release.Runner{Wake: o.wakes.ring, Workers: o.config.Concurrency}
	o.loads = &release.Runner{Wake: o.wakes.ring, Grace: time.Second}
	o.locker = &release.Locker{
		Client: o.live, Lost: o.stop,
		Identity: release.Identity{Namespace: o.config.Namespace, Pod: o.config.Pod, Start: uuid.NewString()},
	}
	helmClient, err := o.helm(cluster)
	if err != nil {
		return err
	}
	discover, err := discovery.NewDiscoveryClientForConfigAndClient(cluster, o.manager.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make discovery client: %w", err)
	}
	o.drift, err = drift.New(drift.Config{
		RESTConfig: cluster, Mapper: o.manager.GetRESTMapper(), Namespaces: o.config.WatchNamespaces, Wake: o.wakes.ring,
		Log: o.log.WithName("drift"),
	})
	if err != nil {
		return err // says "make drift watcher"
	}
	surroundings, err := preflight.Connect(cluster)
	if err != nil {
		return err // says "connect for preflight"
	}
	o.reconciler = o.newReconciler(helmClient, discover, surroundings)
	if o.config.Isolated {
		o.reconciler.outdated = &outdated{read: openAPIOf(discover.RESTClient()), now: time.Now}
	}
	if err := o.notify(); err != nil {
		return err
	}
	for _, runnable := range []manager.Runnable{o.runner, o.loads, o.drift, o.trim} {
		if err := o.manager.Add(runnable); err != nil {
			return fmt.Errorf("add runner: %w", err)
		}
	}
	// A second operator in one process exists in tests only; the later one is not counted then.
	if err := ctrlmetrics.Registry.Register(o.reconciler.metrics); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
		return fmt.Errorf("register metrics: %w", err)
	}
	err = o.manager.GetFieldIndexer().IndexField(context.Background(), metadataOf(secretKind), releaseField, releaseNamed)
	if err != nil {
		return fmt.Errorf("index release Secrets: %w", err)
	}
	return o.watch()
}

func (o *operator) newReconciler(helmClient *helm.Client, discover Discovery, surroundings preflight.Cluster) *Reconciler {
	granted := map[string]bool{}
	for _, namespace := range o.config.WatchNamespaces {
		granted[namespace] = true
	}
	cached, ours := o.manager.GetCache(), &fresh{}
	r := &Reconciler{
		config: o.config, granted: granted,
		cached: freshReader{Reader: cached, fresh: ours}, live: freshClient{Client: o.live, fresh: ours},
		helm: observed{helmClient}, runner: o.runner, discovery: discover, now: time.Now,
		schemas:    &schemas{reader: helmClient},
		disowner:   &disowner{client: o.live},
		companions: companions{exists: cached, writer: o.live},
		followed:   map[channel.Trust]*following{},
		refs:       &references{cached: cached},
		events:     &events{recorder: o.manager.GetEventRecorder(program), granted: granted},
	}
	r.marks = &marker{reconciler: r}
	r.drift = &drifting{watcher: o.drift, manifests: helmClient, fenced: o.fenced}
	r.cluster = surroundings
	r.charts = &library{loader: helmClient, reader: o.live, runner: o.loads, now: time.Now}
	r.metrics = newMetrics(o.checkedAt, time.Now)
	r.executor = &release.Executor{
		Installer: helmClient, Marker: helmClient, Charts: helmClient, Locker: o.locker, Prober: helmClient,
		Corrector: r.drift, Marks: r.marks, Plans: &release.Plans{Client: o.live, Parse: helmClient.ParseRendered},
		Active:       release.Active{Client: o.live, Known: &release.Known{Version: r.refs.version}},
		ClusterKinds: o.config.ClusterKinds, Report: o.report,
	}
	for trust, follower := range o.followers {
		r.followed[trust] = &following{trust: trust, follower: follower, client: o.live}
	}
	return r
}

// notify sends what people asked to be told, where they did.
func (o *operator) notify() error {
	notices, err := o.config.notices(o.reconciler.metrics.notified)
	if err != nil || notices == nil {
		return err // a fault that names the setting
	}
	o.reconciler.events.notices = notices
	if err := o.manager.Add(notices); err != nil {
		return fmt.Errorf("add notifications: %w", err)
	}
	return nil
}

func (o *operator) follow() error {
	o.followers = map[channel.Trust]*channel.Follower{}
	wanted := map[channel.Trust]channel.Verifier{channel.TrustTLS: nil}
	if o.config.Verifier != nil {
		wanted[channel.TrustSigned] = o.config.Verifier
	}
	for trust, verifier := range wanted {
		follower, err := channel.New(channel.Options{
			UserAgent: version.UserAgent(program), Logger: slog.New(logr.ToSlogHandler(o.log.WithName("channel"))),
			Trust: trust, Verifier: verifier,
		})
		if err != nil {
			return err // a fault that says it all
		}
		o.followers[trust] = follower
	}
	return nil
}

// helm makes the client of Helm. Its transport is fenced: it writes only while this process holds the Lease of a release.
func (o *operator) helm(cluster *rest.Config) (*helm.Client, error) {
	o.fenced = rest.CopyConfig(cluster)
	o.fenced.Wrap(func(next http.RoundTripper) http.RoundTripper { return o.locker.Fence(next) })
	made, err := helm.New(helm.Config{
		RESTConfig: o.fenced, Index: releaseIndex{cached: o.manager.GetCache()},
		ChartsDir: o.config.ChartsDir, ChartSources: o.config.ChartSources, CacheDir: o.config.CacheDir,
		Logger: slog.New(logr.ToSlogHandler(o.log.WithName("helm"))),
	})
	if err != nil {
		return nil, err // says "create Helm client"
	}
	return made, nil
}

func (o *operator) report(outcome release.Outcome) {
	o.reconciler.metrics.stepped(outcome)
	o.trim.soon()
	log := o.log.WithName("release").WithValues("namespace", outcome.Key.Namespace, "name", outcome.Key.Name,
		"action", outcome.Action, "revision", outcome.Revision, "took", outcome.Took.Round(time.Millisecond).String())
	if outcome.Err != nil {
		// The error's own text may repeat values; the message has been masked.
		log.Info("step failed", "reason", outcome.Reason, "message", outcome.Message, "wrote", outcome.Wrote)
		return
	}
	log.Info("step applied", "reason", outcome.Reason)
}

func (o *operator) checkedAt(key types.NamespacedName) time.Time {
	var newest time.Time
	for _, follower := range o.followers {
		if snapshot, ok := follower.Latest(key); ok && snapshot.CheckedAt.After(newest) {
			newest = snapshot.CheckedAt
		}
	}
	return newest
}

// ready answers the readiness probe: the API server can be reached.
func (o *operator) ready(request *http.Request) error {
	namespace := &metav1.PartialObjectMetadataList{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := o.live.List(request.Context(), namespace, client.InNamespace(o.config.WatchNamespaces[0]), client.Limit(1))
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	return nil
}

func (o *operator) close() {
	for _, follower := range o.followers {
		follower.Close()
	}
	ctrlmetrics.Registry.Unregister(o.reconciler.metrics)
}
