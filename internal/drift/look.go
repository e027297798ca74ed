package drift

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Look returns what is known about a release, after comparing the objects of which that is due. While nothing changed it
// makes no request. A release with a new ID is left alone for the first seconds; the release is woken when it is due.
//
// An error is a fault.Error and means that the API server did not answer, or that the manifest could not be read; the
// report then says what was known before.
func (w *Watcher) Look(ctx context.Context, release Release) (Report, error) {
	s := w.enter(release)
	s.looking.Lock()
	defer s.looking.Unlock()
	due := w.due(s)
	var err error
	if due != nil {
		err = w.compare(ctx, release, s, due)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		s.postpone()
	}
	if w.releases[release.Key] == s {
		w.schedule(release.Key, s)
	}
	return w.report(s, release.Key.Namespace), err
}

// enter finds the state of a release, or begins a new one where the ID is new.
func (w *Watcher) enter(release Release) *state {
	rules := digest(release.Ignore, release.Generated)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.releases[release.Key]
	if s == nil || s.id != release.ID {
		if s != nil {
			w.unindex(release.Key, s)
			s.silence()
		}
		s = &state{id: release.ID, rules: rules, loadAt: time.Now().Add(spread(w.config.Settle))}
		w.releases[release.Key] = s
	}
	if s.rules != rules {
		s.rules = rules
		for _, object := range s.objects {
			object.due = time.Now()
		}
	}
	return s
}

// due returns what to compare now: nil is nothing, and an empty set everything, because the manifest was not read yet.
func (w *Watcher) due(s *state) map[Ref]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !s.loaded {
		if now.Before(s.loadAt) {
			return nil
		}
		return map[Ref]bool{}
	}
	var found map[Ref]bool
	for _, object := range s.objects {
		if object.due.IsZero() || object.due.After(now) {
			continue
		}
		if found == nil {
			found = map[Ref]bool{}
		}
		found[object.ref] = true
	}
	return found
}

// compare examines the objects that are due, and remembers what it finds.
func (w *Watcher) compare(ctx context.Context, release Release, s *state, due map[Ref]bool) error {
	op := "look for drift of release " + release.Key.String()
	objects, err := w.locateAll(ctx, release)
	if err != nil {
		return interrupted(op, err)
	}
	memory := w.track(release.Key, s, objects)
	if memory == nil {
		return nil
	}
	examiner, err := newExaminer(w.direct, w.config.Mapper, release)
	if err != nil {
		return interrupted(op, err)
	}
	for i, object := range objects {
		if len(due) > 0 && !due[object.ref] {
			continue
		}
		before := w.begin(memory[i])
		found, err := examiner.examine(ctx, object)
		if err != nil {
			return interrupted(op, err)
		}
		w.remember(s, memory[i], before, found)
	}
	return nil
}

func (w *Watcher) locateAll(ctx context.Context, release Release) ([]located, error) {
	objects, err := release.Manifest(ctx)
	if err != nil {
		return nil, err // interrupted words it
	}
	found := make([]located, 0, len(objects))
	for _, object := range objects {
		one, err := locate(w.config.Mapper, release, object)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// track makes the state hold the objects of the manifest, and the watches see their kinds. Kinds that became known, and
// objects that a manifest of the same ID did not have before, are taken up. What it returns is in the order of objects, and
// nil where the release was forgotten meanwhile.
func (w *Watcher) track(key types.NamespacedName, s *state, objects []located) []*tracked {
	var wanted []watchKey
	w.mu.Lock()
	if w.releases[key] != s {
		w.mu.Unlock()
		return nil
	}
	former := map[Ref]*tracked{}
	for _, object := range s.objects {
		former[object.ref] = object
	}
	w.unindex(key, s)
	memory := make([]*tracked, 0, len(objects))
	for _, object := range objects {
		one := former[object.ref]
		if one == nil {
			one = &tracked{ref: object.ref, labelled: true, due: time.Now()}
		}
		one.unknown = object.unknown
		one.key = objectKey{resource: object.resource, namespace: object.ref.Namespace, name: object.ref.Name}
		memory = append(memory, one)
		if object.unknown {
			continue
		}
		if w.index[one.key] == nil {
			w.index[one.key] = map[types.NamespacedName]*tracked{}
		}
		w.index[one.key][key] = one
		watch := watchKey{resource: object.resource, namespace: object.ref.Namespace}
		if w.mayWatch(watch) {
			wanted = append(wanted, watch)
		}
	}
	s.objects, s.loaded = memory, true
	w.mu.Unlock()
	w.informers.want(key, wanted)
	return memory
}

func (w *Watcher) mayWatch(watch watchKey) bool {
	return w.unwatched(&tracked{key: objectKey{resource: watch.resource, namespace: watch.namespace}}) != "namespace not granted"
}

// begin returns what the watch has seen before the comparison.
func (w *Watcher) begin(object *tracked) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return object.seen
}

// remember takes over a verdict. What the watch saw meanwhile has to be compared once more.
func (w *Watcher) remember(s *state, object *tracked, before string, found verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	quiet := now.Sub(s.checkedAt) > w.config.Poll
	switch {
	case found.finding != nil || found.problem != "" || quiet:
		object.streak = 0
	case object.checked != "" && object.checked != found.stamp:
		object.streak++
	}
	object.finding, object.problem, object.labelled = found.finding, found.problem, found.labelled
	object.checked = found.stamp
	object.due = time.Time{}
	s.checkedAt = now
	switch {
	case object.seen != before && object.seen != object.checked:
		object.due = now.Add(w.config.Debounce << min(object.streak, maxStreak))
	case found.finding != nil || found.problem != "" || !found.labelled || w.unwatched(object) != "":
		object.due = now.Add(spread(w.config.Poll))
	}
}

// postpone puts off what is overdue after a failure.
func (s *state) postpone() {
	at := time.Now().Add(spread(retryAfter))
	if !s.loaded {
		s.loadAt = at
	}
	for _, object := range s.objects {
		if !object.due.IsZero() && object.due.Before(at) {
			object.due = at
		}
	}
}
