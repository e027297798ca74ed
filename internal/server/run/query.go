package run

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// DefaultIndexBytes is the most that a Service keeps in memory to answer questions about the runs of projects quickly.
const DefaultIndexBytes = 32 << 20

// Query asks for runs of a project.
type Query struct {
	// Filter and Order are as the client writes them; "" is every run, the oldest first.
	Filter, Order string
	// After is the cursor of the last run of the page before.
	After string
	// First is how many are wanted; 0 means the most that one answer holds.
	First int
	// AsOf is when the question was asked, where others were asked at the same time: what was read of the database since
	// then answers them all. The zero time is now.
	AsOf time.Time
}

// Page is one part of the runs that a Query asks for.
type Page struct {
	Runs []store.RunRecord
	// Cursors name the places of the runs.
	Cursors []string
	// More tells whether others follow.
	More bool
	// Total is how many runs the filter matches.
	Total int
}

// Query returns a page of runs of a project.
func (s *Service) Query(ctx context.Context, place access.Place, q Query) (Page, error) {
	filter, err := ParseFilter(q.Filter)
	if err != nil {
		return Page{}, err
	}
	order, err := ParseOrder(q.Order)
	if err != nil {
		return Page{}, err
	}
	var after *position
	if q.After != "" {
		p, err := order.parseCursor(q.After)
		if err != nil {
			return Page{}, err
		}
		after = &p
	}
	matched, err := s.match(ctx, place, filter, order, q.AsOf)
	if err != nil {
		return Page{}, err
	}
	page := Page{Total: len(matched)}
	matched, page.More = follow(matched, order, after, pageSize(q.First))
	return page, s.fill(ctx, &page, matched)
}

// CountRuns returns how many runs of a project the filter of a query matches.
func (s *Service) CountRuns(ctx context.Context, place access.Place, q Query) (int, error) {
	filter, err := ParseFilter(q.Filter)
	if err != nil {
		return 0, err
	}
	matched, err := s.match(ctx, place, filter, Order{}, q.AsOf)
	return len(matched), err
}

// match returns where each run stands that the filter matches, in no order.
func (s *Service) match(ctx context.Context, place access.Place, filter Filter, order Order, asOf time.Time) ([]position, error) {
	if asOf.IsZero() {
		asOf = time.Now()
	}
	wanted := map[column]bool{}
	for c := range filter.columns {
		wanted[c] = true
	}
	for _, key := range order.keys {
		wanted[key.column] = true
	}
	if wanted[columnDuration] {
		wanted[columnCreated] = true
	}
	x := s.indexes.of(place.Project.ID)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refreshed.Before(asOf) || !x.has(wanted) {
		if err := x.refresh(ctx, s, place, wanted); err != nil {
			return nil, err
		}
	}
	matched := x.match(filter, order)
	s.indexes.trim(x, s.IndexBytes)
	return matched, nil
}

func (x *index) match(filter Filter, order Order) []position {
	var matched []position
	var run *store.LiveRun
	slot := 0
	get := func(c column) value {
		if c.source == sourceLive {
			return x.liveValue(c, run, slot)
		}
		return x.columns[c].slots[slot]
	}
	var keys []value // of many positions, so that not each of them is an allocation
	for i := range x.live.runs {
		run, slot = &x.live.runs[i], x.live.slots[i]
		if !filter.match(get) {
			continue
		}
		if len(keys)+len(order.keys) > cap(keys) {
			keys = make([]value, 0, keysAtOnce*len(order.keys))
		}
		first := len(keys)
		for _, key := range order.keys {
			keys = append(keys, get(key.column))
		}
		matched = append(matched, position{id: run.RunID, values: keys[first:len(keys):len(keys)]})
	}
	return matched
}

// keysAtOnce is for how many positions room is made at once.
const keysAtOnce = 256

func (x *index) liveValue(c column, run *store.LiveRun, slot int) value {
	switch c {
	case columnState:
		return textValue(StateName(run.State))
	case columnHeartbeat:
		return timeValue(run.HeartbeatAt.Time())
	case columnDuration:
		const microsPerSecond = 1e6
		if created := x.columns[columnCreated].slots[slot].num; run.HeartbeatAt != 0 {
			return number(strconv.FormatFloat((float64(run.HeartbeatAt)-created)/microsPerSecond, 'f', -1, 64))
		}
	}
	return value{}
}

// follow returns the first n behind a cursor, in order, and whether there are more.
func follow(matched []position, order Order, after *position, n int) (page []position, more bool) {
	if after != nil {
		matched = slices.DeleteFunc(matched, func(p position) bool { return order.compare(p, *after) <= 0 })
	}
	more = len(matched) > n
	return foremost(matched, n, order.compare), more
}

// foremost returns the first n of some positions, in order, in the memory of all. It keeps at most twice as many, so that most of
// the others cost it one comparison.
func foremost(of []position, n int, compare func(a, b position) int) []position {
	kept := of[:0]
	var last *position // of the first n of those seen
	for _, p := range of {
		if last != nil && compare(p, *last) > 0 {
			continue
		}
		if kept = append(kept, p); len(kept) == 2*n {
			slices.SortFunc(kept, compare)
			kept = kept[:n]
			end := kept[n-1]
			last = &end
		}
	}
	slices.SortFunc(kept, compare)
	return kept[:min(n, len(kept))]
}

// fill reads the runs of a page. One that was deleted a moment ago is left out.
func (s *Service) fill(ctx context.Context, page *Page, matched []position) error {
	ids := make([]store.ID, len(matched))
	for i, p := range matched {
		ids[i] = p.id
	}
	records, err := s.store.RunRecords(ctx, ids)
	if err != nil {
		return err
	}
	byID := make(map[store.ID]store.RunRecord, len(records))
	for _, record := range records {
		byID[record.ID] = record
	}
	for _, p := range matched {
		if record, ok := byID[p.id]; ok {
			page.Runs = append(page.Runs, record)
			page.Cursors = append(page.Cursors, p.cursor())
		}
	}
	return nil
}
