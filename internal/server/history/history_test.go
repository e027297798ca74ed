package history

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// randomLine is a line as clients write it, or might.
func randomLine(r *rand.Rand, step int64) string {
	numbers := []string{
		"0", "1", "-1", "2.0", "0.5", "-0", "1e+16", "1e-07", "9007199254740993", "-9223372036854775808", "18446744073709551616",
		"NaN", "Infinity", "-Infinity", "0.1000000000000000055511151231257827", "1E5", "1.50", fmt.Sprint(r.Float64()), fmt.Sprint(r.NormFloat64() * 1e9),
	}
	number := func() string {
		if r.IntN(4) > 0 {
			return fmt.Sprint(r.Float64())
		}
		return numbers[r.IntN(len(numbers))]
	}
	fields := []string{fmt.Sprintf(`"loss":%s`, number())}
	for name, value := range map[string]string{
		`a.b`: number(), `a\"b`: number(), `ü\u00fc`: `"text\nwith NaN"`, `list`: `[1,2.50,NaN,{"x":1}]`, `yes`: `true`, `none`: `null`,
		`media`: `{"_type":"image-file","path":"a{}.png","size":12}`, `empty`: `{}`, `nested`: `{"val1":1.0,"val2":{"deep":` + number() + `}}`,
		`acc`: number(), `epoch`: fmt.Sprint(step / 7),
	} {
		if r.IntN(3) == 0 {
			fields = append(fields, fmt.Sprintf(`"%s":%s`, name, value))
		}
	}
	if r.IntN(8) == 0 {
		fields = fields[1:]
	}
	if r.IntN(40) > 0 {
		fields = append(fields, fmt.Sprintf(`"_step":%d`, step))
	}
	r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	text := "{" + strings.Join(fields, ",") + "}"
	if r.IntN(30) == 0 {
		text = strings.ReplaceAll(text, ":", " : ")
	}
	return text
}

func randomLines(r *rand.Rand, step int64, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = randomLine(r, step+int64(i))
	}
	return lines
}

// TestRandomHistories logs, overwrites, leaves gaps, restarts, compacts, rewinds and forks at random, and compares
// everything that can be read with a model after each step.
func TestRandomHistories(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBed(t, s)
		for seed := range uint64(seeds()) {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { b.randomHistory(t, rand.New(rand.NewPCG(seed, 1))) })
		}
	})
}

func (b *bed) randomHistory(t *testing.T, r *rand.Rand) {
	run := b.run(t, fmt.Sprint("run-", r.Uint64()))
	m := newModel()
	writers := []string{"", "", "a", "b"}[:1+r.IntN(4)]
	for op := range 25 {
		writer := writers[r.IntN(len(writers))]
		next, step := m.next(writer), r.Int64N(40)
		if r.IntN(4) > 0 {
			step = m.furthest[writer] + 1
		}
		lines := randomLines(r, max(step, 0), 1+r.IntN(12))
		if r.IntN(3) == 0 {
			if err := b.CompactRun(t.Context(), run.RunID, 1); err != nil {
				t.Fatal(err)
			}
			b.check(t, run.RunID, m, r)
		}
		switch k := r.IntN(12); {
		case k < 6:
		case k == 6:
			next += r.Int64N(5)
		case k < 9 && next > 0:
			next = r.Int64N(next)
		case k == 9 && op > 5:
			at := r.Int64N(60) - 1
			if _, err := b.Rewind(t.Context(), run.RunID, at); err != nil {
				t.Fatal(err)
			}
			m.cut(at)
			b.check(t, run.RunID, m, r)
			continue
		case k == 10 && op > 5:
			b.checkFork(t, run, m, r)
			continue
		}
		b.log(t, run, store.StreamHistory, writer, next, lines...)
		m.put(writer, next, lines...)
		b.check(t, run.RunID, m, r)
	}
}

func (b *bed) checkFork(t *testing.T, run store.Permit, m *model, r *rand.Rand) {
	child := b.run(t, fmt.Sprint("child-", r.Uint64()))
	at := r.Int64N(60)
	forked := m.clone()
	forked.cut(at)
	for range 2 {
		lines, err := b.Fork(t.Context(), child.RunID, run.RunID, at)
		if err != nil || lines != forked.lines() {
			t.Fatalf("fork gives %d, %v, want %d lines", lines, err, forked.lines())
		}
	}
	b.check(t, child.RunID, forked, r)
	more := randomLines(r, at+1, 3)
	b.log(t, child, store.StreamHistory, "", forked.next(""), more...)
	forked.put("", forked.next(""), more...)
	b.check(t, child.RunID, forked, r)
	b.check(t, run.RunID, m, r)
}

// seeds is how many histories are tried; HISTORY_SEEDS asks for more.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("HISTORY_SEEDS")); err == nil {
		return n
	}
	return 12
}
