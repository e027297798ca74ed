package spec

import (
	"maps"
	"slices"
)

// Copy returns a deep copy of values; nothing in it is shared.
func Copy(values map[string]any) map[string]any { return copyMap(values) }

func copyMap(fields map[string]any) map[string]any {
	if fields == nil {
		return nil
	}
	result := make(map[string]any, len(fields))
	for key, value := range fields {
		result[key] = copyValue(value)
	}
	return result
}

func copyList(list []any) []any {
	result := make([]any, len(list))
	for i, item := range list {
		result[i] = copyValue(item)
	}
	return result
}

func copyValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return copyMap(v)
	case []any:
		return copyList(v)
	default:
		return value
	}
}

func copyMetadata(metadata map[string]string) map[string]string {
	if metadata == nil {
		return nil
	}
	return maps.Clone(metadata)
}

func sortedKeys[V any](fields map[string]V) []string {
	return slices.Sorted(maps.Keys(fields))
}

// union returns a, followed by what b holds beyond it.
func union(a, b []string) []string {
	result := slices.Clone(a)
	for _, item := range b {
		if !slices.Contains(result, item) {
			result = append(result, item)
		}
	}
	return result
}
