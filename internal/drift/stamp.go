package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// gone is the stamp of an object that does not exist.
	gone = "gone"
	// sameSecond is within which two writes may look alike in managedFields, whose times are in seconds; twice as long,
	// because clocks differ.
	sameSecond = 2 * time.Second

	// stampAnnotation carries the stamp of an object in the cache, in place of all that it was made from.
	stampAnnotation = "kubewandb.io/stamp"
)

// stampOf returns a text that changes when somebody writes an object, and stays when only its status is written.
//
// The generation counts changes of the specification; labels and annotations, which it does not count, are hashed beside
// it. Kinds without a generation have the resourceVersion only, which counts writes of the status too. Where such a kind
// has a status (an autoscaler's is written four times a minute), the record of who wrote which fields when stands in, as
// long as the last write is not so young that another one may still look like it.
func stampOf(object metav1.Object, now time.Time) string {
	if generation := object.GetGeneration(); generation > 0 {
		return fmt.Sprintf("g%d/%s/%s/%t", generation, object.GetUID(), hashMetadata(object), object.GetDeletionTimestamp() != nil)
	}
	if text, ok := stampOfWriters(object, now); ok {
		return text
	}
	return "v" + object.GetResourceVersion()
}

func stampOfWriters(object metav1.Object, now time.Time) (string, bool) {
	withStatus := false
	var writers []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "status" {
			withStatus = true
			continue
		}
		if entry.Time == nil || now.Sub(entry.Time.Time) < sameSecond {
			return "", false
		}
		writers = append(writers, entry)
	}
	if !withStatus || len(writers) == 0 {
		return "", false
	}
	return fmt.Sprintf("w%s/%s/%t", hash(writers), object.GetUID(), object.GetDeletionTimestamp() != nil), true
}

func hashMetadata(object metav1.Object) string {
	annotations := map[string]string{}
	for name, value := range object.GetAnnotations() {
		if !isCoincidental(name) {
			annotations[name] = value
		}
	}
	labels := map[string]string{}
	maps.Copy(labels, object.GetLabels())
	return hash([]any{labels, annotations, slices.Sorted(slices.Values(object.GetFinalizers()))})
}

func hash(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// slim replaces metadata by its stamp before it enters a cache.
func slim(object any) (any, error) {
	found, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // a tombstone, which has no metadata
	}
	if len(found.Annotations) == 1 && len(found.Labels) == 0 && found.Annotations[stampAnnotation] != "" {
		return object, nil // it was here before
	}
	kept := metav1.ObjectMeta{
		Name: found.Name, Namespace: found.Namespace, UID: found.UID, ResourceVersion: found.ResourceVersion,
		Annotations: map[string]string{stampAnnotation: stampOf(found, time.Now())},
	}
	return &metav1.PartialObjectMetadata{TypeMeta: found.TypeMeta, ObjectMeta: kept}, nil
}
