package operator

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/drift"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/notify"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// view is everything that one pass has seen of a resource. Nothing changes it after observe.
type view struct {
	cr  *appsv1.WeightsAndBiases
	key types.NamespacedName
	now time.Time

	licence licence
	channel channelView
	// resolved is nil where the layers gave no specification; specErr says why.
	resolved *spec.Resolved
	specErr  error
	// chartErr is why the chart could not be loaded, for a specification that is otherwise resolved.
	chartErr error
	// chart is where the specification's chart comes from; nil where no layer names one.
	chart *spec.Chart

	current *helm.Release
	health  helm.Health

	// asked is what people asked for beside the specification.
	asked request.Set
	// probed tells that the release declares a probe, and checked is the newest preflight.
	probed  bool
	checked release.Checked
	// drift is what somebody else changed.
	drift drift.Report

	// observation is what release.Decide is asked about.
	observation release.Observation
	// period is how often to look when nothing happens, and recheck when something changes by itself before.
	period, recheck time.Duration
	warnings        []string
	// watched are the Secrets that the layers refer to.
	watched []string
}

// channelView is what is known about the release channel.
type channelView struct {
	// asked tells that the pass got as far as the channel; the fields below mean nothing otherwise.
	asked     bool
	airgapped bool
	// frozen tells that the licence's time is over, so that the channel is not asked.
	frozen   bool
	pin      string
	snapshot channel.Snapshot
	// err is why the channel cannot be followed at all, before any request.
	err error
}

// HelmReader is what a pass reads of Helm releases.
type HelmReader interface {
	Current(ctx context.Context, namespace, name string) (*helm.Release, error)
	Health(ctx context.Context, namespace string, refs []helm.Ref) (helm.Health, error)
	StoredSchema(ctx context.Context, namespace, name string, revision int) ([]byte, error)
	StoredStatement(ctx context.Context, namespace, name string, revision int) (helm.DataStatement, error)
	HasProbe(ctx context.Context, namespace, name string, revision int) (bool, error)
}

// observe gathers everything that a pass needs. Its errors are those of the API server; what people did wrong is part of
// the view.
func (r *Reconciler) observe(ctx context.Context, cr *appsv1.WeightsAndBiases) (*view, error) {
	v := &view{
		cr: cr, key: types.NamespacedName{Namespace: cr.Namespace, Name: cr.Name}, now: r.now(), period: DefaultPeriod,
	}
	v.observation.Running = r.runner.Running(v.key)
	v.observation.Attempt = r.executor.Attempt(v.key)
	if err := r.observeRelease(ctx, v); err != nil {
		return nil, err
	}
	if !cr.DeletionTimestamp.IsZero() {
		return v, r.observeDeletion(ctx, v)
	}
	if err := r.observeLayers(ctx, v); err != nil {
		return nil, err
	}
	if why, stopped := suspended(cr, v.asked); stopped {
		v.observation.Intent, v.observation.Why = release.Suspend, why
	}
	if err := r.observeLifecycle(ctx, v); err != nil {
		return nil, err
	}
	v.observation.Problem = v.problem()
	return v, nil
}

// observeRelease reads Helm's storage, the health of what is installed, and what earlier steps left behind.
func (r *Reconciler) observeRelease(ctx context.Context, v *view) error {
	current, err := r.helm.Current(ctx, v.key.Namespace, v.key.Name)
	if err != nil {
		return err // a fault that names the release
	}
	v.current = current
	if v.observation.Memory, err = r.executor.Active.Load(ctx, v.key); err != nil {
		return err // names the Secret
	}
	if current == nil {
		return nil
	}
	v.observation.Latest = &release.Revision{
		Number: current.Revision, Status: current.Status, DeployedAt: current.DeployedAt, Description: current.Description,
		Ours:        current.Ours,
		Fingerprint: release.Fingerprint{Chart: current.Chart, Version: current.ChartVersion, Values: current.ValuesDigest},
	}
	if current.Status.Pending() && v.observation.Running == nil {
		if v.observation.Lock, err = r.executor.Locker.Observe(ctx, v.key); err != nil {
			return err // names the Lease
		}
	}
	if current.Status != helm.StatusDeployed && current.Status != helm.StatusFailed {
		return nil
	}
	if v.health, err = r.helm.Health(ctx, v.key.Namespace, current.Objects); err != nil {
		return err // a fault that names the object
	}
	v.observation.Health = release.Health{
		Ready: v.health.Status == helm.HealthReady, Failed: v.health.Status == helm.HealthFailed, Message: v.health.Message,
	}
	return nil
}

