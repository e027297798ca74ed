package history

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxAnswer is how many bytes of lines one answer may hold.
const maxAnswer = 64 << 20

// Page returns the lines of the history with minStep ≤ step < maxStep, every one of them, by step.
func (s *Service) Page(ctx context.Context, run store.ID, minStep, maxStep int64) ([]string, error) {
	var page []string
	err := s.read(ctx, run, store.StreamHistory, func(v *view) error {
		refs, err := v.between(ctx, max(minStep, 0), maxStep)
		if err != nil {
			return err
		}
		page, err = v.strings(ctx, refs)
		return err
	})
	return page, err
}

// Full returns a stream's lines by step; of more than samples an even choice of that many, with the first and the last.
func (s *Service) Full(ctx context.Context, run store.ID, stream store.Stream, samples int) ([]string, error) {
	var lines []string
	err := s.read(ctx, run, stream, func(v *view) error {
		refs, err := v.between(ctx, math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		lines, err = v.strings(ctx, spread(refs, samples))
		return err
	})
	return lines, err
}

// spread chooses n of the values evenly, with the first and the last.
func spread[T any](values []T, n int) []T {
	switch {
	case n <= 0:
		return nil
	case len(values) <= n:
		return values
	case n == 1:
		return values[len(values)-1:]
	}
	chosen := make([]T, n)
	for i := range chosen {
		chosen[i] = values[i*(len(values)-1)/(n-1)]
	}
	return chosen
}

func (v *view) strings(ctx context.Context, refs []ref) ([]string, error) {
	lines, size := make([]string, 0, len(refs)), 0
	err := v.texts(ctx, refs, func(text []byte) error {
		if size += len(text); size > maxAnswer {
			return tooLarge()
		}
		lines = append(lines, string(text))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lines, nil
}

func tooLarge() error {
	return &fault.Error{
		Reason: ReasonTooLarge, Op: fmt.Sprintf("the lines are more than %d MiB", maxAnswer>>20),
		Hint: "Ask for fewer steps at once: scan_history(page_size=…), or for some keys only.",
	}
}

// Status is where a run's streams stand.
type Status struct {
	// HistoryLines, EventLines and LogLines are the highest stored line + 1, added up over writers.
	HistoryLines, EventLines, LogLines int64
	// HistoryTail and EventsTail hold the last line of each stream, if there is one.
	HistoryTail, EventsTail []string
}

func statusOf(heads []store.StreamHead) Status {
	var s Status
	for _, h := range heads {
		switch h.Stream {
		case store.StreamHistory:
			s.HistoryLines += h.NextLine
		case store.StreamEvents:
			s.EventLines += h.NextLine
		case store.StreamConsole:
			s.LogLines += h.NextLine
		}
	}
	return s
}

// Counts returns the numbers of lines of runs, without tails.
func (s *Service) Counts(ctx context.Context, runs []store.ID) (map[store.ID]Status, error) {
	heads, err := s.store.StreamHeads(ctx, runs)
	if err != nil {
		return nil, err
	}
	counts := make(map[store.ID]Status, len(runs))
	for _, run := range runs {
		counts[run] = Status{}
	}
	for len(heads) > 0 {
		n := slices.IndexFunc(heads, func(h store.StreamHead) bool { return h.RunID != heads[0].RunID })
		if n < 0 {
			n = len(heads)
		}
		counts[heads[0].RunID] = statusOf(heads[:n])
		heads = heads[n:]
	}
	return counts, nil
}

// Statuses returns the numbers of lines and the tails of runs, those of one run from one snapshot.
func (s *Service) Statuses(ctx context.Context, runs []store.ID) (map[store.ID]Status, error) {
	statuses := make(map[store.ID]Status, len(runs))
	for _, run := range runs {
		status, err := s.Status(ctx, run)
		if err != nil {
			return nil, err
		}
		statuses[run] = status
	}
	return statuses, nil
}

// Status returns where a run's streams stand at one moment.
func (s *Service) Status(ctx context.Context, run store.ID) (Status, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return Status{}, err
	}
	defer done()
	for try := 1; ; try++ {
		status, err := s.status(ctx, run)
		if !isGone(err) || try == snapshotTries {
			return status, err
		}
	}
}

func (s *Service) status(ctx context.Context, run store.ID) (Status, error) {
	snapshot, err := s.store.RunSnapshot(ctx, run, store.StreamHistory, store.StreamEvents)
	if err != nil {
		return Status{}, err
	}
	status := statusOf(snapshot.Heads)
	for stream, tail := range map[store.Stream]*[]string{
		store.StreamHistory: &status.HistoryTail, store.StreamEvents: &status.EventsTail,
	} {
		v, err := s.view(ctx, snapshot, stream)
		if err != nil {
			return Status{}, err
		}
		if *tail, err = v.tail(ctx); err != nil {
			return Status{}, err
		}
	}
	return status, nil
}

// tail returns the last line by step, writer and number.
func (v *view) tail(ctx context.Context) ([]string, error) {
	parts := slices.Clone(v.parts)
	slices.SortStableFunc(parts, func(a, b *part) int {
		if a.maxStep != b.maxStep {
			return compare(b.maxStep, a.maxStep)
		}
		if a.rank != b.rank {
			return compare(int64(b.rank), int64(a.rank))
		}
		return compare(b.lines.to, a.lines.to)
	})
	var best struct {
		part *part
		row  int32
		step int64
		line int64
	}
	for _, p := range parts {
		if best.part != nil && p.maxStep < best.step {
			break
		}
		r, err := p.rows(ctx)
		if err != nil {
			return nil, err
		}
		for row := range r.n {
			if !p.visible(r, row) {
				continue
			}
			step, line := r.steps.at(row), r.lines.at(row)
			if best.part == nil || step > best.step || step == best.step &&
				(p.rank > best.part.rank || p.rank == best.part.rank && line > best.line) {
				best.part, best.row, best.step, best.line = p, int32(row), step, line // few rows
			}
		}
	}
	if best.part == nil {
		return nil, nil
	}
	texts, err := best.part.texts(ctx, []int32{best.row})
	if err != nil {
		return nil, err
	}
	return []string{string(texts[0])}, nil
}

// SystemMetrics returns the measurements of the last line of events, with their names as they were logged; "{}" for none.
func (s *Service) SystemMetrics(ctx context.Context, run store.ID) (string, error) {
	status, err := s.Status(ctx, run)
	if err != nil || len(status.EventsTail) == 0 {
		return "{}", err
	}
	return status.EventsTail[0], nil
}

// TailJSON is a list of lines as clients read it: a JSON list of strings.
func TailJSON(lines []string) string {
	b := []byte{'['}
	for i, line := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, line)
	}
	return string(append(b, ']'))
}
