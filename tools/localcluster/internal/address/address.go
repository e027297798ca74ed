// Package address gives each cluster a loopback address of its own.
//
// A cluster keeps its address across down and up, so that a kubeconfig, a
// browser's bookmark or an exported variable stays valid.
package address

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// last is the largest index: 127.77.0.255 is left alone because some stacks
// treat a trailing 255 as a broadcast address.
const last = 254

// Loopback is the address of index n.
func Loopback(n int) string { return fmt.Sprintf("127.77.0.%d", n) }

// first returns the index at which the search for a cluster begins. The first
// one is the demo's own, so that its address is the same on every machine, in
// whatever order clusters are made.
func first(cluster string) int {
	const demo = "demo"
	if cluster == demo {
		return 1
	}
	return 2
}

// Index remembers which cluster has which address. Callers hold a lock around
// Allocate and Release.
type Index struct {
	// Path of the JSON file with cluster name → index.
	Path string
}

// Allocate returns the cluster's index, choosing the smallest one that no other
// cluster has and that free accepts when the cluster has none yet.
func (x Index) Allocate(cluster string, free func(n int) bool) (int, error) {
	taken, err := x.read()
	if err != nil {
		return 0, err
	}
	if n, ok := taken[cluster]; ok {
		return n, nil
	}
	used := make(map[int]bool, len(taken))
	for _, n := range taken {
		used[n] = true
	}
	for n := first(cluster); n <= last; n++ {
		if used[n] || !free(n) {
			continue
		}
		taken[cluster] = n
		return n, x.write(taken)
	}
	return 0, fmt.Errorf("allocate a loopback address for cluster %q: all %d are taken; remove clusters with `localcluster --name <name> down --purge`", cluster, last)
}

// Lookup returns the cluster's index without choosing one.
func (x Index) Lookup(cluster string) (n int, ok bool, err error) {
	taken, err := x.read()
	if err != nil {
		return 0, false, err
	}
	n, ok = taken[cluster]
	return n, ok, nil
}

// Release forgets the cluster's index.
func (x Index) Release(cluster string) error {
	taken, err := x.read()
	if err != nil {
		return err
	}
	if _, ok := taken[cluster]; !ok {
		return nil
	}
	delete(taken, cluster)
	return x.write(taken)
}

// Clusters returns the names that have an address, sorted.
func (x Index) Clusters() ([]string, error) {
	taken, err := x.read()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(taken))
	for name := range taken {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, nil
}

func (x Index) read() (map[string]int, error) {
	content, err := os.ReadFile(x.Path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]int{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read address index: %w", err)
	}
	taken := map[string]int{}
	if err := json.Unmarshal(content, &taken); err != nil {
		return nil, fmt.Errorf("parse address index %s (delete it when no cluster runs): %w", x.Path, err)
	}
	return taken, nil
}

func (x Index) write(taken map[string]int) error {
	content, err := json.MarshalIndent(taken, "", "  ")
	if err != nil {
		return fmt.Errorf("encode address index: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(x.Path), 0o755); err != nil {
		return fmt.Errorf("create folder of address index: %w", err)
	}
	next := x.Path + ".next"
	if err := os.WriteFile(next, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write address index: %w", err)
	}
	if err := os.Rename(next, x.Path); err != nil {
		return fmt.Errorf("replace address index: %w", err)
	}
	return nil
}
