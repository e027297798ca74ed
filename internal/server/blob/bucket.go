package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// callTimeout bounds what moves no bytes, with all its tries.
	callTimeout = 30 * time.Second
	// assembleTimeout bounds joining the parts of an upload and copying, which a store may do byte by byte.
	assembleTimeout = 10 * time.Minute
	// stallTimeout is how long a transfer may stand still.
	stallTimeout = time.Minute
	// concurrency is how many objects are removed at once.
	concurrency = 16
	// tries and firstPause are for what the stores' own clients do not retry.
	tries      = 4
	firstPause = 200 * time.Millisecond
)

// driver is one kind of store. It knows names, never keys.
type driver interface {
	content
	signer
	assembler
	// explain tells what an error of the store means: a reason, and what to do about it.
	explain(err error) (reason, hint string)
	close() error
}

type content interface {
	put(ctx context.Context, name string, r io.Reader, size int64, o PutOptions) error
	get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, Object, error)
	stat(ctx context.Context, name string) (Object, error)
	remove(ctx context.Context, name string) error
	copyObject(ctx context.Context, from, to string) error
	// list yields names with what is known of their objects.
	list(ctx context.Context, prefix string) iter.Seq2[listed, error]
}

type listed struct {
	name string
	Object
}

type signer interface {
	signGet(ctx context.Context, name string, o GetOptions) (string, error)
	signPut(ctx context.Context, name string, o PutOptions) (SignedPut, error)
	// allowOrigins makes the store answer browsers; see Bucket.EnsureCORS.
	allowOrigins(ctx context.Context, origins []string) (changed bool, err error)
}

type assembler interface {
	start(ctx context.Context, name string, o PutOptions) (id string, err error)
	signPart(ctx context.Context, name, id string, number int, o PutOptions) (SignedPut, error)
	complete(ctx context.Context, name, id string, parts []Part) error
	abort(ctx context.Context, name, id string) error
}

// Bucket keeps objects. It may be used by many at once.
type Bucket struct {
	driver driver
	place  place
	cfg    Config
	http   *http.Client
}

// Open prepares a bucket. Nobody is asked whether it exists: Check does that.
func Open(ctx context.Context, cfg Config) (*Bucket, error) {
	p, err := cfg.place()
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.stall == 0 {
		cfg.stall = stallTimeout
	}
	b := &Bucket{place: p, cfg: cfg, http: newClient()}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch p.kind {
	case kindS3:
		b.driver, err = openS3(ctx, p, b.http)
	case kindGCS:
		b.driver, err = openGCS(ctx, p, cfg, b.http)
	case kindAzure:
		b.driver, err = openAzure(p, cfg, b.http)
	default:
		b.driver, err = openFolder(p.bucket, cfg)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// String names the bucket for people.
func (b *Bucket) String() string { return b.place.String() }

// Kind is "S3", "Google Cloud Storage", "Azure Blob Storage" or "folder".
func (b *Bucket) Kind() string { return b.place.kind.label() }

// Close frees connections.
func (b *Bucket) Close() error {
	err := b.driver.close()
	b.http.CloseIdleConnections()
	return err
}

// Handler serves the signed URLs of a folder below /storage/; nil for stores that serve their own.
func (b *Bucket) Handler() http.Handler {
	if f, ok := b.driver.(*folder); ok {
		return f
	}
	return nil
}

// Put stores bytes and returns when they are on stable storage. Size is how many they are, -1 where that is not known;
// with another size or MD5 nothing is stored, and the reason is ReasonMismatch. An object of that key is replaced.
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, size int64, o PutOptions) (Object, error) {
	counted := newCounter(r, size, o.MD5)
	err := b.transfer(ctx, "put", key, func(ctx context.Context, name string, alive func()) error {
		counted.alive = alive
		return b.driver.put(ctx, name, counted, size, o)
	})
	if err != nil {
		return Object{}, err
	}
	return Object{Key: key, Size: counted.n, MD5: counted.sum(), ContentType: contentType(o.ContentType), Modified: b.cfg.now()}, nil
}

// Get reads length bytes from offset on, or all that follow where length is negative. The object's MD5 and ETag are known
// to Stat only. Reading fails when the store stands still for a minute.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Object, error) {
	ctx, cancel := context.WithCancel(ctx)
	guard := time.AfterFunc(b.cfg.stall, cancel)
	var body io.ReadCloser
	var object Object
	err := b.named(ctx, "get", key, func(ctx context.Context, name string) (err error) {
		body, object, err = b.driver.get(ctx, name, offset, length)
		return err
	})
	if err != nil {
		guard.Stop()
		cancel()
		return nil, Object{}, err
	}
	object.Key = key
	return &guarded{body: body, guard: guard, stall: b.cfg.stall, cancel: cancel}, object, nil
}

