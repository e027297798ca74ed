package store

import "github.com/uptrace/bun"

// Stream is one of the sequences of lines that a run has.
type Stream int16

// The streams of a run.
const (
	StreamHistory Stream = iota
	StreamEvents
	StreamConsole
	// StreamArchive holds the history that rewinds cut off.
	StreamArchive
)

// NoStep is the step of lines that have none.
const NoStep int64 = -1

// StreamHead is a row of stream_heads: where one process of a run stands in a stream.
type StreamHead struct {
	bun.BaseModel `bun:"table:stream_heads,alias:h"`

	RunID  ID     `bun:"run_id,pk"`
	Stream Stream `bun:"stream,pk"`
	// Writer is "" unless several processes log into the run at once; then it is the id of one.
	Writer Text `bun:"writer,pk"`
	// NextLine is the highest stored line + 1.
	NextLine int64 `bun:"next_line"`
	// BaseLine: lines below it are those of the run that this one was forked from.
	BaseLine int64 `bun:"base_line"`
	LastSeq  int64 `bun:"last_seq"`
	// MaxStep is the highest step of any stored line; NoStep for none.
	MaxStep int64 `bun:"max_step"`
	// Generation grows when stored lines are overwritten or cut off.
	Generation int64 `bun:"generation"`
}

// Chunk is a row of chunks: lines FirstLine to FirstLine+N-1 as one request brought them. Of two chunks that hold the same
// line the one with the higher Seq counts. Body and Stats are encoded by package chunk.
type Chunk struct {
	bun.BaseModel `bun:"table:chunks,alias:c"`

	RunID     ID     `bun:"run_id,pk"`
	Stream    Stream `bun:"stream,pk"`
	Writer    Text   `bun:"writer,pk"`
	Seq       int64  `bun:"seq,pk"`
	FirstLine int64  `bun:"first_line"`
	N         int32  `bun:"n"`
	MinStep   int64  `bun:"min_step"`
	MaxStep   int64  `bun:"max_step"`
	Hash      []byte `bun:"hash"`
	Stats     Blob   `bun:"stats"`
	Body      Blob   `bun:"body"`
}

// ChunkOutline is a row of chunk_outlines: what charts of many rows are made of, as package chunk encodes it. Small chunks, and
// those whose lines do not ascend by step, have none.
type ChunkOutline struct {
	bun.BaseModel `bun:"table:chunk_outlines,alias:o"`

	RunID   ID     `bun:"run_id,pk"`
	Stream  Stream `bun:"stream,pk"`
	Writer  Text   `bun:"writer,pk"`
	Seq     int64  `bun:"seq,pk"`
	Outline Blob   `bun:"outline"`
}
