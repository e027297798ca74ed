package segment

import (
	"slices"
	"strings"
)

const (
	// MaxColumns is how many keys a block has columns for; a row with further ones is kept as it is.
	MaxColumns = 4096
	// BlockRows, blockCells, blockText and blockRaw are where a block is full. Rows that are kept as they are are read and
	// written at once, others a column at a time.
	BlockRows  = 4096
	blockCells = 1 << 20
	blockText  = 8 << 20
	blockRaw   = 4 << 20
	// blockRawLines is how many lines of one length make such a block of which the memory is taken at once.
	blockRawLines = 16
)

// The columns that every block has before those of keys.
const (
	columnLines = iota
	columnSteps
	columnRaw // rows that are kept as they are
	keyColumns
)

// Odd is the step of a line that is no JSON object.
const Odd int64 = -2

// Builder makes a block. The zero value is ready for use. Not safe for concurrent use.
type Builder struct {
	walker       Walker
	index, dicts map[string]int32
	paths        []string
	columns      []*column
	// spare are columns of the last block, emptied: the next one has values of about the same keys.
	spare []*column
	// seen and seenDicts hold the row, counted from 1, in which a column or dict was met last.
	seen, seenDicts []int32
	cells           []int32
	lines, steps    []int64
	raw             column
	total, text     int
}

// Block is encoded rows, sorted by step and line.
type Block struct {
	Info BlockInfo
	// Paths are those of the key columns, sorted.
	Paths []string
	// Columns are the encoded columns: lines, steps, raw rows, and one for each path.
	Columns [][]byte

	outline outline
}

// BlockInfo is what is known of a block without its columns.
type BlockInfo struct {
	Rows int
	// The lines lie in [FirstLine, NextLine), the steps in [MinStep, MaxStep].
	FirstLine, NextLine int64
	MinStep, MaxStep    int64
	// Stats are the statistics of its rows in the order of lines, encoded by package chunk; empty where the lines must be
	// asked, and in a Bare footer.
	Stats []byte
	// HasStats tells that there are.
	HasStats bool
}

// Rows is the number of rows so far.
func (b *Builder) Rows() int { return len(b.lines) }

// Full tells that the block should be ended.
func (b *Builder) Full() bool {
	return len(b.lines) >= BlockRows || b.total >= blockCells || b.text >= blockText || len(b.raw.text) >= blockRaw
}

// Add appends a line that is a JSON object.
func (b *Builder) Add(line, step int64, text []byte) {
	row := b.row(line, step, text)
	b.walker.limit = MaxColumns
	cells, err := b.walker.Walk(text)
	if err != nil || !b.find(row, cells) {
		b.addRaw(row, text)
		return
	}
	b.total += len(cells)
	for i, cell := range cells {
		b.columns[b.cells[i]].add(row, cell.Token)
	}
}

// AddRaw appends a line that is kept as it is.
func (b *Builder) AddRaw(line, step int64, text []byte) {
	b.addRaw(b.row(line, step, text), text)
}

func (b *Builder) addRaw(row int32, text []byte) {
	if len(text) > blockRaw/blockRawLines {
		b.raw.text = slices.Grow(b.raw.text, max(blockRaw-len(b.raw.text), 0)+len(text)) // what a block of such lines takes at most
	}
	b.raw.rows = append(b.raw.rows, row)
	b.raw.addText(text)
}

func (b *Builder) row(line, step int64, text []byte) int32 {
	if len(b.lines) == 0 {
		b.raw.format = formatText
	}
	b.lines = append(b.lines, line)
	b.steps = append(b.steps, step)
	b.text += len(text)
	return int32(len(b.lines) - 1) // a block has far fewer rows
}

// find looks up the column of each cell. It is false for a row that has a name twice, or too many.
func (b *Builder) find(row int32, cells []Cell) bool {
	if b.index == nil {
		b.index, b.dicts = map[string]int32{}, map[string]int32{}
	}
	b.cells = b.cells[:0]
	for _, cell := range cells {
		at, ok := b.index[string(cell.Path)]
		if !ok {
			if len(b.columns) >= MaxColumns {
				return false
			}
			at = b.column(cell.Path)
		}
		if b.seen[at] == row+1 {
			return false
		}
		b.seen[at] = row + 1
		b.cells = append(b.cells, at)
	}
	return len(b.walker.dicts) == 0 || b.findDicts(row)
}

