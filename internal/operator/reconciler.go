package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/preflight"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// rolloutPoll is how often the message about a rollout is refreshed. That it ended is told by an event.
const rolloutPoll = 15 * time.Second

// Reconciler keeps one resource at a time in step with what it describes.
type Reconciler struct {
	config Config
	// cached reads resources and the metadata of Secrets from memory; live reads and writes without a cache.
	cached client.Reader
	live   client.Client
	// granted tells the namespaces where the operator has rights.
	granted map[string]bool

	helm       HelmReader
	executor   *release.Executor
	runner     *release.Runner
	charts     *library
	schemas    *schemas
	companions companions
	disowner   *disowner
	discovery  Discovery
	// followed has one entry for each kind of trust that is available.
	followed map[channel.Trust]*following
	refs     *references
	marks    *marker
	drift    *drifting
	cluster  preflight.Cluster
	// outdated looks after the definition where the chart cannot; nil does not.
	outdated *outdated
	events   *events
	metrics  *metrics

	mu   sync.Mutex
	keys map[types.NamespacedName]identity

	// seams for tests

	// now is time.Now unless replaced.
	now func() time.Time
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cr := &appsv1.WeightsAndBiases{}
	err := r.cached.Get(ctx, request.NamespacedName, cr)
	if apierrors.IsNotFound(err) {
		r.forget(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read resource: %w", err)
	}
	result, err := r.pass(ctx, cr)
	r.metrics.passed(request.NamespacedName, err)
	if apierrors.IsConflict(err) {
		// Our cache is behind; the next pass sees what the other one wrote.
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	return result, err
}

// pass observes, decides, hands the step over, and writes the status.
func (r *Reconciler) pass(ctx context.Context, cr *appsv1.WeightsAndBiases) (reconcile.Result, error) {
	deleting := !cr.DeletionTimestamp.IsZero()
	if deleting && !controllerutil.ContainsFinalizer(cr, appsv1.Finalizer) {
		r.forget(client.ObjectKeyFromObject(cr))
		return reconcile.Result{}, nil
	}
	if !r.granted[cr.Namespace] {
		after, err := r.notGranted(ctx, cr)
		return reconcile.Result{RequeueAfter: after}, err
	}
	if err := r.disowner.disown(ctx, cr); err != nil {
		return reconcile.Result{}, r.explain(ctx, cr, err)
	}
	if !deleting {
		if err := r.companions.ensure(ctx, client.ObjectKeyFromObject(cr)); err != nil {
			return reconcile.Result{}, r.explain(ctx, cr, err)
		}
	}
	v, err := r.observe(ctx, cr)
	if err != nil {
		return reconcile.Result{}, r.explain(ctx, cr, err)
	}
	r.refs.set(v.key, v.watched)
	step := release.Decide(v.observation, v.now)
	if deleting {
		return r.leave(ctx, v, step)
	}
	if err := r.take(ctx, v, step); err != nil {
		return reconcile.Result{}, err
	}
	if err := r.writeStatus(ctx, v, step); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: v.next(step)}, nil
}

// take hands a step to the runner, and remembers a revision that has become ready.
func (r *Reconciler) take(ctx context.Context, v *view, step release.Step) error {
	if step.Settled {
		memory := v.observation.Memory.WithSettled(v.current.Revision, about(v, step), v.now)
		if err := r.executor.Active.Save(ctx, v.key, memory, nil); err != nil {
			return err // names the Secret
		}
		v.observation.Memory = memory
	}
	if keeps(v.cr) {
		if err := r.dropFinalizer(ctx, v.cr); err != nil {
			return err
		}
	}
	if !step.Action.Writes() {
		return nil
	}
	// A plan makes nothing that a deletion would have to wait for, and may be about a release of somebody else.
	if !keeps(v.cr) && step.Action != release.Prepare {
		if err := r.addFinalizer(ctx, v.cr); err != nil {
			return err
		}
	}
	return r.submit(v, step)
}

// about is the specification that a step is about.
func about(v *view, step release.Step) *release.Desired {
	if step.About {
		return v.observation.Applied()
	}
	return v.observation.Desired
}

func (r *Reconciler) submit(v *view, step release.Step) error {
	work := release.Work{
		Key: v.key, Step: step, Desired: about(v, step), Chart: v.chart, Definitions: v.cr.Spec.CRDs,
		Wishes: v.observation.Wishes, Gated: v.observation.Gated(), Preflight: r.preflight(v),
	}
	if v.cr.Spec.Timeout != nil {
		work.Timeout = v.cr.Spec.Timeout.Duration
	}
	if verify := v.cr.Spec.Verify; verify != nil && verify.Timeout != nil {
		work.ProbeTimeout = verify.Timeout.Duration
	}
	if v.current != nil {
		work.Revision = v.current.Revision
	}
	if v.resolved != nil {
		layer, err := activeData(v.resolved)
		if err != nil {
			return err
		}
		work.Values, work.Layer, work.Secrets = v.resolved.Values, layer, v.secrets()
	}
	r.runner.Submit(release.Job{Key: v.key, Action: step.Action, Do: func(ctx context.Context) {
		if work.Chart != nil {
			credentials, err := credentialsOf(ctx, r.live, work.Key.Namespace, work.Chart)
			if err == nil {
				work.Credentials = credentials
			}
		}
		r.executor.Do(ctx, work)
	}}, v.now)
	return nil
}

// leave takes the steps of a deletion, and lets the resource go after the last.
func (r *Reconciler) leave(ctx context.Context, v *view, step release.Step) (reconcile.Result, error) {
	if step.Action == release.Nothing {
		if step.Reason == appsv1.ReasonUninstallFailed {
			r.events.warn(v.cr, step.Reason, step.Message)
		}
		return reconcile.Result{}, r.finish(ctx, v)
	}
	if wait := v.cr.DeletionTimestamp.Add(settleDelay).Sub(v.now); wait > 0 && step.Action == release.Uninstall {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if step.Action.Writes() {
		if err := r.submit(v, step); err != nil {
			return reconcile.Result{}, err
		}
	}
	if err := r.writeStatus(ctx, v, step); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: v.next(step)}, nil
}

// next returns when to look again at the latest.
func (v *view) next(step release.Step) time.Duration {
	after := v.period
	for _, each := range []time.Duration{step.After, step.Look, v.recheck} {
		if each > 0 {
			after = min(after, each)
		}
	}
	if step.Action == release.Wait && step.After > 0 {
		after = min(after, rolloutPoll)
	}
	// A little late rather than a little early: what is due then is due.
	return after + 50*time.Millisecond
}

// explain shows an error of the API server in the status where a person can mend it, and returns it for the queue to
// retry.
func (r *Reconciler) explain(ctx context.Context, cr *appsv1.WeightsAndBiases, cause error) error {
	if apierrors.IsForbidden(cause) {
		problem := &fault.Error{
			Reason: appsv1.ReasonPermissionMissing, Op: "look at the resource", Err: cause, Retry: true,
			Hint: "Update the chart of the operator, whose Role lacks this right, or grant it in this namespace.",
		}
		if err := r.writeProblem(ctx, cr, problem); err != nil {
			return err
		}
	}
	return cause
}

// forget drops everything that is remembered about a resource that is gone.
func (r *Reconciler) forget(key types.NamespacedName) {
	for _, each := range r.followed {
		each.forget(key)
	}
	r.executor.Forget(key)
	r.charts.drop(key)
	r.schemas.forget(key)
	r.refs.drop(key)
	r.drift.forget(key)
	r.disowner.forget(key)
	r.metrics.forget(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, key)
}

func (v *view) secrets() []redact.Secret {
	if v.resolved == nil {
		return nil
	}
	return spec.Secrets(v.resolved.Values, nil)
}

var _ HelmReader = (*helm.Client)(nil)
