package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// LeaseDuration is how long a Lease counts after its last renewal.
	LeaseDuration = 15 * time.Second
	// fenceAfter is when a process stops writing by itself. It is shorter than LeaseDuration, so that nobody else can have
	// taken the Lease while a write is still let through.
	fenceAfter = 10 * time.Second
	// renewEvery leaves room for two failed renewals before the fence closes.
	renewEvery = 3 * time.Second
	// renewTimeout bounds one renewal.
	renewTimeout = 5 * time.Second
)

// errFenced is what the fence answers in place of the API server.
var errFenced = errors.New("the Lease of this release was not renewed in time, so that another process may be at work")

// Identity names one process: the pod that it runs in, and a word that differs after each start.
type Identity struct {
	Namespace, Pod, Start string
}

// String returns "namespace/pod/start".
func (i Identity) String() string { return i.Namespace + "/" + i.Pod + "/" + i.Start }

func parseIdentity(text string) (Identity, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return Identity{}, false
	}
	return Identity{Namespace: parts[0], Pod: parts[1], Start: parts[2]}, true
}

// Locker holds Lease <cr>-helm around steps, so that one process at a time works on a release.
type Locker struct {
	// Client reads and writes without a cache.
	Client client.Client
	// Identity of this process.
	Identity Identity
	// Lost is called when somebody else has taken a Lease that this process was holding. The process has to end: it cannot
	// know how far its own work went.
	Lost func(error)

	// seams for tests

	// Now replaces time.Now.
	Now func() time.Time
	// RenewEvery replaces the interval of renewals.
	RenewEvery time.Duration
	// FenceAfter replaces the age of the last renewal from which writes are refused.
	FenceAfter time.Duration

	mu   sync.Mutex
	held map[*Held]struct{}
}

// LeaseName returns the name of the Lease of the release called name.
func LeaseName(name string) string { return name + "-helm" }

// Observe reads who holds the Lease of a release. An absent Lease is the zero Lock.
func (l *Locker) Observe(ctx context.Context, key types.NamespacedName) (Lock, error) {
	lease, err := l.lease(ctx, key)
	if err != nil || lease == nil {
		return Lock{}, err
	}
	return l.judge(ctx, lease)
}

// Acquire takes the Lease of a release and keeps renewing it until Release is called. Where somebody else may be at work
// it fails with a fault HelmLocked.
func (l *Locker) Acquire(ctx context.Context, key types.NamespacedName) (*Held, error) {
	lease, err := l.lease(ctx, key)
	if err != nil {
		return nil, err
	}
	started := l.now()
	if lease == nil {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: LeaseName(key.Name), Labels: ObjectLabels(key.Name),
		}}
		l.sign(lease, started)
		if err := l.Client.Create(ctx, lease); err != nil {
			return nil, fmt.Errorf("create Lease %s: %w", lease.Name, err)
		}
		return l.hold(ctx, lease, started), nil
	}
	lock, err := l.judge(ctx, lease)
	if err != nil {
		return nil, err
	}
	if lock.HeldByOther() {
		return nil, &fault.Error{
			Reason: appsv1.ReasonHelmLocked, Op: "take Lease " + lease.Name, Retry: true,
			Err: fmt.Errorf("%s holds it", lock.Holder),
		}
	}
	l.sign(lease, started)
	// The resourceVersion in lease makes this fail where somebody else was faster.
	if err := l.Client.Update(ctx, lease); err != nil {
		return nil, fmt.Errorf("take Lease %s: %w", lease.Name, err)
	}
	return l.hold(ctx, lease, started), nil
}

// ObjectLabels are the labels of every object that we make beside the release called name.
func ObjectLabels(name string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/managed-by": "kubewandb",
		"app.kubernetes.io/instance":   name,
		"app.kubernetes.io/part-of":    "wandb",
	}
}

func (l *Locker) lease(ctx context.Context, key types.NamespacedName) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	name := types.NamespacedName{Namespace: key.Namespace, Name: LeaseName(key.Name)}
	err := l.Client.Get(ctx, name, lease)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Lease %s: %w", name.Name, err)
	}
	return lease, nil
}

func (l *Locker) judge(ctx context.Context, lease *coordinationv1.Lease) (Lock, error) {
	lock := Lock{}
	if lease.Spec.HolderIdentity != nil {
		lock.Holder = *lease.Spec.HolderIdentity
	}
	if lock.Holder == "" {
		return lock, nil
	}
	lock.Ours = lock.Holder == l.Identity.String()
	lock.Expired = true
	if lease.Spec.RenewTime != nil {
		duration := LeaseDuration
		if lease.Spec.LeaseDurationSeconds != nil {
			duration = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
		}
		lock.Expired = l.now().After(lease.Spec.RenewTime.Add(duration))
	}
	if lock.Ours || !lock.Expired {
		return lock, nil
	}
	gone, err := l.gone(ctx, lock.Holder)
	if err != nil {
		return Lock{}, err
	}
	lock.HolderGone = gone
	return lock, nil
}

// gone tells that the holder's pod does not exist any more. A holder in our own pod is an earlier start of this very
// container, and a container starts only after its predecessor has ended.
func (l *Locker) gone(ctx context.Context, holder string) (bool, error) {
	identity, ok := parseIdentity(holder)
	if !ok {
		return true, nil
	}
	if identity.Namespace == l.Identity.Namespace && identity.Pod == l.Identity.Pod {
		return true, nil
	}
	pod := &metav1.PartialObjectMetadata{}
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	err := l.Client.Get(ctx, types.NamespacedName{Namespace: identity.Namespace, Name: identity.Pod}, pod)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for pod %s/%s, which holds the Lease: %w", identity.Namespace, identity.Pod, err)
	}
	return false, nil
}

