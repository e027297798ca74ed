package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// DefaultSamples is how many rows are chosen where nobody says how many.
	DefaultSamples = 500
	// maxSamples bounds what may be asked for, except in a range that is a page.
	maxSamples = 100_000
	// maxSpecKeys bounds the keys of one request.
	maxSpecKeys = 4096
)

// Spec asks for rows that have all of some keys.
type Spec struct {
	Keys    []string
	Samples int
	// MinStep and MaxStep bound the steps: MinStep ≤ step < MaxStep.
	MinStep, MaxStep int64
	// Page: the client walks through the steps page by page, and every row of the range belongs to the answer.
	Page bool
}

// ParseSpec reads what a client sends: {"keys":["_step","loss"],"samples":500,"minStep":0,"maxStep":1000}. Whoever walks
// through the steps sends the width of the range as samples; maxStep is then the first step of the next page. Otherwise
// maxStep belongs to the range.
func ParseSpec(text string) (Spec, error) {
	var raw struct {
		Keys    []string     `json:"keys"`
		Samples *json.Number `json:"samples"`
		MinStep *json.Number `json:"minStep"`
		MaxStep *json.Number `json:"maxStep"`
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil {
		return Spec{}, invalidSpec(err)
	}
	if len(raw.Keys) > maxSpecKeys {
		return Spec{}, invalidSpec(fmt.Errorf("%d keys are more than %d", len(raw.Keys), maxSpecKeys))
	}
	spec := Spec{Samples: DefaultSamples, MinStep: math.MinInt64, MaxStep: math.MaxInt64}
	for _, key := range raw.Keys { // the client adds _step anew for each page
		if !slices.Contains(spec.Keys, key) {
			spec.Keys = append(spec.Keys, key)
		}
	}
	samples := int64(DefaultSamples)
	for _, field := range []struct {
		from *json.Number
		into *int64
	}{{raw.Samples, &samples}, {raw.MinStep, &spec.MinStep}, {raw.MaxStep, &spec.MaxStep}} {
		if field.from == nil {
			continue
		}
		var err error
		if *field.into, err = whole(*field.from); err != nil {
			return Spec{}, invalidSpec(err)
		}
	}
	spec.Samples = int(min(max(samples, 1), maxSamples))
	if raw.MaxStep != nil {
		spec.Page = raw.MinStep != nil && raw.Samples != nil && spec.MinStep >= 0 && spec.MaxStep-spec.MinStep == samples
		if !spec.Page && spec.MaxStep < math.MaxInt64 {
			spec.MaxStep++
		}
	}
	return spec, nil
}

// whole reads a number that some clients write as a float.
func whole(n json.Number) (int64, error) {
	if v, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return v, nil
	}
	v, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsNaN(v) {
		return 0, fmt.Errorf("%s is no number", n)
	}
	const limit = 1 << 62
	return int64(min(max(v, -limit), limit)), nil
}

func invalidSpec(err error) error {
	return &fault.Error{
		Reason: ReasonSpecInvalid, Op: "read a spec of samples", Err: err,
		Hint: `Write {"keys":["_step","loss"],"samples":500}.`,
	}
}

// Sample returns a JSON list of objects that hold the spec's keys, by step: every row where there are at most as many as
// asked for, or the range is a page. Of more rows it returns an even choice; the first and the last row, and those with
// the lowest and the highest value of each key, are in it.
func (s *Service) Sample(ctx context.Context, run store.ID, spec Spec) (json.RawMessage, error) {
	if len(spec.Keys) == 0 {
		return json.RawMessage("[]"), nil
	}
	question := fmt.Sprintf("sample %d %d %d %t %q", spec.Samples, spec.MinStep, spec.MaxStep, spec.Page, spec.Keys)
	return answer(ctx, s, run, store.StreamHistory, question, func(v *view) (json.RawMessage, int, error) {
		c := &choice{view: v, spec: spec}
		text, err := c.json(ctx)
		return text, len(text), err
	})
}

// choice is the work on one spec.
type choice struct {
	view *view
	spec Spec
	// values are those of the keys in each part of the range.
	values map[int32][]*segment.Values
}

