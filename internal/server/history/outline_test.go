package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// logged is a run as a test wrote it: by line the values of each key as they were written.
type logged []map[string]string

// chart is the answer as the rules make it of the lines: written down apart from the program, and slow.
func (l logged) chart(keys []string, samples int) string {
	type row struct {
		line int
		text string
	}
	var rows []row
	for line, values := range l {
		text := []byte{'{'}
		for i, key := range keys {
			token, ok := values[key]
			if !ok {
				text = nil
				break
			}
			if i > 0 {
				text = append(text, ',')
			}
			text = fmt.Appendf(text, "%q:%s", key, appendStrict(nil, []byte(token)))
		}
		if text != nil {
			rows = append(rows, row{line, string(append(text, '}'))})
		}
	}
	firsts := rows
	for width := 2; len(firsts) >= 2*samples; width *= 2 {
		var wider []row
		for _, r := range rows {
			if n := len(wider); n == 0 || wider[n-1].line/width != r.line/width {
				wider = append(wider, r)
			}
		}
		firsts = wider
	}
	if len(rows) > samples {
		must := []row{rows[0], rows[len(rows)-1]}
		for _, key := range keys {
			low, high := -1, -1
			value := func(i int) float64 { return number(l[rows[i].line][key]) }
			for i := range rows {
				if n := value(i); !math.IsNaN(n) {
					if low < 0 || n < value(low) {
						low = i
					}
					if high < 0 || n > value(high) {
						high = i
					}
				}
			}
			if low >= 0 {
				must = append(must, rows[low], rows[high])
			}
		}
		unique := func() {
			slices.SortFunc(must, func(a, b row) int { return a.line - b.line })
			must = slices.CompactFunc(must, func(a, b row) bool { return a.line == b.line })
		}
		unique()
		fill := samples - len(must)
		for i := range fill {
			must = append(must, firsts[(2*i+1)*len(firsts)/(2*fill)])
		}
		unique()
		firsts = must
	}
	var b bytes.Buffer
	b.WriteByte('[')
	for i, r := range firsts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.text)
	}
	b.WriteByte(']')
	return b.String()
}

