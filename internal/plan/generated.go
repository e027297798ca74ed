package plan

import (
	"math"
	"slices"
	"strings"
)

// Paths holds JSON pointers per object key. The pointer "" is the whole object.
type Paths map[string][]string

// Generated compares two renders of the same input and returns the paths that differ: what the chart draws at random,
// looks up or dates. Pointers lead into a; an object whose name is generated has the pointer "". Nil where nothing differs.
func Generated(a, b []Object) Paths {
	keys, first := indexed(a)
	_, second := indexed(b)
	var paths Paths
	masks := &masker{}
	for _, key := range keys {
		other, found := second[key]
		if !found {
			paths = paths.with(key, "")
			continue
		}
		w := &walker{masks: masks, limit: math.MaxInt}
		w.object(other, first[key])
		for _, field := range w.fields {
			paths = paths.with(key, field.Path)
		}
	}
	return paths
}

func (p Paths) with(key, pointer string) Paths {
	if p == nil {
		p = Paths{}
	}
	if !slices.Contains(p[key], pointer) {
		p[key] = append(p[key], pointer)
	}
	return p
}

// Covers tells whether a JSON pointer into an object, or something above it, is generated.
func (p Paths) Covers(key, pointer string) bool { return covered(p[key], pointer) }

func (p Paths) whole(key string) bool { return slices.Contains(p[key], "") }

func covered(pointers []string, pointer string) bool {
	return slices.ContainsFunc(pointers, func(generated string) bool {
		rest, below := strings.CutPrefix(pointer, generated)
		return below && (rest == "" || rest[0] == '/')
	})
}
