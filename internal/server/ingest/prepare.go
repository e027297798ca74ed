package ingest

import (
	"errors"
	"math"
	"strconv"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// errLine tells that a line is longer than what one row holds.
var errLine = errors.New("a line is longer than " + strconv.Itoa(chunk.MaxLine>>20) + " MiB")

var streams = [...]struct {
	file   file
	stream store.Stream
}{{historyFile, store.StreamHistory}, {eventsFile, store.StreamEvents}, {consoleFile, store.StreamConsole}}

// packer makes parts of lines.
type packer struct {
	// stats is memory that is used again.
	stats *chunk.Stats
	// pause is called again and again where lines take longer than a moment; nil for no pause.
	pause func()
}

// pauseBytes is after how many bytes of lines a packer may pause: less than half a millisecond.
const pauseBytes = 16 << 10

// prepare makes of a message what is to be written. Nothing of it lies in the memory of the body.
func (m *message) prepare(p packer) (*store.Append, error) {
	a := &store.Append{Complete: m.complete, ExitCode: m.exitCode, Preempting: m.preempting}
	for _, s := range streams {
		for _, stretch := range m.files[s.file] {
			if stretch.offset+int64(len(m.lines)) > maxOffset {
				return nil, errOffset
			}
			var err error
			if a.Parts, err = p.appendParts(a.Parts, s.stream, stretch.offset, m.lines[stretch.from:stretch.to]); err != nil {
				return nil, err
			}
		}
	}
	a.Summary = m.summary()
	return a, nil
}

// appendParts cuts lines into parts of at most chunk.MaxRaw bytes.
func (p packer) appendParts(parts []store.Part, stream store.Stream, first int64, lines [][]byte) ([]store.Part, error) {
	for len(lines) > 0 {
		n, size := 0, 0
		for n < len(lines) && (n == 0 || size+len(lines[n]) < chunk.MaxRaw) {
			if len(lines[n]) > chunk.MaxLine {
				return nil, errLine
			}
			size += len(lines[n]) + 1
			n++
		}
		parts = append(parts, p.part(stream, first, lines[:n]))
		first, lines = first+int64(n), lines[n:]
	}
	return parts, nil
}

func (p packer) part(stream store.Stream, first int64, lines [][]byte) store.Part {
	hash := chunk.Hash(lines)
	made := store.Part{
		Stream: stream, FirstLine: first, N: int32(len(lines)), // fewer than bytes in a body
		MinStep: store.NoStep, MaxStep: store.NoStep, Hash: hash[:],
	}
	if stream == store.StreamHistory {
		p.stats.Reset()
		if len(lines) >= chunk.OutlineLines {
			p.stats.Sketch(first)
		}
		scanned := 0
		for _, line := range lines {
			_ = chunk.Scan(line, p.stats) // a line that is no object is stored and counts nothing
			if scanned += len(line); scanned >= pauseBytes && p.pause != nil {
				p.pause()
				scanned = 0
			}
		}
		made.MinStep, made.MaxStep = p.stats.Steps()
		made.Stats, made.Outline = chunk.EncodeStats(p.stats), chunk.EncodeOutline(p.stats, len(lines))
	}
	made.Body = chunk.Encode(lines)
	if len(made.Outline) > len(made.Body)/2 { // keys that few lines have are as soon read there
		made.Outline = nil
	}
	return made
}

// summary is the last line of the summary's file, if it is an object.
func (m *message) summary() *store.SummaryLine {
	list := m.files[summaryFile]
	if len(list) == 0 {
		return nil
	}
	line := m.lines[list[len(list)-1].to-1]
	if len(line) > chunk.MaxLine || !chunk.IsObject(line) {
		return nil
	}
	return &store.SummaryLine{Stamp: stamp(chunk.Field(line, "_timestamp")), Body: store.Pack(line)}
}

// stamp reads seconds since 1970. It only puts summaries in order.
func stamp(token []byte) store.Micros {
	seconds, err := strconv.ParseFloat(string(token), 64)
	if err != nil || !(seconds > 1 && seconds < math.MaxInt64/1e7) {
		return store.Untimed
	}
	return store.Micros(math.Round(seconds * 1e6))
}
