package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Header is what a plan is about.
type Header struct {
	// Release is the name of the release that the plan leads to; empty where the chart comes from elsewhere.
	Release string `json:"release,omitempty"`
	// ReleaseID is its identifier on the deploy server.
	ReleaseID string `json:"releaseId,omitempty"`
	// Chart and ChartVersion name the chart that the plan leads to.
	Chart        string `json:"chart,omitempty"`
	ChartVersion string `json:"chartVersion,omitempty"`
	// Namespace of the release.
	Namespace string `json:"namespace,omitempty"`
	// Adoption tells that the plan takes over a Helm release that somebody else made.
	Adoption bool `json:"adoption,omitempty"`
	// Missing is the Role to apply first, as YAML; empty where the operator holds every right that it needs.
	Missing string `json:"missing,omitempty"`
	// SchemaNote says what happens to the database's schema; empty where the release says nothing about it.
	SchemaNote string `json:"schemaNote,omitempty"`
	// Live maps objects to what identified their live state when the plan was made.
	Live map[string]string `json:"live,omitempty"`
	// CreatedAt is when the plan was made.
	CreatedAt time.Time `json:"createdAt"`
}

// Plan says what is going to change. It holds no credential.
type Plan struct {
	Header

	// Digest of Inputs: what an approval names.
	Digest string `json:"digest"`
	Inputs Inputs `json:"inputs"`
	// Manifest is the digest of the rendered text; Encode sets it.
	Manifest string `json:"manifest,omitempty"`

	Changes  []Change  `json:"changes,omitempty"`
	Images   []Image   `json:"images,omitempty"`
	Restarts []Restart `json:"restarts,omitempty"`
	Rights   []Right   `json:"rights,omitempty"`
	// Generated paths differ between two renders of the same input, and are left out of Changes.
	Generated Paths `json:"generated,omitempty"`
}

// Make compares what runs (nil before a first install) with what was rendered.
func Make(header Header, inputs Inputs, before, after []Object, options Options) *Plan {
	masks := newMasker(options.Secrets, before, after)
	header.Live = maps.Clone(header.Live)
	return &Plan{
		Header:    header,
		Digest:    Digest(inputs),
		Inputs:    inputs,
		Changes:   compare(before, after, masks, options.Generated),
		Images:    images(before, after, masks),
		Restarts:  restarts(before, after, masks),
		Rights:    Rights(before, after),
		Generated: options.Generated,
	}
}

// Empty tells that applying the plan changes no object and replaces no pod.
func (p *Plan) Empty() bool { return len(p.Changes)+len(p.Restarts) == 0 }

// Counts returns how many objects are added, changed and removed, hooks included.
func (p *Plan) Counts() (added, changed, removed int) {
	for _, change := range p.Changes {
		switch change.Action {
		case Add:
			added++
		case Update:
			changed++
		case Remove:
			removed++
		}
	}
	return added, changed, removed
}

// Moved returns the live objects that are no longer as they were when the plan was made, sorted; each voids an approval.
// live is what Header.Live was, read anew.
func (p *Plan) Moved(live map[string]string) []string {
	var moved []string
	for object, was := range p.Live {
		if live[object] != was {
			moved = append(moved, object)
		}
	}
	slices.Sort(moved)
	return moved
}

// maxRestarts is as many as the API takes.
const maxRestarts = 32

// Summary returns what status shows. Whether the plan is approved is for the caller to say.
func (p *Plan) Summary() appsv1.PlanStatus {
	const wide = 1<<31 - 1
	added, changed, removed := p.Counts()
	status := appsv1.PlanStatus{
		Digest: p.Digest, Release: p.Release, ChartVersion: p.ChartVersion, Schema: p.SchemaNote, Adoption: p.Adoption,
		Added: int32(min(added, wide)), Changed: int32(min(changed, wide)), Removed: int32(min(removed, wide)),
	}
	if !p.CreatedAt.IsZero() {
		status.CreatedAt = &metav1.Time{Time: p.CreatedAt.UTC().Truncate(time.Second)}
	}
	for i, restart := range p.Restarts {
		if i == maxRestarts-1 && len(p.Restarts) > maxRestarts {
			status.Restarts = append(status.Restarts, fmt.Sprintf("and %d more", len(p.Restarts)-i))
			break
		}
		status.Restarts = append(status.Restarts, restart.Object)
	}
	return status
}
