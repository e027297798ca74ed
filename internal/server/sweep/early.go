package sweep

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// trial is a run of a sweep as an early end sees it.
type trial struct {
	run store.ID
	// running: it can still be stopped.
	running bool
	results
}

// results are what counts of everything that a run has logged of the metric: the value at each band that it has reached, and
// the best of all.
type results struct {
	at   []float64
	best float64
}

// results looks at the values of the metric in the order in which they were logged. A band is reached by the value of its
// number, counted from 0.
func (h *Hyperband) results(values []float64, m Metric) (r results) {
	for i, v := range values {
		if i == 0 || m.Better(v, r.best) {
			r.best = v
		}
	}
	for _, band := range h.Bands {
		if band >= int64(len(values)) {
			break
		}
		r.at = append(r.at, values[band])
	}
	return r
}

// losers are the running trials that are not among the best at the last band that they have reached: of those that have
// been there one of Eta goes on. A run is measured by the best that it ever had, and with Strict by what it had at the band.
func (h *Hyperband) losers(trials []trial, m Metric) []store.ID {
	var losers []store.ID
	thresholds := h.thresholds(trials, m)
	for _, t := range trials {
		reached := len(t.at)
		if !t.running || reached == 0 {
			continue
		}
		value := t.best
		if h.Strict {
			value = t.at[reached-1]
		}
		if m.Better(thresholds[reached-1], value) {
			losers = append(losers, t.run)
		}
	}
	return losers
}

// thresholds are the worst values with which a trial goes on, for each band that somebody has reached.
func (h *Hyperband) thresholds(trials []trial, m Metric) []float64 {
	var thresholds []float64
	for band := range h.Bands {
		var values []float64
		for _, t := range trials {
			if band < len(t.at) {
				values = append(values, t.at[band])
			}
		}
		if len(values) == 0 {
			break
		}
		slices.Sort(values)
		if m.Maximize {
			slices.Reverse(values)
		}
		thresholds = append(thresholds, values[int(float64(len(values))/h.Eta)])
	}
	return thresholds
}

const (
	// earlyPause is how long a sweep is not looked at again: each of its agents asks every five seconds.
	earlyPause = 5 * time.Second
	// maxJudged bounds what is remembered of runs and of sweeps.
	maxJudged = 20_000
)

// judged is a run as it was when it was looked at; the sweep's settings may change too.
type judged struct {
	run     store.ID
	rev     int64
	updated store.Micros
}

// judge remembers what it has seen: of all runs of a sweep only those are read that have changed.
type judge struct {
	mu      sync.Mutex
	results map[judged]results
	looked  map[store.ID]time.Time
}

// due tells whether a sweep is to be looked at, and notes that it is.
func (j *judge) due(sweep store.ID, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if last, ok := j.looked[sweep]; ok && now.Sub(last) < earlyPause {
		return false
	}
	if j.looked == nil || len(j.looked) >= maxJudged {
		j.looked = map[store.ID]time.Time{}
	}
	j.looked[sweep] = now
	return true
}

func (j *judge) get(key judged) (results, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.results[key]
	return r, ok
}

func (j *judge) put(key judged, r results) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.results == nil || len(j.results) >= maxJudged {
		j.results = map[judged]results{}
	}
	j.results[key] = r
}

// endEarly asks the runs of a sweep to stop that promise too little. Their processes hear of it with their next metrics, and
// their agents with their next heartbeat.
func (s *Service) endEarly(ctx context.Context, sweep store.Sweep, cfg Config) error {
	if cfg.Bands == nil || sweep.State != store.SweepRunning || !s.judge.due(sweep.ID, s.now()) {
		return nil
	}
	runs, err := s.store.SweepRuns(ctx, sweep.ID)
	if err != nil {
		return err
	}
	trials := make([]trial, 0, len(runs))
	for _, live := range runs {
		seen, err := s.judged(ctx, sweep, cfg, live)
		if err != nil {
			return err
		}
		trials = append(trials, trial{run: live.RunID, running: live.State == store.RunRunning && !live.Stopping, results: seen})
	}
	for _, run := range cfg.Bands.losers(trials, cfg.Metric) {
		if err := s.stop(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) judged(ctx context.Context, sweep store.Sweep, cfg Config, live store.RunLive) (results, error) {
	key := judged{live.RunID, live.Rev, sweep.UpdatedAt}
	if known, ok := s.judge.get(key); ok {
		return known, nil
	}
	values, err := s.runs.Values(ctx, live.RunID, cfg.Metric.Name)
	if err != nil {
		return results{}, err
	}
	seen := cfg.Bands.results(values, cfg.Metric)
	s.judge.put(key, seen)
	return seen, nil
}

// stop asks a run to stop; one that was deleted meanwhile needs it no more.
func (s *Service) stop(ctx context.Context, run store.ID) error {
	if err := s.runs.Stop(ctx, run); !access.IsNotFound(err) {
		return err
	}
	return nil
}
