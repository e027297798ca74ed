package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// LogLine is a line of a run's console.
type LogLine struct {
	// Number counts lines from 0.
	Number int64
	// Timestamp is nil where the line has none.
	Timestamp *time.Time
	// Level is "error" for what came over the error stream, else "".
	Level string
	// Label names the process, where several log into one run.
	Label string
	// Text is the line without what stands in the other fields.
	Text string
}

// LogPage is a stretch of the console.
type LogPage struct {
	Lines []LogLine
	// End goes on behind this page.
	End  string
	More bool
}

// LogRange asks for lines: the Last of them, or the First behind After.
type LogRange struct {
	First, Last *int
	After       string
}

const (
	defaultLogLines = 1_000
	maxLogLines     = 10_000
)

// LogLines returns lines of a run's console in ascending order.
func (s *Service) LogLines(ctx context.Context, run store.ID, r LogRange) (LogPage, error) {
	var page LogPage
	err := s.read(ctx, run, store.StreamConsole, func(v *view) error {
		var err error
		if len(v.snapshot.Heads) > 1 {
			page, err = v.sharedLog(ctx, r)
			return err
		}
		total := int64(0)
		if len(v.snapshot.Heads) == 1 {
			total = v.snapshot.Heads[0].NextLine
		}
		page, err = v.log(ctx, r, total)
		return err
	})
	return page, err
}

// span is the range of numbers that is asked for, of so many lines.
func (r LogRange) span(total int64) (span, error) {
	if r.Last != nil {
		n := int64(min(max(*r.Last, 0), maxLogLines))
		return span{max(total-n, 0), total}, nil
	}
	from := int64(0)
	if r.After != "" {
		after, err := strconv.ParseInt(r.After, 10, 64)
		if err != nil || after < 0 {
			return span{}, &fault.Error{
				Reason: ReasonSpecInvalid, Op: fmt.Sprintf("%q is no place in the console", r.After),
				Hint: "Pass the endCursor of an earlier answer.",
			}
		}
		from = after + 1
	}
	n := int64(defaultLogLines)
	if r.First != nil {
		n = int64(min(max(*r.First, 0), maxLogLines))
	}
	from = min(from, total)
	return span{from, min(from+n, total)}, nil
}

// log reads the console of one process, whose lines have the numbers that it gave them.
func (v *view) log(ctx context.Context, r LogRange, total int64) (LogPage, error) {
	wanted, err := r.span(total)
	if err != nil {
		return LogPage{}, err
	}
	var refs []ref
	for at, p := range v.parts {
		if p.lines.to <= wanted.from || p.lines.from >= wanted.to {
			continue
		}
		found, err := p.rows(ctx)
		if err != nil {
			return LogPage{}, err
		}
		for row := range found.n {
			if line := found.lines.at(row); line >= wanted.from && line < wanted.to && p.visible(found, row) {
				refs = append(refs, ref{line: line, part: int32(at), row: int32(row)}) // a part has fewer rows
			}
		}
	}
	v.sort(refs)
	return v.logPage(ctx, refs, wanted, total, func(i int) int64 { return refs[i].line })
}

// sharedLog reads the consoles of several processes as one, by time. The numbers are places in that order.
func (v *view) sharedLog(ctx context.Context, r LogRange) (LogPage, error) {
	var refs []ref
	for at, p := range v.parts {
		found, err := p.rows(ctx)
		if err != nil {
			return LogPage{}, err
		}
		texts, err := p.texts(ctx, nil)
		if err != nil {
			return LogPage{}, err
		}
		for row := range found.n {
			if p.visible(found, row) {
				at := ref{step: store.NoStep, line: found.lines.at(row), part: int32(at), row: int32(row)} // a part has fewer rows
				if stamp := parseLogLine(texts[row], true).Timestamp; stamp != nil {
					at.step = stamp.UnixMicro()
				}
				refs = append(refs, at)
			}
		}
	}
	// A line without a time belongs to the one before it.
	slices.SortFunc(refs, func(a, b ref) int {
		if ra, rb := v.parts[a.part].rank, v.parts[b.part].rank; ra != rb {
			return compare(int64(ra), int64(rb))
		}
		return compare(a.line, b.line)
	})
	for i := 1; i < len(refs); i++ {
		if refs[i].step == store.NoStep && v.parts[refs[i].part].rank == v.parts[refs[i-1].part].rank {
			refs[i].step = refs[i-1].step
		}
	}
	v.sort(refs)
	total := int64(len(refs))
	wanted, err := r.span(total)
	if err != nil {
		return LogPage{}, err
	}
	return v.logPage(ctx, refs[wanted.from:wanted.to], wanted, total, func(i int) int64 { return wanted.from + int64(i) })
}

func (v *view) logPage(ctx context.Context, refs []ref, wanted span, total int64, number func(i int) int64) (LogPage, error) {
	page := LogPage{Lines: make([]LogLine, 0, len(refs)), More: wanted.to < total}
	if wanted.to > 0 {
		page.End = strconv.FormatInt(wanted.to-1, 10)
	}
	size := 0
	err := v.texts(ctx, refs, func(text []byte) error {
		if size += len(text); size > maxAnswer {
			return tooLarge()
		}
		i := len(page.Lines)
		line := parseLogLine(text, v.parts[refs[i].part].writer != "")
		line.Number = number(i)
		page.Lines = append(page.Lines, line)
		return nil
	})
	return page, err
}

// logTime is how clients write the time of a line, in UTC.
const logTime = "2006-01-02T15:04:05.999999999"

// parseLogLine reads a line in either of the forms that clients send: `ERROR 2026-01-01T00:00:00.000000 text`, where
// `[label] ` may stand before the text in shared mode, and {"level","ts","label","content"}. Anything else is all text.
func parseLogLine(raw []byte, shared bool) LogLine {
	if len(raw) > 0 && raw[0] == '{' {
		if line, ok := parseStructured(raw); ok {
			return line
		}
	}
	rest := string(raw)
	line := LogLine{Text: rest}
	rest, isError := strings.CutPrefix(rest, "ERROR ")
	stamp, text, found := strings.Cut(rest, " ")
	if !found {
		stamp, text = rest, ""
	}
	at, err := time.Parse(logTime, strings.TrimSuffix(stamp, "Z"))
	if err != nil {
		return line
	}
	line.Timestamp, line.Text = &at, text
	if isError {
		line.Level = "error"
	}
	if shared && strings.HasPrefix(text, "[") {
		if label, behind, found := strings.Cut(text[1:], "] "); found {
			line.Label, line.Text = label, behind
		}
	}
	return line
}

func parseStructured(raw []byte) (LogLine, bool) {
	var fields struct {
		Level   string  `json:"level"`
		TS      string  `json:"ts"`
		Label   string  `json:"label"`
		Content *string `json:"content"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if decoder.Decode(&fields) != nil || fields.Content == nil || fields.TS == "" || decoder.More() {
		return LogLine{}, false
	}
	line := LogLine{Level: fields.Level, Label: fields.Label, Text: *fields.Content}
	if at, err := time.Parse(logTime, strings.TrimSuffix(fields.TS, "Z")); err == nil {
		line.Timestamp = &at
	}
	return line, true
}
