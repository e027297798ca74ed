package helm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Install makes the first revision, or the next one after an uninstalled or failed one. It waits for the chart's hooks and
// not for workloads; Health tells about those.
//
// The release is returned whenever a revision was recorded, with an error too: without one nothing was changed in the
// cluster. When ctx ends the action stops at its next request, records the revision as failed and returns.
func (c *Client) Install(ctx context.Context, apply Apply) (*Release, error) {
	return c.apply(ctx, "install release "+apply.Name, apply, func(s *session, serverSide bool) error {
		if !serverSide {
			return s.upgrade(apply, serverSide)
		}
		return s.install(apply)
	})
}

// Upgrade makes the next revision; a failed first install is upgraded too. What Install says holds.
func (c *Client) Upgrade(ctx context.Context, apply Apply) (*Release, error) {
	return c.apply(ctx, "upgrade release "+apply.Name, apply, func(s *session, serverSide bool) error {
		return s.upgrade(apply, serverSide)
	})
}

// Rollback makes a new revision that equals an earlier one. What Install says holds.
func (c *Client) Rollback(ctx context.Context, namespace, name string, revision int, timeout time.Duration) (*Release, error) {
	op := fmt.Sprintf("roll release %s back to revision %d", name, revision)
	return c.act(ctx, op, namespace, name, nil, func(s *session, serverSide bool) error {
		last, err := s.store.last(name)
		if err != nil {
			return err
		}
		s.cluster.adopting = serverSide && isClientSide(last)
		rollback := action.NewRollback(s.action)
		rollback.Version = revision
		rollback.MaxHistory = c.cfg.MaxHistory
		rollback.WaitStrategy, rollback.WaitOptions = kube.HookOnlyStrategy, s.waitOptions()
		rollback.Timeout = orTimeout(timeout)
		rollback.ServerSideApply, rollback.ForceConflicts = fmt.Sprint(serverSide), serverSide
		return rollback.Run(name) // act classifies it
	})
}

// Uninstall removes the objects of a release and its history, and waits until they are gone, or timeout is over. An absent
// release is no error. PersistentVolumeClaims stay, as do objects that the chart marks with helm.sh/resource-policy: keep,
// and objects that belong to somebody else by now. The chart itself is not needed.
func (c *Client) Uninstall(ctx context.Context, namespace, name string, timeout time.Duration) error {
	op := "uninstall release " + name
	s, done := c.begin(ctx, namespace, nil)
	defer done()
	last, err := s.store.last(name)
	if err != nil {
		return failed(op, v1.ReasonUninstallFailed, err, nil)
	}
	if last == nil {
		return nil
	}
	s.cluster.removing = true
	uninstall := action.NewUninstall(s.action)
	uninstall.WaitStrategy, uninstall.WaitOptions = kube.StatusWatcherStrategy, s.waitOptions()
	uninstall.Timeout = orTimeout(timeout)
	uninstall.DeletionPropagation = "background"
	if _, err := uninstall.Run(name); err != nil {
		return failed(op, v1.ReasonUninstallFailed, s.cluster.explain(err), nil)
	}
	return nil
}

// apply is what Install and Upgrade share.
func (c *Client) apply(ctx context.Context, op string, apply Apply, run func(*session, bool) error) (*Release, error) {
	if err := apply.Chart.Validate(apply.Values); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	secrets := append(spec.Secrets(apply.Values, nil), apply.Secrets...)
	if err := c.applyDefinitions(ctx, apply.Chart, apply.Definitions); err != nil {
		return nil, err // says which file
	}
	rel, err := c.act(ctx, op, apply.Namespace, apply.Name, secrets, run)
	if apply.Chart.bringsKinds() {
		c.forgetCapabilities()
	}
	return rel, err
}

// act runs one action with server-side apply, and once more with client-side apply where the API server cannot type the
// chart's objects: charts of earlier years repeat environment variables and carry unknown fields, which client-side apply
// let pass.
func (c *Client) act(ctx context.Context, op, namespace, name string, secrets []redact.Secret, run func(*session, bool) error) (*Release, error) {
	s, done := c.begin(ctx, namespace, secrets)
	defer done()
	err := run(s, true)
	if isUntyped(err) && ctx.Err() == nil {
		c.logger.Info("server-side apply refused the chart's objects, using client-side apply",
			"namespace", namespace, "release", name, "error", mask(err, secrets))
		err = run(s, false)
	}
	if err != nil {
		err = failed(op, v1.ReasonHelmFailed, s.cluster.explain(err), secrets)
		s.settle(name, err)
	}
	if !s.store.secrets.wrote() {
		return nil, err
	}
	return s.store.made(c), err
}

