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
	matched = follow(matched, order, after)
	if first := pageSize(q.First); len(matched) > first {
		matched, page.More = matched[:first], true
	}
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
	for i := range x.live {
		run := &x.live[i]
		slot := x.slots[run.RunID]
		get := func(c column) value {
			if c.source == sourceLive {
				return x.liveValue(c, run, slot)
			}
			return x.columns[c].slots[slot]
		}
		if !filter.match(get) {
			continue
		}
		p := position{id: run.RunID, values: make([]value, len(order.keys))}
		for k, key := range order.keys {
			p.values[k] = get(key.column)
		}
		matched = append(matched, p)
	}
	return matched
}

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

// follow sorts, and leaves out what stands before a cursor or at it.
func follow(matched []position, order Order, after *position) []position {
	if after != nil {
		matched = slices.DeleteFunc(matched, func(p position) bool { return order.compare(p, *after) <= 0 })
	}
	slices.SortFunc(matched, order.compare)
	return matched
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
