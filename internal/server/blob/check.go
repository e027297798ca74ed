package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	probeFolder = "probe/"
	probeKey    = probeFolder + "object"
	// checkTimeout bounds a check with all its tries.
	checkTimeout = 20 * time.Second
)

// Check tells whether everything works that this package does: it writes, finds, reads and removes a small object. The
// error's hint says what to change.
func (b *Bucket) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	key := probeFolder + rand.Text()
	body := []byte("This object was written to see whether the bucket works, and may be deleted.\n")
	if _, err := b.Put(ctx, key, bytes.NewReader(body), int64(len(body)), PutOptions{ContentType: "text/plain"}); err != nil {
		return err
	}
	err := b.checkObject(ctx, key, body)
	return errors.Join(err, b.Delete(ctx, key))
}

func (b *Bucket) checkObject(ctx context.Context, key string, body []byte) error {
	r, _, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	read, err := io.ReadAll(io.LimitReader(r, int64(len(body))+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return b.failed("read", key, err)
	}
	if !bytes.Equal(read, body) {
		return &fault.Error{
			Reason: ReasonFailed, Op: "read object " + key, Err: errors.New("it holds other bytes than were just written"), Retry: true,
			Hint: "Check that nothing caches or rewrites what is between this program and the " + b.place.String() + ".",
		}
	}
	if _, err := b.SignGet(ctx, key, GetOptions{}); err != nil {
		return err
	}
	for object, err := range b.List(ctx, probeFolder) {
		if err != nil {
			return err
		}
		if object.Key == key {
			return nil
		}
	}
	return &fault.Error{
		Reason: ReasonFailed, Op: "list objects of " + probeFolder, Retry: true,
		Err: fmt.Errorf("an object that was just written is not among those of the %s", b.place),
	}
}
