package run

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// MergeSummaries makes one summary of those of all writers of a run: of a key that several have, the newest line's counts.
// The text of values stays as it is.
func MergeSummaries(rows []store.RunSummary) []byte {
	switch len(rows) {
	case 0:
		return []byte("{}")
	case 1:
		return rows[0].Body
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b store.RunSummary) int {
		return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(a.Writer, b.Writer))
	})
	var keys []string
	values := map[string]string{}
	for _, row := range rows {
		gjson.ParseBytes(row.Body).ForEach(func(key, value gjson.Result) bool {
			if _, known := values[key.Raw]; !known {
				keys = append(keys, key.Raw)
			}
			values[key.Raw] = value.Raw
			return true
		})
	}
	return object(keys, values)
}

// object writes members in order; both are JSON text.
func object(keys []string, values map[string]string) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		b.WriteByte(':')
		b.WriteString(values[key])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Pick keeps the members of an object with these keys; no keys means all.
func Pick(text []byte, keys []string) []byte {
	if len(keys) == 0 {
		return text
	}
	var names []string
	values := map[string]string{}
	gjson.ParseBytes(text).ForEach(func(key, value gjson.Result) bool {
		if slices.Contains(keys, key.Str) {
			if _, known := values[key.Raw]; !known {
				names = append(names, key.Raw)
			}
			values[key.Raw] = value.Raw
		}
		return true
	})
	return object(names, values)
}

// ClientConfig is what the client itself, and not its user, wrote into a config.
func ClientConfig(config []byte) []byte {
	if value := gjson.GetBytes(config, "_wandb.value"); value.IsObject() {
		return []byte(value.Raw)
	}
	return []byte("{}")
}

// Summaries returns the summaries of runs; those without one are absent.
func (s *Service) Summaries(ctx context.Context, runs []store.ID) (map[store.ID][]byte, error) {
	rows, err := s.store.RunSummaries(ctx, runs)
	if err != nil {
		return nil, err
	}
	byRun := map[store.ID][]store.RunSummary{}
	for _, row := range rows {
		byRun[row.RunID] = append(byRun[row.RunID], row)
	}
	summaries := make(map[store.ID][]byte, len(byRun))
	for id, rows := range byRun {
		summaries[id] = MergeSummaries(rows)
	}
	return summaries, nil
}

// Configs returns the configs of runs as their clients wrote them; those without one are absent.
func (s *Service) Configs(ctx context.Context, runs []store.ID) (map[store.ID][]byte, error) {
	rows, err := s.store.RunConfigs(ctx, runs)
	if err != nil {
		return nil, err
	}
	configs := make(map[store.ID][]byte, len(rows))
	for _, row := range rows {
		configs[row.RunID] = row.Body
	}
	return configs, nil
}

// Users returns who made each of the runs.
func (s *Service) Users(ctx context.Context, runs []store.ID) (map[store.ID]store.User, error) {
	return s.store.RunUsers(ctx, runs)
}

// SweepNames returns the short names of the sweeps of runs; those of no sweep are absent.
func (s *Service) SweepNames(ctx context.Context, runs []store.ID) (map[store.ID]string, error) {
	sweeps, err := s.store.RunSweeps(ctx, runs)
	if err != nil || len(sweeps) == 0 {
		return nil, err
	}
	names, err := s.Sweeps.Names(ctx, slices.Compact(slices.Sorted(maps.Values(sweeps))))
	if err != nil {
		return nil, err
	}
	byRun := make(map[store.ID]string, len(sweeps))
	for run, sweep := range sweeps {
		if name, ok := names[sweep]; ok {
			byRun[run] = name
		}
	}
	return byRun, nil
}
