package history

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// trace is a chart of all rows of a run so far. It is carried on with the rows that came since, so that a chart of a run that
// is logged into costs what is new. Of each 2^level consecutive lines it keeps the first that has all keys: which those are
// depends on the lines alone, not on when the chart was made, nor on what the lines were stored in. That is why it can be made
// of curves, which are thinned out alike and take a sixtieth of the rows.
type trace struct {
	// Lines below next are in it, as they were at this generation of the stream. step and line are those of the last row.
	generation, next int64
	step, line       int64
	// rows counts those that have all keys. Of those fewer than twice as many as there are samples are kept, by line.
	rows   int64
	level  uint
	points []point
	last   point
	// low and high are the rows with the lowest and the highest number of each key.
	low, high []extreme
}

// point is a row as JSON, and its line.
type point struct {
	line int64
	text string
}

type extreme struct {
	point
	value float64
	known bool
	// in is the part that the row is in, until the text is known.
	in *part
}

// end is one of the two extremes of a key: sign is 1 for the highest and -1 for the lowest.
type end struct {
	*extreme
	sign float64
}

func (t *trace) ends(key int) [2]end { return [2]end{{&t.low[key], -1}, {&t.high[key], 1}} }

// beaten tells whether a number is farther out.
func (e end) beaten(value float64) bool {
	return e.sign*value > e.sign*e.value || !e.known && !math.IsNaN(value)
}

