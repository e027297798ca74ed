package store

import (
	"math"

	"github.com/uptrace/bun"
)

// NoCut is the CutStep of a segment whose rows all belong to the run.
const NoCut int64 = math.MaxInt64

// Segment is a row of segments: lines of one writer in an object of the bucket.
type Segment struct {
	bun.BaseModel `bun:"table:segments,alias:g"`

	RunID  ID     `bun:"run_id,pk"`
	Stream Stream `bun:"stream,pk"`
	Writer Text   `bun:"writer,pk"`
	// ObjectID and ObjectRun name the object. ObjectRun is the run that it was written for.
	ObjectID  ID `bun:"object_id,pk"`
	ObjectRun ID `bun:"object_run"`
	// Size is that of the object, whose footer begins at FooterAt.
	Size     int64 `bun:"size"`
	FooterAt int64 `bun:"footer_at"`
	// All lines of the object lie in [FirstLine, NextLine); Lines is their number.
	FirstLine int64 `bun:"first_line"`
	NextLine  int64 `bun:"next_line"`
	Lines     int64 `bun:"line_count"`
	MinStep   int64 `bun:"min_step"`
	MaxStep   int64 `bun:"max_step"`
	// CutStep: rows with a higher step are no longer part of the run.
	CutStep int64 `bun:"cut_step"`
	// Dead holds the lines that are no longer part of the run, as package history encodes them.
	Dead Blob `bun:"dead"`
	// Footer is the object's; empty where it is too large for a row.
	Footer Blob `bun:"footer"`
}
