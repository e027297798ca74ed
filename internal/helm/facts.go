package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/kubewandb/kubewandb/api/v1"
)

// facts are what never changes about a stored revision, whatever its status becomes.
type facts struct {
	uid         types.UID
	hasProbe    bool
	annotations map[string]string
}

// factCache keeps facts by revision, so that a release Secret is decoded once. Its zero value is ready for use.
type factCache struct {
	mu      sync.Mutex
	entries map[string]facts
}

func (c *factCache) get(key string, uid types.UID) (facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.entries[key]
	return known, ok && known.uid == uid
}

func (c *factCache) put(key string, found facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxCachedReleases {
		c.entries = map[string]facts{}
	}
	c.entries[key] = found
}

// HasProbe tells whether a revision declares a probe: a hook of its chart that `helm test` runs. It costs a read of the
// metadata of one Secret, and the Secret itself the first time. A revision that does not exist has none.
func (c *Client) HasProbe(ctx context.Context, namespace, name string, revision int) (bool, error) {
	found, err := c.storedFacts(ctx, namespace, name, revision)
	if err != nil {
		return false, failed("look for the probe of release "+name, v1.ReasonInternalError, err, nil)
	}
	return found.hasProbe, nil
}

// storedFacts returns the facts of a revision; none of one that does not exist. Numbers come again after an uninstallation:
// the UID of the Secret tells revisions apart.
func (c *Client) storedFacts(ctx context.Context, namespace, name string, revision int) (facts, error) {
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	secret := fmt.Sprintf("sh.helm.release.v1.%s.v%d", name, revision)
	head, err := c.metadata.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace).Get(ctx, secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return facts{}, nil
	}
	if err != nil {
		return facts{}, fmt.Errorf("read metadata of Secret %s: %w", secret, err)
	}
	key := fmt.Sprintf("%s/%s", namespace, secret)
	if known, ok := c.facts.get(key, head.UID); ok {
		return known, nil
	}
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	read, err := opened.Get(name, revision)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return facts{}, nil
	}
	if err != nil {
		return facts{}, fmt.Errorf("read revision %d: %w", revision, err)
	}
	stored, err := asRelease(read)
	if err != nil {
		return facts{}, err
	}
	found := facts{uid: head.UID, hasProbe: len(testHooks(stored)) > 0}
	if stored.Chart != nil && stored.Chart.Metadata != nil {
		found.annotations = maps.Clone(stored.Chart.Metadata.Annotations)
	}
	c.facts.put(key, found)
	return found, nil
}

// testHooks returns the hooks that `helm test` runs, in its order. Some of them may only prepare something, so that one
// that runs must be among them.
func testHooks(stored *release.Release) []*release.Hook {
	var hooks []*release.Hook
	for _, hook := range stored.Hooks {
		if slices.Contains(hook.Events, release.HookTest) {
			hooks = append(hooks, hook)
		}
	}
	if !slices.ContainsFunc(hooks, func(hook *release.Hook) bool { return runsToEnd(hook.Kind) }) {
		return nil
	}
	slices.SortStableFunc(hooks, func(a, b *release.Hook) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), strings.Compare(a.Name, b.Name))
	})
	return hooks
}

// runsToEnd tells whether an object of the kind comes to an end that tells success from failure.
func runsToEnd(kind string) bool { return kind == "Pod" || kind == "Job" }
