package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/kubewandb/kubewandb/internal/server/blob"
)

// Bucket is where segments are kept.
type Bucket interface {
	// Put writes an object; it is durable when Put returns.
	Put(ctx context.Context, key string, body io.Reader, size int64) error
	// Get reads a range of an object, or from an offset to its end where length is negative. The error of one that does not
	// exist is fs.ErrNotExist.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Delete removes an object; one that does not exist is no error.
	Delete(ctx context.Context, key string) error
}

// InBucket keeps segments beside what clients upload.
func InBucket(b *blob.Bucket) Bucket { return blobs{b} }

type blobs struct{ bucket *blob.Bucket }

func (b blobs) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	_, err := b.bucket.Put(ctx, key, body, size, blob.PutOptions{})
	return err
}

func (b blobs) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, _, err := b.bucket.Get(ctx, key, offset, length)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return body, err
}

func (b blobs) Delete(ctx context.Context, key string) error { return b.bucket.Delete(ctx, key) }
