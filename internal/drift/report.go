package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Bounds of what a status holds and a message shows.
const (
	maxObjects  = 32
	maxPaths    = 16
	maxManagers = 3

	shownObjects = 5
	shownPaths   = 3
	shownKinds   = 8
)

// Changes of an object.
const (
	changed = "Changed"
	removed = "Removed"
)

// Report is what is known about a release.
type Report struct {
	// Drifted names objects that differ from what was installed, in the order of the manifest; at most 32.
	Drifted []appsv1.DriftStatus
	// Total counts them all.
	Total int
	// Unwatched names what cannot be watched and is looked at every few minutes instead: "Role (forbidden)".
	Unwatched []string
	// Uncompared names objects that could not be compared, with the reason: "Secret a: Forbidden".
	Uncompared []string
	// CheckedAt is when an object was compared last. It is zero until the release has been looked at as a whole for the
	// first time, which happens a few seconds after a new ID.
	CheckedAt time.Time
}

// Message sums up the report for a condition or an event. It is empty where there is nothing to say.
func (r Report) Message() string {
	var sentences []string
	if text := r.driftedMessage(); text != "" {
		sentences = append(sentences, text)
	}
	if len(r.Uncompared) > 0 {
		sentences = append(sentences, "Not compared: "+listed(r.Uncompared, shownObjects))
	}
	if len(r.Unwatched) > 0 {
		sentences = append(sentences, "Not watched, looked at every few minutes: "+listed(r.Unwatched, shownKinds))
	}
	return strings.Join(sentences, ". ")
}

func (r Report) driftedMessage() string {
	parts := make([]string, 0, shownObjects)
	for _, one := range r.Drifted[:min(len(r.Drifted), shownObjects)] {
		text := one.Object + " was " + strings.ToLower(one.Change)
		if one.By != "" {
			text += " by " + one.By
		}
		if len(one.Paths) > 0 {
			text += " (" + listed(one.Paths, shownPaths) + ")"
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, "; ")
	if more := max(r.Total, len(r.Drifted)) - len(parts); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func listed(items []string, limit int) string {
	text := strings.Join(items[:min(len(items), limit)], ", ")
	if more := len(items) - limit; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// add takes over one finding, within the bounds of the status.
func (r *Report) add(finding appsv1.DriftStatus) {
	r.Total++
	if len(r.Drifted) < maxObjects {
		r.Drifted = append(r.Drifted, finding)
	}
}

// changedAt makes the finding for an object whose fields differ.
func changedAt(object string, paths []pointer, by string) appsv1.DriftStatus {
	finding := appsv1.DriftStatus{Object: object, Change: changed, By: by}
	for _, path := range paths {
		finding.Paths = append(finding.Paths, path.String())
	}
	slices.Sort(finding.Paths)
	finding.Paths = slices.Compact(finding.Paths)
	finding.Paths = finding.Paths[:min(len(finding.Paths), maxPaths)]
	return finding
}
