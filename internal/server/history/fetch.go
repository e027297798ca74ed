package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// fetches is how many ranges one reader asks a bucket for at once: a far one answers each after tens of milliseconds.
	fetches = 16
	// maxFetch bounds one range; wasted, of a range that joins several, is bounded by three times what is wanted of it.
	maxFetch  = 4 << 20
	smallGap  = 4 << 10
	maxWasted = 3
)

// objectKey is where an object lies in the bucket.
func objectKey(o store.Object) string { return fmt.Sprintf("history/%d/%d", o.Run, o.ID) }

// extent is a range of an object.
type extent struct{ offset, length int64 }

// joined is a range that several wanted ones are read with.
type joined struct {
	extent
	wanted int64
	first  int // of the wanted ones
	n      int
}

// join puts ascending ranges together where that reads little in vain.
func join(wanted []extent) []joined {
	var out []joined
	for i, w := range wanted {
		if n := len(out); n > 0 {
			last := &out[n-1]
			gap := w.offset - (last.offset + last.length)
			total := max(w.offset+w.length-last.offset, last.length)
			useful := last.wanted + w.length
			if total <= maxFetch && (gap <= smallGap || total <= (maxWasted+1)*useful) {
				last.length, last.wanted = total, useful
				last.n++
				continue
			}
		}
		out = append(out, joined{extent: w, wanted: w.length, first: i, n: 1})
	}
	return out
}

// fetch reads ascending ranges of an object.
func (s *Service) fetch(ctx context.Context, object store.Object, wanted []extent) ([][]byte, error) {
	out := make([][]byte, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, j := range join(wanted) {
		group.Go(func() error {
			b, err := s.get(ctx, object, j.extent)
			if err != nil {
				return err
			}
			for i := j.first; i < j.first+j.n; i++ {
				from := wanted[i].offset - j.offset
				out[i] = b[from : from+wanted[i].length : from+wanted[i].length]
			}
			return nil
		})
	}
	return out, group.Wait()
}

func (s *Service) get(ctx context.Context, object store.Object, e extent) ([]byte, error) {
	if s.bucket == nil {
		return nil, bucketFailed(errors.New("no bucket is configured"))
	}
	body, err := s.bucket.Get(ctx, objectKey(object), e.offset, e.length)
	if err != nil {
		return nil, bucketFailed(err)
	}
	b := make([]byte, e.length)
	_, err = io.ReadFull(body, b)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, bucketFailed(err)
	}
	return b, nil
}

// bucketFailed is answered like a database that does not: the client comes again. An object that is gone was replaced.
func bucketFailed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return &fault.Error{
		Reason: store.ReasonUnavailable, Op: "read the history from the bucket", Err: err, Retry: true,
		Hint: "Check that the bucket answers: see GET /ready.",
	}
}
