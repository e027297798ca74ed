package sweep

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Runs is RunService on the packages run and history.
type Runs struct {
	*run.Service
	// History is nil where no early end is asked for.
	History *history.Service
}

var _ RunService = Runs{}

// CreatePending makes a run unless it exists: its process may have begun meanwhile. It fails with ErrRunDeleted where
// somebody deleted it.
func (r Runs) CreatePending(ctx context.Context, place access.Place, p Pending) error {
	if _, err := r.ByName(ctx, place, p.Name); !access.IsNotFound(err) {
		return err
	}
	state, config := run.StateName(store.RunPending), string(p.Config)
	_, err := r.Upsert(ctx, run.Upsert{
		Entity: string(place.Entity.Name), Project: string(place.Project.Name), Name: p.Name, DisplayName: &p.DisplayName,
		State: &state, Config: &config, Sweep: &p.SweepName,
	})
	if fault.Reason(err, "") == run.ReasonDeleted {
		return ErrRunDeleted
	}
	return err
}

// Fail ends a run that never started.
func (r Runs) Fail(ctx context.Context, id store.ID) error {
	err := r.SetState(ctx, id, run.StateName(store.RunFailed))
	if access.IsNotFound(err) || fault.Reason(err, "") == run.ReasonTransition { // it was deleted, or began after all
		return nil
	}
	return err
}

// Observations returns the runs of a sweep, oldest first, with what they say about a metric; those that are over without it
// are left out.
func (r Runs) Observations(ctx context.Context, runs []store.RunLive, metric string) ([]Observation, error) {
	ids := make([]store.ID, len(runs))
	for i, live := range runs {
		ids[i] = live.RunID
	}
	summaries, err := r.Summaries(ctx, ids)
	if err != nil {
		return nil, err
	}
	configs, err := r.Configs(ctx, ids)
	if err != nil {
		return nil, err
	}
	observations := make([]Observation, 0, len(runs))
	for _, live := range runs {
		o := Observation{Config: configs[live.RunID], Over: run.Ended(live.State)}
		value, ok := metricOf(summaries[live.RunID], metric)
		if o.Over && !ok {
			continue
		}
		o.Value, o.Measured = value, ok
		observations = append(observations, o)
	}
	return observations, nil
}

// maxValues bounds how much of a run is looked at: of a longer one an even choice.
const maxValues = 100_000

// Values returns what a run has logged of a metric, in order, without what is no finite number.
func (r Runs) Values(ctx context.Context, id store.ID, metric string) ([]float64, error) {
	if r.History == nil {
		return nil, nil
	}
	rows, err := r.History.Sample(ctx, id, history.Spec{
		Keys: []string{metric}, Samples: maxValues, MinStep: math.MinInt64, MaxStep: math.MaxInt64,
	})
	if access.IsNotFound(err) || errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var values []float64
	gjson.ParseBytes(rows).ForEach(func(_, row gjson.Result) bool {
		row.ForEach(func(key, value gjson.Result) bool {
			v, err := strconv.ParseFloat(value.Raw, 64)
			if key.Str == metric && value.Type == gjson.Number && err == nil {
				values = append(values, v)
			}
			return key.Str != metric
		})
		return true
	})
	return values, err
}

var pathEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `|`, `\|`, `#`, `\#`, `@`, `\@`, `!`, `\!`, `{`, `\{`, `[`, `\[`)

func escapeDots(path string) string { return strings.ReplaceAll(path, ".", `\.`) }

// metricOf finds a number in a summary: a key of this name, or the keys that its dots separate.
func metricOf(summary []byte, metric string) (float64, bool) {
	path := pathEscapes.Replace(metric)
	for _, p := range []string{escapeDots(path), path} {
		found := gjson.GetBytes(summary, p)
		if found.IsObject() { // a metric with an aggregate of its own: {"min": 1}
			found = firstNumber(found)
		}
		if found.Type == gjson.Number {
			v, err := strconv.ParseFloat(found.Raw, 64)
			return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
		}
	}
	return 0, false
}

func firstNumber(object gjson.Result) (number gjson.Result) {
	object.ForEach(func(_, value gjson.Result) bool {
		number = value
		return value.Type != gjson.Number
	})
	return number
}