// settle records the revision of this action as failed where the SDK has left it pending. A revision of somebody else is
// not touched.
func (s *session) settle(name string, cause error) {
	if !s.store.secrets.wrote() {
		return
	}
	if err := s.store.settle(name, cause.Error()); err != nil {
		s.client.logger.Warn("a failed revision could not be recorded", "release", name, "error", err)
	}
}

func isUntyped(err error) bool {
	return err != nil && strings.Contains(err.Error(), "failed to create typed patch object")
}

// session is one action under way.
type session struct {
	ctx     context.Context // the SDK takes the context of waits as an option
	client  *Client
	action  *action.Configuration
	cluster *cluster
	store   *store
}

func (c *Client) begin(ctx context.Context, namespace string, secrets []redact.Secret) (*session, context.CancelFunc) {
	opened, closeStore := c.openStore(ctx, namespace, secrets)
	clients := &getter{client: c, rest: guarded(ctx, c.rest), namespace: namespace}
	configuration := action.NewConfiguration(action.ConfigurationSetLogger(c.sdkLog()))
	s := &session{ctx: ctx, client: c, action: configuration, store: opened}
	s.cluster = newCluster(clients, c.sdkLog())
	configuration.RESTClientGetter = clients
	configuration.KubeClient = s.cluster
	configuration.Releases = opened.Storage
	configuration.HookOutputFunc = func(_, _, _ string) io.Writer { return io.Discard }
	return s, closeStore
}

// sdkLog is where the SDK may write. It logs errors that it also returns, with values in their texts: nothing of it is
// worth a leak.
func (c *Client) sdkLog() slog.Handler { return slog.DiscardHandler }

func (s *session) waitOptions() []kube.WaitOption {
	return []kube.WaitOption{kube.WithWaitContext(s.ctx)}
}

func (s *session) install(apply Apply) error {
	if err := s.prepare(apply.Chart); err != nil {
		return err
	}
	install := action.NewInstall(s.action)
	install.Namespace, install.ReleaseName = apply.Namespace, apply.Name
	install.Replace = true
	install.ServerSideApply, install.ForceConflicts = true, true
	install.WaitStrategy, install.WaitOptions = kube.HookOnlyStrategy, s.waitOptions()
	install.Timeout = orTimeout(apply.Timeout)
	install.SkipSchemaValidation, install.DisableOpenAPIValidation = true, true
	install.Labels, install.SkipCRDs = ownerLabels(), true
	working, err := s.workingChart(apply)
	if err != nil {
		return err
	}
	_, err = install.Run(working, spec.Copy(apply.Values))
	return err // act classifies it
}

func (s *session) upgrade(apply Apply, serverSide bool) error {
	if err := s.prepare(apply.Chart); err != nil {
		return err
	}
	last, err := s.store.last(apply.Name)
	if err != nil {
		return err
	}
	s.cluster.adopting = serverSide && isClientSide(last)
	upgrade := action.NewUpgrade(s.action)
	upgrade.Namespace = apply.Namespace
	upgrade.MaxHistory = s.client.cfg.MaxHistory
	upgrade.ResetValues = true
	upgrade.ServerSideApply, upgrade.ForceConflicts = fmt.Sprint(serverSide), serverSide
	upgrade.WaitStrategy, upgrade.WaitOptions = kube.HookOnlyStrategy, s.waitOptions()
	upgrade.Timeout = orTimeout(apply.Timeout)
	upgrade.SkipSchemaValidation, upgrade.DisableOpenAPIValidation = true, true
	upgrade.Labels, upgrade.SkipCRDs = ownerLabels(), true
	working, err := s.workingChart(apply)
	if err != nil {
		return err
	}
	_, err = upgrade.Run(apply.Name, working, spec.Copy(apply.Values))
	return err // act classifies it
}

// prepare hands the SDK the cluster's capabilities, unless the chart brings kinds: then the SDK has to read them after
// it has installed those.
func (s *session) prepare(chart *Chart) error {
	s.action.Capabilities = nil
	if chart.bringsKinds() {
		return nil
	}
	capabilities, err := s.client.currentCapabilities()
	if err != nil {
		return err
	}
	s.action.Capabilities = capabilities
	return nil
}

func orTimeout(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return DefaultTimeout
	}
	return timeout
}
