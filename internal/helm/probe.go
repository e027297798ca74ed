package helm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	release "helm.sh/helm/v4/pkg/release/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/probe"
	"github.com/kubewandb/kubewandb/internal/probe/report"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// DefaultProbeTimeout is enough to pull an image and to make every check until an ingress has noticed new pods.
const DefaultProbeTimeout = 5 * time.Minute

// Probe runs the test hooks of the highest revision, in Helm's order, and returns what they reported. A hook that prints
// no report counts as one inside check of its own name, by how it ended; so does one that does not end within timeout,
// which bounds the whole probe. Zero means DefaultProbeTimeout.
//
// Hooks run one after the other, also after one that failed. Objects that a run before this one left are replaced whatever
// their delete policy says: a probe is repeated. What this one leaves stays, logs included, unless a policy removes it.
// Nothing is written into Helm's storage, so that a probe makes no revision and changes none.
//
// An error means that the probe itself could not be run or read, which says nothing about the application: reason NoProbe
// where the release declares none, ProbeUnusable, PermissionMissing, or HelmFailed.
func (c *Client) Probe(ctx context.Context, namespace, name string, timeout time.Duration) (probe.Report, error) {
	op := "probe release " + name
	hooks, err := c.lastTestHooks(ctx, namespace, name)
	if err != nil {
		return probe.Report{}, failed(op, v1.ReasonHelmFailed, err, nil)
	}
	if len(hooks) == 0 {
		return probe.Report{}, &fault.Error{
			Reason: v1.ReasonNoProbe, Op: op, Err: errors.New("the release has no hook that helm test runs"),
			Hint: "Give the chart a Job with annotation helm.sh/hook: test, or leave it unverified.",
		}
	}
	if timeout <= 0 {
		timeout = DefaultProbeTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run := &probing{client: c, namespace: namespace}
	found, err := run.all(limited, hooks)
	if err != nil && limited.Err() != nil && ctx.Err() == nil && run.started != nil {
		// Only the probe's own time is over: that is an answer too.
		found, err = report.Join(found, run.unended(ctx, timeout)), nil
	}
	if ctx.Err() == nil {
		run.clean(ctx)
	}
	if err != nil {
		return probe.Report{}, failed(op, v1.ReasonProbeUnusable, err, nil)
	}
	for i := range found.Checks {
		found.Checks[i].Message = spec.MaskText(found.Checks[i].Message, nil)
	}
	return found, nil
}

// ClearProbe removes what probes of the highest revision have left, so that an uninstallation leaves nothing behind: Helm
// forgets hooks together with the release. Objects of that name that are no hooks stay. Nothing left is no error.
func (c *Client) ClearProbe(ctx context.Context, namespace, name string) error {
	op := "remove what the probe of release " + name + " has left"
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	hooks, err := c.lastTestHooks(ctx, namespace, name)
	if err != nil {
		return failed(op, v1.ReasonUninstallFailed, err, nil)
	}
	for _, hook := range slices.Backward(hooks) {
		object, err := c.newHookObject(hook, namespace)
		if err != nil {
			continue // no probe can have made it
		}
		left, err := object.find(ctx)
		if err == nil && left != nil && madeFromHook(left) {
			err = object.delete(ctx, left)
		}
		if err != nil {
			return failed(op, v1.ReasonUninstallFailed, err, nil)
		}
	}
	return nil
}

func (c *Client) lastTestHooks(ctx context.Context, namespace, name string) ([]*release.Hook, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	last, err := opened.last(name)
	if err != nil || last == nil {
		return nil, err
	}
	return testHooks(last), nil
}

// probing is one run of the test hooks of a release.
type probing struct {
	client    *Client
	namespace string

	// started is the object that runs now; nil where none does.
	started *hookObject
	ended   []*hookObject
}

func (p *probing) all(ctx context.Context, hooks []*release.Hook) (probe.Report, error) {
	var found probe.Report
	for _, hook := range hooks {
		one, err := p.one(ctx, hook)
		if err != nil {
			return found, fmt.Errorf("hook %s: %w", hook.Name, err)
		}
		found = report.Join(found, one)
	}
	return found, nil
}

// one runs one hook. One that only prepares something, such as a ConfigMap, is made and has nothing to report.
func (p *probing) one(ctx context.Context, hook *release.Hook) (probe.Report, error) {
	object, err := p.client.newHookObject(hook, p.namespace)
	if err != nil {
		return probe.Report{}, err
	}
	if err := object.remove(ctx); err != nil {
		return probe.Report{}, err
	}
	if err := object.create(ctx); err != nil {
		return probe.Report{}, err
	}
	if !runsToEnd(hook.Kind) {
		object.succeeded = true
		p.ended = append(p.ended, object)
		return probe.Report{}, nil
	}
	p.started = object
	begun := p.client.cfg.Now()
	if err := object.await(ctx); err != nil {
		return probe.Report{}, err
	}
	p.started = nil
	p.ended = append(p.ended, object)
	found, err := p.client.readOutcome(ctx, object)
	if err != nil {
		return probe.Report{}, err
	}
	for i := range found.Checks {
		if found.Checks[i].Duration == 0 {
			found.Checks[i].Duration = p.client.cfg.Now().Sub(begun).Truncate(time.Millisecond)
		}
	}
	return found, nil
}

// unended words that a hook did not end in time, with what its pod says.
func (p *probing) unended(ctx context.Context, timeout time.Duration) probe.Report {
	object := p.started
	message := fmt.Sprintf("%s did not end within %s", object.ref(), timeout)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if pod, err := p.client.podOf(ctx, object.live); err == nil && pod != nil {
		if found, ok := podTrouble(pod); ok {
			message += ": " + found.message
		}
	}
	p.ended = append(p.ended, object)
	return probe.Report{Checks: []probe.Check{{
		Name: report.Name(object.hook.Name), Path: report.Inside, Result: report.Failed, Message: message, Duration: timeout,
	}}}
}

// clean removes what policies want removed. That it fails costs the next run a deletion, and is no failure of this one.
func (p *probing) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, object := range slices.Backward(p.ended) {
		policy := release.HookFailed
		if object.succeeded {
			policy = release.HookSucceeded
		}
		if !slices.Contains(object.hook.DeletePolicies, policy) {
			continue
		}
		if err := object.delete(ctx, object.live); err != nil {
			p.client.logger.Info("an object of the probe could not be removed", "object", object.ref(), "error", err)
		}
	}
}

// retryPause waits for a moment that grows with every attempt, and tells whether there is time for another one.
func retryPause(ctx context.Context, attempt int) bool {
	const shortest, longest = 100 * time.Millisecond, 3 * time.Second
	length := min(shortest<<min(attempt, 10), longest)
	timer := time.NewTimer(length/2 + rand.N(length/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
