package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Current returns the highest revision of a release; nil without error where there is none. It reads the metadata of the
// release's Secrets, and a Secret itself only when it has changed since the last call. A release of which the index knows
// nothing is not looked for: see unknownRelease.
func (c *Client) Current(ctx context.Context, namespace, name string) (*Release, error) {
	if c.unknownRelease(ctx, namespace, name) {
		return nil, nil
	}
	return c.current(ctx, namespace, name, c.listRevisions)
}

func (c *Client) current(
	ctx context.Context, namespace, name string, list func(ctx context.Context, namespace, name string) ([]revision, error),
) (*Release, error) {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	revisions, err := list(ctx, namespace, name)
	if err != nil {
		return nil, failed("read release "+name, v1.ReasonInternalError, err, nil)
	}
	if len(revisions) == 0 {
		return nil, nil
	}
	found, err := c.readRevision(ctx, namespace, name, revisions[0])
	if err != nil {
		return nil, failed("read release "+name, v1.ReasonInternalError, err, nil)
	}
	return found, nil
}

// History returns every stored revision, highest first.
func (c *Client) History(ctx context.Context, namespace, name string) ([]*Release, error) {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	revisions, err := c.listRevisions(ctx, namespace, name)
	if err != nil {
		return nil, failed("read history of release "+name, v1.ReasonInternalError, err, nil)
	}
	history := make([]*Release, 0, len(revisions))
	for _, one := range revisions {
		found, err := c.readRevision(ctx, namespace, name, one)
		if err != nil {
			return nil, failed("read history of release "+name, v1.ReasonInternalError, err, nil)
		}
		if found != nil {
			history = append(history, found)
		}
	}
	return history, nil
}

// MarkFailed records in Helm's storage that a revision failed after Helm had called it deployed, so that `helm history`
// tells the same story as status. Marking a failed revision again changes nothing.
func (c *Client) MarkFailed(ctx context.Context, namespace, name string, revision int, reason string) error {
	op := fmt.Sprintf("mark revision %d of release %s failed", revision, name)
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	found, err := opened.Get(name, revision)
	if err != nil {
		return failed(op, v1.ReasonHelmFailed, err, nil)
	}
	rel, err := asRelease(found)
	if err != nil {
		return failed(op, v1.ReasonHelmFailed, err, nil)
	}
	switch rel.Info.Status {
	case rcommon.StatusFailed:
		return nil
	case rcommon.StatusSuperseded, rcommon.StatusUninstalled:
		return failed(op, v1.ReasonHelmFailed, fmt.Errorf("the revision is %s", rel.Info.Status), nil)
	default:
	}
	rel.SetStatus(rcommon.StatusFailed, reason)
	if err := opened.Update(rel); err != nil {
		return failed(op, v1.ReasonHelmFailed, err, nil)
	}
	return nil
}

// Unlock turns the highest revision, where it is pending although nobody works on it, into a failed one and returns it;
// nil where nothing was pending. That nobody works on it is for the caller to know.
func (c *Client) Unlock(ctx context.Context, namespace, name, reason string) (*Release, error) {
	op := "unlock release " + name
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	last, err := opened.last(name)
	if err != nil {
		return nil, failed(op, v1.ReasonHelmLocked, err, nil)
	}
	if last == nil || !Status(last.Info.Status).Pending() {
		return nil, nil
	}
	last.SetStatus(rcommon.StatusFailed, reason)
	if err := opened.Update(last); err != nil {
		return nil, failed(op, v1.ReasonHelmLocked, err, nil)
	}
	return c.toRelease(last), nil
}

// revision is what the labels of a release Secret tell.
type revision struct {
	number  int
	version string
}

// listRevisions returns the stored revisions, highest first.
func (c *Client) listRevisions(ctx context.Context, namespace, name string) ([]revision, error) {
	selector := labels.Set{"owner": "helm", "name": name}.AsSelector().String()
	list, err := c.metadata.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace).
		List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list release Secrets: %w", err)
	}
	c.ledger.settle(types.NamespacedName{Namespace: namespace, Name: name})
	return revisionsOf(list.Items), nil
}

