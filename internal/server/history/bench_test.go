package history

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

const benchKeys = 200

// benchRows is how many steps the large run has; HISTORY_ROWS asks for another number.
func benchRows() int {
	if n, err := strconv.Atoi(os.Getenv("HISTORY_ROWS")); err == nil {
		return n
	}
	return 500_000
}

// benchLine is a line of 200 metrics: some of 17 random digits, some that fall smoothly, some rounded, some whole.
func benchLine(r *rand.Rand, dst []byte, step int, order []int) []byte {
	dst = append(dst, '{')
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, key := range order {
		dst = append(dst, fmt.Sprintf(`"metric/%03d":`, key)...)
		switch key % 4 {
		case 0:
			dst = strconv.AppendFloat(dst, r.Float64(), 'g', -1, 64)
		case 1:
			dst = strconv.AppendFloat(dst, math.Exp(-float64(step)/1e5)+r.NormFloat64()/50, 'g', -1, 64)
		case 2:
			dst = strconv.AppendFloat(dst, float64(float32(r.NormFloat64())), 'g', -1, 64)
		default:
			dst = strconv.AppendFloat(dst, r.ExpFloat64()*100, 'g', -1, 64)
		}
		dst = append(dst, ',')
	}
	return fmt.Appendf(dst, `"_step":%d,"_runtime":%.6f,"_timestamp":%.6f}`, step, float64(step)*0.11, 1.7e9+float64(step)*0.11)
}

