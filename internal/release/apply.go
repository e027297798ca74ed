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
	"github.com/kubewandb/kubewandb/internal/preflight"
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
	// Rollback makes a revision that equals an earlier one.
	Rollback(ctx context.Context, namespace, name string, revision int, timeout time.Duration) (*helm.Release, error)
}

// Marker changes what Helm's storage says about a revision, and nothing else.
type Marker interface {
	MarkFailed(ctx context.Context, namespace, name string, revision int, reason string) error
	MarkDeployed(ctx context.Context, namespace, name string, revision int, reason string) error
	Unlock(ctx context.Context, namespace, name, reason string) (*helm.Release, error)
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
	// Timeout bounds each hook; zero means Helm's default.
	Timeout time.Duration
	// Definitions says what happens to CustomResourceDefinitions of the chart.
	Definitions appsv1.DefinitionPolicy
	// Preflight checks what the specification needs of its surroundings; nil checks nothing.
	Preflight func(ctx context.Context, chart *helm.Chart) preflight.Report
	// Wishes are what people asked for when the step was decided.
	Wishes Wishes
	// Gated tells that only a plan may be applied which people could look at: one that is made by this step waits again.
	Gated bool
	// ProbeTimeout bounds one run of the probe.
	ProbeTimeout time.Duration
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
	Plans     *Plans
	Prober    Prober
	Corrector Corrector
	// Marks names the content of Secrets, so that pods are restarted when it changes.
	Marks Marks
	// ClusterKinds lists the kinds that charts may make outside the namespace of their release.
	ClusterKinds []string
	// Report is told every outcome; nil is allowed.
	Report func(Outcome)

	// seams for tests

	// Now replaces time.Now.
	Now func() time.Time

	mu       sync.Mutex
	attempts map[types.NamespacedName]Attempt
	checked  map[types.NamespacedName]Checked
	drifts   map[types.NamespacedName]Drift
}

// Checked is the newest preflight of a release.
type Checked struct {
	// Desired is the digest of the specification that it was made for.
	Desired string
	Report  preflight.Report
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
	delete(e.checked, key)
	delete(e.drifts, key)
	e.Plans.forget(key)
}

// Checked returns the newest preflight of a release; the zero value where there was none in this process.
func (e *Executor) Checked(key types.NamespacedName) Checked {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checked[key]
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
	case Prepare:
		_, err := e.prepare(ctx, work)
		return Outcome{Err: err}
	case Rotate:
		return e.rotate(ctx, work)
	case Rollback:
		return e.rollback(ctx, work)
	case RunProbe:
		return Outcome{Err: e.probe(ctx, work)}
	case Correct:
		return Outcome{Err: e.correct(ctx, work)}
	case Uninstall:
		// What a probe left ends by itself within a day: it must not hold up the deletion.
		_ = e.Prober.ClearProbe(ctx, work.Key.Namespace, work.Key.Name)
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

// afterInstall asks Helm's storage rather than the error what happened: an action may fail before, while or after it
// wrote.
func (e *Executor) afterInstall(
	ctx context.Context, work Work, before, made *helm.Release, marks map[string]string, cause error,
) Outcome {
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
		memory = memory.WithApplied(outcome.Revision, work.Desired, e.now()).WithApplying(work.Wishes)
		memory.Applied.Secrets = marks
	} else {
		layer = nil
		text := spec.MaskText(fault.Message(cause), work.Secrets)
		memory = memory.WithFailure(work.Desired, fault.Reason(cause, appsv1.ReasonHelmFailed), text, outcome.Revision, e.now())
		memory = memory.WithApplying(work.Wishes)
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
	outcome.Err = e.note(ctx, work.Key, func(memory Memory) Memory {
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
	outcome.Err = e.note(ctx, work.Key, func(memory Memory) Memory {
		return memory.WithFailure(work.Desired, work.Step.Reason, work.Step.Message, work.Revision, e.now())
	})
	return outcome
}

func (e *Executor) note(ctx context.Context, key types.NamespacedName, change func(Memory) Memory) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	memory, err := e.Active.Load(ctx, key)
	if err != nil {
		return err
	}
	return e.save(ctx, key, change(memory), nil)
}

// save tries twice, because the console's answer to a person may touch the Secret at the same moment. A process that has
// slept beyond its Lease writes nothing: its successor knows better what became of the release.
func (e *Executor) save(ctx context.Context, key types.NamespacedName, memory Memory, layer map[string][]byte) error {
	if err := e.Locker.Check(key); err != nil {
		return err
	}
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
		// A probe that ran says nothing about an upgrade that could not begin.
		if last := e.attempts[work.Key]; !work.Step.Action.Quiet() || last.Action == work.Step.Action {
			delete(e.attempts, work.Key)
		}
		return
	}
	digest := ""
	if work.Desired != nil && work.Step.Action != Uninstall {
		digest = work.Desired.Digest
	}
	attempt := Attempt{
		Digest: digest, Action: work.Step.Action, Reason: outcome.Reason, Message: outcome.Message,
		Final: !fault.Retryable(outcome.Err), Count: 1, At: e.now(), Retry: work.Wishes.Retry,
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
