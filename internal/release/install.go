package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/probe"
)

// typesKey names a release.
type typesKey = types.NamespacedName

// Prober runs the probe of a release.
type Prober interface {
	Probe(ctx context.Context, namespace, name string, timeout time.Duration) (probe.Report, error)
	// ClearProbe removes what a run of the probe has left behind.
	ClearProbe(ctx context.Context, namespace, name string) error
}

// Corrector takes back what somebody else changed, and says what it was.
type Corrector interface {
	Correct(ctx context.Context, key types.NamespacedName) (string, error)
}

// Marks names the content of Secrets by a keyed hash each; a Secret that does not exist has the empty mark.
type Marks interface {
	Marks(ctx context.Context, key types.NamespacedName, secrets []string) (map[string]string, error)
}

// defaultProbeTimeout is enough for a pod to start on a busy node and to ask a few questions.
const defaultProbeTimeout = 5 * time.Minute

// install applies exactly what was planned. Everything that can refuse it comes before Helm's first write.
func (e *Executor) install(ctx context.Context, work Work) Outcome {
	prepared, err := e.prepare(ctx, work)
	if err != nil {
		return Outcome{Err: err}
	}
	apply := helm.Apply{
		Namespace: work.Key.Namespace, Name: work.Key.Name, Chart: prepared.chart, Values: work.Values, Secrets: work.Secrets,
		Rendered: prepared.rendered, Timeout: work.Timeout, Definitions: work.Definitions,
	}
	var made *helm.Release
	if prepared.before == nil || prepared.before.Status == helm.StatusUninstalled {
		made, err = e.Installer.Install(ctx, apply)
	} else {
		made, err = e.Installer.Upgrade(ctx, apply)
	}
	return e.afterInstall(ctx, work, prepared.before, made, prepared.marks, err)
}

// mark writes into each pod template what the Secrets it uses hold, so that a rotated credential replaces just the pods
// that use it. Secrets of the release itself are left out: when they change, the specification does.
func (e *Executor) mark(ctx context.Context, work Work, prepared *change) error {
	marked, marks, err := e.marked(ctx, work.Key, prepared.rendered)
	if err != nil {
		return err
	}
	prepared.rendered, prepared.marks = marked, marks
	return nil
}

func (e *Executor) marked(ctx context.Context, key types.NamespacedName, rendered *helm.Rendered) (*helm.Rendered, map[string]string, error) {
	used := foreignSecrets(rendered.Objects)
	if len(used) == 0 {
		return rendered, nil, nil
	}
	marks, err := e.Marks.Marks(ctx, key, used)
	if err != nil {
		return rendered, nil, err
	}
	marked, err := helm.WithSecretMarks(rendered, func(names []string) string {
		present := map[string]string{}
		for _, name := range names {
			if mark := marks[name]; mark != "" {
				present[name] = mark
			}
		}
		return combined(present)
	})
	return marked, marks, err // a fault that names the template
}

// foreignSecrets are the Secrets that pods use and the release does not make itself.
func foreignSecrets(objects []helm.Object) []string {
	made := map[string]bool{}
	for _, object := range objects {
		if object.Kind == "Secret" {
			made[object.Name] = true
		}
	}
	return slices.DeleteFunc(helm.SecretsUsed(objects), func(name string) bool { return made[name] })
}

// combined is one short mark of several; empty for none.
func combined(marks map[string]string) string {
	if len(marks) == 0 {
		return ""
	}
	var text string
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		text += name + "=" + marks[name] + "\n"
	}
	return shortHash(text)
}

// rotate applies the newest revision again with new marks: the same chart, values and text.
func (e *Executor) rotate(ctx context.Context, work Work) Outcome {
	namespace, name := work.Key.Namespace, work.Key.Name
	before, err := e.Installer.Current(ctx, namespace, name)
	if err != nil {
		return Outcome{Err: err}
	}
	again, err := e.Charts.Again(ctx, namespace, name, work.Revision)
	if err != nil {
		return Outcome{Err: err}
	}
	marked, marks, err := e.marked(ctx, work.Key, again.Rendered)
	if err != nil {
		return Outcome{Err: err}
	}
	again.Rendered, again.Secrets, again.Timeout = marked, work.Secrets, work.Timeout
	again.Definitions = appsv1.DefinitionsSkip
	made, err := e.Installer.Upgrade(ctx, again)
	if err != nil || made == nil {
		return Outcome{Err: err, Wrote: made != nil && made.Revision > revisionOf(before), Revision: revisionOf(made)}
	}
	outcome := Outcome{Wrote: true, Revision: made.Revision}
	outcome.Err = e.note(ctx, work.Key, func(memory Memory) Memory {
		return memory.WithRotation(made.Revision, marks, work.Step.Message, e.now())
	})
	return outcome
}

// rollback puts an earlier revision in the place of the newest. The failure was written down before, so that a process
// that ends in between rolls back again rather than forward.
func (e *Executor) rollback(ctx context.Context, work Work) Outcome {
	target := work.Step.Revision
	made, err := e.Installer.Rollback(ctx, work.Key.Namespace, work.Key.Name, target, work.Timeout)
	outcome := Outcome{Err: err, Wrote: made != nil && made.Revision > work.Revision, Revision: revisionOf(made)}
	if !outcome.Wrote {
		if err == nil {
			outcome.Err = fmt.Errorf("roll back to revision %d: Helm made no revision", target)
		}
		return outcome
	}
	noted := e.note(ctx, work.Key, func(memory Memory) Memory {
		memory = memory.WithRollback(work.Desired, made.Revision, target, work.Step.Message, e.now())
		memory.Handled.Rollback = work.Wishes.RollbackAt
		return memory
	})
	outcome.Err = errors.Join(err, noted)
	return outcome
}

// probe runs the release's probe, and remembers what it found. That it cannot run is a finding too, and no failure of the
// release.
func (e *Executor) probe(ctx context.Context, work Work) error {
	timeout := work.ProbeTimeout
	if timeout == 0 {
		timeout = defaultProbeTimeout
	}
	report, err := e.Prober.Probe(ctx, work.Key.Namespace, work.Key.Name, timeout)
	if ctx.Err() != nil {
		return fmt.Errorf("probe the release: %w", ctx.Err())
	}
	return e.note(ctx, work.Key, func(memory Memory) Memory {
		probed := Probed{Revision: work.Revision, At: stored(e.now()), Report: report}
		switch {
		case err != nil:
			probed.Problem, probed.Report = clip(fault.Message(err), maxMessage), memory.Probed.Report
		case memory.Probed.Revision != work.Revision:
			probed.Broken = probe.Describe(probe.Regressed(memory.Probed.Report, report))
		default:
			probed.Broken = memory.Probed.Broken
		}
		memory.Probed = probed
		return memory
	})
}

// correct takes back what somebody else changed, and counts how often in a row it was the same.
func (e *Executor) correct(ctx context.Context, work Work) error {
	what, err := e.Corrector.Correct(ctx, work.Key)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drifts == nil {
		e.drifts = map[typesKey]Drift{}
	}
	last, now := e.drifts[work.Key], e.now()
	count := 1
	if last.Summary == what && now.Sub(last.At) < foreignCap {
		count = last.Corrected + 1
	}
	e.drifts[work.Key] = Drift{Summary: what, Corrected: count, At: now}
	return nil
}

// Corrected returns the last correction of a release in this process.
func (e *Executor) Corrected(key types.NamespacedName) Drift {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drifts[key]
}
