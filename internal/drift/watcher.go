package drift

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const (
	// maxStreak bounds how much longer the debounce gets for an object that is written again and again without any
	// difference: doubled so many times.
	maxStreak = 6
	// retryAfter is when a look that the API server did not answer is repeated.
	retryAfter = 15 * time.Second
)

// Config of New.
type Config struct {
	// RESTConfig reads, watches, and makes dry runs. It needs the rights to get, list, watch and patch the kinds of
	// releases; what is missing is polled or reported.
	RESTConfig *rest.Config
	// Mapper finds resources of kinds; nil means one of its own.
	Mapper meta.RESTMapper
	// Namespaces in which objects may be watched. Objects elsewhere are polled.
	Namespaces []string
	// Wake is called when a release is to be looked at. It must not block.
	Wake func(types.NamespacedName)
	// Log receives which kinds cannot be watched. The zero value discards it.
	Log logr.Logger
	// Poll, Debounce and Settle: zero means the defaults.
	Poll, Debounce, Settle time.Duration
}

// Watcher knows which objects belong to which release, and when one of them has to be compared. It is safe for concurrent
// use.
type Watcher struct {
	config    Config
	direct    *rest.Config
	informers *informers

	mu       sync.Mutex
	closed   bool
	releases map[types.NamespacedName]*state
	index    map[objectKey]map[types.NamespacedName]*tracked
}

// objectKey names an object as watches see it.
type objectKey struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// state of one release.
type state struct {
	looking sync.Mutex // held by the look that works on the release

	id, rules string
	loadAt    time.Time
	loaded    bool
	objects   []*tracked
	checkedAt time.Time
	timer     *time.Timer
	fires     time.Time
}

// tracked is what is remembered of one object. It is guarded by the watcher's mutex.
type tracked struct {
	ref     Ref
	key     objectKey
	unknown bool

	seen     string    // stamp that the watch saw last
	checked  string    // stamp that was compared last
	due      time.Time // when to compare; zero is never
	streak   int       // comparisons in a row that a write caused and that found nothing
	labelled bool
	finding  *appsv1.DriftStatus
	problem  string
}

// New makes a Watcher. It asks nothing of the API server until a release is looked at.
func New(config Config) (*Watcher, error) {
	if config.RESTConfig == nil || config.Wake == nil {
		return nil, errors.New("make drift watcher: it needs a REST configuration and somebody to wake")
	}
	setDefault(&config.Poll, DefaultPoll)
	setDefault(&config.Debounce, DefaultDebounce)
	setDefault(&config.Settle, DefaultSettle)
	w := &Watcher{
		config: config, direct: direct(config.RESTConfig),
		releases: map[types.NamespacedName]*state{}, index: map[objectKey]map[types.NamespacedName]*tracked{},
	}
	if w.config.Mapper == nil {
		client, err := rest.HTTPClientFor(w.direct)
		if err != nil {
			return nil, fmt.Errorf("make drift watcher: %w", err)
		}
		if w.config.Mapper, err = apiutil.NewDynamicRESTMapper(w.direct, client); err != nil {
			return nil, fmt.Errorf("make drift watcher: %w", err)
		}
	}
	client, err := metadata.NewForConfig(w.direct)
	if err != nil {
		return nil, fmt.Errorf("make drift watcher: %w", err)
	}
	w.informers = &informers{client: client, log: config.Log, changed: w.changed, lost: w.lost, retry: config.Poll}
	return w, nil
}

func setDefault(value *time.Duration, fallback time.Duration) {
	if *value == 0 {
		*value = fallback
	}
}

// Start runs the watches until ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	w.informers.start(ctx)
	<-ctx.Done()
	w.informers.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.releases {
		s.silence()
	}
	return nil
}

// Forget drops a release: it was uninstalled, or nobody wants to know.
func (w *Watcher) Forget(key types.NamespacedName) {
	w.mu.Lock()
	if s := w.releases[key]; s != nil {
		w.unindex(key, s)
		s.silence()
		delete(w.releases, key)
	}
	w.mu.Unlock()
	w.informers.want(key, nil)
}

