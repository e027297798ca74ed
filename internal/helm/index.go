package helm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Index tells which release Secrets exist without asking the API server: a watch keeps it, so it may be a moment behind.
type Index interface {
	// Revisions returns the metadata of the release Secrets of a release, in any order.
	Revisions(ctx context.Context, namespace, name string) ([]metav1.PartialObjectMetadata, error)
}

// ledger remembers what this process has written to Helm's storage until the index shows it. Without it a pass that
// follows an action at once would not see what the action did.
type ledger struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]map[string]written
}

// written is the last write to one release Secret.
type written struct {
	version string
	deleted bool
}

func (l *ledger) note(release types.NamespacedName, secret string, what written) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[types.NamespacedName]map[string]written{}
	}
	if l.entries[release] == nil {
		l.entries[release] = map[string]written{}
	}
	l.entries[release][secret] = what
}

// reconcile compares what the index lists with what was written. It returns false where the index is behind; a Secret
// that was deleted and is still listed is left out. What the index shows by now is forgotten.
func (l *ledger) reconcile(release types.NamespacedName, listed []metav1.PartialObjectMetadata) ([]metav1.PartialObjectMetadata, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.entries[release]
	if len(entries) == 0 {
		return listed, true
	}
	versions := map[string]string{}
	for _, item := range listed {
		versions[item.Name] = item.ResourceVersion
	}
	for secret, what := range entries {
		version, present := versions[secret]
		if what.deleted && !present || !what.deleted && present && !older(version, what.version) {
			delete(entries, secret)
		}
	}
	if len(entries) == 0 {
		delete(l.entries, release)
		return listed, true
	}
	caughtUp := true
	for _, what := range entries {
		caughtUp = caughtUp && what.deleted
	}
	return slices.DeleteFunc(slices.Clone(listed), func(item metav1.PartialObjectMetadata) bool { return entries[item.Name].deleted }), caughtUp
}

// settle compares with what the API server itself lists: a Secret that is not there any more was deleted by somebody
// else, and the index will never show it.
func (l *ledger) settle(release types.NamespacedName, listed []metav1.PartialObjectMetadata) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for secret, what := range l.entries[release] {
		present := slices.ContainsFunc(listed, func(item metav1.PartialObjectMetadata) bool { return item.Name == secret })
		if !present && !what.deleted {
			delete(l.entries[release], secret)
		}
	}
	if len(l.entries[release]) == 0 {
		delete(l.entries, release)
	}
}

// older tells that one resourceVersion comes before another. What cannot be compared counts as older, which costs a look
// at the API server.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order < 0
}

// Observed is Current for those who are told of every change and act on nothing without looking again: it reads the index
// where there is one, and the API server where the index does not show our own writes yet.
func (c *Client) Observed(ctx context.Context, namespace, name string) (*Release, error) {
	return c.current(ctx, namespace, name, c.indexedRevisions)
}

// indexedRevisions returns the revisions that the index knows, highest first.
func (c *Client) indexedRevisions(ctx context.Context, namespace, name string) ([]revision, error) {
	if c.cfg.Index == nil {
		return c.listRevisions(ctx, namespace, name)
	}
	listed, err := c.cfg.Index.Revisions(ctx, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("look for release Secrets: %w", err)
	}
	listed, caughtUp := c.ledger.reconcile(types.NamespacedName{Namespace: namespace, Name: name}, listed)
	if !caughtUp {
		return c.listRevisions(ctx, namespace, name)
	}
	return revisionsOf(listed), nil
}

// unknownRelease tells that neither the index nor the ledger knows any revision. Who then makes the first one is refused
// by the API server where the index was behind, before anything else is written: the name of a revision is taken once.
func (c *Client) unknownRelease(ctx context.Context, namespace, name string) bool {
	if c.cfg.Index == nil {
		return false
	}
	listed, err := c.cfg.Index.Revisions(ctx, namespace, name)
	if err != nil {
		return false
	}
	listed, caughtUp := c.ledger.reconcile(types.NamespacedName{Namespace: namespace, Name: name}, listed)
	return caughtUp && len(listed) == 0
}

// revisionsOf reads what labels tell, highest revision first.
func revisionsOf(listed []metav1.PartialObjectMetadata) []revision {
	revisions := make([]revision, 0, len(listed))
	for _, item := range listed {
		number, err := strconv.Atoi(item.Labels["version"])
		if err != nil {
			continue
		}
		revisions = append(revisions, revision{number: number, version: string(item.UID) + "/" + item.ResourceVersion})
	}
	slices.SortFunc(revisions, func(a, b revision) int { return cmp.Compare(b.number, a.number) })
	return revisions
}
