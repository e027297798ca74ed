package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// uninstallTimeout bounds one uninstallation, hooks included.
	uninstallTimeout = 5 * time.Minute
	// noteTimeout bounds writing down what came of a step, which happens even while the process is ending.
	noteTimeout = 15 * time.Second
)

// Installer is what steps need of Helm.
type Installer interface {
	// Current returns the highest revision; nil where the release does not exist.
	Current(ctx context.Context, namespace, name string) (*helm.Release, error)
	Install(ctx context.Context, apply helm.Apply) (*helm.Release, error)
	Upgrade(ctx context.Context, apply helm.Apply) (*helm.Release, error)
	// Uninstall succeeds where there is nothing to remove.
	Uninstall(ctx context.Context, namespace, name string, timeout time.Duration) error
}

// Marker changes what Helm's storage says about a revision, and nothing else.
type Marker interface {
	MarkFailed(ctx context.Context, namespace, name string, revision int, reason string) error
	MarkDeployed(ctx context.Context, namespace, name string, revision int, reason string) error
	Unlock(ctx context.Context, namespace, name, reason string) (*helm.Release, error)
}

// Charts loads charts and checks what they would make.
type Charts interface {
	LoadChart(ctx context.Context, source *spec.Chart, credentials helm.Credentials) (*helm.Chart, error)
	Render(ctx context.Context, chart *helm.Chart, values map[string]any, namespace, name string) ([]helm.Object, error)
	CheckObjects(ctx context.Context, objects []helm.Object, policy helm.Policy) error
	MissingRights(ctx context.Context, objects []helm.Object) error
}

// Work is a step with everything that applying it needs.
type Work struct {
	Key  types.NamespacedName
	Step Step
	// Desired is nil for an uninstall, and may be nil for an unlock.
	Desired *Desired
	// Revision is the newest one that Decide saw; 0 where there was none. Fail and Recover are about it.
	Revision int
	// Chart, Credentials, Values and Secrets are those of the specification.
	Chart       *spec.Chart
	Credentials helm.Credentials
	Values      map[string]any
	Secrets     []redact.Secret
	// Layer is written to Secret <cr>-spec-active after Helm took the specification.
	Layer map[string][]byte
}

// Outcome is what came of a step.
type Outcome struct {
	Key    types.NamespacedName
	Action Action
	// Reason and Message describe the step, or its failure.
	Reason, Message string
	// Err is nil where the step succeeded.
	Err error
	// Wrote tells that Helm's storage changed.
	Wrote bool
	// Revision that the step made or changed; 0 where there is none.
	Revision int
	// Took is how long the step lasted.
	Took time.Duration
}

// Executor applies steps. Do may run for several releases at once, but only once at a time for each.
type Executor struct {
	Installer Installer
	Marker    Marker
	Charts    Charts
	Locker    *Locker
	Active    Active
	// ClusterKinds lists the kinds that charts may make outside the namespace of their release.
	ClusterKinds []string
	// Report is told every outcome; nil is allowed.
	Report func(Outcome)

	// seams for tests

	// Now replaces time.Now.
	Now func() time.Time

	mu       sync.Mutex
	attempts map[types.NamespacedName]Attempt
}

// Attempt returns the last step of a release that failed without touching Helm's storage, or nil.
func (e *Executor) Attempt(key types.NamespacedName) *Attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	if attempt, ok := e.attempts[key]; ok {
		return &attempt
	}
	return nil
}

// Forget drops what is known about a release.
func (e *Executor) Forget(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.attempts, key)
}

// Do applies a step, writes down what came of it, and returns when nothing of it is at work any more.
func (e *Executor) Do(ctx context.Context, work Work) {
	started := e.now()
	outcome := e.locked(ctx, work)
	outcome.Key, outcome.Action, outcome.Took = work.Key, work.Step.Action, e.now().Sub(started)
	if outcome.Err != nil {
		outcome.Reason = fault.Reason(outcome.Err, appsv1.ReasonHelmFailed)
		outcome.Message = spec.MaskText(fault.Message(outcome.Err), work.Secrets)
	} else {
		outcome.Reason, outcome.Message = work.Step.Reason, work.Step.Message
	}
	e.remember(work, outcome)
	if e.Report != nil {
		e.Report(outcome)
	}
}

