package release

import (
	"context"
	"fmt"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/version"
)

// Charts loads and renders charts, and compares what they would make with what there is. Nothing of it writes.
type Charts interface {
	LoadChart(ctx context.Context, source *spec.Chart, credentials helm.Credentials) (*helm.Chart, error)
	RenderExact(ctx context.Context, chart *helm.Chart, values map[string]any, namespace, name string) (*helm.Rendered, error)
	CheckObjects(ctx context.Context, objects []helm.Object, policy helm.Policy) error
	MissingRights(ctx context.Context, objects []helm.Object) error
	// Manifest returns the objects and the text of a stored revision.
	Manifest(ctx context.Context, namespace, name string, revision int) (*helm.Manifest, error)
	// LiveFingerprints identifies objects as they are now.
	LiveFingerprints(ctx context.Context, refs []helm.Ref) (map[string]string, error)
	// APIs returns what charts may ask about the cluster, in short.
	APIs() (helm.ClusterAPIs, error)
	StoredStatement(ctx context.Context, namespace, name string, revision int) (helm.DataStatement, error)
	// Again describes a stored revision so that Upgrade applies it once more.
	Again(ctx context.Context, namespace, name string, revision int) (helm.Apply, error)
}

// change is a specification that was loaded, rendered, checked, and compared with what runs.
type change struct {
	chart    *helm.Chart
	rendered *helm.Rendered
	// before is the newest revision; nil where there is none.
	before *helm.Release
	// marks name the content of the Secrets that the pods use.
	marks map[string]string
}

// errReplanned says that the approved plan does not hold any more, and that a new one was made.
var errReplanned = &fault.Error{
	Reason: appsv1.ReasonAwaitingApproval, Retry: true,
	Op:   "apply the approved plan: objects were changed by somebody else since it was made, so a new plan waits",
	Hint: "Look with `kubectl wandb diff`, then run `kubectl wandb approve`.",
}

// prepare does everything that can refuse a specification, and writes down its plan. A plan of the same inputs that was
// made before is taken as it is, so that what was approved is what is applied, to the byte.
func (e *Executor) prepare(ctx context.Context, work Work) (*change, error) {
	prepared := &change{}
	var err error
	if prepared.before, err = e.Installer.Current(ctx, work.Key.Namespace, work.Key.Name); err != nil {
		return nil, err
	}
	if seen := revisionOf(prepared.before); seen != work.Revision {
		return nil, &fault.Error{
			Reason: appsv1.ReasonHelmLocked, Op: fmt.Sprintf("apply over revision %d", work.Revision), Retry: true,
			Err: fmt.Errorf("revision %d has appeared meanwhile", seen),
		}
	}
	if prepared.chart, err = e.Charts.LoadChart(ctx, work.Chart, work.Credentials); err != nil {
		return nil, err
	}
	if err := prepared.chart.Validate(work.Values); err != nil {
		return nil, err
	}
	if err := e.plan(ctx, work, prepared); err != nil {
		return nil, err
	}
	policy := helm.Policy{Namespace: work.Key.Namespace, ClusterKinds: e.ClusterKinds}
	objects := prepared.rendered.All()
	if work.Definitions == appsv1.DefinitionsSkip {
		objects = prepared.rendered.Objects
	}
	if err := e.Charts.CheckObjects(ctx, objects, policy); err != nil {
		return nil, err
	}
	if err := e.Charts.MissingRights(ctx, objects); err != nil {
		return nil, err
	}
	return prepared, e.preflight(ctx, work, prepared.chart)
}

// preflight remembers its report, which status shows whether it stands in the way or not.
func (e *Executor) preflight(ctx context.Context, work Work, chart *helm.Chart) error {
	if work.Preflight == nil {
		return nil
	}
	report := work.Preflight(ctx, chart)
	e.mu.Lock()
	if e.checked == nil {
		e.checked = map[typesKey]Checked{}
	}
	e.checked[work.Key] = Checked{Desired: work.Desired.Digest, Report: report}
	e.mu.Unlock()
	if !report.Blocking() {
		return nil
	}
	_, _, message := report.Verdict()
	return &fault.Error{
		Reason: appsv1.ReasonPreflightFailed, Op: "check what the release needs: " + sentence(message), Retry: true,
	}
}

