package sweep

import (
	"slices"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestHyperbandEndsRunsThatPromiseLittle(t *testing.T) {
	flat := func(value float64, n int) []float64 { return slices.Repeat([]float64{value}, n) }
	for sentence, c := range map[string]struct {
		bands    []int64
		eta      float64
		strict   bool
		maximize bool
		// running and over hold what runs have logged; want are the places in running of those that end.
		running, over [][]float64
		want          []store.ID
	}{
		"nobody has reached a band":               {bands: []int64{3}, eta: 2, running: [][]float64{flat(9, 3), flat(1, 3)}},
		"a lone run goes on":                      {bands: []int64{3}, eta: 3, running: [][]float64{flat(9, 4)}},
		"the best goes on":                        {bands: []int64{3}, eta: 3, running: [][]float64{flat(1, 4)}, over: [][]float64{flat(2, 4), flat(3, 4)}},
		"the worst of three ends":                 {bands: []int64{3}, eta: 2, running: [][]float64{flat(3, 4)}, over: [][]float64{flat(1, 4), flat(2, 4)}, want: []store.ID{0}},
		"as good as the threshold goes on":        {bands: []int64{3}, eta: 2, running: [][]float64{flat(2, 4)}, over: [][]float64{flat(1, 4), flat(2, 4)}},
		"more is better":                          {bands: []int64{3}, eta: 2, maximize: true, running: [][]float64{flat(1, 4), flat(3, 4)}, over: [][]float64{flat(2, 4)}, want: []store.ID{0}},
		"a good beginning counts":                 {bands: []int64{3}, eta: 2, running: [][]float64{{0, 9, 9, 9}}, over: [][]float64{flat(1, 4), flat(2, 4)}},
		"but not where it is strict":              {bands: []int64{3}, eta: 2, strict: true, running: [][]float64{{0, 9, 9, 9}}, over: [][]float64{flat(1, 4), flat(2, 4)}, want: []store.ID{0}},
		"the last band that it has reached":       {bands: []int64{1, 3}, eta: 2, running: [][]float64{{5, 5}, {5, 5, 5, 4}}, over: [][]float64{{5, 5, 5, 1}, {5, 5, 5, 2}}, want: []store.ID{1}},
		"others that ended before the band":       {bands: []int64{3}, eta: 2, running: [][]float64{flat(9, 4)}, over: [][]float64{flat(1, 3), flat(2, 3)}},
		"what was logged after the band is later": {bands: []int64{1}, eta: 2, running: [][]float64{{7, 7}}, over: [][]float64{{9, 9, 0}, {8, 8, 0}}},
		"a run that is over is left alone":        {bands: []int64{3}, eta: 2, over: [][]float64{flat(1, 4), flat(2, 4), flat(3, 4)}},
	} {
		h := &Hyperband{Bands: c.bands, Eta: c.eta, Strict: c.strict}
		metric := Metric{Name: "m", Maximize: c.maximize}
		var trials []trial
		for i, values := range append(slices.Clone(c.running), c.over...) {
			trials = append(trials, trial{run: store.ID(i), running: i < len(c.running), results: h.results(values, metric)})
		}
		if got := h.losers(trials, metric); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v end, want %v", sentence, got, c.want)
		}
	}
}

func TestBandsGrow(t *testing.T) {
	for text, want := range map[string][]int64{
		"min_iter: 3":                {3, 9, 27, 81},
		"min_iter: 1, eta: 2":        {1, 2, 4, 8},
		"max_iter: 27, s: 2":         {3, 9},
		"max_iter: 27, s: 9":         {1, 3, 9},
		"max_iter: 5, eta: 2, s: 2":  {1, 2},
		"min_iter: 2, eta: 1.1":      {2, 3, 4, 5},
		"min_iter: 3, strict: true ": {3, 9, 27, 81},
	} {
		cfg, _, err := Parse([]byte("method: random\nmetric: {name: a}\nparameters: {x: {value: 1}}\nearly_terminate: {type: hyperband, " + text + "}"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := cfg.Bands.Bands[:min(4, len(cfg.Bands.Bands))]; !slices.Equal(got, want) {
			t.Errorf("%s: bands %v, want %v", text, got, want)
		}
	}
}

func TestAControllersScheduleIsTakenOnce(t *testing.T) {
	const one = `{"schedule":[{"id":"s1","data":{"args":{"x":{"value":1}}}}],"earlystop":[]}`
	for sentence, c := range map[string]struct {
		controller, scheduler string
		args, told            string
		over, refused         bool
	}{
		"nothing was said":            {},
		"an entry is taken":           {controller: one, args: `{"x":{"value":1}}`, told: `{"scheduled":[{"id":"s1","runid":"run"}]}`},
		"not twice":                   {controller: one, scheduler: `{"scheduled":[{"id":"s1","runid":"a"}]}`},
		"the others are kept":         {controller: one, scheduler: `{"scheduled":[{"id":"s0","runid":"a"}]}`, args: `{"x":{"value":1}}`, told: `{"scheduled":[{"id":"s0","runid":"a"},{"id":"s1","runid":"run"}]}`},
		"nothing more will come":      {controller: `{"schedule":[{"id":"s2","data":{"args":null}}]}`, over: true},
		"a new state":                 {controller: `{}`, scheduler: `{}`},
		"a controller that is no map": {controller: `[1]`, refused: true},
		"a scheduler that is no map":  {controller: one, scheduler: `"x"`, refused: true},
	} {
		got, err := takeScheduled(store.Sweep{Controller: store.Blob(c.controller), Scheduler: store.Blob(c.scheduler)}, "run")
		if (err != nil) != c.refused || string(got.Args) != c.args || string(got.Scheduler) != c.told || got.Over != c.over {
			t.Errorf("%s: %+v, %v", sentence, got, err)
		}
	}
}