func (c *choice) json(ctx context.Context) (json.RawMessage, error) {
	if text, err := c.traced(ctx); text != nil || err != nil {
		return text, err
	}
	refs, err := c.rows(ctx)
	if err != nil {
		return nil, err
	}
	if !c.spec.Page && len(refs) > c.spec.Samples {
		refs = c.choose(refs)
	}
	row := newRowWriter(c.spec.Keys)
	b := []byte{'['}
	for i, r := range refs {
		if len(b) > maxAnswer {
			return nil, tooLarge()
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = row.append(b, c.values[r.part], int(r.row))
	}
	return append(b, ']'), nil
}

// rowWriter writes rows with some keys.
type rowWriter struct {
	names [][]byte
	token []byte
}

func newRowWriter(keys []string) *rowWriter {
	w := &rowWriter{names: make([][]byte, len(keys))}
	for i, key := range keys {
		w.names[i] = append(appendString(nil, key), ':')
	}
	return w
}

func (w *rowWriter) append(b []byte, values []*segment.Values, row int) []byte {
	separator := byte('{')
	for key, v := range values {
		b = append(append(b, separator), w.names[key]...)
		w.token = v.Append(w.token[:0], row)
		b = appendStrict(b, w.token)
		separator = ','
	}
	return append(b, '}')
}

// appendMark appends the row of a mark.
func (w *rowWriter) appendMark(b []byte, c *curves, mark int) []byte {
	separator := byte('{')
	for key, curve := range c.keys {
		b = append(append(b, separator), w.names[key]...)
		separator = ','
		if curve == nil {
			b = strconv.AppendInt(b, c.rows.steps.at(int(c.lead.Rows[mark])), 10)
			continue
		}
		w.token = curve.Values.Append(w.token[:0], mark)
		b = appendStrict(b, w.token)
	}
	return append(b, '}')
}

// rows returns those in the range that have all keys.
func (c *choice) rows(ctx context.Context) ([]ref, error) {
	c.values = map[int32][]*segment.Values{}
	var refs []ref
	for at, p := range c.view.parts {
		if p.maxStep < c.spec.MinStep || p.minStep >= c.spec.MaxStep {
			continue
		}
		r, values, err := p.columns(ctx, c.spec.Keys)
		if err != nil {
			return nil, err
		}
		found := len(refs)
		refs = slices.Grow(refs, r.n)
		for row := range r.n {
			if step := r.steps.at(row); step >= c.spec.MinStep && step < c.spec.MaxStep && hasAll(values, row) && p.visible(r, row) {
				refs = append(refs, ref{step: step, line: r.lines.at(row), part: int32(at), row: int32(row)}) // a part has fewer rows
			}
		}
		if len(refs) > found {
			c.values[int32(at)] = values // a run has fewer parts
		}
	}
	c.view.sort(refs)
	return refs, nil
}

func hasAll(values []*segment.Values, row int) bool {
	for _, v := range values {
		if !v.Has(row) {
			return false
		}
	}
	return true
}

// choose picks Samples of the rows, and those that must be among them.
func (c *choice) choose(refs []ref) []ref {
	chosen := c.extremes(refs)
	chosen = append(chosen, 0, len(refs)-1)
	slices.Sort(chosen)
	chosen = slices.Compact(chosen)
	if fill := c.spec.Samples - len(chosen); fill > 0 {
		for i := range fill {
			chosen = append(chosen, (2*i+1)*len(refs)/(2*fill))
		}
		slices.Sort(chosen)
		chosen = slices.Compact(chosen)
	}
	picked := make([]ref, len(chosen))
	for i, at := range chosen {
		picked[i] = refs[at]
	}
	return picked
}

// extremes are the rows with the lowest and the highest number of each key.
func (c *choice) extremes(refs []ref) []int {
	var found []int
	for key := range c.spec.Keys {
		low, high := -1, -1
		var lowest, highest float64
		part, values := int32(-1), (*segment.Values)(nil)
		for i, r := range refs {
			if r.part != part {
				part, values = r.part, c.values[r.part][key]
			}
			switch n := values.Number(int(r.row)); {
			case math.IsNaN(n):
			case low < 0:
				low, high, lowest, highest = i, i, n, n
			case n < lowest:
				low, lowest = i, n
			case n > highest:
				high, highest = i, n
			}
		}
		if low >= 0 {
			found = append(found, low, high)
		}
	}
	return found
}