// readRevision reads one revision, from memory where it has not changed. A revision that has vanished meanwhile is nil.
func (c *Client) readRevision(ctx context.Context, namespace, name string, one revision) (*Release, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if known := c.releases.get(key, one.version); known != nil {
		return known, nil
	}
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	found, err := opened.Get(name, one.number)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", one.number, err)
	}
	stored, err := asRelease(found)
	if err != nil {
		return nil, err
	}
	rel := c.toRelease(stored)
	c.releases.put(key, one.version, rel)
	return rel, nil
}

// toRelease copies what callers need out of the SDK's type.
func (c *Client) toRelease(stored *release.Release) *Release {
	rel := &Release{
		Name:         stored.Name,
		Namespace:    stored.Namespace,
		Revision:     stored.Version,
		ValuesDigest: spec.ValuesDigest(stored.Config),
		Objects:      c.manifestRefs(stored.Manifest, stored.Namespace),
		Ours:         stored.Labels[OwnerLabel] != "",
	}
	if info := stored.Info; info != nil {
		rel.Status = Status(info.Status)
		rel.Description = info.Description
		rel.FirstDeployedAt = info.FirstDeployed
		rel.DeployedAt = info.LastDeployed
	}
	if stored.Chart != nil && stored.Chart.Metadata != nil {
		rel.Chart = stored.Chart.Metadata.Name
		rel.ChartVersion = stored.Chart.Metadata.Version
		rel.AppVersion = stored.Chart.Metadata.AppVersion
		rel.schema = c.charts.sharedSchema(stored.Chart.Schema)
	}
	return rel
}

// manifestRefs names the objects of a manifest. A document that is no object is left out.
func (c *Client) manifestRefs(manifest, namespace string) []Ref {
	documents := releaseutil.SplitManifests(manifest)
	keys := make([]string, 0, len(documents))
	for key := range documents {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	refs := make([]Ref, 0, len(keys))
	for _, key := range keys {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(documents[key]), &head); err != nil || head.Kind == "" {
			continue
		}
		refs = append(refs, c.scoped(Ref{
			APIVersion: head.APIVersion, Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name,
		}, namespace))
	}
	return refs
}

// scoped fills in the namespace of an object that leaves it out, and removes that of an object of the cluster. A kind
// that the cluster does not know is taken as namespaced.
func (c *Client) scoped(ref Ref, namespace string) Ref {
	mapping, err := c.mappingFor(ref.APIVersion, ref.Kind)
	switch {
	case err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot:
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = namespace
	}
	return ref
}

// releaseCache keeps the revision of each release that was read last: a release Secret holds up to 1 MiB of compressed
// JSON, and is asked for on every pass.
type releaseCache struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]cachedRelease
}

type cachedRelease struct {
	version string
	release *Release
}

// maxCachedReleases bounds memory; an entry without manifest text is one or two kilobytes.
const maxCachedReleases = 4096

func newReleaseCache() *releaseCache {
	return &releaseCache{entries: map[types.NamespacedName]cachedRelease{}}
}

// at returns what is known of a revision; nil where it is not the one that was read last.
func (c *releaseCache) at(key types.NamespacedName, revision int) *Release {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry, ok := c.entries[key]; ok && entry.release.Revision == revision {
		return entry.release.clone()
	}
	return nil
}

// get returns a copy, since callers may change what they are given.
func (c *releaseCache) get(key types.NamespacedName, version string) *Release {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[key]
	if !ok || entry.version != version {
		return nil
	}
	return entry.release.clone()
}

func (c *releaseCache) put(key types.NamespacedName, version string, rel *Release) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[key]; !known && len(c.entries) >= maxCachedReleases {
		clear(c.entries)
	}
	c.entries[key] = cachedRelease{version: version, release: rel.clone()}
}

func (r *Release) clone() *Release {
	copied := *r
	copied.Objects = slices.Clone(r.Objects)
	return &copied
}