// unindex needs the mutex.
func (w *Watcher) unindex(key types.NamespacedName, s *state) {
	for _, object := range s.objects {
		delete(w.index[object.key], key)
		if len(w.index[object.key]) == 0 {
			delete(w.index, object.key)
		}
	}
	s.objects = nil
}

// changed takes what a watch saw. Most of it is nothing new.
func (w *Watcher) changed(key objectKey, stamp string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for release, object := range w.index[key] {
		object.seen = stamp
		if stamp == object.checked || object.checked == "" {
			continue
		}
		w.expect(release, object, w.config.Debounce<<min(object.streak, maxStreak))
	}
}

// lost is called when watching ended: from now on the objects are polled, and once soon, for what was missed.
func (w *Watcher) lost(watch watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, releases := range w.index {
		if key.resource != watch.resource || key.namespace != watch.namespace {
			continue
		}
		for release, object := range releases {
			if object.checked != "" {
				w.expect(release, object, w.config.Debounce)
			}
		}
	}
}

// expect has an object compared after a while, or earlier where that was planned already. It needs the mutex.
func (w *Watcher) expect(key types.NamespacedName, object *tracked, after time.Duration) {
	at := time.Now().Add(after)
	if object.due.IsZero() || at.Before(object.due) {
		object.due = at
	}
	if s := w.releases[key]; s != nil {
		w.schedule(key, s)
	}
}

// schedule wakes a release when the first of its objects is due. It needs the mutex.
func (w *Watcher) schedule(key types.NamespacedName, s *state) {
	at := s.next()
	if at.IsZero() || w.closed || s.timer != nil && !at.Before(s.fires) {
		return
	}
	s.silence()
	s.fires = at
	s.timer = time.AfterFunc(max(time.Until(at), 0), func() {
		w.mu.Lock()
		current := w.releases[key] == s && !w.closed
		if current {
			s.timer = nil
		}
		w.mu.Unlock()
		if current {
			w.config.Wake(key)
		}
	})
}

// next is when the release has to be looked at; zero is never.
func (s *state) next() time.Time {
	if !s.loaded {
		return s.loadAt
	}
	var next time.Time
	for _, object := range s.objects {
		if !object.due.IsZero() && (next.IsZero() || object.due.Before(next)) {
			next = object.due
		}
	}
	return next
}

func (s *state) silence() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// spread returns the duration, up to a quarter longer, so that many releases do not act at once.
func spread(d time.Duration) time.Duration {
	return d + rand.N(d/4+1) // jitter
}

// report sums up what is known. It needs the mutex.
func (w *Watcher) report(s *state, home string) Report {
	report := Report{CheckedAt: s.checkedAt}
	unlabelled := 0
	for _, object := range s.objects {
		if object.finding != nil {
			report.add(*object.finding)
		}
		if object.problem != "" {
			report.Uncompared = append(report.Uncompared, object.ref.label(home)+": "+object.problem)
		}
		reason := w.unwatched(object)
		if reason == "" && !object.labelled {
			unlabelled++
		}
		if reason == "" {
			continue
		}
		if text := object.ref.Kind + " (" + reason + ")"; !slices.Contains(report.Unwatched, text) {
			report.Unwatched = append(report.Unwatched, text)
		}
	}
	slices.Sort(report.Unwatched)
	if unlabelled > 0 {
		report.Unwatched = append(report.Unwatched, fmt.Sprintf("%d objects without label %s=%s", unlabelled, managedByLabel, managedByHelm))
	}
	return report
}

// unwatched says why no watch sees the object; empty where one does.
func (w *Watcher) unwatched(object *tracked) string {
	switch {
	case object.unknown:
		return "unknown"
	case object.key.namespace != "" && !slices.Contains(w.config.Namespaces, object.key.namespace):
		return "namespace not granted"
	}
	return w.informers.blocked(watchKey{resource: object.key.resource, namespace: object.key.namespace})
}