// fill logs a run of many steps, compacting as it goes where compact says so, and leaves the last chunks as they are.
func (b *bed) fill(t testing.TB, run store.Permit, rows, keys int, compact bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	order := make([]int, keys)
	for i := range order {
		order[i] = i
	}
	var lines [][]byte
	var stats chunk.Stats
	stats.Sketch(0)
	size, first, chunks, bytes := 0, 0, 0, 0
	for step := range rows {
		line := benchLine(r, nil, step, order)
		_ = chunk.Scan(line, &stats)
		lines = append(lines, line)
		if size += len(line); size < chunk.MaxRaw-8<<10 && step < rows-1 {
			continue
		}
		hash := chunk.Hash(lines)
		minStep, maxStep := stats.Steps()
		a := &store.Append{Permit: run, At: store.At(b.now()), Parts: []store.Part{{
			FirstLine: int64(first), N: int32(len(lines)), MinStep: minStep, MaxStep: maxStep, Hash: hash[:], // few
			Stats: chunk.EncodeStats(&stats), Outline: chunk.EncodeOutline(&stats, len(lines)), Body: chunk.Encode(lines),
		}}}
		if err := b.store.Commit(t.Context(), []*store.Append{a}); err != nil || a.Err != nil {
			t.Fatal(err, a.Err)
		}
		first, size, lines = step+1, 0, nil
		stats.Reset()
		stats.Sketch(int64(first))
		chunks++
		if bytes += len(a.Parts[0].Body); compact && (chunks >= compactChunks || bytes >= compactBytes) {
			chunks, bytes = 0, 0
			if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// peak returns the most memory in use while fn runs.
func peak(fn func()) uint64 {
	var most atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	fn()
	cancel()
	<-done
	return most.Load()
}

func (f *folder) size(t testing.TB) (total int64, n int) {
	t.Helper()
	for _, name := range f.objects(t) {
		info, err := os.Stat(filepath.Join(f.path, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		n++
	}
	return total, n
}

// BenchmarkServerSampledHistory reads a run of 500,000 steps and 200 keys: while it is logged into, when its last chunks are
// not compacted, and when it has ended. Cold is a process that has read nothing yet.
func BenchmarkServerSampledHistory(b *testing.B) {
	s := storetest.Open(b, storetest.SQLite(b))
	bed := newBed(b, s)
	run := bed.run(b, "large")
	start := time.Now()
	most := peak(func() { bed.fill(b, run, benchRows(), benchKeys, true) })
	snapshot, err := s.RunSnapshot(b.Context(), run.RunID, store.StreamHistory)
	if err != nil {
		b.Fatal(err)
	}
	live := int64(0)
	for _, g := range snapshot.Segments {
		live += g.Size
	}
	b.Logf("filled in %s with at most %d MiB in use; %d segments of %.2f bytes a value, %d chunks left", time.Since(start).Round(time.Second),
		most>>20, len(snapshot.Segments), float64(live)/float64(benchRows()*(benchKeys+3)), len(snapshot.Chunks))
	spec, err := ParseSpec(`{"keys":["_step","metric/001","metric/100"],"samples":500}`)
	if err != nil {
		b.Fatal(err)
	}
	fresh := func() *Service {
		return New(s, Config{Bucket: bed.bucket, Logger: slog.New(slog.DiscardHandler)})
	}
	timed := func(name string, prepare func() *Service, fn func(s *Service) error) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for range b.N {
				b.StopTimer()
				service := prepare()
				b.StartTimer()
				start := time.Now()
				if err := fn(service); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64(slices.Max(took).Microseconds())/1000, "ms-max")
		})
	}
	sample := func(s *Service) error { _, err := s.Sample(b.Context(), run.RunID, spec); return err }
	for _, state := range []string{"running", "finished"} {
		if state == "finished" {
			if err := bed.CompactRun(b.Context(), run.RunID, 1); err != nil {
				b.Fatal(err)
			}
		}
		warm := fresh()
		rewarm := func() *Service { warm.answers = newCache(answersCache); return warm }
		timed(state+"/sample/cold", fresh, sample)
		timed(state+"/sample/warm", rewarm, sample)
		keys := func(s *Service) error { _, err := s.Keys(b.Context(), run.RunID); return err }
		timed(state+"/keys/cold", fresh, keys)
		timed(state+"/keys/warm", rewarm, keys)
		timed(state+"/status/cold", fresh, func(s *Service) error { _, err := s.Status(b.Context(), run.RunID); return err })
		at := int64(0)
		timed(state+"/page", rewarm, func(s *Service) error {
			at = (at + 1000) % (int64(benchRows()) - 1000)
			lines, err := s.Page(b.Context(), run.RunID, at, at+1000)
			if err == nil && len(lines) != 1000 {
				return fmt.Errorf("%d lines", len(lines))
			}
			return err
		})
	}
	timed("full/500", fresh, func(s *Service) error { _, err := s.Full(b.Context(), run.RunID, store.StreamHistory, 500); return err })
}

// BenchmarkWideRun reads the keys of a run with 100,000 names.
func BenchmarkWideRun(b *testing.B) {
	s := storetest.Open(b, storetest.SQLite(b))
	bed := newBed(b, s)
	run := bed.run(b, "wide")
	for step := range 20 {
		text := []byte("{")
		for key := range 100_000 {
			text = fmt.Appendf(text, `"metric/%06d/loss":%d.5,`, key, key%977)
		}
		bed.log(b, run, store.StreamHistory, "", int64(step), string(fmt.Appendf(text, `"_step":%d}`, step)))
	}
	for _, name := range []string{"chunks", "segments"} {
		if name == "segments" {
			start := time.Now()
			most := peak(func() {
				if err := bed.CompactRun(b.Context(), run.RunID, 1); err != nil {
					b.Fatal(err)
				}
			})
			size, _ := bed.bucket.size(b)
			b.Logf("compacted in %s with at most %d MiB in use: %.2f bytes a value", time.Since(start), most>>20, float64(size)/(20*100_001))
		}
		b.Run(name, func(b *testing.B) {
			for range b.N {
				service := New(s, Config{Bucket: bed.bucket})
				keys, err := service.Keys(b.Context(), run.RunID)
				if err != nil {
					b.Fatal(err)
				}
				var answer struct{ Keys map[string]json.RawMessage }
				b.StopTimer()
				if err := json.Unmarshal(keys, &answer); err != nil || len(answer.Keys) != 100_001 {
					b.Fatalf("%d keys, %v", len(answer.Keys), err)
				}
				b.StartTimer()
			}
		})
	}
}
