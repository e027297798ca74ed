package run

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestHowLongARunCouldHaveBeenHeardOf(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 1, 12, minute, 0, 0, time.UTC) }
	span := func(from, to int) store.ReadySpan {
		return store.ReadySpan{StartedAt: store.At(at(from)), EndedAt: store.At(at(to))}
	}
	for sentence, c := range map[string]struct {
		spans    []store.ReadySpan
		from, to int
		want     time.Duration
	}{
		"no replica was ever ready":                {nil, 0, 10, 0},
		"one was ready all the time":               {[]store.ReadySpan{span(0, 30)}, 10, 20, 10 * time.Minute},
		"it began after the last sign of life":     {[]store.ReadySpan{span(12, 30)}, 10, 20, 8 * time.Minute},
		"it ended before now":                      {[]store.ReadySpan{span(0, 13)}, 10, 20, 3 * time.Minute},
		"there was a pause":                        {[]store.ReadySpan{span(0, 12), span(18, 30)}, 10, 20, 4 * time.Minute},
		"what was before and after does not count": {[]store.ReadySpan{span(0, 5), span(25, 30)}, 10, 20, 0},
		"the last sign of life is in the future":   {[]store.ReadySpan{span(0, 30)}, 25, 20, 0},
	} {
		if got := ready(c.spans, at(c.from), at(c.to)); got != c.want {
			t.Errorf("%s: %s, want %s", sentence, got, c.want)
		}
	}
}

func TestSummariesOfSeveralWritersAreMerged(t *testing.T) {
	row := func(writer string, stamp int, body string) store.RunSummary {
		return store.RunSummary{Writer: store.Text(writer), Stamp: store.Micros(stamp), Body: store.Packed(body)}
	}
	for want, rows := range map[string][]store.RunSummary{
		`{}`:                      nil,
		`{"a": NaN }`:             {row("", 1, `{"a": NaN }`)},
		`{"a":1.0,"b":2,"c":"x"}`: {row("w1", 2, `{"a":1.0,"c":"x"}`), row("w2", 1, `{"a":1,"b":2}`)},
		`{"n":9007199254740993}`:  {row("w1", 1, `{"n":9007199254740992}`), row("w2", 2, `{"n":9007199254740993}`)},
	} {
		if got := string(MergeSummaries(rows)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhatIsKnownOfARunsEnvironment(t *testing.T) {
	config := `{"x":{"value":NaN},"_wandb":{"value":{"e":{"old":{"startedAt":"2026-01-01T00:00:00Z","os":"Old"},"new":{"os":"Linux",
		"startedAt":"2026-02-01T00:00:00Z","python":"CPython 3.11","args":["--lr","0.1"],"program":"train.py","cpu_count":4,"gpu":"H100",
		"gpu_count":8,"git":{"remote":"git@example.com:a.git","commit":"abc"},"executable":"/usr/bin/python"}}}}}`
	info, ok := InfoOf([]byte(config))
	if !ok || *info.OS != "Linux" || *info.Program != "train.py" || *info.GPUCount != 8 || *info.CPUCount != 4 || len(info.Args) != 2 ||
		*info.Git.Commit != "abc" || *info.CodeSaved || info.Colab != nil {
		t.Errorf("%v %+v", ok, info)
	}
	if _, ok := InfoOf([]byte(`{"a":1}`)); ok {
		t.Error("a config without an environment has one")
	}
	if picked := string(Pick(ClientConfig([]byte(`{"_wandb":{"value":{"t":{"1":[5]},"m":[]}}}`)), []string{"t", "no"})); picked != `{"t":{"1":[5]}}` {
		t.Errorf("picked %s", picked)
	}
}

func TestThePageOfManyPositionsIsWhatSortingAllOfThemGives(t *testing.T) {
	order, err := ParseOrder("-summary_metrics.loss")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) // repeatable
	for _, all := range []int{0, 1, 2, 5, 100, 1000} {
		for _, n := range []int{1, 2, 3, 50, 1000} {
			positions := make([]position, all)
			for i := range positions {
				v := value{}
				if random.IntN(5) > 0 {
					v = integer(random.Int64N(20)) // many are equal, some have none
				}
				positions[i] = position{id: store.ID(i + 1), values: []value{v}}
			}
			random.Shuffle(all, func(i, j int) { positions[i], positions[j] = positions[j], positions[i] })
			sorted := slices.SortedFunc(slices.Values(positions), order.compare)
			var after *position
			var got []position
			for more := true; more; {
				var page []position
				page, more = follow(slices.Clone(positions), order, after, n)
				if got = append(got, page...); len(page) > 0 {
					after = &page[len(page)-1]
				}
				if len(page) > n || more && len(page) < n {
					t.Fatalf("a page of %d, more: %t, want %d of %d", len(page), more, n, all)
				}
			}
			if !slices.EqualFunc(got, sorted, func(a, b position) bool { return a.id == b.id }) {
				t.Errorf("pages of %d of %d positions are not what sorting gives", n, all)
			}
		}
	}
}

func TestSlotsOfAnIndexFollowItsRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) // repeatable
	x := newIndex()
	x.columns[columnCreated] = &values{}
	revs, rev := map[store.ID]int64{}, int64(0)
	for round := range 200 {
		changed := map[store.ID]bool{}
		for range random.IntN(8) {
			switch id := store.ID(1 + random.IntN(30)); random.IntN(3) {
			case 0:
				delete(revs, id)
				delete(changed, id)
			default:
				rev++
				revs[id] = rev
				changed[id] = true
			}
		}
		var live []store.LiveRun
		for _, id := range slices.Sorted(maps.Keys(revs)) {
			live = append(live, store.LiveRun{RunID: id, Rev: revs[id]})
		}
		for _, run := range x.reconcile(live) {
			if slot, ok := x.live.slot(run.RunID); !ok || x.revs[slot] != 0 {
				t.Fatalf("round %d: run %d is out of date and has slot %d, %t", round, run.RunID, slot, ok)
			} else {
				x.revs[slot] = run.Rev
				x.columns[columnCreated].slots[slot] = integer(int64(run.RunID))
			}
			delete(changed, run.RunID)
		}
		if len(changed) > 0 {
			t.Fatalf("round %d: %v are not read", round, changed)
		}
		taken := map[int]bool{}
		for i, run := range x.live.runs {
			slot := x.live.slots[i]
			if x.columns[columnCreated].slots[slot].num != float64(run.RunID) || x.revs[slot] != run.Rev || taken[slot] {
				t.Fatalf("round %d: slot %d of run %d holds %v", round, slot, run.RunID, x.columns[columnCreated].slots[slot])
			}
			taken[slot] = true
		}
		if len(taken)+len(x.free) != len(x.revs) {
			t.Fatalf("round %d: %d slots are taken and %d free of %d", round, len(taken), len(x.free), len(x.revs))
		}
	}
}
