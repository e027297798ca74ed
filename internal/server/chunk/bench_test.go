package chunk_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
)

// training makes lines as a training loop logs them: 10 metrics, and the three that the client adds.
func training(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	lines := make([][]byte, n)
	for i := range lines {
		line := fmt.Appendf(nil, `{"_step":%d,"_runtime":%v,"_timestamp":%v`, i, float64(i)*0.31+random.Float64(), 1.7e9+float64(i)*0.31)
		for m := range 10 {
			line = fmt.Appendf(line, `,"train/metric_%d":%v`, m, random.Float64()/float64(i+1))
		}
		lines[i] = append(line, '}')
	}
	return lines
}

func BenchmarkScan(b *testing.B) {
	lines := training(50)
	var s chunk.Stats
	b.ReportAllocs()
	values, size := 0, 0
	for b.Loop() {
		s.Reset()
		for _, line := range lines {
			if err := chunk.Scan(line, &s); err != nil {
				b.Fatal(err)
			}
			values += 13
			size += len(line)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(values), "ns/value")
	b.ReportMetric(float64(size)/b.Elapsed().Seconds()/1e6, "MB/s")
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{50, 4000} {
		lines := training(n)
		raw := []byte{}
		for _, line := range lines {
			raw = append(append(raw, line...), '\n')
		}
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			size := 0
			for b.Loop() {
				size = len(chunk.Encode(lines))
			}
			b.ReportMetric(float64(size)/float64(13*n), "bytes/value")
		})
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
			encoder, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(level))
			b.Run(fmt.Sprintf("lines=%d/level=%s", n, level), func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				size := 0
				for b.Loop() {
					size = len(encoder.EncodeAll(raw, nil))
				}
				b.ReportMetric(float64(size)/float64(13*n), "bytes/value")
			})
		}
	}
}

func BenchmarkEncodeStats(b *testing.B) {
	var s chunk.Stats
	for _, line := range training(50) {
		_ = chunk.Scan(line, &s)
	}
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		size = len(chunk.EncodeStats(&s))
	}
	b.ReportMetric(float64(size), "bytes")
}

// BenchmarkTotals adds lines of 100,000 metrics, with their names in order and at random.
func BenchmarkTotals(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	for name, inOrder := range map[string]bool{"in order": true, "at random": false} {
		b.Run(name, func(b *testing.B) {
			order := random.Perm(100_000)
			if inOrder {
				slices.Sort(order)
			}
			line := []byte("{")
			for _, n := range order {
				line = fmt.Appendf(line, `"layer/%05d/norm":%.6f,`, n, random.Float64())
			}
			line = append(line, `"z":1}`...)
			var totals chunk.Totals
			b.ReportAllocs()
			for b.Loop() {
				if err := totals.Scan(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
