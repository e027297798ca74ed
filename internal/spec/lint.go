package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Keys that today's operator reads from values and hands on; no chart's schema needs to know them.
const (
	// KeyReleaseID pins a release of the channel; read from the user layer.
	KeyReleaseID = "_releaseId"
	// KeyReconcileFrequency is a Go duration.
	KeyReconcileFrequency = "reconcileFrequency"
)

// maxTypoDistance is how many letters may differ in a "did you mean".
const maxTypoDistance = 3

// warnings names what a person wrote in vain: keys without effect, and keys that the schema does not know. Only the user
// and resource layers count, since nobody here can change the channel's.
func (s *Schema) warnings(result *Resolved) []Warning {
	if s == nil {
		return nil
	}
	seen := map[string]bool{}
	var found []Warning
	for _, path := range sortedKeys(result.Origins) {
		layer := result.Origins[path].Layer
		if layer == LayerOperator || layer == LayerChannel {
			continue
		}
		if warning, ok := s.lint(path, result.Values); ok && !seen[warning.Path] {
			seen[warning.Path] = true
			warning.Layer = layer
			found = append(found, warning)
		}
	}
	return found
}

// lint walks down path and returns the first thing to warn of.
func (s *Schema) lint(path string, values map[string]any) (Warning, bool) {
	keys, err := SplitPath(path)
	if err != nil {
		return Warning{}, false
	}
	parts := s.expand(s.root, 0)
	value := any(values)
	for depth, key := range keys {
		inner, _ := value.(map[string]any)
		value = inner[key]
		at := JoinPath(keys[:depth+1]...)
		var next []map[string]any
		for _, part := range parts {
			next = append(next, s.child(part, key)...)
		}
		if len(next) == 0 {
			if !closed(parts) || (depth == 0 && (key == KeyReleaseID || key == KeyReconcileFrequency)) {
				return Warning{}, false
			}
			return Warning{Path: at, Message: unknownKey(key, parts)}, true
		}
		if reason, none := effectless(next); none {
			if value == nil || isDefault(value, next) {
				return Warning{}, false
			}
			message := "has no effect"
			if reason != "" {
				message += ": " + reason
			}
			return Warning{Path: at, Message: message}, true
		}
		parts = next
	}
	return Warning{}, false
}

// isDefault tells whether a key without effect has the value with which nothing was wished for: `mysql: {install: false}`,
// which everybody writes, asks for what happens anyway.
func isDefault(value any, parts []map[string]any) bool {
	return slices.ContainsFunc(parts, func(part map[string]any) bool {
		preset, found := part["default"]
		if !found {
			return false
		}
		wanted, errWanted := json.Marshal(preset)
		got, errGot := json.Marshal(value)
		return errWanted == nil && errGot == nil && string(wanted) == string(got)
	})
}

// closed tells whether the schema excludes keys that it does not name, or wants a word about them. Where several parts speak, one that leaves the
// object open only because it adds to another does not count.
func closed(parts []map[string]any) bool {
	return slices.ContainsFunc(parts, func(part map[string]any) bool {
		return part["additionalProperties"] == false || part["unevaluatedProperties"] == false || part["x-unknown"] == "warn"
	})
}

func effectless(parts []map[string]any) (string, bool) {
	for _, part := range parts {
		if part["x-effect"] == "none" {
			reason, _ := part["x-effect-reason"].(string)
			return reason, true
		}
	}
	return "", false
}

func unknownKey(key string, parts []map[string]any) string {
	best, distance := "", maxTypoDistance+1
	for _, part := range parts {
		properties, _ := part["properties"].(map[string]any)
		for _, candidate := range sortedKeys(properties) {
			d := levenshtein.ComputeDistance(strings.ToLower(key), strings.ToLower(candidate))
			if d < distance && d*2 < len(candidate)+1 {
				best, distance = candidate, d
			}
		}
	}
	if best == "" {
		return "the chart does not know this key"
	}
	return fmt.Sprintf("the chart does not know this key; did you mean %q?", best)
}
