package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/release"
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
	if cr.Spec.Suspend {
		v.observation.Intent = release.Suspend
	}
	if err := r.observeLayers(ctx, v); err != nil {
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
	user, err := r.refs.userLayer(ctx, r.live, v.key)
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
	v.channel.pin = text(user.Values, pinKey)
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

// folding resolves the layers of one view.
type folding struct {
	reconciler *Reconciler
	view       *view
	layers     []spec.Layer
	source     string
}

// fromStorage resolves with the schema of what is installed. It is done where the result is what was applied, or where
// the chart cannot change by itself and only its values differ while the chart is being loaded.
func (f *folding) fromStorage(ctx context.Context) (bool, error) {
	r, v := f.reconciler, f.view
	schema, err := r.schemas.get(ctx, v.key, v.current.Revision)
	if err != nil {
		return false, err
	}
	resolved, err := spec.Resolve(f.layers, spec.Options{Schema: schema, Lists: listRule(v.cr)})
	if err != nil {
		return false, nil // the chart itself has the last word
	}
	desired, err := f.desired(ctx, resolved, v.current.Chart, v.current.ChartVersion)
	if err != nil || desired.Digest != v.observation.Memory.Applied.Digest {
		return false, err
	}
	f.take(resolved, desired)
	if pinned(v.chart) {
		if v.observation.Memory.SettledAt(v.current.Revision) {
			r.charts.drop(v.key)
		}
		return true, nil
	}
	// A range, or no version at all, may mean another chart tomorrow. What is installed counts until a newer one is there.
	volume, retry, err := r.charts.get(v.key, f.source, v.chart, v.period)
	v.soon(retry)
	return err != nil || volume.chart.Version == v.current.ChartVersion, nil
}

// fromChart resolves with the schema of the chart, and checks the values against it.
func (f *folding) fromChart(ctx context.Context) error {
	r, v := f.reconciler, f.view
	volume, retry, err := r.charts.get(v.key, f.source, v.chart, f.maxAge())
	v.soon(retry)
	if err != nil {
		v.chartErr = err
		// Without the schema the layers still say a good deal: conflicts, origins, and what must not be shown.
		if resolved, err := spec.Resolve(f.layers, spec.Options{Lists: listRule(v.cr)}); err == nil {
			v.resolved = resolved
		}
		return nil
	}
	resolved, err := spec.Resolve(f.layers, spec.Options{Schema: volume.schema, Lists: listRule(v.cr)})
	if err == nil {
		v.resolved = resolved
		err = volume.chart.Validate(resolved.Values)
	}
	if err != nil {
		v.specErr = err
		return nil
	}
	desired, err := f.desired(ctx, resolved, volume.chart.Name, volume.chart.Version)
	if err != nil {
		return err
	}
	f.take(resolved, desired)
	return nil
}

func (f *folding) maxAge() time.Duration {
	if pinned(f.view.chart) {
		return 0
	}
	return f.view.period
}

func (f *folding) desired(ctx context.Context, resolved *spec.Resolved, chart, version string) (*release.Desired, error) {
	key, err := f.reconciler.installationKey(ctx, f.view.key)
	if err != nil {
		return nil, err
	}
	return &release.Desired{
		Digest: specDigest(key, resolved, version), Source: f.source,
		ReleaseID: resolved.Metadata["releaseId"], ReleaseName: resolved.Metadata["releaseName"],
		Fingerprint: release.Fingerprint{Chart: chart, Version: version, Values: spec.ValuesDigest(resolved.Values)},
	}, nil
}

func (f *folding) take(resolved *spec.Resolved, desired *release.Desired) {
	f.view.resolved = resolved
	f.view.observation.Desired = desired
	f.view.warnings = nil
	var warning string
	if f.view.period, warning = period(resolved.Values); warning != "" {
		f.view.warnings = append(f.view.warnings, warning)
	}
	for _, each := range resolved.Warnings {
		f.view.warnings = append(f.view.warnings, each.String())
	}
}

// soon brings the next look forward.
func (v *view) soon(retry time.Duration) {
	if retry > 0 && (v.recheck == 0 || retry < v.recheck) {
		v.recheck = retry
	}
}

// pinned tells that the description always means the same chart.
func pinned(chart *spec.Chart) bool {
	if chart.Form == spec.FormLocal {
		return true
	}
	return exactVersion(chart.Version)
}

func listRule(cr *appsv1.WeightsAndBiases) appsv1.ListRule {
	if cr.Spec.Merge == nil {
		return ""
	}
	return cr.Spec.Merge.Lists
}

// schemas keeps, for each resource, the schema of the revision that is installed.
type schemas struct {
	reader HelmReader

	mu    sync.Mutex
	known map[types.NamespacedName]storedSchema
}

type storedSchema struct {
	revision int
	schema   *spec.Schema
}

func (s *schemas) get(ctx context.Context, key types.NamespacedName, revision int) (*spec.Schema, error) {
	s.mu.Lock()
	known, ok := s.known[key]
	s.mu.Unlock()
	if ok && known.revision == revision {
		return known.schema, nil
	}
	raw, err := s.reader.StoredSchema(ctx, key.Namespace, key.Name, revision)
	if err != nil {
		return nil, err // a fault that names the release
	}
	schema, err := spec.ParseSchema(raw)
	if err != nil {
		return nil, fmt.Errorf("read schema of revision %d: %w", revision, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[types.NamespacedName]storedSchema{}
	}
	s.known[key] = storedSchema{revision: revision, schema: schema}
	return schema, nil
}

func (s *schemas) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}
