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
	runs, err := s.store.SweepRuns(ctx, sweep.ID)
	if err != nil {
		return nil, err
	}
	results, err := s.runs.Results(ctx, runs, cfg.Metric.Name)
	if err != nil {
		return nil, err
	}
	var best *float64
	for _, result := range results {
		if best == nil || cfg.Metric.Better(result, *best) {
			best = &result
		}
	}
	return best, nil
}
