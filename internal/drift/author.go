package drift

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// authors names the field managers that wrote the differing fields; where the record does not say, the one who wrote last;
// "" where nobody but us is on record, as after a mere removal.
func authors(entries []metav1.ManagedFieldsEntry, paths []pointer) string {
	var owners []string
	var near, latest *metav1.ManagedFieldsEntry
	for i := range entries {
		entry := &entries[i]
		if entry.Manager == FieldManager || entry.Subresource == "status" {
			continue
		}
		latest = later(latest, entry)
		switch ownership(entry, paths) {
		case owned:
			owners = append(owners, entry.Manager)
		case nearby:
			near = later(near, entry)
		}
	}
	switch {
	case len(owners) > 0:
		slices.Sort(owners)
		owners = slices.Compact(owners)
		return strings.Join(owners[:min(len(owners), maxManagers)], ", ")
	case near != nil:
		return near.Manager
	case latest != nil:
		return latest.Manager
	}
	return ""
}

func later(a, b *metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	if a == nil || a.Time.Before(b.Time) {
		return b
	}
	return a
}

// Ownership of fields, in rising order. Items of lists are recorded by their keys, not by their place, so that it is not
// certain which item is meant.
const (
	foreign = iota
	nearby
	owned
)

func ownership(entry *metav1.ManagedFieldsEntry, paths []pointer) int {
	if entry.FieldsV1 == nil {
		return foreign
	}
	fields := map[string]any{}
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return foreign
	}
	highest := foreign
	for _, path := range paths {
		highest = max(highest, reach(fields, path))
	}
	return highest
}

// reach follows a path through a set of fields, at an item of a list through every item that is recorded.
func reach(fields map[string]any, path pointer) int {
	if len(path) == 0 {
		return owned
	}
	if below, found := fields["f:"+path[0]].(map[string]any); found {
		return reach(below, path[1:])
	}
	if _, err := strconv.Atoi(path[0]); err != nil {
		return foreign
	}
	if len(fields) == 0 {
		return owned // the list is one value
	}
	for key, item := range fields {
		below, isSet := item.(map[string]any)
		if isSet && key != "." && reach(below, path[1:]) == owned {
			return owned
		}
	}
	return nearby
}
