package history

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestLinesOfTheConsole(t *testing.T) {
	for sentence, c := range map[string]struct {
		raw    string
		shared bool
		want   LogLine // without the time
		stamp  string
	}{
		"what was printed":              {raw: "2026-01-01T00:00:00.000001 hello world", want: LogLine{Text: "hello world"}, stamp: "00:00:00.000001"},
		"what went to the error stream": {raw: "ERROR 2026-01-01T00:00:01.000000 oh", want: LogLine{Level: "error", Text: "oh"}, stamp: "00:00:01"},
		"an empty line":                 {raw: "2026-01-01T00:00:01.5 ", want: LogLine{}, stamp: "00:00:01.5"},
		"a time alone":                  {raw: "2026-01-01T00:00:01", want: LogLine{}, stamp: "00:00:01"},
		"a label in shared mode":        {raw: "2026-01-01T00:00:01 [rank 1] x", shared: true, want: LogLine{Label: "rank 1", Text: "x"}, stamp: "00:00:01"},
		"brackets of one process":       {raw: "2026-01-01T00:00:01 [INFO] x", want: LogLine{Text: "[INFO] x"}, stamp: "00:00:01"},
		"no time":                       {raw: "ERROR in line 3", want: LogLine{Text: "ERROR in line 3"}},
		"nothing":                       {raw: "", want: LogLine{}},
		"a structured line":             {raw: `{"level":"error","ts":"2026-01-01T00:00:02.000003","label":"a","content":"x \u00e9"}`, want: LogLine{Level: "error", Label: "a", Text: "x é"}, stamp: "00:00:02.000003"},
		"a printed dict":                {raw: `{"level":"error"}`, want: LogLine{Text: `{"level":"error"}`}},
	} {
		got := parseLogLine([]byte(c.raw), c.shared)
		stamp := ""
		if got.Timestamp != nil {
			stamp = got.Timestamp.Format("15:04:05.999999")
		}
		got.Timestamp = nil
		if got != c.want || stamp != c.stamp {
			t.Errorf("%s: %+v at %s, want %+v at %s", sentence, got, stamp, c.want, c.stamp)
		}
	}
}

// numbers are those of the lines of a page, and their texts.
func numbers(page LogPage) string {
	var b strings.Builder
	for _, line := range page.Lines {
		fmt.Fprintf(&b, "%d:%s ", line.Number, line.Text)
	}
	fmt.Fprintf(&b, "%s %v", page.End, page.More)
	return b.String()
}

func TestPagesOfTheConsole(t *testing.T) {
	b := newBed(t, storetest.Open(t, storetest.SQLite(t)))
	alone, shared := b.run(t, "alone"), b.run(t, "shared")
	for i := range 7 {
		b.log(t, alone, store.StreamConsole, "", int64(i), fmt.Sprintf("2026-01-01T00:00:0%d.000000 l%d", i, i))
		writer := []string{"x", "y"}[i%2]
		b.log(t, shared, store.StreamConsole, writer, int64(i/2), fmt.Sprintf("2026-01-01T00:00:0%d.000000 [%s] l%d", i, writer, i))
	}
	n := func(v int) *int { return &v }
	for sentence, c := range map[string]struct {
		r    LogRange
		want string
	}{
		"the last":            {LogRange{Last: n(2)}, "5:l5 6:l6 6 false"},
		"more than there are": {LogRange{Last: n(20)}, "0:l0 1:l1 2:l2 3:l3 4:l4 5:l5 6:l6 6 false"},
		"the first":           {LogRange{First: n(3)}, "0:l0 1:l1 2:l2 2 true"},
		"the next":            {LogRange{First: n(3), After: "2"}, "3:l3 4:l4 5:l5 5 true"},
		"the rest":            {LogRange{First: n(3), After: "5"}, "6:l6 6 false"},
		"behind the end":      {LogRange{First: n(3), After: "60"}, "6 false"},
		"none":                {LogRange{First: n(0)}, " true"},
	} {
		for _, run := range []store.Permit{alone, shared} {
			page, err := b.LogLines(t.Context(), run.RunID, c.r)
			if err != nil || numbers(page) != c.want {
				t.Errorf("%s of %s: %s, %v, want %s", sentence, run.Run, numbers(page), err, c.want)
			}
		}
	}
	if _, err := b.LogLines(t.Context(), alone.RunID, LogRange{After: "x"}); err == nil {
		t.Error("a cursor that is none was taken")
	}
}
