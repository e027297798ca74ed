package sweep

import (
	"context"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// RunCount counts the runs of a sweep.
func (s *Service) RunCount(ctx context.Context, sweep store.Sweep) (int64, error) {
	return s.store.CountSweepRuns(ctx, sweep.ID)
}

// Best is the best value of the sweep's metric among its runs; nil where none logged it.
func (s *Service) Best(ctx context.Context, sweep store.Sweep) (*float64, error) {
	cfg, _, err := Parse(sweep.Config)
	if err != nil || cfg.Metric.Name == "" {
		return nil, nil
	}
	observations, err := s.observations(ctx, sweep, cfg.Metric)
	if err != nil {
		return nil, err
	}
	var best *float64
	for _, o := range observations {
		if o.Measured && (best == nil || cfg.Metric.Better(o.Value, *best)) {
			best = &o.Value
		}
	}
	return best, nil
}

func (s *Service) observations(ctx context.Context, sweep store.Sweep, metric Metric) ([]Observation, error) {
	runs, err := s.store.SweepRuns(ctx, sweep.ID)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return s.runs.Observations(ctx, runs, metric.Name)
}
