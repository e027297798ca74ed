package run

import (
	"context"
	"io"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/blob"
)

// noBucket answers where a Service was given none.
type noBucket struct{}

var _ Bucket = noBucket{}

func (noBucket) fail() error {
	return &fault.Error{Reason: ReasonUnsupported, Op: "this server has no bucket for files"}
}

// SignGet fails.
func (b noBucket) SignGet(context.Context, string, blob.GetOptions) (string, error) {
	return "", b.fail()
}

// SignPut fails.
func (b noBucket) SignPut(context.Context, string, blob.PutOptions) (blob.SignedPut, error) {
	return blob.SignedPut{}, b.fail()
}

// Stat finds nothing.
func (noBucket) Stat(context.Context, string) (blob.Object, error) {
	return blob.Object{}, blob.ErrNotFound
}

// Get finds nothing.
func (noBucket) Get(context.Context, string, int64, int64) (io.ReadCloser, blob.Object, error) {
	return nil, blob.Object{}, blob.ErrNotFound
}

// Delete fails.
func (b noBucket) Delete(context.Context, ...string) error { return b.fail() }

// DeletePrefix fails.
func (b noBucket) DeletePrefix(context.Context, string) error { return b.fail() }