// Stat tells about an object; errors.Is(err, ErrNotFound) where there is none.
func (b *Bucket) Stat(ctx context.Context, key string) (Object, error) {
	var object Object
	err := b.call(ctx, "stat", key, func(ctx context.Context, name string) (err error) {
		object, err = b.driver.stat(ctx, name)
		return err
	})
	object.Key = key
	return object, err
}

// Delete removes objects. One that does not exist is no error.
func (b *Bucket) Delete(ctx context.Context, keys ...string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for _, key := range keys {
		group.Go(func() error {
			err := b.call(groupCtx, "delete", key, b.driver.remove)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// DeletePrefix removes every object of a folder, "runs/12/".
func (b *Bucket) DeletePrefix(ctx context.Context, folder string) error {
	prefix, err := b.prefix(folder)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for object, err := range b.driver.list(groupCtx, prefix) {
		if err != nil {
			return errors.Join(b.failed("list objects of", folder, err), group.Wait())
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(groupCtx, callTimeout)
			defer cancel()
			err := b.failed("delete", object.name, b.driver.remove(ctx, object.name))
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// List yields the objects of a folder, "runs/12/", or of all folders for "", in no particular order. Where a key was too
// long for a name, the part that is not known is missing in Key: only DeletePrefix finds such an object again.
func (b *Bucket) List(ctx context.Context, folder string) iter.Seq2[Object, error] {
	return b.ListSome(ctx, folder, "")
}

// Paged tells whether lists come a page at a time, so that listing parts of a folder at once takes less time than listing it
// whole. A local folder is read whole for each part.
func (b *Bucket) Paged() bool {
	_, local := b.driver.(*folder)
	return !local
}

// ListSome yields, as List does, those objects of a folder whose names begin with some small letters and digits. Parts of a
// large folder are listed at once in a fraction of the time: a store tells 1,000 names, and the next only after these.
func (b *Bucket) ListSome(ctx context.Context, folder, beginning string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		prefix, err := b.prefix(folder)
		if err != nil {
			yield(Object{}, err)
			return
		}
		for object, err := range b.driver.list(ctx, prefix+beginning) {
			if err != nil {
				yield(Object{}, b.failed("list objects of", folder, err))
				return
			}
			key, _, err := keyOf(strings.TrimPrefix(object.name, b.place.prefix))
			if err != nil {
				continue // somebody else's object
			}
			object.Key = key
			if !yield(object.Object, nil) {
				return
			}
		}
	}
}

// Copy makes an object of another one without moving its bytes through this program.
func (b *Bucket) Copy(ctx context.Context, from, to string) error {
	if err := checkKey(from); err != nil {
		return keyError(from, err)
	}
	return b.timed(ctx, assembleTimeout, "copy", to, func(ctx context.Context, name string) error {
		return b.driver.copyObject(ctx, b.name(from), name)
	})
}

// SignGet returns a URL by which anybody reads the object until it expires. The object need not exist.
func (b *Bucket) SignGet(ctx context.Context, key string, o GetOptions) (string, error) {
	o.Expiry = expiryOf(o.Expiry)
	var signed string
	err := b.call(ctx, "sign", key, func(ctx context.Context, name string) (err error) {
		signed, err = b.driver.signGet(ctx, name, o)
		return err
	})
	return signed, err
}

// SignPut returns a URL by which anybody writes the object until it expires, any number of times.
func (b *Bucket) SignPut(ctx context.Context, key string, o PutOptions) (SignedPut, error) {
	o.Expiry = expiryOf(o.Expiry)
	var signed SignedPut
	err := b.call(ctx, "sign", key, func(ctx context.Context, name string) (err error) {
		signed, err = b.driver.signPut(ctx, name, o)
		return err
	})
	return signed, err
}

// TagsParts tells whether the store answers the upload of a part with an ETag, without which clients take it for failed. Azure
// does not; to Azure clients send large files in blocks of their own, by the URL of the whole.
func (b *Bucket) TagsParts() bool {
	_, azure := b.driver.(*azureStore)
	return !azure
}

// StartUpload begins an upload in parts, and returns its id.
func (b *Bucket) StartUpload(ctx context.Context, key string, o PutOptions) (string, error) {
	var id string
	err := b.call(ctx, "start", key, func(ctx context.Context, name string) (err error) {
		id, err = b.driver.start(ctx, name, o)
		return err
	})
	return id, err
}

// SignPart returns a URL for one part of an upload. Every part but the last must have at least 5 MiB.
func (b *Bucket) SignPart(ctx context.Context, key, id string, number int, o PutOptions) (SignedPut, error) {
	o.Expiry = expiryOf(o.Expiry)
	if number < 1 || number > MaxParts {
		return SignedPut{}, keyError(key, fmt.Errorf("a part's number is %d and must be 1 to %d", number, MaxParts))
	}
	var signed SignedPut
	err := b.call(ctx, "sign", key, func(ctx context.Context, name string) (err error) {
		signed, err = b.driver.signPart(ctx, name, id, number, o)
		return err
	})
	return signed, err
}

// CompleteUpload makes an object of the parts, numbered without a gap from 1. ReasonMismatch where one is missing or
// has another MD5; ErrNotFound where there is no such upload, which is also so after it was completed.
func (b *Bucket) CompleteUpload(ctx context.Context, key, id string, parts []Part) error {
	for i, part := range parts {
		if part.Number != i+1 {
			return mismatch(key, fmt.Errorf("part %d follows where part %d should", part.Number, i+1))
		}
	}
	if len(parts) == 0 || len(parts) > MaxParts {
		return mismatch(key, fmt.Errorf("an upload has 1 to %d parts, not %d", MaxParts, len(parts)))
	}
	return b.timed(ctx, assembleTimeout, "complete", key, func(ctx context.Context, name string) error {
		return b.driver.complete(ctx, name, id, parts)
	})
}

// AbortUpload forgets an upload and its parts. One that does not exist is no error.
func (b *Bucket) AbortUpload(ctx context.Context, key, id string) error {
	err := b.call(ctx, "abort", key, func(ctx context.Context, name string) error { return b.driver.abort(ctx, name, id) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (b *Bucket) name(key string) string { return b.place.prefix + nameOf(key) }

func (b *Bucket) prefix(folder string) (string, error) {
	prefix, err := prefixOf(folder)
	if err != nil {
		return "", keyError(folder, err)
	}
	return b.place.prefix + prefix, nil
}

// call does what moves no bytes, and observes it.
func (b *Bucket) call(ctx context.Context, operation, key string, f func(ctx context.Context, name string) error) error {
	return b.timed(ctx, callTimeout, operation, key, f)
}

func (b *Bucket) timed(ctx context.Context, timeout time.Duration, operation, key string, f func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return b.named(ctx, operation, key, f)
}

// transfer moves bytes: it may take any time, as long as they move.
func (b *Bucket) transfer(ctx context.Context, operation, key string, f func(context.Context, string, func()) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := time.AfterFunc(b.cfg.stall, cancel)
	defer guard.Stop()
	return b.named(ctx, operation, key, func(ctx context.Context, name string) error {
		return f(ctx, name, func() { guard.Reset(b.cfg.stall) })
	})
}

func (b *Bucket) named(ctx context.Context, operation, key string, f func(context.Context, string) error) error {
	if err := checkKey(key); err != nil {
		return keyError(key, err)
	}
	start := time.Now()
	err := b.failed(operation, key, f(ctx, b.name(key)))
	if b.cfg.Observe != nil {
		b.cfg.Observe(operation, outcome(err), time.Since(start))
	}
	return err
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return fault.Reason(err, ReasonFailed)
}

// retried makes another try where an error may pass, for what a store's own client does not retry.
func retried(ctx context.Context, again func(error) bool, f func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || !again(err) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause *= 2
	}
}
