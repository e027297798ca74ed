package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// statusOf is where a run's streams stand. A query that asks for a tail as well as for a count gets both from one snapshot:
// a client that resumes a run logs over its lines otherwise.
func (r *Resolver) statusOf(ctx context.Context, obj *model.Run) (history.Status, error) {
	what, read := "counts", r.Services.History.Counts
	if strings.Contains(graphql.GetOperationContext(ctx).RawQuery, "Tail") {
		what, read = "status", r.Services.History.Statuses
	}
	status, _, err := model.Load(ctx, obj.Batch, what, obj.Run.ID, read)
	return status, err
}

func (r *Resolver) lineCount(ctx context.Context, obj *model.Run, count func(history.Status) int64) (*int, error) {
	status, err := r.statusOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	n := int(count(status))
	return &n, nil
}

func (r *Resolver) tail(ctx context.Context, obj *model.Run, tail func(history.Status) []string) (*string, error) {
	status, err := r.statusOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	text := history.TailJSON(tail(status))
	return &text, nil
}

func (r *Resolver) historyOf(ctx context.Context, obj *model.Run, samples *int, minStep, maxStep *int64) ([]string, error) {
	if minStep == nil && maxStep == nil {
		return r.Services.History.Full(ctx, obj.Run.ID, store.StreamHistory, samplesOf(samples))
	}
	upper := int64(math.MaxInt64)
	if maxStep != nil {
		upper = *maxStep
	}
	return r.Services.History.Page(ctx, obj.Run.ID, value(minStep), upper)
}

func samplesOf(samples *int) int {
	if samples == nil {
		return history.DefaultSamples
	}
	return *samples
}

func (r *Resolver) sampled(ctx context.Context, obj *model.Run, specs []string) ([]json.RawMessage, error) {
	const maxSpecs = 100
	if len(specs) > maxSpecs {
		return nil, &fault.Error{
			Reason: history.ReasonSpecInvalid, Op: fmt.Sprintf("%d specs are more than %d", len(specs), maxSpecs),
			Hint: "Ask for them in several requests.",
		}
	}
	answers := make([]json.RawMessage, len(specs))
	for i, text := range specs {
		spec, err := history.ParseSpec(text)
		if err != nil {
			return nil, err
		}
		if answers[i], err = r.Services.History.Sample(ctx, obj.Run.ID, spec); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (r *Resolver) logLines(ctx context.Context, obj *model.Run, wanted history.LogRange) (*model.LogLineConnection, error) {
	page, err := r.Services.History.LogLines(ctx, obj.Run.ID, wanted)
	if err != nil {
		return nil, err
	}
	connection := &model.LogLineConnection{
		Edges: make([]*model.LogLineEdge, len(page.Lines)), PageInfo: &model.PageInfo{HasNextPage: page.More},
	}
	if page.End != "" {
		connection.PageInfo.EndCursor = &page.End
	}
	for i, line := range page.Lines {
		node := &model.LogLine{Number: int(line.Number), Line: line.Text}
		if line.Timestamp != nil {
			stamp := line.Timestamp.Format("2006-01-02T15:04:05.000000Z")
			node.Timestamp = &stamp
		}
		if line.Level != "" {
			node.Level = &line.Level
		}
		if line.Label != "" {
			node.Label = &line.Label
		}
		connection.Edges[i] = &model.LogLineEdge{Node: node, Cursor: fmt.Sprint(line.Number)}
	}
	return connection, nil
}

func (r *Resolver) rewind(ctx context.Context, input model.RewindRunInput) (*model.Run, error) {
	if input.MetricName != "_step" || math.IsNaN(input.MetricValue) {
		return nil, &fault.Error{
			Reason: run.ReasonInvalid, Op: fmt.Sprintf("rewind to %s=%v", input.MetricName, input.MetricValue),
			Hint: "Runs are rewound to a value of _step.",
		}
	}
	place, err := r.Guard.Project(ctx, value(input.EntityName), value(input.ProjectName), access.Write)
	if err != nil {
		return nil, err
	}
	record, err := r.Runs.ByName(ctx, place, input.RunName)
	if err != nil {
		return nil, err
	}
	step := int64(min(max(math.Floor(input.MetricValue), -1), 1<<62))
	lines, err := r.Services.History.Rewind(ctx, record.ID, step)
	if err != nil {
		return nil, err
	}
	if record, err = r.Runs.ByName(ctx, place, input.RunName); err != nil {
		return nil, err
	}
	rewound := model.NewRun(place, record)
	rewound.HistoryLines = &lines
	return rewound, nil
}
