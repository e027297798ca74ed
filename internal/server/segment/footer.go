package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	footerVersion = 1
	// maxFooterColumns bounds the keys of a segment, of all its blocks together.
	maxFooterColumns = 4 * MaxColumns
	maxBlocks        = 1 << 16
	maxRows          = 1 << 24
)

// Footer says what is where in a segment: the columns one after the other, each with its share of every block.
type Footer struct {
	Blocks []BlockInfo
	// Stats are the statistics of all rows together, where there are any; nil in a Lean footer that has too many.
	Stats []byte
	// HasStats tells that there are.
	HasStats bool
	paths    []string
	// ends is where the share of a block in a column ends, at column × blocks + block.
	ends []int64
	// byName finds columns of keys by either of their Names.
	byName map[string][]int
}

// Part is a block for a new segment: a new one, or one of another segment.
type Part struct {
	Block *Block
	// Source numbers the other segment, Footer is its, and Index the block in it.
	Source int
	Footer *Footer
	Index  int
	// Outline is that of the other segment, whole; nil where it has none.
	Outline *Outline
}

// Info is what is known of the block.
func (p *Part) Info() BlockInfo {
	if p.Block != nil {
		return p.Block.Info
	}
	return p.Footer.Blocks[p.Index]
}

func (p *Part) paths() []string {
	if p.Block != nil {
		return p.Block.Paths
	}
	return p.Footer.paths
}

// Piece is a stretch of a new segment: Bytes, or where they are nil a range of another segment.
type Piece struct {
	Bytes          []byte
	Source         int
	Offset, Length int64
}

func (p *Part) piece(column int, path string) Piece {
	if p.Block != nil {
		at := column
		if column >= keyColumns {
			i, found := slices.BinarySearch(p.Block.Paths, path)
			if !found {
				return Piece{}
			}
			at = keyColumns + i
		}
		b := p.Block.Columns[at]
		return Piece{Bytes: b, Length: int64(len(b))}
	}
	at := column
	if column >= keyColumns {
		i, found := slices.BinarySearch(p.Footer.paths, path)
		if !found {
			return Piece{}
		}
		at = keyColumns + i
	}
	offset, length := p.Footer.Range(at, p.Index)
	return Piece{Source: p.Source, Offset: offset, Length: length}
}

// Fits tells whether the blocks may share a segment.
func Fits(parts []Part) bool {
	return len(parts) <= maxBlocks/2 && len(union(parts)) <= maxFooterColumns/2
}

