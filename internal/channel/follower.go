package channel

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// DefaultWait is how long the server is asked to hold an answer: below the usual 60 s idle limit of proxies.
	DefaultWait = 30 * time.Second
	// DefaultPollInterval is the pause between polls of a server that does not hold answers.
	DefaultPollInterval = 5 * time.Minute
	// DefaultMinBackoff and DefaultMaxBackoff bound the pause after a failure, which doubles each time.
	DefaultMinBackoff = time.Second
	DefaultMaxBackoff = 2 * time.Minute
)

// Options configures a Follower.
type Options struct {
	// Transport carries the requests. Nil means a transport of its own with the system's roots, HTTP/2 and the proxy
	// settings of the environment.
	Transport http.RoundTripper
	// UserAgent is sent with each request.
	UserAgent string
	// Logger gets one line per change of state. Nil discards.
	Logger *slog.Logger
	// Trust is TrustTLS when empty.
	Trust Trust
	// Verifier is required with TrustSigned.
	Verifier Verifier
	// Wait, PollInterval, MinBackoff and MaxBackoff default to the constants of the same name.
	Wait, PollInterval, MinBackoff, MaxBackoff time.Duration

	// seams for tests
	random func() float64
}

// Follower follows any number of subscriptions. Its methods may be called from any goroutine.
type Follower struct {
	client  *http.Client
	options Options
	changes *notices

	mu      sync.Mutex
	follows map[types.NamespacedName]*follow
	seeds   map[types.NamespacedName]Cached
	closed  bool
	running sync.WaitGroup
}

// New returns a follower that follows nothing yet. Close ends its goroutines.
func New(options Options) (*Follower, error) {
	options.Trust = cmp.Or(options.Trust, TrustTLS)
	switch {
	case options.Trust != TrustTLS && options.Trust != TrustSigned:
		return nil, &fault.Error{Reason: "TrustInvalid", Op: "start channel follower", Err: errors.New("the trust mode is unknown"), Hint: "Set the channel's trust to TLS or Signed."}
	case options.Trust == TrustSigned && options.Verifier == nil:
		return nil, &fault.Error{Reason: "TrustInvalid", Op: "start channel follower", Err: errors.New("trust Signed has no root to verify against"), Hint: "Give the publisher's root.json."}
	}
	options.Wait = cmp.Or(options.Wait, DefaultWait)
	options.PollInterval = cmp.Or(options.PollInterval, DefaultPollInterval)
	options.MinBackoff = cmp.Or(options.MinBackoff, DefaultMinBackoff)
	options.MaxBackoff = cmp.Or(options.MaxBackoff, DefaultMaxBackoff)
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Follower{
		client:  newClient(options.Transport),
		options: options,
		changes: newNotices(),
		follows: map[types.NamespacedName]*follow{},
		seeds:   map[types.NamespacedName]Cached{},
	}
	f.running.Go(f.changes.run)
	return f, nil
}

// Start blocks until ctx ends and then closes the follower, in the manner of a controller-runtime Runnable.
func (f *Follower) Start(ctx context.Context) error {
	<-ctx.Done()
	f.Close()
	return nil
}

// Close ends every goroutine of the follower and waits for them. Changes is closed; Latest keeps answering.
func (f *Follower) Close() {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		for _, each := range f.follows {
			each.stop()
		}
		f.changes.stop()
	}
	f.mu.Unlock()
	f.running.Wait()
	f.client.CloseIdleConnections()
}

// Seed offers a stored answer for key. It is used when a subscription of the same scope is followed, or is already
// followed and has no answer yet; it never replaces what the server said.
func (f *Follower) Seed(key types.NamespacedName, cached Cached) {
	if cached.Release == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if each, ok := f.follows[key]; ok {
		each.seed(cached)
		return
	}
	f.seeds[key] = cached
}

// Follow begins to follow sub, in place of an earlier subscription of the same key that differs. Following the same
// subscription again changes nothing. What a different subscription had learnt is forgotten: a pinned release is never
// silently replaced by another one.
func (f *Follower) Follow(sub Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	scope := sub.Scope()
	if each, ok := f.follows[sub.Key]; ok {
		if each.scope == scope {
			return
		}
		each.stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	each := &follow{follower: f, sub: sub, scope: scope, stop: stop, snapshot: Snapshot{Scope: scope}}
	if cached, ok := f.seeds[sub.Key]; ok {
		delete(f.seeds, sub.Key)
		each.seed(cached)
	}
	f.follows[sub.Key] = each
	f.running.Go(func() { each.run(ctx) })
}

// Forget stops following key and drops what is known about it.
func (f *Follower) Forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.seeds, key)
	if each, ok := f.follows[key]; ok {
		each.stop()
		delete(f.follows, key)
	}
}

// Latest returns what is known about key, and false where it is not followed. It never waits.
func (f *Follower) Latest(key types.NamespacedName) (Snapshot, bool) {
	f.mu.Lock()
	each, ok := f.follows[key]
	f.mu.Unlock()
	if !ok {
		return Snapshot{}, false
	}
	each.mu.Lock()
	defer each.mu.Unlock()
	return each.snapshot, true
}

// Changes delivers the key of each subscription whose release or failure changed, or whose first attempt ended. Several
// changes of one key may arrive as one. There is one channel for all receivers; it is closed by Close.
func (f *Follower) Changes() <-chan types.NamespacedName { return f.changes.out }

// follow is one subscription being followed.
type follow struct {
	follower *Follower
	sub      Subscription
	scope    string
	stop     context.CancelFunc

	mu        sync.Mutex
	snapshot  Snapshot
	attempted bool
}

func (w *follow) seed(cached Cached) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cached.Scope != w.scope || w.snapshot.Release != nil {
		return
	}
	w.snapshot.Release, w.snapshot.ETag, w.snapshot.FromCache = cached.Release, cached.ETag, true
}

// dropSeed forgets a stored answer that turned out not to be signed: it was stored under TrustTLS.
func (w *follow) dropSeed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.snapshot.FromCache {
		w.snapshot.Release, w.snapshot.ETag, w.snapshot.FromCache = nil, "", false
	}
}

// known returns the release and entity tag to ask with.
func (w *follow) known() (*catalog.Release, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshot.Release, w.snapshot.ETag
}

// accept records a release that the server gave or confirmed, and tells whether it differs from the one before.
func (w *follow) accept(release *catalog.Release, etag string, at time.Time) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.snapshot
	w.snapshot = Snapshot{Release: release, ETag: etag, CheckedAt: at, Scope: w.scope}
	changed = before.Release == nil || !sameRelease(before.Release, release)
	w.notify(changed || before.Err != nil || before.FromCache)
	return changed
}

// fail records a failed attempt and keeps the release.
func (w *follow) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.snapshot.Err
	w.snapshot.Err = err
	w.notify(before == nil || fault.Message(before) != fault.Message(err))
}

// notify wakes whoever listens to Changes, on a change and after the first attempt. The caller holds w.mu.
func (w *follow) notify(changed bool) {
	if changed || !w.attempted {
		w.follower.changes.add(w.sub.Key)
	}
	w.attempted = true
}

func sameRelease(a, b *catalog.Release) bool {
	tagA, errA := a.ETag()
	tagB, errB := b.ETag()
	return errA == nil && errB == nil && tagA == tagB
}
