package bench

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// revisionSize is what a stored revision of the chart takes.
const revisionSize = 2 << 10

// bareWrites sends, for each resource, what every operator that uses Helm has to: the release as pending, the objects, the
// release as deployed, and the status. The resource itself is created too, as in the other runs.
func (s *scene) bareWrites(count int) {
	s.b.Helper()
	ctx := s.b.Context()
	kind := s.resource(0).GroupVersionKind()
	resources := s.interfaceOf(kind)
	rendered := make([][]*unstructured.Unstructured, count)
	for number := range rendered {
		rendered[number] = s.render(s.resource(number).GetName())
	}
	secrets := s.clients.CoreV1().Secrets(namespace)
	started := time.Now()
	s.each(count, func(number int) error {
		resource, err := resources.Create(ctx, s.resource(number), metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create resource: %w", err)
		}
		name := resource.GetName()
		stored, err := secrets.Create(ctx, revision(name, "pending-install"), metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create release: %w", err)
		}
		for _, object := range rendered[number] {
			if _, err := s.interfaceOf(object.GroupVersionKind()).Create(ctx, object, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create %s: %w", object.GetKind(), err)
			}
		}
		deployed := revision(name, "deployed")
		deployed.ResourceVersion = stored.ResourceVersion
		if _, err := secrets.Update(ctx, deployed, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("update release: %w", err)
		}
		ready := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"","lastTransitionTime":%q}]}}`,
			time.Now().UTC().Format(time.RFC3339))
		_, err = resources.Patch(ctx, name, types.MergePatchType, []byte(ready), metav1.PatchOptions{}, "status")
		return err
	})
	took := time.Since(started)
	s.b.ReportMetric(took.Seconds(), "s/"+strconv.Itoa(count))
	s.b.ReportMetric(0, "ns/op")
}

// revision makes a release Secret of the usual size, whose content cannot be compressed.
func revision(name, status string) *corev1.Secret {
	content := make([]byte, revisionSize)
	_, _ = rand.Read(content) // never fails
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "sh.helm.release.v1." + name + ".v1",
			Labels: map[string]string{"owner": "helm", "name": name, "version": "1", "status": status},
		},
		Type: "helm.sh/release.v1",
		Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(content))},
	}
}

// render runs the chart's templates.
func (s *scene) render(name string) []*unstructured.Unstructured {
	s.b.Helper()
	chart, err := loader.LoadFile(filepath.Clean(s.chart))
	must(s.b, err)
	values, err := util.ToRenderValues(chart, map[string]any{"color": "blue"}, common.ReleaseOptions{Name: name, Namespace: namespace}, common.DefaultCapabilities)
	must(s.b, err)
	files, err := engine.Render(chart, values)
	must(s.b, err)
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	must(s.b, err)
	objects := make([]*unstructured.Unstructured, len(manifests))
	for i, manifest := range manifests {
		objects[i] = &unstructured.Unstructured{}
		must(s.b, yaml.Unmarshal([]byte(manifest.Content), &objects[i].Object))
	}
	return objects
}