func union(parts []Part) []string {
	var all []string
	for i := range parts {
		if i > 0 && parts[i].Footer != nil && parts[i].Footer == parts[i-1].Footer {
			continue
		}
		all = append(all, parts[i].paths()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Assemble lays out a segment of these blocks: pieces, of which those of each source are in ascending order, the last of them
// the outline, and behind them a footer. stats are for segments with blocks that have none.
func Assemble(parts []Part, stats []byte) (pieces []Piece, footer []byte) {
	paths := union(parts)
	lengths := make([]int64, 0, (keyColumns+len(paths))*len(parts))
	for column := range keyColumns + len(paths) {
		path := ""
		if column >= keyColumns {
			path = paths[column-keyColumns]
		}
		for i := range parts {
			piece := parts[i].piece(column, path)
			lengths = append(lengths, piece.Length)
			if piece.Length > 0 {
				pieces = appendPiece(pieces, piece)
			}
		}
	}
	if outline := appendOutline(nil, parts, paths); len(outline) > 0 {
		pieces = append(pieces, Piece{Bytes: outline, Length: int64(len(outline))})
	}
	raw := []byte{footerVersion}
	raw = binary.AppendUvarint(raw, uint64(len(paths)))
	for _, path := range paths {
		raw = binary.AppendUvarint(raw, uint64(len(path)))
		raw = append(raw, path...)
	}
	raw = binary.AppendUvarint(raw, uint64(len(parts)))
	for i := range parts {
		raw = appendInfo(raw, parts[i].Info())
	}
	raw = append(binary.AppendUvarint(raw, uint64(len(stats))), stats...)
	for _, n := range lengths {
		raw = binary.AppendUvarint(raw, uint64(n)) // never negative
	}
	return pieces, appendSection(nil, raw)
}

// appendPiece joins a piece with the one before it where they are neighbours in one source.
func appendPiece(pieces []Piece, p Piece) []Piece {
	if n := len(pieces); n > 0 && p.Bytes == nil {
		last := &pieces[n-1]
		if last.Bytes == nil && last.Source == p.Source && last.Offset+last.Length == p.Offset {
			last.Length += p.Length
			return pieces
		}
	}
	return append(pieces, p)
}

func appendInfo(b []byte, info BlockInfo) []byte {
	b = binary.AppendUvarint(b, uint64(info.Rows)) // never negative
	for _, v := range []int64{info.FirstLine, info.NextLine, info.MinStep, info.MaxStep} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(info.Stats)))
	return append(b, info.Stats...)
}

// ParseFooter reads a footer.
func ParseFooter(b []byte) (*Footer, error) {
	outer := &reader{rest: b}
	r := &reader{rest: outer.section()}
	if err := outer.err("a footer"); err != nil {
		return nil, err
	}
	if version := r.byte(); version != footerVersion {
		return nil, fmt.Errorf("%w: a footer of version %d", ErrCorrupt, version)
	}
	f := &Footer{}
	f.paths = make([]string, r.count(min(maxFooterColumns, len(r.rest))))
	for i := range f.paths {
		f.paths[i] = string(r.bytes(r.count(len(r.rest))))
	}
	f.Blocks = make([]BlockInfo, r.count(min(maxBlocks, len(r.rest))))
	for i := range f.Blocks {
		f.Blocks[i] = r.info()
	}
	f.Stats = r.bytes(r.count(len(r.rest)))
	f.HasStats = len(f.Stats) > 0
	if shares := (keyColumns + len(f.paths)) * len(f.Blocks); shares <= len(r.rest) {
		f.ends = make([]int64, shares)
	} else {
		r.fail()
	}
	end := int64(0)
	for i := range f.ends {
		end += int64(r.count(maxSection))
		f.ends[i] = end
	}
	if !slices.IsSortedFunc(f.paths, strings.Compare) {
		r.fail()
	}
	if err := r.err("a footer"); err != nil {
		return nil, err
	}
	f.name()
	return f, nil
}

func (r *reader) info() BlockInfo {
	info := BlockInfo{
		Rows: r.count(maxRows), FirstLine: r.varint(), NextLine: r.varint(), MinStep: r.varint(), MaxStep: r.varint(),
	}
	info.Stats = r.bytes(r.count(len(r.rest)))
	info.HasStats = len(info.Stats) > 0
	if info.Rows == 0 || info.FirstLine >= info.NextLine || info.MinStep > info.MaxStep {
		r.fail()
	}
	return info
}

func (f *Footer) name() {
	f.byName = make(map[string][]int, len(f.paths))
	for i, path := range f.paths {
		escaped, plain := Names([]byte(path))
		f.byName[escaped] = append(f.byName[escaped], keyColumns+i)
		if plain != escaped {
			f.byName[plain] = append(f.byName[plain], keyColumns+i)
		}
	}
}

// leanStats is how many bytes of statistics stay with a Lean footer.
const leanStats = 64 << 10

// Lean returns the footer without statistics of all rows that are large: those of 100,000 keys take 2 MB, where the rest takes
// next to nothing.
func (f *Footer) Lean() *Footer {
	if len(f.Stats) <= leanStats {
		return f
	}
	lean := *f
	lean.Stats, lean.Blocks = nil, slices.Clone(f.Blocks)
	for i := range lean.Blocks { // they lie in the same memory
		lean.Blocks[i].Stats = bytes.Clone(lean.Blocks[i].Stats)
	}
	return &lean
}

// Bare returns a Lean footer without the statistics of blocks: of many they are most of it. Its blocks cannot be part of another
// segment.
func (f *Footer) Bare() *Footer {
	bare := *f
	if len(f.Stats) > leanStats {
		bare.Stats = nil
	}
	bare.Stats, bare.Blocks = bytes.Clone(bare.Stats), slices.Clone(f.Blocks) // all lies in the same memory
	for i := range bare.Blocks {
		bare.Blocks[i].Stats = nil
	}
	return &bare
}

// Columns are the columns that clients call by a name; mostly one or none.
func (f *Footer) Columns(name string) []int { return f.byName[name] }

// All is the number of columns.
func (f *Footer) All() int { return keyColumns + len(f.paths) }

// End is where the columns end in their segment.
func (f *Footer) End() int64 {
	if len(f.ends) == 0 {
		return 0
	}
	return f.ends[len(f.ends)-1]
}

// Range is where the share of a block in a column lies; of no length where the block has no such column.
func (f *Footer) Range(column, block int) (offset, length int64) {
	at := column*len(f.Blocks) + block
	if at > 0 {
		offset = f.ends[at-1]
	}
	return offset, f.ends[at] - offset
}

// Size is about how many bytes of memory the footer takes.
func (f *Footer) Size() int {
	size := 8*len(f.ends) + 96*len(f.Blocks) + len(f.Stats)
	for _, path := range f.paths {
		size += 2*len(path) + 120
	}
	for i := range f.Blocks {
		size += len(f.Blocks[i].Stats)
	}
	return size
}
