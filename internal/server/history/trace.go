package history

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// trace is a chart of all rows of a run so far. It is carried on with the rows that came since, so that a chart of a run that
// is logged into costs what is new, however long the run is. Its choice depends on the rows alone, not on when it was made.
type trace struct {
	// Lines below next are in it, as they were at this generation of the stream. step and line are those of the last row.
	generation, next int64
	step, line       int64
	// rows counts those that have all keys. Each stride-th is kept: more than samples, and fewer than twice as many.
	rows, stride int64
	points       []point
	last         point
	// low and high are the rows with the lowest and the highest number of each key.
	low, high []extreme
}

// point is a row as JSON, and its number among those that have all keys.
type point struct {
	row  int64
	text string
}

type extreme struct {
	point
	value float64
	known bool
	// at is the row of the part that is being added; -1 for an earlier part.
	at int
}

// note compares a row with the extreme so far. sign is 1 for the highest and -1 for the lowest.
func (e *extreme) note(value, sign float64, row int64, at int) {
	if sign*value > sign*e.value || !e.known && !math.IsNaN(value) {
		*e = extreme{point: point{row: row}, value: value, known: true, at: at}
	}
}

// maxTraced bounds keys × samples of a trace, and so its memory.
const maxTraced = 20_000

// traceKey names the trace of a spec.
type traceKey struct {
	run  store.ID
	spec string
}

// traced answers from a trace; nil where the spec is of a kind without one: a range, several processes whose steps
// interleave, or steps that do not ascend with the lines.
func (c *choice) traced(ctx context.Context) (json.RawMessage, error) {
	spec, heads := &c.spec, c.view.snapshot.Heads
	if spec.Page || spec.MinStep != math.MinInt64 || spec.MaxStep != math.MaxInt64 || len(heads) != 1 || len(spec.Keys)*spec.Samples > maxTraced {
		return nil, nil
	}
	head, service := heads[0], c.view.service
	key := traceKey{head.RunID, fmt.Sprintf("%d %q", spec.Samples, spec.Keys)}
	t := &trace{generation: head.Generation, step: math.MinInt64, line: -1, stride: 1, low: make([]extreme, len(spec.Keys)), high: make([]extreme, len(spec.Keys))}
	if known, ok := service.traces.get(key); ok && known.(*trace).generation == head.Generation {
		t = known.(*trace)
	}
	if t.next < head.NextLine {
		t = t.clone()
		if ordered, err := c.carryOn(ctx, t); err != nil || !ordered {
			return nil, err
		}
		t.next = head.NextLine
		service.traces.put(key, t, t.size())
	}
	return t.json(spec.Samples)
}

func (t *trace) clone() *trace {
	c := *t
	c.points, c.low, c.high = slices.Clone(t.points), slices.Clone(t.low), slices.Clone(t.high)
	return &c
}

func (t *trace) size() int {
	const perPoint = 40
	size := 256
	for _, p := range t.points {
		size += len(p.text) + perPoint
	}
	for i := range t.low {
		size += len(t.low[i].text) + len(t.high[i].text) + 2*perPoint
	}
	return size
}

// carryOn adds the rows of lines that are not in a trace yet. ordered: their steps ascend with them.
func (c *choice) carryOn(ctx context.Context, t *trace) (ordered bool, err error) {
	writer := newRowWriter(c.spec.Keys)
	for _, p := range c.view.parts {
		if p.lines.to <= t.next {
			continue
		}
		r, values, err := p.columns(ctx, c.spec.Keys)
		if err != nil {
			return false, err
		}
		if !t.add(p, r, values, writer, c.spec.Samples) {
			return false, nil
		}
	}
	return true, nil
}

// add adds the rows of a part; it is false where steps and lines do not ascend together.
func (t *trace) add(p *part, r *rows, values []*segment.Values, writer *rowWriter, samples int) bool {
	text := func(row int) string { return string(writer.append(nil, values, row)) }
	last := -1
	for row := range r.n {
		line := r.lines.at(row)
		if line < t.next || !hasAll(values, row) || !p.visible(r, row) {
			continue
		}
		step := r.steps.at(row)
		if step < t.step || line <= t.line {
			return false
		}
		t.step, t.line, last = step, line, row
		if t.rows%t.stride == 0 {
			t.keep(point{t.rows, text(row)}, samples)
		}
		for key, v := range values {
			n := v.Number(row)
			t.low[key].note(n, -1, t.rows, row)
			t.high[key].note(n, 1, t.rows, row)
		}
		t.rows++
	}
	if last < 0 {
		return true
	}
	t.last = point{t.rows - 1, text(last)}
	for key := range values {
		for _, e := range []*extreme{&t.low[key], &t.high[key]} {
			if e.known && e.at >= 0 { // of a part in which many rows were the highest so far, one is written
				e.text, e.at = text(e.at), -1
			}
		}
	}
	return true
}

// keep keeps a row, and of twice as many as are asked for every second one.
func (t *trace) keep(p point, samples int) {
	t.points = append(t.points, p)
	if len(t.points) < 2*samples || len(t.points) < 2 {
		return
	}
	for i := range len(t.points) / 2 {
		t.points[i] = t.points[2*i]
	}
	clear(t.points[len(t.points)/2:])
	t.points = t.points[:len(t.points)/2]
	t.stride *= 2
}

// json writes the answer: all rows, or an even choice of so many with those that must be among them.
func (t *trace) json(samples int) (json.RawMessage, error) {
	points := t.points
	if t.rows > int64(samples) {
		points = t.choose(samples)
	}
	b := []byte{'['}
	for i, p := range points {
		if len(b) > maxAnswer {
			return nil, tooLarge()
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.text...)
	}
	return append(b, ']'), nil
}

func (t *trace) choose(samples int) []point {
	chosen := []point{t.points[0], t.last}
	for i := range t.low {
		for _, e := range []extreme{t.low[i], t.high[i]} {
			if e.known {
				chosen = append(chosen, e.point)
			}
		}
	}
	chosen = inOrder(chosen)
	if fill := samples - len(chosen); fill > 0 {
		for i := range fill {
			chosen = append(chosen, t.points[(2*i+1)*len(t.points)/(2*fill)])
		}
		chosen = inOrder(chosen)
	}
	return chosen
}

// inOrder sorts points and drops those that are there twice.
func inOrder(points []point) []point {
	slices.SortFunc(points, func(a, b point) int { return compare(a.row, b.row) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.row == b.row })
}
