package run_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// BenchmarkServerRunsQuery asks for a page of 100 of 10,000 runs with 200 config and 200 summary keys each, filtered by one and
// sorted by another, with their count, each time after 100 of them have changed. It reports the 95th percentile.
func BenchmarkServerRunsQuery(b *testing.B) {
	for name, config := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLite, "mysql": storetest.MySQL} {
		b.Run(name, func(b *testing.B) {
			const runs, changed = 10_000, 100
			sc := newScene(b, storetest.Open(b, config(b)))
			var last run.Upserted
			ids := make([]store.ID, runs)
			for i := range runs {
				last = sc.put(b, run.Upsert{Project: "p", Name: fmt.Sprint("r", i), Config: wide(i, true), Summary: wide(i, false)})
				ids[i] = last.ID
			}
			ask := func() time.Duration {
				start := time.Now()
				page, err := sc.Query(sc.ada, last.Place, run.Query{
					Filter: `{"config.key_7.value":{"$lt":0.5}}`, Order: "-summary_metrics.key_11", First: 100, AsOf: start,
				})
				if err != nil || len(page.Runs) != 100 {
					b.Fatalf("%d runs, %v", len(page.Runs), err)
				}
				if _, err := sc.CountRuns(sc.ada, last.Place, run.Query{Filter: `{"config.key_7.value":{"$lt":0.5}}`, AsOf: start}); err != nil {
					b.Fatal(err)
				}
				return time.Since(start)
			}
			b.Logf("cold: %s", ask())
			var took []time.Duration
			next := 0
			for b.Loop() {
				b.StopTimer()
				for range changed {
					next = (next + 37) % runs
					sc.put(b, run.Upsert{ID: ids[next], Summary: wide(next+len(took), false)})
				}
				b.StartTimer()
				took = append(took, ask())
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(resident(b))/(1<<20), "RSS-MiB")
		})
	}
}

func wide(seed int, wrapped bool) *string {
	var text strings.Builder
	text.WriteByte('{')
	for key := range 200 {
		if key > 0 {
			text.WriteByte(',')
		}
		n := float64((seed*7919+key*104729)%1_000_003) / 1_000_003
		if wrapped {
			fmt.Fprintf(&text, `"key_%d":{"value":%g,"desc":null}`, key, n)
		} else {
			fmt.Fprintf(&text, `"key_%d":%g`, key, n)
		}
	}
	text.WriteByte('}')
	s := text.String()
	return &s
}

// resident is how much memory this process takes, in bytes.
func resident(b *testing.B) int64 {
	b.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("there is no /proc here")
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
