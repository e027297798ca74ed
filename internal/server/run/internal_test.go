package run

import (
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
