package graph

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
)

// pages of sweeps and agents.
const (
	defaultSweeps = 50
	maxSweeps     = 1000
)

// findSweep returns null for a sweep that does not exist: clients ask whether one is there.
func (r *Resolver) findSweep(ctx context.Context, place access.Place, name, id *string) (*model.Sweep, error) {
	var found store.Sweep
	var err error
	if id != nil {
		number, _ := model.ParseID(*id, "Sweep")
		found, err = r.Sweeps.ByID(ctx, number)
		if err == nil && found.ProjectID != place.Project.ID {
			return nil, nil
		}
	} else {
		found, err = r.Sweeps.ByName(ctx, place, value(name))
	}
	if access.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &model.Sweep{Sweep: found, Place: place}, nil
}

func (r *Resolver) listSweeps(ctx context.Context, place access.Place, after string, first *int, filters *string) (*model.SweepConnection, error) {
	if given := value(filters); given != "" && given != "{}" && given != "null" {
		return nil, &fault.Error{Reason: sweep.ReasonRefused, Op: "this server cannot filter sweeps"}
	}
	before, ok := model.ParseID(after, "Sweep")
	if after != "" && !ok {
		return nil, &fault.Error{Reason: sweep.ReasonRefused, Op: "the cursor is none of this list"}
	}
	n := pageSize(first)
	sweeps, err := r.Sweeps.List(ctx, place, before, n+1)
	if err != nil {
		return nil, err
	}
	connection := &model.SweepConnection{PageInfo: &model.PageInfo{HasNextPage: int64(len(sweeps)) > n}, Edges: []*model.SweepEdge{}}
	for _, found := range sweeps[:min(int64(len(sweeps)), n)] {
		node := &model.Sweep{Sweep: found, Place: place}
		cursor := node.ID()
		connection.Edges = append(connection.Edges, &model.SweepEdge{Node: node, Cursor: cursor})
		connection.PageInfo.EndCursor = &cursor
	}
	return connection, nil
}

func pageSize(first *int) int64 {
	if first == nil {
		return defaultSweeps
	}
	return int64(min(max(*first, 0), maxSweeps))
}

func (r *Resolver) upsertSweep(ctx context.Context, input model.UpsertSweepInput) (*model.UpsertSweepPayload, error) {
	if given := value(input.LaunchScheduler); given != "" && given != "null" {
		return nil, &fault.Error{Reason: sweep.ReasonRefused, Op: "this server has no launch queues: start the sweep's agents with `wandb agent`"}
	}
	change := sweep.Change{
		Config: input.Config, Description: input.Description, DisplayName: input.DisplayName, Controller: input.Controller,
		Scheduler: input.Scheduler, State: input.State,
	}
	var err error
	if change.PriorRuns, err = sweep.ParsePriorRuns(value(input.PriorRunsFilters)); err != nil {
		return nil, err
	}
	payload := &model.UpsertSweepPayload{ConfigValidationWarnings: []string{}, ClientMutationID: input.ClientMutationID}
	var changed store.Sweep
	var place access.Place
	var warnings []string
	if id := value(input.ID); id != "" {
		place, changed, err = r.sweepToChange(ctx, id)
		if err != nil {
			return nil, err
		}
		changed, warnings, err = r.Sweeps.Update(ctx, changed.ID, change)
	} else {
		place, err = r.sweepPlace(ctx, value(input.EntityName), value(input.ProjectName))
		if err != nil {
			return nil, err
		}
		payload.Inserted = true
		changed, warnings, err = r.Sweeps.Create(ctx, place, change)
	}
	if err != nil {
		return nil, err
	}
	payload.Sweep = &model.Sweep{Sweep: changed, Place: place}
	payload.ConfigValidationWarnings = append(payload.ConfigValidationWarnings, warnings...)
	return payload, nil
}

// sweepPlace is where a new sweep is made.
func (r *Resolver) sweepPlace(ctx context.Context, entity, project string) (access.Place, error) {
	place, _, err := r.Runs.EnsureProject(ctx, run.NewProject{Entity: entity, Name: project})
	return place, err
}

// sweepToChange finds a sweep by its id, for a user who may change it.
func (r *Resolver) sweepToChange(ctx context.Context, id string) (access.Place, store.Sweep, error) {
	number, _ := model.ParseID(id, "Sweep")
	found, err := r.Sweeps.ByID(ctx, number)
	if err != nil {
		return access.Place{}, found, err
	}
	place, err := r.Guard.ProjectByID(ctx, found.ProjectID, access.Write)
	return place, found, err
}