func (e *Executor) locked(ctx context.Context, work Work) Outcome {
	held, err := e.Locker.Acquire(ctx, work.Key)
	if err != nil {
		return Outcome{Err: err}
	}
	defer func() {
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		_ = held.Release(free) // a Lease that could not be freed runs out by itself
	}()
	switch work.Step.Action {
	case Install, Upgrade, Retry:
		return e.install(ctx, work)
	case Uninstall:
		err := e.Installer.Uninstall(ctx, work.Key.Namespace, work.Key.Name, uninstallTimeout)
		return Outcome{Err: err, Wrote: err == nil}
	case Unlock:
		return e.unlock(ctx, work)
	case Fail:
		return e.fail(ctx, work)
	case Recover:
		err := e.Marker.MarkDeployed(ctx, work.Key.Namespace, work.Key.Name, work.Revision, work.Step.Message)
		return Outcome{Err: err, Wrote: err == nil, Revision: work.Revision}
	case Nothing, Wait, Hold:
	}
	return Outcome{Err: fmt.Errorf("apply step %q: it writes nothing", work.Step.Action)}
}

// install loads, checks and applies the specification. Everything that can refuse it comes before Helm's first write.
func (e *Executor) install(ctx context.Context, work Work) Outcome {
	chart, err := e.Charts.LoadChart(ctx, work.Chart, work.Credentials)
	if err != nil {
		return Outcome{Err: err}
	}
	if err := chart.Validate(work.Values); err != nil {
		return Outcome{Err: err}
	}
	objects, err := e.Charts.Render(ctx, chart, work.Values, work.Key.Namespace, work.Key.Name)
	if err != nil {
		return Outcome{Err: err}
	}
	policy := helm.Policy{Namespace: work.Key.Namespace, ClusterKinds: e.ClusterKinds}
	if err := e.Charts.CheckObjects(ctx, objects, policy); err != nil {
		return Outcome{Err: err}
	}
	if err := e.Charts.MissingRights(ctx, objects); err != nil {
		return Outcome{Err: err}
	}
	before, err := e.Installer.Current(ctx, work.Key.Namespace, work.Key.Name)
	if err != nil {
		return Outcome{Err: err}
	}
	if seen := revisionOf(before); seen != work.Revision {
		return Outcome{Err: &fault.Error{
			Reason: appsv1.ReasonHelmLocked, Op: fmt.Sprintf("apply over revision %d", work.Revision), Retry: true,
			Err: fmt.Errorf("revision %d has appeared meanwhile", seen),
		}}
	}
	apply := helm.Apply{
		Namespace: work.Key.Namespace, Name: work.Key.Name, Chart: chart, Values: work.Values, Secrets: work.Secrets,
	}
	var made *helm.Release
	if before == nil || before.Status == helm.StatusUninstalled {
		made, err = e.Installer.Install(ctx, apply)
	} else {
		made, err = e.Installer.Upgrade(ctx, apply)
	}
	return e.afterInstall(ctx, work, before, made, err)
}