// beat puts a row in its place.
func (e end) beat(value float64, line int64, text string, in *part) {
	*e.extreme = extreme{point: point{line, text}, value: value, known: true, in: in}
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
	t := &trace{generation: head.Generation, step: math.MinInt64, line: -1, low: make([]extreme, len(spec.Keys)), high: make([]extreme, len(spec.Keys))}
	if known, ok := service.traces.get(key); ok && known.(*trace).generation == head.Generation {
		t = known.(*trace)
	}
	if t.next < head.NextLine {
		d := &drawing{trace: t.clone(), spec: spec, writer: newRowWriter(spec.Keys)}
		if ordered, err := d.carryOn(ctx, c.view); err != nil || !ordered {
			return nil, err
		}
		t = d.trace
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

// drawing is the work on a trace.
type drawing struct {
	*trace
	spec   *Spec
	writer *rowWriter
}

// carryOn adds the rows of lines that are not in the trace yet. ordered: their steps ascend with them.
func (d *drawing) carryOn(ctx context.Context, v *view) (ordered bool, err error) {
	parts := slices.DeleteFunc(slices.Clone(v.parts), func(p *part) bool { return p.lines.to <= d.next })
	if err := d.skipLevels(ctx, parts); err != nil {
		return false, err
	}
	for _, p := range parts {
		if ordered, err := d.addPart(ctx, p); err != nil || !ordered {
			return false, err
		}
	}
	return true, d.writeExtremes(ctx)
}

// skipLevels begins at a level of curves where those tell that it is left anyway, so that no rows have to be read.
func (d *drawing) skipLevels(ctx context.Context, parts []*part) error {
	if len(parts) == 0 {
		return nil
	}
	lines, wanted := parts[len(parts)-1].lines.to-d.next, 2*d.spec.Samples
	for _, level := range []uint{segment.OutlineLevel, chunk.OutlineLevel} {
		if d.level >= level || lines>>level < int64(wanted) {
			continue
		}
		n, stretch := 0, int64(-1)
		for _, p := range parts {
			if p.outlineLevel() > level || !d.isNew(p) {
				continue
			}
			found, known, err := p.curves(ctx, d.spec.Keys)
			if err != nil {
				return err
			}
			if !known || found == nil {
				continue
			}
			for _, row := range found.lead.Rows[:found.lead.Firsts()] {
				if s := found.rows.lines.at(int(row)) >> level; s != stretch {
					stretch = s
					n++
				}
			}
			if n >= wanted {
				d.level = level
				d.thin()
				return nil
			}
		}
	}
	return nil
}

// isNew tells whether all rows of a part count, and none is in the trace.
func (d *drawing) isNew(p *part) bool { return p.lines.from >= d.next && p.whole() }

func (d *drawing) addPart(ctx context.Context, p *part) (ordered bool, err error) {
	if d.level >= p.outlineLevel() && d.isNew(p) {
		found, known, err := p.curves(ctx, d.spec.Keys)
		if err != nil {
			return false, err
		}
		if known {
			return found == nil || d.addCurves(p, found), nil
		}
	}
	r, values, err := p.columns(ctx, d.spec.Keys)
	return err == nil && d.addRows(p, r, values), err
}

// follows tells whether a row may come next, and counts it as the last.
func (t *trace) follows(step, line int64) bool {
	if step < t.step || line <= t.line {
		return false
	}
	t.step, t.line = step, line
	return true
}

// addRows adds the rows of a part; it is false where steps and lines do not ascend together.
func (d *drawing) addRows(p *part, r *rows, values []*segment.Values) bool {
	text := func(row int) string { return string(d.writer.append(nil, values, row)) }
	last := -1
	for row := range r.n {
		line := r.lines.at(row)
		if line < d.next || !hasAll(values, row) || !p.visible(r, row) {
			continue
		}
		if !d.follows(r.steps.at(row), line) {
			return false
		}
		last = row
		if d.isFirst(line) {
			d.keep(point{line, text(row)}, d.spec.Samples)
		}
		for key, v := range values {
			n := v.Number(row)
			for _, e := range d.ends(key) {
				if e.beaten(n) {
					e.beat(n, line, "", p)
				}
			}
		}
		d.rows++
	}
	if last < 0 {
		return true
	}
	d.last = point{d.line, text(last)}
	for key := range values { // of a part in which many rows were the highest so far, one is written
		for _, e := range d.ends(key) {
			if e.in == p {
				e.text, e.in = text(r.rowOf(e.line)), nil
			}
		}
	}
	return true
}

// rowOf finds the row of a line.
func (r *rows) rowOf(line int64) int {
	for row := range r.n {
		if r.lines.at(row) == line {
			return row
		}
	}
	return 0 // whoever asks has seen it
}

// addCurves adds the rows of a part that its curves tell of; it is false where those do not follow.
func (d *drawing) addCurves(p *part, c *curves) bool {
	lead := c.lead
	lines, steps := c.rows.lines.at, c.rows.steps.at
	at := func(mark int) (step, line int64) { row := int(lead.Rows[mark]); return steps(row), lines(row) }
	text := func(mark int) string { return string(d.writer.appendMark(nil, c, mark)) }
	for mark := range lead.Firsts() {
		step, line := at(mark)
		if mark == 0 && !d.follows(step, line) {
			return false
		}
		if d.isFirst(line) {
			d.keep(point{line, text(mark)}, d.spec.Samples)
		}
	}
	lowest, highest, last := lead.Firsts(), lead.Firsts()+1, lead.Firsts()+2
	d.step, d.line = at(last)
	d.last = point{d.line, text(last)}
	d.rows += int64(lead.Count)
	for key, curve := range c.keys {
		marks := [2]int{lowest, highest}
		if curve == nil { // _step, which ascends
			marks = [2]int{0, last}
		}
		for i, e := range d.ends(key) {
			n, line := c.number(curve, marks[i])
			switch {
			case !e.beaten(n):
			case curve == nil || c.alone():
				e.beat(n, line, text(marks[i]), nil)
			default:
				e.beat(n, line, "", p)
			}
		}
	}
	return true
}

// number returns the number at a mark of a curve, of _step for nil, and its line.
func (c *curves) number(curve *segment.Curve, mark int) (value float64, line int64) {
	if curve == nil {
		row := int(c.lead.Rows[mark])
		return float64(c.rows.steps.at(row)), c.rows.lines.at(row)
	}
	return curve.Values.Number(mark), c.rows.lines.at(int(curve.Rows[mark]))
}

// alone tells whether the rows of the lead's marks tell everything: there is no other key but _step.
func (c *curves) alone() bool {
	n := 0
	for _, curve := range c.keys {
		if curve != nil {
			n++
		}
	}
	return n <= 1
}

// writeExtremes looks up the rows of extremes of which curves tell only where they are.
func (d *drawing) writeExtremes(ctx context.Context) error {
	for key := range d.low {
		for _, e := range d.ends(key) {
			if e.in == nil {
				continue
			}
			r, values, err := e.in.columns(ctx, d.spec.Keys)
			if err != nil {
				return err
			}
			e.text, e.in = string(d.writer.append(nil, values, r.rowOf(e.line))), nil
		}
	}
	return nil
}

// isFirst tells whether no row that is kept is of the same 2^level lines.
func (t *trace) isFirst(line int64) bool {
	n := len(t.points)
	return n == 0 || t.points[n-1].line>>t.level != line>>t.level
}

// keep keeps a row, and of twice as many as are asked for the first of twice as many lines each.
func (t *trace) keep(p point, samples int) {
	t.points = append(t.points, p)
	for len(t.points) >= 2*samples && len(t.points) > 1 {
		t.level++
		t.thin()
	}
}

// thin drops all but the first of each 2^level lines.
func (t *trace) thin() {
	kept := t.points[:0]
	for _, p := range t.points {
		if n := len(kept); n == 0 || kept[n-1].line>>t.level != p.line>>t.level {
			kept = append(kept, p)
		}
	}
	clear(t.points[len(kept):])
	t.points = kept
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
	slices.SortFunc(points, func(a, b point) int { return compare(a.line, b.line) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.line == b.line })
}
