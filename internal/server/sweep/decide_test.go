package sweep

import (
	"slices"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

func open(draw int64, name string, change func(*store.OpenSuggestion)) store.OpenSuggestion {
	o := store.OpenSuggestion{
		SweepSuggestion: store.SweepSuggestion{Draw: draw, RunName: store.Text(name), Offers: 1},
		RunID:           store.ID(draw + 100), State: store.RunPending,
	}
	if change != nil {
		change(&o)
	}
	return o
}

func TestDecide(t *testing.T) {
	seen := func(o *store.OpenSuggestion) { o.Seen = true }
	in := func(state store.RunState) func(*store.OpenSuggestion) {
		return func(o *store.OpenSuggestion) { o.State, o.Seen = state, true }
	}
	stopping := func(o *store.OpenSuggestion) { o.State, o.Seen, o.Stopping = store.RunRunning, true, true }
	type want struct {
		seen, settled, lost []int64
		stop                string
		exit, draw          bool
		offer               int64
	}
	for sentence, c := range map[string]struct {
		state  store.SweepState
		active []string
		open   []store.OpenSuggestion
		want   want
	}{
		"an idle agent draws":                       {state: store.SweepRunning, want: want{draw: true, offer: -1}},
		"a busy agent gets nothing":                 {state: store.SweepRunning, active: []string{"a"}, open: []store.OpenSuggestion{open(0, "a", seen)}, want: want{offer: -1}},
		"an agent busy with something else too":     {state: store.SweepRunning, active: []string{"z"}, want: want{offer: -1}},
		"what an agent speaks of was heard":         {state: store.SweepRunning, active: []string{"a"}, open: []store.OpenSuggestion{open(0, "a", nil)}, want: want{seen: []int64{0}, offer: -1}},
		"a lost answer is given again":              {state: store.SweepRunning, open: []store.OpenSuggestion{open(4, "a", nil)}, want: want{offer: 4}},
		"the oldest lost answer comes first":        {state: store.SweepRunning, open: []store.OpenSuggestion{open(4, "a", nil), open(5, "b", nil)}, want: want{offer: 4}},
		"but not for ever":                          {state: store.SweepRunning, open: []store.OpenSuggestion{open(4, "a", func(o *store.OpenSuggestion) { o.Offers = maxOffers })}, want: want{settled: []int64{4}, lost: []int64{4}, draw: true, offer: -1}},
		"a run that is over makes room":             {state: store.SweepRunning, open: []store.OpenSuggestion{open(0, "a", in(store.RunFinished))}, want: want{settled: []int64{0}, draw: true, offer: -1}},
		"a run that crashed makes room":             {state: store.SweepRunning, open: []store.OpenSuggestion{open(0, "a", in(store.RunCrashed))}, want: want{settled: []int64{0}, draw: true, offer: -1}},
		"a run that failed before it began is lost": {state: store.SweepRunning, open: []store.OpenSuggestion{open(0, "a", seen)}, want: want{settled: []int64{0}, lost: []int64{0}, draw: true, offer: -1}},
		"a run that ended within a heartbeat":       {state: store.SweepRunning, open: []store.OpenSuggestion{open(0, "a", func(o *store.OpenSuggestion) { o.State = store.RunFinished })}, want: want{settled: []int64{0}, draw: true, offer: -1}},
		"a run that people stop":                    {state: store.SweepRunning, active: []string{"a"}, open: []store.OpenSuggestion{open(0, "a", stopping)}, want: want{stop: "a", offer: -1}},
		"also while the sweep is paused":            {state: store.SweepPaused, active: []string{"a"}, open: []store.OpenSuggestion{open(0, "a", stopping)}, want: want{stop: "a", offer: -1}},
		"a paused sweep waits":                      {state: store.SweepPaused, open: []store.OpenSuggestion{open(0, "a", nil)}, want: want{offer: -1}},
		"a stopped run that its agent has killed":   {state: store.SweepRunning, open: []store.OpenSuggestion{open(0, "a", stopping)}, want: want{settled: []int64{0}, lost: []int64{0}, draw: true, offer: -1}},
		"a canceled one":                            {state: store.SweepCanceled, open: []store.OpenSuggestion{open(0, "a", in(store.RunRunning))}, want: want{settled: []int64{0}, lost: []int64{0}, exit: true, offer: -1}},
		"a pending sweep waits":                     {state: store.SweepPending, want: want{offer: -1}},
		"a finished sweep lets runs end":            {state: store.SweepFinished, active: []string{"a"}, open: []store.OpenSuggestion{open(0, "a", seen)}, want: want{offer: -1}},
		"and ends its agents then":                  {state: store.SweepFinished, open: []store.OpenSuggestion{open(0, "a", in(store.RunFinished))}, want: want{settled: []int64{0}, exit: true, offer: -1}},
		"a canceled sweep stops runs one by one":    {state: store.SweepCanceled, active: []string{"a", "b"}, open: []store.OpenSuggestion{open(0, "a", seen), open(1, "b", seen)}, want: want{stop: "a", offer: -1}},
		"and ends its agents after them":            {state: store.SweepCanceled, open: []store.OpenSuggestion{open(0, "a", nil)}, want: want{exit: true, offer: -1}},
	} {
		p := decide(facts{state: c.state, active: c.active, open: c.open})
		got := want{seen: p.seen, settled: p.settled, stop: p.stop, exit: p.exit, draw: p.draw, offer: -1}
		for _, lost := range p.lost {
			got.lost = append(got.lost, lost.Draw)
		}
		if p.offer != nil {
			got.offer = p.offer.Draw
		}
		if !slices.Equal(got.seen, c.want.seen) || !slices.Equal(got.settled, c.want.settled) || !slices.Equal(got.lost, c.want.lost) ||
			got.stop != c.want.stop || got.exit != c.want.exit || got.draw != c.want.draw || got.offer != c.want.offer {
			t.Errorf("%s: %+v, want %+v", sentence, got, c.want)
		}
	}
}

func TestTransition(t *testing.T) {
	const pending, running, paused, finished, canceled = store.SweepPending, store.SweepRunning, store.SweepPaused, store.SweepFinished, store.SweepCanceled
	allowed := map[[2]store.SweepState]bool{}
	for _, pair := range [][2]store.SweepState{
		{pending, running}, {pending, paused}, {pending, finished}, {pending, canceled},
		{running, paused}, {running, finished}, {running, canceled},
		{paused, running}, {paused, finished}, {paused, canceled},
		{finished, running}, {canceled, running},
	} {
		allowed[pair] = true
	}
	all := []store.SweepState{pending, running, paused, finished, canceled}
	for _, from := range all {
		for _, to := range all {
			if got := transition(from, to) == nil; got != (allowed[[2]store.SweepState{from, to}] || from == to) {
				t.Errorf("from %s to %s: allowed is %v", StateName(from), StateName(to), got)
			}
		}
	}
}
