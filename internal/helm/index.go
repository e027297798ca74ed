package helm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

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
	now func() time.Time

	mu      sync.Mutex
	entries map[types.NamespacedName]map[string]written
}

// written is the last write to one release Secret.
type written struct {
	// item is its metadata after the write.
	item    metav1.PartialObjectMetadata
	deleted bool
	at      time.Time
}

// ledgerPatience is how long the index may take to show a write. Afterwards the API server is asked: somebody else may
// have deleted the Secret before the index saw it.
const ledgerPatience = 15 * time.Second

func (l *ledger) note(release types.NamespacedName, what written) {
	what.at = l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[types.NamespacedName]map[string]written{}
	}
	if l.entries[release] == nil {
		l.entries[release] = map[string]written{}
	}
	l.entries[release][what.item.Name] = what
}

// merge lays our own writes over what the index lists, and forgets those that the index shows by now. It returns false
// where the index should show a write and does not.
func (l *ledger) merge(release types.NamespacedName, listed []metav1.PartialObjectMetadata) ([]metav1.PartialObjectMetadata, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.entries[release]
	if len(entries) == 0 {
		return listed, true
	}
	merged := make([]metav1.PartialObjectMetadata, 0, len(listed)+1)
	shown := map[string]string{}
	for _, item := range listed {
		what, ours := entries[item.Name]
		if !ours || !what.deleted && !older(item.ResourceVersion, what.item.ResourceVersion) {
			merged = append(merged, item)
		}
		shown[item.Name] = item.ResourceVersion
	}
	believed := true
	for name, what := range entries {
		version, present := shown[name]
		switch {
		case what.deleted && !present, !what.deleted && present && !older(version, what.item.ResourceVersion):
			delete(entries, name)
			continue
		case !what.deleted:
			merged = append(merged, what.item)
		}
		believed = believed && l.now().Sub(what.at) < ledgerPatience
	}
	if len(entries) == 0 {
		delete(l.entries, release)
	}
	return merged, believed
}

// settle forgets everything about a release whose Secrets the API server itself has listed after patience was over.
func (l *ledger) settle(release types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.entries[release]
	for name, what := range entries {
		if l.now().Sub(what.at) >= ledgerPatience {
			delete(entries, name)
		}
	}
	if len(entries) == 0 {
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
// where there is one, with our own writes laid over it.
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
	listed, believed := c.ledger.merge(types.NamespacedName{Namespace: namespace, Name: name}, listed)
	if !believed {
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
	listed, believed := c.ledger.merge(types.NamespacedName{Namespace: namespace, Name: name}, listed)
	return believed && len(listed) == 0
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
