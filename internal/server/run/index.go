package run

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// index holds, for the runs of one project, the values that filters and orders have asked for: a slice per column, with a
// slot per run. It is brought up to date before each question by comparing (run, rev) with the database, so that it is never
// older than the question.
type index struct {
	mu sync.Mutex
	// refreshed is when the last reading of the database began.
	refreshed time.Time
	size      int64

	// live are the runs, by ascending id.
	live runList
	// revs are those of which the values are, by slot; 0 where they are not known.
	revs    []int64
	free    []int
	columns map[column]*values
	// spare is the list before, whose memory the next one takes.
	spare runList
}

// runList are the runs of a project by ascending id, and the slot of each.
type runList struct {
	runs  []store.LiveRun
	slots []int
}

// slot returns where the values of a run are.
func (l runList) slot(id store.ID) (slot int, ok bool) {
	i, ok := slices.BinarySearchFunc(l.runs, id, func(r store.LiveRun, id store.ID) int { return cmp.Compare(r.RunID, id) })
	if !ok {
		return 0, false
	}
	return l.slots[i], true
}

// values are those of one column.
type values struct {
	slots    []value
	lastUsed time.Time
}

// valueSize is what one value takes besides its text.
const valueSize = 40

func newIndex() *index { return &index{columns: map[column]*values{}} }

// refresh reads what has changed, and every value of columns that were not asked for before. The caller holds the lock.
func (x *index) refresh(ctx context.Context, s *Service, place access.Place, wanted map[column]bool) error {
	now := time.Now()
	live, err := s.store.LiveRuns(ctx, place.Project.ID, x.spare.runs)
	if err != nil {
		return err
	}
	changed := x.reconcile(live)
	fresh := make(map[column]*values)
	for c := range wanted {
		if c.source == sourceLive {
			continue
		}
		if known, ok := x.columns[c]; ok {
			known.lastUsed = now
		} else {
			fresh[c] = &values{slots: make([]value, len(x.revs)), lastUsed: now}
		}
	}
	// A run whose values were not read keeps the rev 0, and is read by the next question.
	reader := reader{service: s, place: place, runs: x.live}
	if err := reader.read(ctx, ids(changed), x.columns); err != nil {
		return err
	}
	if len(fresh) > 0 {
		if err := reader.read(ctx, ids(x.live.runs), fresh); err != nil {
			return err
		}
	}
	for c, v := range fresh {
		x.columns[c] = v
	}
	for _, run := range changed {
		if slot, ok := x.live.slot(run.RunID); ok {
			x.revs[slot] = run.Rev
		}
	}
	x.refreshed = now
	x.measure()
	return nil
}

// has tells whether the columns were read.
func (x *index) has(wanted map[column]bool) bool {
	for c := range wanted {
		if _, known := x.columns[c]; !known && c.source != sourceLive {
			return false
		}
	}
	return true
}

// reconcile gives every run a slot, frees those of runs that are gone, and returns the runs whose values are out of date.
// Both lists ascend, so that one walk over them tells.
func (x *index) reconcile(live []store.LiveRun) (changed []store.LiveRun) {
	before, slots := x.live, x.spare.slots[:0]
	next := 0
	for _, run := range live {
		for ; next < len(before.runs) && before.runs[next].RunID < run.RunID; next++ {
			x.release(before.slots[next])
		}
		var slot int
		if next < len(before.runs) && before.runs[next].RunID == run.RunID {
			slot = before.slots[next]
			next++
		} else {
			slot = x.take()
		}
		if x.revs[slot] != run.Rev {
			x.revs[slot] = 0
			changed = append(changed, run)
		}
		slots = append(slots, slot)
	}
	for _, slot := range before.slots[next:] {
		x.release(slot)
	}
	x.live, x.spare = runList{runs: live, slots: slots}, before
	return changed
}

func (x *index) release(slot int) {
	x.revs[slot] = 0
	x.free = append(x.free, slot)
}

func (x *index) take() int {
	if n := len(x.free); n > 0 {
		slot := x.free[n-1]
		x.free = x.free[:n-1]
		return slot
	}
	x.revs = append(x.revs, 0)
	for _, c := range x.columns {
		c.slots = append(c.slots, value{})
	}
	return len(x.revs) - 1
}

func ids(runs []store.LiveRun) []store.ID {
	ids := make([]store.ID, len(runs))
	for i, run := range runs {
		ids[i] = run.RunID
	}
	return ids
}

// measure estimates how many bytes the index takes.
func (x *index) measure() {
	x.size = int64(cap(x.revs))*8 + int64(cap(x.live.runs)+cap(x.spare.runs))*40
	for _, c := range x.columns {
		x.size += c.measure()
	}
}

func (v *values) measure() int64 {
	size := int64(cap(v.slots)) * valueSize
	for i := range v.slots {
		size += int64(len(v.slots[i].text))
	}
	return size
}

// indexes are those of all projects that were asked about lately, of a bounded size together.
type indexes struct {
	mu       sync.Mutex
	projects map[store.ID]*index
}

func (all *indexes) of(project store.ID) *index {
	all.mu.Lock()
	defer all.mu.Unlock()
	x, ok := all.projects[project]
	if !ok {
		x = newIndex()
		if all.projects == nil {
			all.projects = map[store.ID]*index{}
		}
		all.projects[project] = x
	}
	return x
}

// trim forgets what was not used for longest until the rest fits: columns of the project that was just asked about, and
// other projects as a whole. Values can always be read again.
func (all *indexes) trim(used *index, bound int64) {
	for {
		project, oldest, total := all.survey(used)
		if total <= bound {
			return
		}
		if oldest == nil {
			used.shrink(bound)
			return
		}
		all.mu.Lock()
		delete(all.projects, project)
		all.mu.Unlock()
	}
}

// survey finds the index that was not used for longest, besides one.
func (all *indexes) survey(used *index) (project store.ID, oldest *index, total int64) {
	all.mu.Lock()
	defer all.mu.Unlock()
	total = used.size
	for id, x := range all.projects {
		if x == used || !x.mu.TryLock() { // one that is being asked has its own turn
			continue
		}
		total += x.size
		if oldest == nil || x.refreshed.Before(oldest.refreshed) {
			project, oldest = id, x
		}
		x.mu.Unlock()
	}
	return project, oldest, total
}

// shrink forgets columns, those first that were not used for longest.
func (x *index) shrink(bound int64) {
	columns := make([]column, 0, len(x.columns))
	for c := range x.columns {
		columns = append(columns, c)
	}
	slices.SortFunc(columns, func(a, b column) int { return x.columns[a].lastUsed.Compare(x.columns[b].lastUsed) })
	for _, c := range columns {
		if x.size <= bound {
			return
		}
		x.size -= x.columns[c].measure()
		delete(x.columns, c)
	}
}
