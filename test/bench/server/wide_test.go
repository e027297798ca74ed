package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// wideNames is how many metrics a wide line has: about 3 MB.
const wideNames = 100_000

// wideLine is a line with very many names, in any order, as the client writes them.
func wideLine(random *rand.Rand, step int) string {
	line := append(make([]byte, 0, 4<<20), `{"_step":`...)
	line = strconv.AppendInt(line, int64(step), 10)
	for _, n := range random.Perm(wideNames) {
		line = fmt.Appendf(line, `,"layer/%05d/norm":`, n)
		line = strconv.AppendFloat(line, rounded(random.Float64(), 6), 'f', -1, 64)
	}
	return string(append(line, '}'))
}

// BenchmarkServerWideLines logs lines of 100,000 metrics, and asks for the keys after each.
func BenchmarkServerWideLines(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		folder := b.TempDir()
		wide(b, folder, store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")})
	})
	b.Run("mysql", func(b *testing.B) { wide(b, b.TempDir(), storetest.MySQL(b)) })
}

func wide(b *testing.B, folder string, db store.Config) {
	b.Helper()
	w := newWideRun(b, folder, db)
	var acknowledged, keys []time.Duration
	for began := time.Now(); time.Since(began) < loadTime(); {
		took, asked := w.log(b)
		acknowledged, keys = append(acknowledged, took), append(keys, asked)
	}
	w.server.End(b)
	b.ReportMetric(float64(len(keys)), "lines")
	for name, of := range map[string][]time.Duration{"acknowledged": acknowledged, "keys": keys} {
		b.ReportMetric(milliseconds(percentile(of, 0.5)), name+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(of, 1)), name+"-max-ms")
	}
	b.ReportMetric(float64(w.server.Peak())/(1<<20), "peak-MiB")
	b.ReportMetric(milliseconds(w.server.CPU())/float64(len(keys)), "cpu-ms/line")
	b.ReportMetric(0, "ns/op")
}

// TestMemoryOfWideLines logs as the benchmark does, through several compactions.
func TestMemoryOfWideLines(t *testing.T) {
	const lines = 24
	folder := t.TempDir()
	w := newWideRun(t, folder, store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")})
	for range lines {
		w.log(t)
	}
	checkMemory(t, w.server)
}

// wideRun is a run with wide lines, and the server that it is logged to.
type wideRun struct {
	server *serverprocess.Process
	client http.Client
	key    string
	random *rand.Rand
	lines  int
}

func newWideRun(tb testing.TB, folder string, db store.Config) *wideRun {
	tb.Helper()
	w := &wideRun{random: rand.New(rand.NewPCG(5, 5))} // repeatable
	tb.Cleanup(w.client.CloseIdleConnections)
	w.key = furnish(tb, db, 1).Reveal()
	w.server = start(tb, realServer, folder, db)
	return w
}

// log logs a line and asks for the keys.
func (w *wideRun) log(tb testing.TB) (acknowledged, keys time.Duration) {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"files": map[string]any{"wandb-history.jsonl": map[string]any{
		"offset": w.lines, "content": []string{wideLine(w.random, w.lines)},
	}}})
	must(tb, err)
	sent := time.Now()
	must(tb, post(tb.Context(), &w.client, w.server.URL+"/files/bench/project/run-0/file_stream", w.key, body))
	acknowledged = time.Since(sent)
	query := []byte(`{"query":"{ project(name: \"project\", entityName: \"bench\") { run(name: \"run-0\") { historyKeys } } }"}`)
	asked := time.Now()
	answer, err := exchange(tb.Context(), &w.client, w.server.URL+"/graphql", w.key, query)
	must(tb, err)
	keys = time.Since(asked)
	checkWide(tb, answer, w.lines)
	w.lines++
	return acknowledged, keys
}

func checkWide(tb testing.TB, text []byte, step int) {
	tb.Helper()
	var found struct {
		Data struct {
			Project struct{ Run answer }
		}
	}
	must(tb, json.Unmarshal(text, &found))
	keys := found.Data.Project.Run.HistoryKeys
	if len(keys.Keys) != wideNames+1 || keys.LastStep != int64(step) {
		tb.Fatalf("%d keys and step %d, want %d and %d: %.300s", len(keys.Keys), keys.LastStep, wideNames+1, step, text)
	}
	if last := keys.Keys[fmt.Sprintf("layer/%05d/norm", wideNames-1)]; len(last.TypeCounts) != 1 || last.TypeCounts[0].Count != int64(step)+1 {
		tb.Fatalf("the last key has %v", last.TypeCounts)
	}
}
