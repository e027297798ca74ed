package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

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