// afterInstall asks Helm's storage rather than the error what happened: an action may fail before, while or after it
// wrote.
func (e *Executor) afterInstall(ctx context.Context, work Work, before, made *helm.Release, cause error) Outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	outcome := Outcome{Err: cause, Wrote: cause == nil}
	if made != nil {
		outcome.Revision = made.Revision
	}
	if cause != nil {
		after, err := e.Installer.Current(ctx, work.Key.Namespace, work.Key.Name)
		if err != nil {
			return Outcome{Err: errors.Join(cause, err)}
		}
		outcome.Wrote = after != nil && (before == nil || after.Revision > before.Revision)
		if outcome.Wrote {
			outcome.Revision = after.Revision
		}
	}
	if !outcome.Wrote {
		return outcome
	}
	memory, err := e.Active.Load(ctx, work.Key)
	if err != nil {
		outcome.Err = errors.Join(cause, err)
		return outcome
	}
	layer := work.Layer
	if cause == nil {
		memory = memory.WithApplied(outcome.Revision, work.Desired, e.now())
	} else {
		layer = nil
		text := spec.MaskText(fault.Message(cause), work.Secrets)
		memory = memory.WithFailure(work.Desired, fault.Reason(cause, appsv1.ReasonHelmFailed), text, outcome.Revision, e.now())
	}
	if err := e.save(ctx, work.Key, memory, layer); err != nil {
		outcome.Err = errors.Join(cause, err)
	}
	return outcome
}

func revisionOf(release *helm.Release) int {
	if release == nil {
		return 0
	}
	return release.Revision
}

func (e *Executor) unlock(ctx context.Context, work Work) Outcome {
	revision, err := e.Marker.Unlock(ctx, work.Key.Namespace, work.Key.Name, work.Step.Message)
	if err != nil || revision == nil {
		return Outcome{Err: err}
	}
	outcome := Outcome{Wrote: true, Revision: revision.Revision}
	if work.Desired == nil || work.Desired.Fingerprint.Values != revision.ValuesDigest {
		return outcome
	}
	outcome.Err = e.note(ctx, work, func(memory Memory) Memory {
		return memory.WithFailure(work.Desired, appsv1.ReasonHelmLocked, work.Step.Message, revision.Revision, e.now())
	})
	return outcome
}

// fail marks the revision before it counts the failure: where the process ends in between, Decide counts a failed
// revision that nobody wrote down.
func (e *Executor) fail(ctx context.Context, work Work) Outcome {
	err := e.Marker.MarkFailed(ctx, work.Key.Namespace, work.Key.Name, work.Revision, work.Step.Message)
	if err != nil {
		return Outcome{Err: err}
	}
	outcome := Outcome{Wrote: true, Revision: work.Revision}
	outcome.Err = e.note(ctx, work, func(memory Memory) Memory {
		return memory.WithFailure(work.Desired, appsv1.ReasonWorkloadsNotReady, work.Step.Message, work.Revision, e.now())
	})
	return outcome
}

func (e *Executor) note(ctx context.Context, work Work, change func(Memory) Memory) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	memory, err := e.Active.Load(ctx, work.Key)
	if err != nil {
		return err
	}
	return e.save(ctx, work.Key, change(memory), nil)
}

// save tries twice, because the console's answer to a person may touch the Secret at the same moment.
func (e *Executor) save(ctx context.Context, key types.NamespacedName, memory Memory, layer map[string][]byte) error {
	err := e.Active.Save(ctx, key, memory, layer)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = e.Active.Save(ctx, key, memory, layer)
	}
	return err
}

// remember keeps a failure that wrote nothing, and forgets earlier ones after anything else.
func (e *Executor) remember(work Work, outcome Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if outcome.Err == nil || outcome.Wrote {
		delete(e.attempts, work.Key)
		return
	}
	digest := ""
	if work.Desired != nil && work.Step.Action != Uninstall {
		digest = work.Desired.Digest
	}
	attempt := Attempt{
		Digest: digest, Action: work.Step.Action, Reason: outcome.Reason, Message: outcome.Message,
		Final: !fault.Retryable(outcome.Err), Count: 1, At: e.now(),
	}
	if last, ok := e.attempts[work.Key]; ok && last.Digest == digest {
		attempt.Count = last.Count + 1
	}
	if e.attempts == nil {
		e.attempts = map[types.NamespacedName]Attempt{}
	}
	e.attempts[work.Key] = attempt
}

func (e *Executor) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}