// plan finds the plan of a change or makes it.
func (e *Executor) plan(ctx context.Context, work Work, prepared *change) error {
	cluster, err := e.Charts.APIs()
	if err != nil {
		return err
	}
	inputs := plan.Inputs{
		ChartDigest: prepared.chart.Digest, Values: work.Desired.Digest, Kubernetes: cluster.Kubernetes, APIs: cluster.Digest,
		Renderer: version.Version,
	}
	about := About{Desired: work.Desired.Digest, Base: revisionOf(prepared.before)}
	stored, err := e.Plans.load(ctx, work.Key)
	if err != nil {
		return err
	}
	if stored != nil && stored.about == about && stored.plan.Digest == plan.Digest(inputs) {
		moved, err := e.moved(ctx, work, stored.plan)
		if err != nil {
			return err
		}
		if !moved {
			prepared.rendered = stored.rendered
			return e.mark(ctx, work, prepared)
		}
	}
	prepared.rendered, err = e.Charts.RenderExact(ctx, prepared.chart, work.Values, work.Key.Namespace, work.Key.Name)
	if err != nil {
		return err
	}
	if err := e.mark(ctx, work, prepared); err != nil {
		return err
	}
	made, err := e.compare(ctx, work, inputs, prepared)
	if err != nil {
		return err
	}
	if stored != nil && !made.CreatedAt.After(stored.plan.CreatedAt) {
		// Approvals name a plan by digest and second: one that takes the place of another is never as old.
		made.CreatedAt = stored.plan.CreatedAt.Add(time.Second)
	}
	if err := e.Plans.save(ctx, work.Key, about, made, prepared.rendered); err != nil {
		return err
	}
	if work.Gated && work.Step.Action != Prepare {
		return errReplanned
	}
	return nil
}

// compare makes the plan. A first installation is planned from the render alone.
func (e *Executor) compare(ctx context.Context, work Work, inputs plan.Inputs, prepared *change) (*plan.Plan, error) {
	key, rendered := work.Key, prepared.rendered
	header := plan.Header{
		Release: work.Desired.ReleaseName, ReleaseID: work.Desired.ReleaseID, Chart: prepared.chart.Name,
		ChartVersion: prepared.chart.Version, Namespace: key.Namespace, CreatedAt: stored(e.now()),
	}
	options := plan.Options{Secrets: work.Secrets, Generated: rendered.Generated}
	after := helm.PlanObjects(rendered.Objects)
	next, err := prepared.chart.Statement()
	if err != nil {
		return nil, err // a fault that says it all
	}
	header.SchemaNote = schemaNote(helm.DataStatement{}, next)
	if prepared.before == nil || prepared.before.Status == helm.StatusUninstalled {
		return plan.Make(header, inputs, nil, after, options), nil
	}
	header.Adoption = !prepared.before.Ours
	before, err := e.Charts.Manifest(ctx, key.Namespace, key.Name, prepared.before.Revision)
	if err != nil {
		return nil, err
	}
	now, err := e.Charts.StoredStatement(ctx, key.Namespace, key.Name, prepared.before.Revision)
	if err != nil {
		return nil, err
	}
	header.SchemaNote = schemaNote(now, next)
	options.Secrets = append(options.Secrets, before.Secrets...)
	if work.waits() {
		if header.Live, err = e.Charts.LiveFingerprints(ctx, helm.FingerprintRefs(before.Objects)); err != nil {
			return nil, err
		}
	}
	return plan.Make(header, inputs, helm.PlanObjects(before.Objects), after, options), nil
}

// schemaNote says what becomes of the data; empty where the release says nothing about it.
func schemaNote(now, next helm.DataStatement) string {
	switch {
	case !next.Known:
		return next.Note
	case now.Known && now.Schema == next.Schema:
		return fmt.Sprintf("the schema of the data stays at version %d", next.Schema)
	}
	note := fmt.Sprintf("the data is brought to schema version %d", next.Schema)
	if now.Known {
		if safe, why := helm.CanRead(now, next); !safe {
			note += "; there is no way back without a backup: " + why
		}
	}
	if next.Note != "" {
		note += "; " + next.Note
	}
	return note
}

// waits tells that a person is going to look at the plan before it is applied.
func (w Work) waits() bool { return w.Step.Action == Prepare || w.Gated }

// moved tells that a live object was changed since the plan was made, which voids its approval.
func (e *Executor) moved(ctx context.Context, work Work, made *plan.Plan) (bool, error) {
	if len(made.Live) == 0 || !work.Gated {
		return false, nil
	}
	before, err := e.Charts.Manifest(ctx, work.Key.Namespace, work.Key.Name, work.Revision)
	if err != nil {
		return false, err
	}
	live, err := e.Charts.LiveFingerprints(ctx, helm.FingerprintRefs(before.Objects))
	if err != nil {
		return false, err
	}
	return len(made.Moved(live)) > 0, nil
}
