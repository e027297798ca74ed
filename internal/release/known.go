package release

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Known remembers memories, so that a pass reads Secret <cr>-spec-active only after somebody else has written it. It keeps
// what a memory holds and nothing else of the Secret, which has passwords in it.
type Known struct {
	// Version returns the resourceVersion of a Secret as a watch knows it, which may be a moment behind; empty where it
	// knows none.
	Version func(ctx context.Context, secret types.NamespacedName) (string, error)

	mu      sync.Mutex
	entries map[types.NamespacedName]knownMemory
}

// knownMemory is a memory as it was read or written last.
type knownMemory struct {
	// version is empty where there was no Secret.
	version string
	memory  Memory
}

// maxKnown bounds what resources leave behind that are gone.
const maxKnown = 8192

// get returns what is known and still holds.
func (k *Known) get(ctx context.Context, key types.NamespacedName) (knownMemory, bool, error) {
	if k == nil {
		return knownMemory{}, false, nil
	}
	k.mu.Lock()
	known, ok := k.entries[key]
	k.mu.Unlock()
	if !ok {
		return knownMemory{}, false, nil
	}
	version, err := k.Version(ctx, types.NamespacedName{Namespace: key.Namespace, Name: ActiveName(key.Name)})
	if err != nil {
		return knownMemory{}, false, err // names the Secret
	}
	// Where the watch shows an older state, our own write is the newer one.
	return known, version == known.version || older(version, known.version), nil
}

func (k *Known) put(key types.NamespacedName, known knownMemory) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.entries == nil || len(k.entries) >= maxKnown {
		k.entries = map[types.NamespacedName]knownMemory{}
	}
	k.entries[key] = known
}

func (k *Known) drop(key types.NamespacedName) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.entries, key)
}

// older tells that one resourceVersion comes before another; what cannot be compared does not.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}
