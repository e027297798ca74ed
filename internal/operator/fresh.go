package operator

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// fresh lets a pass read the resource as we have written it last. A pass that follows our own write at once would read an
// older state from the cache, and its next write would be refused: a second lost, and a request.
type fresh struct {
	mu      sync.Mutex
	written map[types.NamespacedName]*appsv1.WeightsAndBiases
}

// wrote remembers a resource as the API server answered.
func (f *fresh) wrote(object client.Object) {
	cr, ok := object.(*appsv1.WeightsAndBiases)
	if !ok {
		return
	}
	kept := cr.DeepCopy()
	kept.SetManagedFields(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.written == nil {
		f.written = map[types.NamespacedName]*appsv1.WeightsAndBiases{}
	}
	f.written[client.ObjectKeyFromObject(cr)] = kept
}

// update replaces what the cache says where the cache is behind, and forgets our own write otherwise.
func (f *fresh) update(key types.NamespacedName, cr *appsv1.WeightsAndBiases) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, ok := f.written[key]
	if !ok {
		return
	}
	order, err := resourceversion.CompareResourceVersion(cr.ResourceVersion, kept.ResourceVersion)
	if err != nil || order >= 0 || cr.UID != kept.UID {
		delete(f.written, key)
		return
	}
	kept.DeepCopyInto(cr)
}

func (f *fresh) forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.written, key)
}

// freshReader is a cache with our own writes laid over it.
type freshReader struct {
	client.Reader
	fresh *fresh
}

// Get implements client.Reader.
func (r freshReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, object, options...)
	if cr, ok := object.(*appsv1.WeightsAndBiases); ok {
		switch {
		case err == nil:
			r.fresh.update(key, cr)
		case apierrors.IsNotFound(err):
			r.fresh.forget(key)
		}
	}
	return err // of the cache, which names the object
}

// freshClient remembers what it writes.
type freshClient struct {
	client.Client
	fresh *fresh
}

// Patch implements client.Client.
func (c freshClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	err := c.Client.Patch(ctx, object, patch, options...)
	if err == nil {
		c.fresh.wrote(object)
	}
	return err // callers test for errors of the API
}

// Status implements client.Client.
func (c freshClient) Status() client.SubResourceWriter {
	return freshStatus{SubResourceWriter: c.Client.Status(), fresh: c.fresh}
}

type freshStatus struct {
	client.SubResourceWriter
	fresh *fresh
}

// Patch implements client.SubResourceWriter.
func (s freshStatus) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	err := s.SubResourceWriter.Patch(ctx, object, patch, options...)
	if err == nil {
		s.fresh.wrote(object)
	}
	return err // callers test for errors of the API
}