// column returns the number of a path, made where it is new.
func (b *Builder) column(path []byte) int32 {
	if at, ok := b.index[string(path)]; ok {
		return at
	}
	at, name := int32(len(b.columns)), string(path) // at most MaxColumns
	b.index[name] = at
	b.paths, b.columns, b.seen = append(b.paths, name), append(b.columns, b.empty()), append(b.seen, 0)
	return at
}

// empty returns a column without values.
func (b *Builder) empty() *column {
	if len(b.spare) == 0 {
		return &column{}
	}
	c := b.spare[len(b.spare)-1]
	b.spare = b.spare[:len(b.spare)-1]
	return c
}

// maxSpare bounds the columns that are kept: blocks of more have few values in each.
const maxSpare = 256

func (b *Builder) findDicts(row int32) bool {
	for _, path := range b.walker.dicts {
		at, ok := b.dicts[string(path)]
		if !ok {
			at = int32(len(b.seenDicts)) // fewer than bytes in a block
			b.dicts[string(path)] = at
			b.seenDicts = append(b.seenDicts, 0)
		}
		value, ok := b.index[string(path)]
		if b.seenDicts[at] == row+1 || ok && b.seen[value] == row+1 {
			return false
		}
		b.seenDicts[at] = row + 1
	}
	return true
}

// Block ends the block and returns it. The builder is empty then.
func (b *Builder) Block(stats []byte) *Block {
	rows := len(b.lines)
	lines, steps := column{format: formatInt, ints: b.lines}, column{format: formatInt, ints: b.steps}
	info := BlockInfo{
		Rows: rows, FirstLine: slices.Min(b.lines), NextLine: slices.Max(b.lines) + 1,
		MinStep: slices.Min(b.steps), MaxStep: slices.Max(b.steps), Stats: stats, HasStats: len(stats) > 0,
	}
	rank, raw := b.ranks(), b.raw.text[:0]
	for i := range rows {
		lines.rows, steps.rows = append(lines.rows, int32(i)), append(steps.rows, int32(i)) // few rows
	}
	columns := []*column{&lines, &steps, &b.raw}
	order := make([]int, 0, len(b.paths))
	for i, c := range b.columns {
		if len(c.rows) > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(x, y int) int { return strings.Compare(b.paths[x], b.paths[y]) })
	block := &Block{Info: info, Paths: make([]string, len(order))}
	for i, at := range order {
		block.Paths[i] = b.paths[at]
		columns = append(columns, b.columns[at])
	}
	if rank == nil && len(b.raw.rows) == 0 {
		block.outline = outlineOf(columns[keyColumns:], b.lines, b.steps)
	}
	for i, c := range columns {
		var encoded []byte
		if len(c.rows) > 0 {
			if rank != nil {
				c.reorder(rank)
			}
			encoded = c.encode(nil, rows)
		}
		block.Columns = append(block.Columns, encoded)
		columns[i] = nil
	}
	spare := append(b.spare, b.columns...)
	for _, c := range spare {
		c.clear()
	}
	if len(spare) > maxSpare {
		spare = nil
	}
	*b = Builder{walker: b.walker, raw: column{text: raw}, lines: b.lines[:0], steps: b.steps[:0], spare: spare}
	return block
}

// ranks returns the place of each row by step and line; nil where they are in order.
func (b *Builder) ranks() []int32 {
	before := func(x, y int) int {
		if b.steps[x] != b.steps[y] {
			return compare(b.steps[x], b.steps[y])
		}
		return compare(b.lines[x], b.lines[y])
	}
	order := make([]int, len(b.lines))
	for i := range order {
		order[i] = i
	}
	if slices.IsSortedFunc(order, before) {
		return nil
	}
	slices.SortFunc(order, before)
	rank := make([]int32, len(order))
	for place, row := range order {
		rank[row] = int32(place) // few rows
	}
	return rank
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
