package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// made is a line as a client writes it, with its members in an order of their own.
func made(step int, timestamp, runtime float64, reversed bool) string {
	if reversed {
		return fmt.Sprintf(`{"_runtime":%g,"_timestamp":%e,"loss":%d,"x":{"b":[1.0,{"d":2,"c":1}],"a":1},"_step":%d}`, runtime, timestamp, step*2, step)
	}
	return fmt.Sprintf(`{"_step":%d,"loss":%d,"_timestamp":%e,"x":{"a":1,"b":[1.0,{"c":1,"d":2}]},"_runtime":%g}`, step, step*2, timestamp, runtime)
}

func TestARunThatIsSentTwiceStandsThereOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		line := func(step int, reversed bool) string {
			return made(step, 1.7956558e9+float64(step), 0.5*float64(step), reversed)
		}
		sc.send(t, "r", file(history, 0, line(0, false), line(1, false), line(2, false)))
		before := text(sc.lines(t, run, store.StreamHistory, ""))

		// The second time the lines follow those of the first, and the folder may have grown.
		sc.send(t, "r", file(history, 3, line(0, true), line(1, true)))
		if got := text(sc.lines(t, run, store.StreamHistory, "")); got != before {
			t.Errorf("after two lines came again: %s", got)
		}
		sc.send(t, "r", file(history, 5, line(2, true), line(3, true)))
		want := before + " 6:" + line(3, true)
		if got := text(sc.lines(t, run, store.StreamHistory, "")); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		sc.send(t, "r", `{"complete":true,"exitcode":0}`)
		if state := sc.live(t, run).State; state != store.RunFinished {
			t.Errorf("the run's state is %d", state)
		}
	})
}

func TestAProcessThatBeginsAnewLosesNothing(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	sc := newScene(t, s)
	run := sc.run(t, "r")
	sc.send(t, "r", file(history, 0, made(0, 100, 0.5, false), made(1, 101, 1, false)))
	// Steps begin anew: at other times, at the same time with another runtime, and without any time.
	sc.send(t, "r", file(history, 2, made(0, 200, 0.5, false), made(1, 101, 2, false)))
	sc.send(t, "r", file(history, 4, `{"_step":0}`, `{"_step":1}`, `no json`))
	// The same moment with another number is another row.
	sc.send(t, "r", file(history, 7, strings.Replace(made(0, 100, 0.5, false), `"loss":0`, `"loss":7`, 1)))
	if got := len(sc.lines(t, run, store.StreamHistory, "")); got != 8 {
		t.Errorf("%d lines, want 8", got)
	}
	if next, _, generation := sc.head(t, run, store.StreamHistory, ""); next != 8 || generation != 0 {
		t.Errorf("the next line is %d, generation %d", next, generation)
	}
}
