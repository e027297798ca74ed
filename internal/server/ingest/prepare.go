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

// prepare makes of a message what is to be written. Nothing of it lies in the memory of the body.
func (m *message) prepare(stats *chunk.Stats) (*store.Append, error) {
	a := &store.Append{Complete: m.complete, ExitCode: m.exitCode, Preempting: m.preempting}
	for _, s := range streams {
		for _, stretch := range m.files[s.file] {
			if stretch.offset+int64(len(m.lines)) > maxOffset {
				return nil, errOffset
			}
			var err error
			if a.Parts, err = appendParts(a.Parts, s.stream, stretch.offset, m.lines[stretch.from:stretch.to], stats); err != nil {
				return nil, err
			}
		}
	}
	a.Summary = m.summary()
	return a, nil
}

// appendParts cuts lines into parts of at most chunk.MaxRaw bytes.
func appendParts(parts []store.Part, stream store.Stream, first int64, lines [][]byte, stats *chunk.Stats) ([]store.Part, error) {
	for len(lines) > 0 {
		n, size := 0, 0
		for n < len(lines) && (n == 0 || size+len(lines[n]) < chunk.MaxRaw) {
			if len(lines[n]) > chunk.MaxLine {
				return nil, errLine
			}
			size += len(lines[n]) + 1
			n++
		}
		parts = append(parts, part(stream, first, lines[:n], stats))
		first, lines = first+int64(n), lines[n:]
	}
	return parts, nil
}

func part(stream store.Stream, first int64, lines [][]byte, stats *chunk.Stats) store.Part {
	hash := chunk.Hash(lines)
	p := store.Part{
		Stream: stream, FirstLine: first, N: int32(len(lines)), // fewer than bytes in a body
		MinStep: store.NoStep, MaxStep: store.NoStep, Hash: hash[:],
	}
	if stream == store.StreamHistory {
		stats.Reset()
		if len(lines) >= chunk.OutlineLines {
			stats.Sketch(first)
		}
		for _, line := range lines {
			_ = chunk.Scan(line, stats) // a line that is no object is stored and counts nothing
		}
		p.MinStep, p.MaxStep = stats.Steps()
		p.Stats, p.Outline = chunk.EncodeStats(stats), chunk.EncodeOutline(stats, len(lines))
	}
	p.Body = chunk.Encode(lines)
	if len(p.Outline) > len(p.Body)/2 { // keys that few lines have are as soon read there
		p.Outline = nil
	}
	return p
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
