package run

import (
	"context"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// reader fills columns of an index of these runs from the database, one source at a time and one run at a time.
type reader struct {
	service *Service
	place   access.Place
	runs    runList
}

// read fills what the given runs have in the given columns.
func (r reader) read(ctx context.Context, runs []store.ID, columns map[column]*values) error {
	if len(runs) == 0 || len(columns) == 0 {
		return nil
	}
	bySource := map[source][]column{}
	for c := range columns {
		bySource[c.source] = append(bySource[c.source], c)
	}
	for source, wanted := range bySource {
		var err error
		switch source {
		case sourceMeta:
			err = r.readMeta(ctx, runs, wanted, columns)
		case sourceConfig:
			err = r.readConfigs(ctx, runs, wanted, columns)
		case sourceSummary:
			err = r.readSummaries(ctx, runs, wanted, columns)
		case sourceLines:
			err = r.readLines(ctx, runs, columns[columnLines])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r reader) readMeta(ctx context.Context, runs []store.ID, wanted []column, columns map[column]*values) error {
	sweeps, err := r.sweepNames(ctx, runs, wanted)
	if err != nil {
		return err
	}
	return r.service.store.EachRun(ctx, runs, func(run *store.Run, username store.Text) {
		slot, ok := r.runs.slot(run.ID)
		if !ok {
			return
		}
		for _, c := range wanted {
			columns[c].slots[slot] = r.meta(c.path, run, username, sweeps[run.ID])
		}
	})
}

func (r reader) sweepNames(ctx context.Context, runs []store.ID, wanted []column) (map[store.ID]string, error) {
	if r.service.Sweeps == nil || !slices.Contains(wanted, columnNames["sweep"]) {
		return nil, nil
	}
	names := map[store.ID]string{}
	for batch := range slices.Chunk(runs, maxPage) {
		some, err := r.service.SweepNames(ctx, batch)
		if err != nil {
			return nil, err
		}
		for id, name := range some {
			names[id] = name
		}
	}
	return names, nil
}

func (r reader) meta(path string, run *store.Run, username store.Text, sweep string) value {
	switch path {
	case "name":
		return textValue(string(run.Name))
	case "displayName":
		return textValue(string(run.DisplayName))
	case "group":
		return textValue(string(run.GroupName))
	case "jobType":
		return textValue(string(run.JobType))
	case "host":
		return textValue(string(run.Host))
	case "commit":
		return textValue(string(run.CommitHash))
	case "description":
		return textValue(string(run.Description))
	case "notes":
		return textValue(string(run.Notes))
	case "username":
		return textValue(string(username))
	case "sweep":
		return textValue(sweep)
	case "entity":
		return textValue(string(r.place.Entity.Name))
	case "project":
		return textValue(string(r.place.Project.Name))
	case "created":
		return integer(int64(run.CreatedAt))
	case "tags":
		if len(run.Tags) > len("[]") {
			return value{kind: kindJSON, text: string(run.Tags)}
		}
	}
	return value{}
}

func lookupsOf(wanted []column) []lookup {
	lookups := make([]lookup, len(wanted))
	for i, c := range wanted {
		lookups[i] = lookup{column: c, slot: i}
	}
	return lookups
}

// clear forgets the values of runs, of which some may be gone.
func (r reader) clear(runs []store.ID, wanted []column, columns map[column]*values) {
	for _, run := range runs {
		if slot, ok := r.runs.slot(run); ok {
			for _, c := range wanted {
				columns[c].slots[slot] = value{}
			}
		}
	}
}

func (r reader) readConfigs(ctx context.Context, runs []store.ID, wanted []column, columns map[column]*values) error {
	r.clear(runs, wanted, columns)
	lookups := lookupsOf(wanted)
	return r.service.store.EachConfig(ctx, runs, func(run store.ID, config []byte) {
		slot, ok := r.runs.slot(run)
		if !ok {
			return
		}
		find(config, lookups, true, func(i int, v value) { columns[wanted[i]].slots[slot] = v })
	})
}

// readSummaries takes a value from the newest writer that has it.
func (r reader) readSummaries(ctx context.Context, runs []store.ID, wanted []column, columns map[column]*values) error {
	r.clear(runs, wanted, columns)
	lookups := lookupsOf(wanted)
	var current store.ID
	stamps := make([]store.Micros, len(wanted))
	return r.service.store.EachSummary(ctx, runs, func(run store.ID, _ store.Text, stamp store.Micros, summary []byte) {
		slot, ok := r.runs.slot(run)
		if !ok {
			return
		}
		if run != current {
			current = run
			clear(stamps)
		}
		find(summary, lookups, false, func(i int, v value) {
			if stamp >= stamps[i] {
				stamps[i], columns[wanted[i]].slots[slot] = stamp, v
			}
		})
	})
}

func (r reader) readLines(ctx context.Context, runs []store.ID, lines *values) error {
	counts, err := r.service.store.HistoryLines(ctx, runs)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if slot, ok := r.runs.slot(run); ok {
			lines.slots[slot] = integer(counts[run])
		}
	}
	return nil
}
