package history

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// wave is a metric that has its extremes anywhere.
func wave(step int) float64 { return math.Round(1e6*math.Sin(float64(step)*float64(step))) / 1e3 }

// TestAChartIsCarriedOn asks for a chart again and again while a run is logged into and compacted. It always has the first
// row, the last one and the extremes, and leaves out no stretch of the run.
func TestAChartIsCarriedOn(t *testing.T) {
	b := newBed(t, storetest.Open(t, storetest.SQLite(t)))
	run := b.run(t, "live")
	spec, err := ParseSpec(`{"keys":["_step","wave"],"samples":50}`)
	if err != nil {
		t.Fatal(err)
	}
	const batch = 37
	for n := range 60 {
		var lines []string
		for step := n * batch; step < (n+1)*batch; step++ {
			lines = append(lines, fmt.Sprintf(`{"wave":%v,"_step":%d,"other":{"x":%d}}`, wave(step), step, step))
		}
		b.log(t, run, store.StreamHistory, "", int64(n*batch), lines...)
		if n%7 == 6 {
			if err := b.CompactRun(t.Context(), run.RunID, 3); err != nil {
				t.Fatal(err)
			}
		}
		list, err := b.Sample(t.Context(), run.RunID, spec)
		if err != nil {
			t.Fatal(err)
		}
		checkWave(t, list, (n+1)*batch, spec.Samples)
	}
	b.checkChart(t, run.RunID)
	if len(b.traces.entries) == 0 {
		t.Error("no chart was kept")
	}
	// What is written over and cut off is in no chart any more.
	b.log(t, run, store.StreamHistory, "", 100, `{"wave":1e9,"_step":100}`, `{"wave":-1e9,"_step":101}`)
	list, err := b.Sample(t.Context(), run.RunID, spec)
	if err != nil {
		t.Fatal(err)
	}
	if rows := waves(t, list); !contains(rows, 100, 1e9) || !contains(rows, 101, -1e9) {
		t.Errorf("the new extremes are not in %s", list)
	}
	if _, err := b.Rewind(t.Context(), run.RunID, 99); err != nil {
		t.Fatal(err)
	}
	if list, err = b.Sample(t.Context(), run.RunID, spec); err != nil {
		t.Fatal(err)
	}
	checkWave(t, list, 100, spec.Samples)
}

type waveRow struct {
	Step int `json:"_step"`
	Wave float64
}

func waves(t *testing.T, list json.RawMessage) []waveRow {
	t.Helper()
	var rows []waveRow
	if err := json.Unmarshal(list, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func contains(rows []waveRow, step int, value float64) bool {
	for _, r := range rows {
		if r.Step == step && r.Wave == value {
			return true
		}
	}
	return false
}

func checkWave(t *testing.T, list json.RawMessage, steps, samples int) {
	t.Helper()
	rows := waves(t, list)
	if n := min(steps, samples); len(rows) > n || len(rows) < n-4 {
		t.Fatalf("%d rows of %d steps", len(rows), steps)
	}
	low, high := 0, 0
	for step := range steps {
		if wave(step) < wave(low) {
			low = step
		}
		if wave(step) > wave(high) {
			high = step
		}
	}
	for _, step := range []int{0, low, high, steps - 1} {
		if !contains(rows, step, wave(step)) {
			t.Fatalf("step %d of %d is not in %s", step, steps, list)
		}
	}
	for i, r := range rows {
		if r.Wave != wave(r.Step) || i > 0 && (r.Step <= rows[i-1].Step || r.Step-rows[i-1].Step > 3*steps/samples+1) {
			t.Fatalf("of %d steps row %d is %+v behind %+v", steps, i, r, rows[max(i-1, 0)])
		}
	}
}

// TestCompactedChunksLeaveTheirPages counts the pages of the database file that hold anything, before and after compaction.
func TestCompactedChunksLeaveTheirPages(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	b := newBed(t, s)
	run := b.run(t, "pages")
	used := func() int {
		pool, _ := s.Pools()
		var pages, free int
		if err := pool.QueryRowContext(t.Context(), "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count").Scan(&pages, &free); err != nil {
			t.Fatal(err)
		}
		return pages - free
	}
	empty := used()
	const chunks, lines = 200, 80
	for n := range chunks {
		var texts []string
		for i := range lines {
			texts = append(texts, fmt.Sprintf(`{"_step":%d,"a":%v,"b":%v}`, n*lines+i, math.Sin(float64(n*lines+i)), math.Cos(float64(n*lines+i))))
		}
		b.log(t, run, store.StreamHistory, "", int64(n*lines), texts...)
	}
	before := used() - empty
	if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
		t.Fatal(err)
	}
	if after := used() - empty; before < chunks/2 || after > before/4 {
		t.Errorf("the chunks take %d pages, what is left of them %d", before, after)
	}
}
