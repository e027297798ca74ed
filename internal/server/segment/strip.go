package segment

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// stepPath is the column that says where a row stands.
const stepPath = "_step"

// AddColumns appends consecutive lines from the columns that they are stored in: the same rows as Add makes of their text, for
// a third of the work. It is false, and nothing is added, where only the text tells.
func (b *Builder) AddColumns(first int64, lines int, columns []chunk.Column) bool {
	steps := StepsOf(lines, columns)
	if steps == nil || len(b.columns)+len(columns) > MaxColumns {
		return false
	}
	if b.index == nil {
		b.index, b.dicts = map[string]int32{}, map[string]int32{}
	}
	row := int32(len(b.lines)) // a block has far fewer rows
	for i, step := range steps {
		b.row(first+int64(i), step, nil)
	}
	for i := range columns {
		c := &columns[i]
		b.columns[b.column(c.Name)].take(row, c)
		b.total += len(c.Rows)
		const perCell = 16 // of the text that was not written
		b.text += len(c.Rows) * (len(c.Name) + perCell)
	}
	return true
}

// StepsOf are the steps of lines that all have one; nil for others.
func StepsOf(lines int, columns []chunk.Column) []int64 {
	for i := range columns {
		if string(columns[i].Name) != stepPath {
			continue
		}
		for _, step := range columns[i].Integers {
			if step < 0 {
				return nil
			}
		}
		if len(columns[i].Integers) == lines {
			return columns[i].Integers
		}
	}
	return nil
}

// take appends the values of some rows, counted from first.
func (c *column) take(first int32, from *chunk.Column) {
	c.rows = slices.Grow(c.rows, len(from.Rows))
	for i, row := range from.Rows {
		row += first
		switch {
		case from.Texts != nil && from.Texts[i] != nil:
			c.add(row, from.Texts[i])
		case from.Integers != nil:
			c.addWhole(row, from.Integers[i])
		default:
			c.addSingle(row, float64(from.Singles[i]))
		}
	}
}

func (c *column) addWhole(row int32, v int64) {
	if len(c.rows) > 0 && c.format != formatInt {
		c.add(row, strconv.AppendInt(nil, v, 10))
		return
	}
	c.format = formatInt
	c.rows, c.ints = append(c.rows, row), append(c.ints, v)
}

func (c *column) addSingle(row int32, v float64) {
	if len(c.rows) == 0 || !c.format.plain(v) {
		c.add(row, strconv.AppendFloat(nil, v, 'f', -1, 64))
		return
	}
	c.rows, c.floats = append(c.rows, row), append(c.floats, v)
}

// plain tells that a format writes a float as strconv's 'f' does. It need not know all of those.
func (f format) plain(v float64) bool {
	abs := math.Abs(v)
	if abs == math.Trunc(abs) || !(abs >= 1e-4) {
		return false
	}
	switch f {
	case formatGo:
		return abs < 1e6
	case formatPlain, formatPython:
		return abs < 1e16
	default:
		return false
	}
}

// ValuesOf returns the values of a key in consecutive lines from the columns that they are stored in, without any for a key
// of another name.
func ValuesOf(key string, lines int, columns []chunk.Column) *Values {
	for i := range columns {
		if name := string(columns[i].Name); name == key || strings.ReplaceAll(name, ".", `\.`) == key {
			return valuesOf(lines, &columns[i])
		}
	}
	return absent(lines)
}

func valuesOf(lines int, c *chunk.Column) *Values {
	v := &Values{rows: lines}
	if len(c.Rows) < lines {
		v.has = make([]uint64, words(lines))
		for _, row := range c.Rows {
			v.has[row>>6] |= 1 << (row & 63)
		}
	}
	switch {
	case c.Integers != nil:
		v.format = formatInt
		v.ints = spreadOut(c.Integers, v)
		v.even()
	case c.Texts == nil:
		v.format = formatShort
		floats := make([]float64, len(c.Singles))
		for i, n := range c.Singles {
			floats[i] = float64(n)
		}
		v.floats = spreadOut(floats, v)
	default:
		v.takeTexts(c)
	}
	return v
}

// takeTexts takes values of which some or all are no number that is stored as one.
func (v *Values) takeTexts(c *chunk.Column) {
	v.format, v.ends, v.floats = formatText, make([]uint32, v.rows), make([]float64, v.rows)
	next := 0
	for row := range v.rows {
		v.floats[row] = math.NaN()
		if v.Has(row) {
			if text := c.Texts[next]; text != nil {
				v.text, v.floats[row] = append(v.text, text...), number(text)
			} else {
				v.floats[row] = float64(c.Singles[next])
				v.text = formatShort.append(v.text, v.floats[row])
			}
			next++
		}
		v.ends[row] = uint32(len(v.text)) // a chunk is far shorter
	}
}
