package sweep

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Runs is RunService on package run.
type Runs struct{ *run.Service }

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
	state := run.StateName(store.RunFailed)
	_, err := r.Upsert(ctx, run.Upsert{ID: id, State: &state})
	if access.IsNotFound(err) {
		return nil
	}
	return err
}

// Results returns what the runs of a sweep say about a metric, runs without it left out.
func (r Runs) Results(ctx context.Context, runs []store.ID, metric string) (map[store.ID]float64, error) {
	summaries, err := r.Summaries(ctx, runs)
	if err != nil {
		return nil, err
	}
	values := make(map[store.ID]float64, len(summaries))
	for id, summary := range summaries {
		if value, ok := metricOf(summary, metric); ok {
			values[id] = value
		}
	}
	return values, nil
}

var pathEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `|`, `\|`, `#`, `\#`, `@`, `\@`, `!`, `\!`, `{`, `\{`, `[`, `\[`)

// metricOf finds a number in a summary: a key of this name, or the keys that its dots separate.
func metricOf(summary []byte, metric string) (float64, bool) {
	path := pathEscapes.Replace(metric)
	for _, p := range []string{strings.ReplaceAll(path, ".", `\.`), path} {
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