func (l *Locker) sign(lease *coordinationv1.Lease, at time.Time) {
	holder := l.Identity.String()
	seconds := int32(LeaseDuration / time.Second)
	renewed := metav1.NewMicroTime(at)
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != holder {
		transitions := int32(0)
		if lease.Spec.LeaseTransitions != nil {
			transitions = *lease.Spec.LeaseTransitions + 1
		}
		lease.Spec.LeaseTransitions = &transitions
		lease.Spec.AcquireTime = &renewed
	}
	lease.Spec.HolderIdentity = &holder
	lease.Spec.LeaseDurationSeconds = &seconds
	lease.Spec.RenewTime = &renewed
}

func (l *Locker) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// Held is a Lease that this process holds.
type Held struct {
	locker *Locker
	key    types.NamespacedName
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	lease   *coordinationv1.Lease
	renewed time.Time
}

func (l *Locker) hold(ctx context.Context, lease *coordinationv1.Lease, renewed time.Time) *Held {
	// Renewals go on while the step's own context is cancelled: the step may still be writing.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	held := &Held{locker: l, key: released(lease), stop: stop, done: make(chan struct{}), lease: lease, renewed: renewed}
	l.track(held)
	go held.renewLoop(ctx)
	return held
}

// released is the release that a Lease is held for.
func released(lease *coordinationv1.Lease) types.NamespacedName {
	return types.NamespacedName{Namespace: lease.Namespace, Name: strings.TrimSuffix(lease.Name, LeaseName(""))}
}

func (h *Held) renewLoop(ctx context.Context) {
	defer close(h.done)
	every := h.locker.RenewEvery
	if every == 0 {
		every = renewEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := h.renew(ctx); err != nil && h.locker.Lost != nil {
			h.locker.Lost(err)
			return
		}
	}
}

// renew writes the Lease again. It returns an error only where the Lease is lost for good; what fails otherwise is tried
// again at the next tick, while the fence closes by itself.
func (h *Held) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	started := h.locker.now()
	h.mu.Lock()
	lease := h.lease.DeepCopy()
	h.mu.Unlock()
	h.locker.sign(lease, started)
	err := h.locker.Client.Update(ctx, lease)
	switch {
	case err == nil:
		h.mu.Lock()
		h.lease, h.renewed = lease, started
		h.mu.Unlock()
		return nil
	case apierrors.IsConflict(err):
		return h.afterConflict(ctx)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("renew Lease %s: it was deleted", lease.Name)
	}
	return nil
}

// afterConflict tells a Lease that somebody else took from one that was only touched, by an annotation for example.
func (h *Held) afterConflict(ctx context.Context) error {
	current := &coordinationv1.Lease{}
	if err := h.locker.Client.Get(ctx, client.ObjectKeyFromObject(h.lease), current); err != nil {
		return nil // the next tick tries again
	}
	holder := ""
	if current.Spec.HolderIdentity != nil {
		holder = *current.Spec.HolderIdentity
	}
	if holder != h.locker.Identity.String() {
		return fmt.Errorf("renew Lease %s: %q has taken it", current.Name, holder)
	}
	h.mu.Lock()
	h.lease = current
	h.mu.Unlock()
	return nil
}

// Release stops renewing and frees the Lease, so that the next step need not wait for it to run out. A failure to free it
// is returned, but harms nobody: it runs out.
func (h *Held) Release(ctx context.Context) error {
	h.stop()
	<-h.done
	h.locker.untrack(h)
	lease := h.lease.DeepCopy()
	free := ""
	lease.Spec.HolderIdentity = &free
	if err := h.locker.Client.Update(ctx, lease); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("free Lease %s: %w", lease.Name, err)
	}
	return nil
}

func (h *Held) fresh(limit time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Both times carry a monotonic reading, so that a clock that is set does not open the fence.
	return h.locker.now().Sub(h.renewed) < limit
}

// Fence wraps Helm's transport so that it refuses writes unless this process holds a Lease, and every Lease that it holds
// was renewed lately. What Helm leaves behind after its Lease was freed, or after the process was paused, is refused too.
func (l *Locker) Fence(next http.RoundTripper) http.RoundTripper {
	return fence{locker: l, next: next}
}

// Check fails with a fault HelmLocked unless this process holds the Lease of a release and has renewed it lately.
func (l *Locker) Check(key types.NamespacedName) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for held := range l.held {
		if held.key == key && held.fresh(l.limit()) {
			return nil
		}
	}
	return &fault.Error{
		Reason: appsv1.ReasonHelmLocked, Op: "write down what became of release " + key.String(), Err: errFenced, Retry: true,
	}
}

func (l *Locker) limit() time.Duration {
	return cmp.Or(l.FenceAfter, fenceAfter)
}

func (l *Locker) writable() bool {
	limit := l.limit()
	l.mu.Lock()
	defer l.mu.Unlock()
	for held := range l.held {
		if !held.fresh(limit) {
			return false
		}
	}
	return len(l.held) > 0
}

func (l *Locker) track(held *Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[*Held]struct{}{}
	}
	l.held[held] = struct{}{}
}

func (l *Locker) untrack(held *Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, held)
}

type fence struct {
	locker *Locker
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f fence) RoundTrip(request *http.Request) (*http.Response, error) {
	if !harmless(request) && !f.locker.writable() {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, &fault.Error{
			Reason: appsv1.ReasonHelmLocked, Op: "send " + request.Method + " " + request.URL.Path, Err: errFenced, Retry: true,
		}
	}
	return f.next.RoundTrip(request)
}

// harmless tells requests that change nothing. An access review is a POST that stores nothing.
func harmless(request *http.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	default:
		return strings.HasPrefix(request.URL.Path, "/apis/authorization.k8s.io/")
	}
}
