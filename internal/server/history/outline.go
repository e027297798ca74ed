package history

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func (c *chunkSource) outlineLevel() uint { return chunk.OutlineLevel }
func (b *blockSource) outlineLevel() uint { return segment.OutlineLevel }

// outlined is a segment as one reader reads it.
type outlined struct {
	service  *Service
	segment  store.Segment
	footer   *segment.Footer
	outline  *segment.Outline
	searched bool
	// curves are those that were read, by column and block.
	curves map[int][][]byte

	// counted are the blocks with their statistics, once somebody has asked for them.
	counted []segment.BlockInfo

	columnsAhead, rowsAhead readAhead
}

// blockStats returns the statistics of a block as they are stored.
func (o *outlined) blockStats(ctx context.Context, block int) ([]byte, error) {
	if o.counted == nil {
		f, err := o.service.wholeFooter(ctx, o.segment)
		if err != nil {
			return nil, err
		}
		o.counted = f.Lean().Blocks
	}
	return o.counted[block].Stats, nil
}

// curves are those of some keys in the same rows of a part.
type curves struct {
	rows *rows
	// keys are those of the keys; nil for _step, which the rows tell.
	keys []*segment.Curve
	// lead has the rows that all have.
	lead *segment.Curve
}

// curves returns those of keys in the block; known is false where only the columns tell, and the curves are nil where no row has
// all keys.
func (b *blockSource) curves(ctx context.Context, keys []string) (found *curves, known bool, err error) {
	outline, err := b.outlined.find(ctx)
	if err != nil || outline == nil || !outline.Has(b.block) {
		return nil, false, err
	}
	columns := make([]int, len(keys))
	for i, key := range keys {
		switch named := b.footer.Columns(key); {
		case len(named) > 1:
			return nil, false, nil
		case len(named) == 0:
			return nil, true, nil
		default:
			columns[i] = named[0]
		}
	}
	if err := b.outlined.read(ctx, columns); err != nil {
		return nil, false, err
	}
	r := &rows{n: b.info().Rows}
	if by, even := outline.Even(b.block, *b.info()); even {
		r.lines, r.steps = sequence{from: b.info().FirstLine, by: 1}, sequence{from: b.info().MinStep, by: by}
	} else if r, err = b.rows(ctx); err != nil {
		return nil, false, err
	}
	found = &curves{rows: r, keys: make([]*segment.Curve, len(keys))}
	firsts := segment.Firsts(r.n, r.lines.at)
	for i, column := range columns {
		raw := b.outlined.curves[column][b.block]
		if len(raw) == 0 {
			_, length := b.footer.Range(column, b.block)
			return nil, length == 0, nil
		}
		if found.keys[i], err = segment.DecodeCurve(raw, r.n, firsts); err != nil {
			return nil, false, corrupt(err)
		}
	}
	return found, found.align(keys), nil
}

// curves returns those of keys in the chunk.
func (c *chunkSource) curves(ctx context.Context, keys []string) (found *curves, known bool, err error) {
	raw, err := c.outline(ctx)
	if err != nil || len(raw) == 0 {
		return nil, false, err
	}
	outline, err := chunk.DecodeOutline(raw, c.chunk.FirstLine, func(name []byte) bool { return isCalled(name, keys) })
	if err != nil {
		return nil, false, corrupt(err)
	}
	found = &curves{
		rows: &rows{n: outline.Lines, steps: sequenceOf(outline.Steps), lines: sequence{from: c.chunk.FirstLine, by: 1}},
		keys: make([]*segment.Curve, len(keys)),
	}
	for i := range outline.Keys {
		m := &outline.Keys[i]
		at := slices.Index(keys, m.Name)
		if at < 0 {
			at = slices.Index(keys, plain(m.Name))
		}
		if m.Count == 0 || found.keys[at] != nil {
			return nil, false, nil
		}
		found.keys[at] = segment.CurveOf(m)
	}
	if slices.Contains(found.keys, nil) {
		return nil, true, nil
	}
	return found, found.align(keys), nil
}

// isCalled tells whether clients may call the path of a key by one of these names.
func isCalled(path []byte, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return string(path) == name || bytes.IndexByte(path, '\\') >= 0 && plain(string(path)) == name
	})
}

