package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// clientIDHeader names one of several processes that log into one run. It identifies nobody.
const clientIDHeader = "X-Wandb-Client-Id"

const runKind = "Run"

// processAgent is the User-Agent of the part of the client that logs. What its user reads and edits bears another one.
const processAgent = "wandb-core"

func upsertOf(ctx context.Context, input model.UpsertBucketInput) (run.Upsert, error) {
	headers := graphql.GetOperationContext(ctx).Headers
	u := run.Upsert{
		Entity: value(input.EntityName), Project: value(input.ModelName), Name: value(input.Name),
		DisplayName: input.DisplayName, Description: input.Description, Notes: input.Notes, Group: input.GroupName,
		JobType: input.JobType, Commit: input.Commit, Host: input.Host, Program: input.JobProgram, Repo: input.JobRepo,
		State: input.State, Sweep: input.Sweep, Tags: input.Tags, Config: input.Config, Summary: input.SummaryMetrics,
		Writer: headers.Get(clientIDHeader), FromProcess: headers.Get("User-Agent") == processAgent,
	}
	if value(input.ID) == "" {
		return u, nil
	}
	id, err := parseID(*input.ID, runKind)
	u.ID = id
	return u, err
}

// parseID reads an id of one of these kinds.
func parseID(id string, kinds ...string) (store.ID, error) {
	n, ok := model.ParseID(id, kinds...)
	if !ok {
		return 0, &fault.Error{
			Reason: run.ReasonInvalid, Op: fmt.Sprintf("%q is not the id of a %s", id, kinds[0]),
			Hint: "Ids come from earlier answers of this server.",
		}
	}
	return n, nil
}

func (r *Resolver) userOfRun(ctx context.Context, obj *model.Run) (*model.User, error) {
	row, ok, err := model.Load(ctx, obj.Batch, "user", obj.Run.ID, r.Runs.Users)
	if err != nil {
		return nil, err
	}
	if !ok { // clients need a user, whatever happened to the account
		row.Username, row.Name = "unknown", "unknown"
	}
	return userOf(row), nil
}

func userOf(row store.User) *model.User {
	return &model.User{User: account.User{
		ID: row.ID, Username: string(row.Username), Email: string(row.Email), Name: string(row.Name), Admin: row.Admin,
		CreatedAt: row.CreatedAt.Time(),
	}}
}

func (r *Resolver) sweepOfRun(ctx context.Context, obj *model.Run) (*string, error) {
	if obj.SweepID == 0 || r.Runs.Sweeps == nil {
		return nil, nil
	}
	name, ok, err := model.Load(ctx, obj.Batch, "sweep", obj.Run.ID, r.Runs.SweepNames)
	if err != nil || !ok {
		return nil, err
	}
	return &name, nil
}

// configOf is never nil: a client that resumes a run needs one.
func (r *Resolver) configOf(ctx context.Context, obj *model.Run) ([]byte, error) {
	config, ok, err := model.Load(ctx, obj.Batch, "config", obj.Run.ID, r.Runs.Configs)
	if !ok {
		config = []byte("{}")
	}
	return config, err
}

func (r *Resolver) summaryOf(ctx context.Context, obj *model.Run) ([]byte, error) {
	summary, ok, err := model.Load(ctx, obj.Batch, "summary", obj.Run.ID, r.Runs.Summaries)
	if !ok {
		summary = []byte("{}")
	}
	return summary, err
}

func (r *Resolver) infoOf(ctx context.Context, obj *model.Run) (*run.Info, error) {
	config, err := r.configOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	info, ok, err := r.Runs.Info(ctx, obj.Run.ID, config)
	if err != nil || !ok {
		return nil, err
	}
	return &info, nil
}

func alertOf(input model.NotifyScriptableRunAlertInput) run.Alert {
	severity := model.AlertSeverityInfo
	if input.Severity != nil {
		severity = *input.Severity
	}
	return run.Alert{
		Title: input.Title, Text: value(input.Text), Severity: string(severity),
		Wait: time.Duration(value(input.WaitDuration)) * time.Millisecond,
	}
}

func (r *Resolver) alertsOf(ctx context.Context, obj *model.Run) ([]*model.RunAlert, error) {
	rows, err := r.Runs.Alerts(ctx, obj.Run.ID)
	alerts := make([]*model.RunAlert, len(rows))
	for i, row := range rows {
		at := row.CreatedAt.Time()
		alerts[i] = &model.RunAlert{
			ID: model.ID("RunAlert", row.ID), Title: string(row.Title), Text: string(row.Body),
			Severity: model.AlertSeverity(row.Severity), CreatedAt: at,
		}
	}
	return alerts, err
}

func textOf(b []byte) *string { s := string(b); return &s }