// observeLayers finds the specification.
func (r *Reconciler) observeLayers(ctx context.Context, v *view) error {
	resource, err := resourceLayer(v.cr)
	if err != nil {
		v.specErr = err
		return nil
	}
	user, asked, err := r.refs.userLayer(ctx, r.live, v.key)
	v.asked = asked
	if fault.Reason(err, "") == appsv1.ReasonLayerInvalid {
		v.specErr = err
		return nil
	} else if err != nil {
		return err
	}
	if v.licence, err = findLicence(ctx, r.live, v.key.Namespace, []spec.Layer{resource, user}, r.config.Keys, v.now); err != nil {
		return err
	}
	v.recheck = v.licence.expiresIn(v.now)
	v.soon(notify.NextLicenceStage(v.licence.ends(), v.now))
	v.watch(v.licence.secret)
	offered, err := r.observeChannel(ctx, v, user)
	if err != nil {
		return err
	}
	layers := []spec.Layer{spec.OperatorDefaults(r.config.Namespace), offered, user, resource}
	return r.resolve(ctx, v, layers)
}

// observeChannel returns the layer that the release channel gives; an empty one where it gives none.
func (r *Reconciler) observeChannel(ctx context.Context, v *view, user spec.Layer) (spec.Layer, error) {
	v.channel.asked = true
	v.channel.pin = pinOf(v.cr, v.asked, user.Values, v.observation.Memory.Applied.ReleaseID)
	if r.config.Airgapped {
		v.channel.airgapped = true
		return channelLayer(nil), nil
	}
	if !v.licence.usable() {
		return channelLayer(nil), nil
	}
	subscription := channel.Subscription{
		Key: v.key, BaseURL: r.config.ChannelURL, License: v.licence.token, Pin: v.channel.pin,
	}
	following, err := r.trusted(ctx, v)
	if err != nil {
		v.channel.err = err
		return channelLayer(nil), nil // part of the view
	}
	if v.licence.over() {
		v.channel.frozen = true
		v.channel.snapshot.Release, err = following.frozen(ctx, subscription)
	} else {
		v.channel.snapshot, err = following.latest(ctx, subscription)
	}
	if err == nil && following.trust == channel.TrustSigned && !v.channel.snapshot.CheckedAt.IsZero() {
		err = r.recordTrust(ctx, v)
	}
	return channelLayer(v.channel.snapshot.Release), err
}

// resolve folds the layers. The chart's schema has a say in how lists merge, so the chart is needed first; where the same
// chart is installed already, its schema is taken from Helm's storage, and nothing has to be fetched.
func (r *Reconciler) resolve(ctx context.Context, v *view, layers []spec.Layer) error {
	fields := chartFields(layers)
	chart, err := spec.ParseChart(fields)
	if err == nil && chart == nil {
		err = r.chartMissing(v)
	}
	if err != nil {
		v.specErr = err
		return nil
	}
	v.chart = chart
	if chart.CredentialSecret != nil {
		v.watch(chart.CredentialSecret.Name)
	}
	fold := folding{reconciler: r, view: v, layers: layers, source: sourceDigest(fields)}
	if v.observation.Memory.Applied.Source == fold.source && v.current != nil {
		done, err := fold.fromStorage(ctx)
		if done || err != nil {
			return err
		}
	}
	return fold.fromChart(ctx)
}

// chartFields returns the chart's description of the highest layer that has one.
func chartFields(layers []spec.Layer) map[string]any {
	for i := len(layers) - 1; i >= 0; i-- {
		if len(layers[i].Chart) > 0 {
			return layers[i].Chart
		}
	}
	return nil
}

func (r *Reconciler) chartMissing(v *view) error {
	problem := &fault.Error{
		Reason: appsv1.ReasonChartMissing, Op: "find chart: no layer names one",
		Hint: "Set spec.chart, for example {url: https://charts.example.com, name: operator-wandb, version: 1.2.3}.",
	}
	switch {
	case v.channel.airgapped:
		problem.Hint = "The operator is air-gapped, so the resource has to say everything. " + problem.Hint
	case v.channel.snapshot.Release == nil:
		// What is wrong with the channel is the better explanation; problem() finds it.
		problem.Retry = true
	}
	return problem
}

// problem says why nothing may be installed; nil where nothing is in the way.
func (v *view) problem() *release.Problem {
	switch {
	case !v.channel.asked:
		return problemOf(v.specErr)
	case !v.licence.usable():
		return problemOf(v.licence.err)
	case v.channel.err != nil:
		return problemOf(v.channel.err)
	case !v.channel.airgapped && v.channel.snapshot.Release == nil:
		return v.noRelease()
	case v.specErr != nil:
		return problemOf(v.specErr)
	case v.chartErr != nil:
		return problemOf(v.chartErr)
	default:
		return nil
	}
}

// noRelease explains why the channel has given nothing yet, and the cache neither.
func (v *view) noRelease() *release.Problem {
	switch {
	case v.channel.frozen:
		return problemOf(v.licence.err)
	case v.channel.snapshot.Err != nil:
		return problemOf(v.channel.snapshot.Err)
	default:
		return &release.Problem{Reason: appsv1.ReasonProgressing, Message: "asking the deploy server for the release"}
	}
}

func problemOf(err error) *release.Problem {
	return &release.Problem{
		Reason: fault.Reason(err, appsv1.ReasonInternalError), Message: fault.Message(err), Final: !fault.Retryable(err),
	}
}

func (v *view) watch(secret string) {
	if secret != "" {
		v.watched = append(v.watched, secret)
	}
}