func (r *Resolver) deleteSweep(ctx context.Context, input model.DeleteSweepInput) (*model.DeleteSweepPayload, error) {
	_, found, err := r.sweepToChange(ctx, input.ID)
	if err != nil {
		return nil, err
	}
	if err := r.Sweeps.Delete(ctx, found); err != nil {
		return nil, err
	}
	return &model.DeleteSweepPayload{Success: true, ClientMutationID: input.ClientMutationID}, nil
}

func (r *Resolver) createAgent(ctx context.Context, input model.CreateAgentInput) (*model.CreateAgentPayload, error) {
	place, err := r.Guard.Project(ctx, value(input.EntityName), value(input.ProjectName), access.Write)
	if err != nil {
		return nil, err
	}
	found, err := r.Sweeps.ByName(ctx, place, input.Sweep)
	if err != nil {
		return nil, err
	}
	agent, err := r.Sweeps.CreateAgent(ctx, place, found, input.Host)
	if err != nil {
		return nil, err
	}
	return &model.CreateAgentPayload{Agent: &model.Agent{SweepAgent: agent, Place: place}, ClientMutationID: input.ClientMutationID}, nil
}

// agentHeartbeat treats an agent whose project the user may not see as one that was deleted.
func (r *Resolver) agentHeartbeat(ctx context.Context, input model.AgentHeartbeatInput) (*model.AgentHeartbeatPayload, error) {
	number, _ := model.ParseID(input.ID, "Agent")
	agent, of, err := r.Sweeps.Agent(ctx, number)
	if err != nil {
		return nil, err
	}
	place, err := r.Guard.ProjectByID(ctx, of.ProjectID, access.Write)
	if access.IsNotFound(err) {
		return nil, &fault.Error{Reason: sweep.ReasonGone, Op: "the agent was deleted", Err: err}
	}
	if err != nil {
		return nil, err
	}
	commands, err := r.Sweeps.Heartbeat(ctx, place, agent, of, value(input.RunState))
	if err != nil {
		return nil, err
	}
	return &model.AgentHeartbeatPayload{Agent: &model.Agent{SweepAgent: agent, Place: place}, Commands: commands, ClientMutationID: input.ClientMutationID}, nil
}

func (r *Resolver) findAgent(ctx context.Context, place access.Place, of store.Sweep, name string) (*model.Agent, error) {
	number, ok := model.ParseAgent(name)
	if !ok {
		return nil, nil
	}
	agent, _, err := r.Sweeps.Agent(ctx, number)
	if fault.Reason(err, "") == sweep.ReasonGone || (err == nil && agent.SweepID != of.ID) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &model.Agent{SweepAgent: agent, Place: place, Silent: r.Sweeps.Silent(agent)}, nil
}

func (r *Resolver) listAgents(ctx context.Context, place access.Place, of store.Sweep, first *int) (*model.AgentConnection, error) {
	n := int64(maxSweeps)
	if first != nil {
		n = pageSize(first)
	}
	agents, err := r.Sweeps.Agents(ctx, of, n)
	if err != nil {
		return nil, err
	}
	connection := &model.AgentConnection{PageInfo: &model.PageInfo{}, Edges: make([]*model.AgentEdge, len(agents))}
	for i, agent := range agents {
		node := &model.Agent{SweepAgent: agent, Place: place, Silent: r.Sweeps.Silent(agent)}
		cursor := node.ID()
		connection.Edges[i] = &model.AgentEdge{Node: node, Cursor: cursor}
		connection.PageInfo.EndCursor = &cursor
	}
	return connection, nil
}

// runsOfSweep are found as every list of runs is.
func (r *Resolver) runsOfSweep(ctx context.Context, obj *model.Sweep, first *int, after, order *string) (*model.RunConnection, error) {
	return r.runsWhere(ctx, obj.Place, map[string]any{"sweep": obj.Name()}, first, after, order)
}

func (r *Resolver) runsOfAgent(ctx context.Context, obj *model.Agent, first *int, after, order *string) (*model.RunConnection, error) {
	names, err := r.Sweeps.RunNames(ctx, obj.SweepAgent)
	if err != nil {
		return nil, err
	}
	return r.runsWhere(ctx, obj.Place, map[string]any{"name": map[string]any{"$in": names}}, first, after, order)
}

func (r *Resolver) runsWhere(ctx context.Context, place access.Place, filter map[string]any, first *int, after, order *string) (*model.RunConnection, error) {
	text, err := json.Marshal(filter)
	if err != nil {
		return nil, fmt.Errorf("write the filter: %w", err)
	}
	if first == nil { // a client that names no number reads one page
		all := maxSweeps
		first = &all
	}
	filters := string(text)
	return r.runsOf(ctx, &model.Project{Place: place}, &filters, after, first, order)
}
