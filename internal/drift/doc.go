// Package drift finds objects of a release that somebody else changed or removed, and brings them back where that is
// asked for.
//
// A Watcher caches the metadata of labelled objects, never their content, and wakes a release when a change may be
// foreign. What differs is then found by a server-side dry run of that object alone: only what the manifest sets counts,
// as the API server itself understands it. A look at a release of which nothing changed makes no request.
//
// No error, report or log of this package holds a value of an object: fields are named by JSON pointer, and answers of the
// API server that quote values are cut down to their reason and the fields they name.
package drift

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const (
	// FieldManager owns the fields that releases set; it is the one that Helm applies them with.
	FieldManager = "kubewandb"

	// managedByLabel is on every object that Helm applied, and its value is what the watches select by.
	managedByLabel = "app.kubernetes.io/managed-by"
	managedByHelm  = "Helm"

	releaseNameAnnotation      = "meta.helm.sh/release-name"
	releaseNamespaceAnnotation = "meta.helm.sh/release-namespace"
	hookAnnotation             = "helm.sh/hook"
)

// Object is one object of a release's stored manifest.
type Object struct {
	APIVersion, Kind string
	// Namespace may be empty: that of the release, or none where the kind belongs to the cluster.
	Namespace, Name string
	// Content is the object as rendered. It is not changed.
	Content map[string]any
}

// Ref names one object, in the words of the manifest.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// Release is what to look at.
type Release struct {
	// Key is name and namespace of the Helm release.
	Key types.NamespacedName
	// ID changes whenever the manifest does: revision and digest.
	ID string
	// Manifest returns the stored manifest of that ID, hooks left out. It is called only when something is to be compared,
	// and its result is not kept.
	Manifest func(context.Context) ([]Object, error)
	// Ignore are the rules of the custom resource.
	Ignore []appsv1.DriftRule
	// Generated are paths whose values no two renders share, as JSON pointers, by object with its namespace filled in or
	// left out. They are ignored.
	Generated map[Ref][]string
}

func (o Object) ref() Ref {
	return Ref{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

func (r Ref) groupVersionKind() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// label is "Deployment wandb-app", with the namespace where it is not that of the release.
func (r Ref) label(home string) string {
	if r.Namespace == "" || r.Namespace == home {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Defaults of Config.
const (
	// DefaultPoll is how often objects are looked at that cannot be watched, and those that were found to differ.
	DefaultPoll = 5 * time.Minute
	// DefaultDebounce gathers the several writes of one change.
	DefaultDebounce = 500 * time.Millisecond
	// DefaultSettle is how long a new revision is left alone before it is looked at as a whole: our own writes still
	// arrive, and many releases may have been applied at once.
	DefaultSettle = 10 * time.Second
)