// plain is a path with the dots of its names as they are.
func plain(path string) string { return strings.ReplaceAll(path, `\.`, ".") }

// outline returns that of the chunk, and reads those of the chunks that follow with it; nil for none.
func (c *chunkSource) outline(ctx context.Context) ([]byte, error) {
	if c.chunk.N < chunk.OutlineLines {
		return nil, nil
	}
	key := keyOf(&c.chunk, "")
	if known, ok := c.ahead.outlines[key]; ok {
		return known, nil
	}
	seqs := []int64{c.chunk.Seq}
	for i := range c.follows {
		if c.follows[i].N >= chunk.OutlineLines && len(seqs) < prefetch {
			seqs = append(seqs, c.follows[i].Seq)
		}
	}
	for _, seq := range seqs {
		c.ahead.outlines[keyOfSeq(key, seq)] = nil
	}
	found, err := c.service.store.Outlines(ctx, c.chunk, seqs)
	for i := range found {
		c.ahead.outlines[keyOfSeq(key, found[i].Seq)] = found[i].Outline
	}
	return c.ahead.outlines[key], err
}

func keyOfSeq(key chunkKey, seq int64) chunkKey {
	key.seq = seq
	return key
}

// align finds the curve with the rows that all keys have; it is false where the curves do not tell.
func (c *curves) align(keys []string) bool {
	for i, key := range keys {
		if curve := c.keys[i]; key != "_step" {
			if c.lead == nil {
				c.lead = curve
			}
			if curve.Count != c.lead.Count || curve.Pattern != c.lead.Pattern {
				return false
			}
		}
	}
	at := slices.Index(keys, "_step")
	if at < 0 {
		return true
	}
	steps := c.keys[at]
	if c.lead == nil {
		c.lead = steps
	}
	if !steps.Values.IsWhole() || steps.Count < c.rows.n && steps.Pattern != c.lead.Pattern {
		return false
	}
	c.keys[at] = nil
	return true
}

// keyOutline is the column of a blockKey that is an outline.
const keyOutline = -3

// find returns where the curves are; nil where the segment has none.
func (o *outlined) find(ctx context.Context) (*segment.Outline, error) {
	if o.searched {
		return o.outline, nil
	}
	key := blockKey{object: o.segment.ObjectID, column: keyOutline}
	if known, ok := o.service.footers.get(key); ok {
		o.outline, o.searched = known.(*segment.Outline), true
		return o.outline, nil
	}
	found, err := o.footer.ReadOutline(o.segment.FooterAt, o.service.ranges(ctx, o.segment))
	if err != nil {
		return nil, outlineFailed(err)
	}
	o.outline, o.searched = found, true
	if found != nil {
		o.service.footers.put(key, found, found.Size())
	}
	return found, nil
}

// ranges reads ranges of a segment's object.
func (s *Service) ranges(ctx context.Context, g store.Segment) func(offset, length int64) ([]byte, error) {
	return func(offset, length int64) ([]byte, error) { return s.get(ctx, g.Object(), extent{offset, length}) }
}

// outlineFailed tells a bucket that does not answer from an outline that cannot be read.
func outlineFailed(err error) error {
	if isCorrupt(err) {
		return corrupt(err)
	}
	return err
}

// read reads the curves of columns, all at once.
func (o *outlined) read(ctx context.Context, columns []int) error {
	var missing []int
	for _, column := range columns {
		if _, ok := o.curves[column]; !ok && !slices.Contains(missing, column) {
			missing = append(missing, column)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing) // they lie in this order
	wanted := make([]extent, len(missing))
	for i, column := range missing {
		wanted[i].offset, wanted[i].length = o.outline.Range(column)
	}
	raw, err := o.service.fetch(ctx, o.segment.Object(), wanted)
	if err != nil {
		return err
	}
	for i, column := range missing {
		curves, err := o.outline.Curves(raw[i])
		if err != nil {
			return corrupt(err)
		}
		if o.curves == nil {
			o.curves = map[int][][]byte{}
		}
		o.curves[column] = curves
	}
	return nil
}
