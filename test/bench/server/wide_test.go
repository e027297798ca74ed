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
	"github.com/kubewandb/kubewandb/test/storetest"
)

// wideNames is how many metrics a wide line has: about 3 MB.
const wideNames = 100_000

// wideLine is a line with very many names.
func wideLine(random *rand.Rand, step int) string {
	line := append(make([]byte, 0, 4<<20), `{"_step":`...)
	line = strconv.AppendInt(line, int64(step), 10)
	for n := range wideNames {
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
	key := furnish(b, db, 1).Reveal()
	p := start(b, realServer, folder, db)
	client := &http.Client{}
	defer client.CloseIdleConnections()
	query := []byte(`{"query":"{ project(name: \"project\", entityName: \"bench\") { run(name: \"run-0\") { historyKeys } } }"}`)
	random := rand.New(rand.NewPCG(5, 5)) // repeatable
	var acknowledged, keys []time.Duration
	for began := time.Now(); time.Since(began) < loadTime(); {
		step := len(acknowledged)
		body, err := json.Marshal(map[string]any{"files": map[string]any{"wandb-history.jsonl": map[string]any{"offset": step, "content": []string{wideLine(random, step)}}}})
		must(b, err)
		sent := time.Now()
		must(b, post(b.Context(), client, p.URL+"/files/bench/project/run-0/file_stream", key, body))
		acknowledged = append(acknowledged, time.Since(sent))
		asked := time.Now()
		answer, err := exchange(b.Context(), client, p.URL+"/graphql", key, query)
		must(b, err)
		keys = append(keys, time.Since(asked))
		checkWide(b, answer, step)
	}
	p.End(b)
	b.ReportMetric(float64(len(keys)), "lines")
	for name, of := range map[string][]time.Duration{"acknowledged": acknowledged, "keys": keys} {
		b.ReportMetric(milliseconds(percentile(of, 0.5)), name+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(of, 1)), name+"-max-ms")
	}
	b.ReportMetric(float64(p.Peak())/(1<<20), "peak-MiB")
	b.ReportMetric(milliseconds(p.CPU())/float64(len(keys)), "cpu-ms/line")
	b.ReportMetric(0, "ns/op")
}

func checkWide(b *testing.B, text []byte, step int) {
	b.Helper()
	var found struct {
		Data struct {
			Project struct{ Run answer }
		}
	}
	must(b, json.Unmarshal(text, &found))
	keys := found.Data.Project.Run.HistoryKeys
	if len(keys.Keys) != wideNames+1 || keys.LastStep != int64(step) {
		b.Fatalf("%d keys and step %d, want %d and %d: %.300s", len(keys.Keys), keys.LastStep, wideNames+1, step, text)
	}
	if last := keys.Keys[fmt.Sprintf("layer/%05d/norm", wideNames-1)]; len(last.TypeCounts) != 1 || last.TypeCounts[0].Count != int64(step)+1 {
		b.Fatalf("the last key has %v", last.TypeCounts)
	}
}