func number(token string) float64 {
	v, err := strconv.ParseFloat(token, 64)
	if err != nil && !math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

// trainer logs what runs log: dense keys, keys of some lines, keys that begin late, and what curves cannot hold.
type trainer struct {
	random     *rand.Rand
	step, line int
	// stride is what steps count up by; 0 for any.
	stride int
}

func (r *trainer) values() map[string]string {
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	v := map[string]string{
		"_step": strconv.Itoa(r.step), "loss": float(float64(float32(r.random.NormFloat64()))), "lr": float(float64(1000-r.line%1000) / 1e6),
		"n": strconv.Itoa(r.random.IntN(1000) - 500), "either": "1",
	}
	if r.line%50 == 49 {
		v["val/loss"], v["val/top.5"] = float(r.random.Float64()), float(r.random.Float64())
	}
	if r.random.IntN(3) == 0 {
		v["some"] = float(r.random.ExpFloat64())
	}
	if r.line > 3000 {
		v["late"] = strconv.Itoa(r.line)
	}
	switch r.random.IntN(8000) { // a block has some 4,000
	case 0:
		v["loss"] = "1e400"
	case 1:
		v["either"] = `"text"`
	case 2:
		delete(v, "lr")
	case 3, 4, 5, 6, 7, 8, 9, 10:
		v["loss"] = []string{"NaN", "Infinity", "-Infinity"}[r.random.IntN(3)]
	}
	if r.line++; r.stride > 0 {
		r.step += r.stride
	} else {
		r.step += 1 + r.random.IntN(3)
	}
	return v
}

func (r *trainer) text(values map[string]string) string {
	b := []byte{'{'}
	for name, token := range values { // in any order, as clients write them
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:%s", name, token)
	}
	return string(append(b, '}'))
}

// TestAChartDependsOnTheLinesAlone asks for charts while a run is logged into and compacted, of a service that carries them on and
// of one that has seen nothing: each answer is the one that the rules make of the lines.
func TestAChartDependsOnTheLinesAlone(t *testing.T) {
	for name, stride := range map[string]int{"steps that count up": 1, "every tenth step": 10, "any steps": 0} {
		t.Run(name, func(t *testing.T) {
			const samples = 12 // curves are asked for from 24 × 64 lines on
			b := newBed(t, storetest.Open(t, storetest.SQLite(t)))
			run := b.run(t, "live")
			random := rand.New(rand.NewPCG(uint64(stride), 7))
			r := &trainer{random: random, stride: stride}
			var all logged
			specs := [][]string{
				{"_step", "loss"}, {"loss"}, {"_step"}, {"_step", "val/loss"}, {"val/loss", "val/top.5", "_step"}, {"_step", "lr", "loss"},
				{"n", "_step"}, {"some", "_step"}, {"some", "loss"}, {"either", "_step"}, {"late", "_step"}, {"late", "val/loss"}, {"nothing", "_step"},
			}
			for n := range 24 {
				lines := make([]string, 150+random.IntN(900))
				for i := range lines {
					values := r.values()
					all = append(all, values)
					lines[i] = r.text(values)
				}
				b.log(t, run, store.StreamHistory, "", int64(len(all)-len(lines)), lines...)
				if n%5 == 4 {
					if err := b.CompactRun(t.Context(), run.RunID, 3); err != nil {
						t.Fatal(err)
					}
				}
				for i, service := range []*Service{b.Service, b.another()} {
					if i == 1 && n%6 != 5 {
						continue
					}
					for _, keys := range specs {
						text, err := json.Marshal(map[string]any{"keys": keys, "samples": samples})
						if err != nil {
							t.Fatal(err)
						}
						spec, err := ParseSpec(string(text))
						if err != nil {
							t.Fatal(err)
						}
						got, err := service.Sample(t.Context(), run.RunID, spec)
						if want := all.chart(keys, samples); err != nil || string(got) != want {
							t.Fatalf("%d lines, %v, service %d: %v\n got %s\nwant %s", len(all), keys, i, err, got, want)
						}
					}
				}
			}
		})
	}
}

// outlines counts the rows of chunk_outlines.
func (b *bed) outlines(t *testing.T) (n int) {
	t.Helper()
	pool, _ := b.store.Pools()
	if err := pool.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM chunk_outlines").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOutlinesGoWithTheirChunks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBed(t, s)
		fill := func(name string) store.ID {
			t.Helper()
			run, r := b.run(t, name), &trainer{random: rand.New(rand.NewPCG(1, 1)), stride: 1}
			for first := int64(0); first < 3000; first += 300 {
				lines := make([]string, 300)
				for i := range lines {
					lines[i] = r.text(r.values())
				}
				b.log(t, run, store.StreamHistory, "", first, lines...)
			}
			return run.RunID
		}
		const chunks = 10
		for sentence, end := range map[string]func(run store.ID) error{
			"compaction": func(run store.ID) error { return b.CompactRun(t.Context(), run, 1) },
			"a rewind":   func(run store.ID) error { _, err := b.Rewind(t.Context(), run, 1000); return err },
			"deletion":   func(run store.ID) error { return b.store.DeleteHistory(t.Context(), run, b.now()) },
		} {
			run := fill(sentence)
			if n := b.outlines(t); n != chunks {
				t.Errorf("%s: %d outlines of %d chunks", sentence, n, chunks)
			}
			if err := end(run); err != nil {
				t.Errorf("%s: %v", sentence, err)
			}
			if n := b.outlines(t); n != 0 {
				t.Errorf("%s leaves %d outlines", sentence, n)
			}
		}
	})
}

// TestASnapshotIsTheSameInOneStatement compares both ways to read one: the other is for streams of several writers.
func TestASnapshotIsTheSameInOneStatement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBed(t, s)
		run, m := b.logged(t, "one", rand.New(rand.NewPCG(4, 4)), 9)
		if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
			t.Fatal(err)
		}
		b.log(t, run, store.StreamHistory, "", m.next(""), randomLines(rand.New(rand.NewPCG(5, 5)), m.furthest[""]+1, 3)...)
		b.log(t, run, store.StreamConsole, "", 0, "hello")
		read := func(streams ...store.Stream) store.Snapshot {
			t.Helper()
			snapshot, err := b.store.RunSnapshot(t.Context(), run.RunID, streams...)
			if err != nil || len(snapshot.Heads) < 2 || len(snapshot.Segments) != 1 || len(snapshot.Chunks) == 0 {
				t.Fatalf("%+v, %v", snapshot, err)
			}
			return snapshot
		}
		one := read(store.StreamHistory, store.StreamEvents)
		b.log(t, run, store.StreamEvents, "another process", 0, `{"system.cpu":1}`)
		several := read(store.StreamHistory, store.StreamEvents)
		of := func(s store.Snapshot) string {
			s.Heads = slices.DeleteFunc(s.Heads, func(h store.StreamHead) bool { return h.Writer != "" })
			s.Chunks = slices.DeleteFunc(s.Chunks, func(c store.Chunk) bool { return c.Writer != "" })
			s.Rev = 0
			return fmt.Sprintf("%+v", s)
		}
		if len(several.Chunks) != len(one.Chunks)+1 || several.Rev != one.Rev+1 || of(one) != of(several) {
			t.Errorf("in one statement\n%+v\nin several\n%+v", one, several)
		}
	})
}
