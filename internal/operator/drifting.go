package operator

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/drift"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/release"
)

// DriftWatcher knows what somebody else changed.
type DriftWatcher interface {
	Look(ctx context.Context, release drift.Release) (drift.Report, error)
	Correct(ctx context.Context, config *rest.Config, release drift.Release) (drift.Correction, error)
	Forget(key types.NamespacedName)
}

var _ DriftWatcher = (*drift.Watcher)(nil)

// ManifestReader reads what a stored revision consists of.
type ManifestReader interface {
	Manifest(ctx context.Context, namespace, name string, revision int) (*helm.Manifest, error)
}

// drifting tells the watcher what belongs to each release, and takes changes back through a connection that is fenced by
// the Lease of the release.
type drifting struct {
	watcher   DriftWatcher
	manifests ManifestReader
	fenced    *rest.Config

	mu    sync.Mutex
	known map[types.NamespacedName]drift.Release
}

var _ release.Corrector = (*drifting)(nil)

// look compares what is due for it. A release that is not deployed, or that is not ours, is not looked at.
func (d *drifting) look(ctx context.Context, v *view) (drift.Report, error) {
	latest := v.observation.Latest
	if driftMode(v.cr) == appsv1.DriftOff || latest.Status != helm.StatusDeployed {
		return drift.Report{}, nil
	}
	number := latest.Number
	wanted := drift.Release{
		Key: v.key, ID: fmt.Sprintf("%d/%s", number, v.current.DeployedAt.UTC().Format("150405")),
		Manifest: func(ctx context.Context) ([]drift.Object, error) { return d.objects(ctx, v.key, number) },
	}
	if v.cr.Spec.Drift != nil {
		wanted.Ignore = v.cr.Spec.Drift.Ignore
	}
	d.mu.Lock()
	if d.known == nil {
		d.known = map[types.NamespacedName]drift.Release{}
	}
	d.known[v.key] = wanted
	d.mu.Unlock()
	return d.watcher.Look(ctx, wanted)
}

func (d *drifting) objects(ctx context.Context, key types.NamespacedName, revision int) ([]drift.Object, error) {
	manifest, err := d.manifests.Manifest(ctx, key.Namespace, key.Name, revision)
	if err != nil {
		return nil, err // a fault that names the release
	}
	objects := make([]drift.Object, 0, len(manifest.Objects))
	for _, object := range manifest.Objects {
		if object.Hook {
			continue
		}
		objects = append(objects, drift.Object{
			APIVersion: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name, Content: object.Content,
		})
	}
	return objects, nil
}

// Correct implements release.Corrector.
func (d *drifting) Correct(ctx context.Context, key types.NamespacedName) (string, error) {
	d.mu.Lock()
	wanted, ok := d.known[key]
	d.mu.Unlock()
	if !ok {
		return "", nil
	}
	done, err := d.watcher.Correct(ctx, d.fenced, wanted)
	return done.Message(), err
}

func (d *drifting) forget(key types.NamespacedName) {
	d.watcher.Forget(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, key)
}

// observeDrift looks for changes by others. That the API server did not answer is no reason to stop: the watcher asks for
// another look.
func (r *Reconciler) observeDrift(ctx context.Context, v *view) {
	report, err := r.drift.look(ctx, v)
	v.drift = report
	if err != nil {
		r.config.Logger.V(1).Info("drift could not be looked for", "namespace", v.key.Namespace, "name", v.key.Name, "error", err.Error())
	}
	last := r.executor.Corrected(v.key)
	v.observation.Drift = release.Drift{Correct: driftMode(v.cr) == appsv1.DriftCorrect, At: last.At, Corrected: last.Corrected}
	if len(report.Drifted) > 0 {
		v.observation.Drift.Summary = report.Message()
	}
}
