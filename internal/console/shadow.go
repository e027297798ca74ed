package console

import (
	"cmp"
	"maps"
	"slices"

	apiv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// shadow is a path of the user layer without effect, because a higher layer sets or removes it.
type shadow struct {
	// Path is dotted and begins with chart or values.
	Path string `json:"path"`
	// By is the layer that wins.
	By string `json:"by"`
}

// shadows compares the user layer with the custom resource, the only layer above it, and returns the paths in order. A path
// stands for everything below it.
func shadows(user spec.Layer, resource *apiv1.WeightsAndBiases) ([]shadow, error) {
	found := []shadow{}
	if resource == nil {
		return found, nil
	}
	chart, err := resource.Spec.Chart.Map()
	if err != nil {
		return nil, err
	}
	values, err := resource.Spec.Values.Map()
	if err != nil {
		return nil, err
	}
	if len(user.Chart) > 0 && len(chart) > 0 { // the highest layer's chart counts as a whole
		found = append(found, shadow{Path: keyChart, By: spec.LayerResource})
	}
	concat := resource.Spec.Merge != nil && resource.Spec.Merge.Lists == apiv1.ListsConcat
	paths := overlap(user.Values, values, []string{keyValues}, concat)
	for _, path := range slices.Concat(paths, removed(user.Values, resource.Spec.Unset)) {
		found = append(found, shadow{Path: path, By: spec.LayerResource})
	}
	slices.SortFunc(found, func(a, b shadow) int { return cmp.Compare(a.Path, b.Path) })
	return slices.Compact(found), nil
}

func overlap(lower, higher map[string]any, path []string, concat bool) []string {
	var paths []string
	for _, key := range slices.Sorted(maps.Keys(lower)) {
		above, ok := higher[key]
		if !ok {
			continue
		}
		below := append(path[:len(path):len(path)], key)
		lowerMap, isMap := lower[key].(map[string]any)
		higherMap, aboveIsMap := above.(map[string]any)
		_, isList := lower[key].([]any)
		_, aboveIsList := above.([]any)
		switch {
		case isMap && aboveIsMap:
			paths = append(paths, overlap(lowerMap, higherMap, below, concat)...)
		case isList && aboveIsList && concat:
			// both lists' items count
		default:
			paths = append(paths, spec.JoinPath(below...))
		}
	}
	return paths
}

// removed returns those paths of unset at which the user layer has something.
func removed(values map[string]any, unset []string) []string {
	var paths []string
	for _, text := range unset {
		keys, err := spec.SplitPath(text)
		if err != nil || !has(values, keys) {
			continue // the operator reports a path that is none
		}
		paths = append(paths, spec.JoinPath(append([]string{keyValues}, keys...)...))
	}
	return paths
}

func has(values map[string]any, keys []string) bool {
	content, ok := values[keys[0]]
	if !ok || len(keys) == 1 {
		return ok
	}
	below, ok := content.(map[string]any)
	return ok && has(below, keys[1:])
}
