package graph

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	projectKind = "Project"
	viewKind    = "View"
)

// asked is when the request began: what was read since then is no older than it.
func asked(ctx context.Context) time.Time {
	return graphql.GetOperationContext(ctx).Stats.OperationStart
}

func (r *Resolver) runsOf(ctx context.Context, obj *model.Project, filters, after *string, first *int, order *string) (*model.RunConnection, error) {
	page, err := r.Runs.Query(ctx, obj.Place, run.Query{
		Filter: value(filters), Order: value(order), After: value(after), First: value(first), AsOf: asked(ctx),
	})
	if err != nil {
		return nil, err
	}
	connection := &model.RunConnection{
		Edges: make([]*model.RunEdge, len(page.Runs)), PageInfo: &model.PageInfo{HasNextPage: page.More}, TotalCount: &page.Total,
	}
	for i, node := range model.NewRuns(obj.Place, page.Runs) {
		connection.Edges[i] = &model.RunEdge{Node: node, Cursor: page.Cursors[i]}
		connection.PageInfo.EndCursor = &page.Cursors[i]
	}
	return connection, nil
}

// projectsOf is null for an entity that the user may not know of.
func (r *Resolver) projectsOf(ctx context.Context, entity, after *string, first *int) (*model.ProjectConnection, error) {
	before, err := cursorID(after, projectKind)
	if err != nil {
		return nil, err
	}
	places, more, err := r.Runs.Projects(ctx, value(entity), before, value(first))
	if access.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	connection := &model.ProjectConnection{
		Edges: make([]*model.ProjectEdge, len(places)), PageInfo: &model.PageInfo{HasNextPage: more},
	}
	for i, place := range places {
		cursor := model.ID(projectKind, place.Project.ID)
		connection.Edges[i] = &model.ProjectEdge{Node: &model.Project{Place: place}, Cursor: cursor}
		connection.PageInfo.EndCursor = &cursor
	}
	return connection, nil
}

// cursorID reads the id that a list goes on behind; 0 where it begins.
func cursorID(cursor *string, kind string) (store.ID, error) {
	if value(cursor) == "" {
		return 0, nil
	}
	id, ok := model.ParseID(*cursor, kind)
	if !ok {
		return 0, badCursor(*cursor)
	}
	return id, nil
}

func (r *Resolver) userByID(ctx context.Context, id store.ID) (*model.User, error) {
	users, err := r.Runs.ProjectUsers(ctx, []store.ID{id})
	row, ok := users[id]
	if err != nil || !ok {
		return nil, err
	}
	return userOf(row), nil
}

func (r *Resolver) upsertModel(ctx context.Context, input model.UpsertModelInput) (*model.UpsertModelPayload, error) {
	change := run.ProjectChange{Description: input.Description, Access: input.Access}
	var place access.Place
	var inserted bool
	var err error
	if value(input.ID) != "" {
		id, invalid := parseID(*input.ID, projectKind, "ProjectInternalId")
		if invalid != nil {
			return nil, invalid
		}
		change.Name = input.Name
		place, err = r.Runs.ChangeProject(ctx, id, change)
	} else {
		place, inserted, err = r.Runs.PutProject(ctx, run.NewProject{
			Entity: value(input.EntityName), Name: value(input.Name), Access: value(input.Access), Description: value(input.Description),
		}, change)
	}
	if err != nil {
		return nil, err
	}
	project := &model.Project{Place: place}
	return &model.UpsertModelPayload{Project: project, Model: project, Inserted: &inserted, ClientMutationID: input.ClientMutationID}, nil
}

func (r *Resolver) upsertView(ctx context.Context, input model.UpsertViewInput) (*model.UpsertViewPayload, error) {
	change := run.ViewChange{
		Entity: value(input.EntityName), Project: value(input.ProjectName), Name: input.Name, DisplayName: input.DisplayName,
		Description: input.Description, Type: input.Type, Spec: input.Spec, CreatedUsing: input.CreatedUsing,
	}
	if value(input.ID) != "" {
		id, err := parseID(*input.ID, viewKind)
		if err != nil {
			return nil, err
		}
		change.ID = id
	}
	place, view, inserted, err := r.Runs.PutView(ctx, change)
	if err != nil {
		return nil, err
	}
	user, err := r.userByID(ctx, view.UserID)
	if err != nil {
		return nil, err
	}
	return &model.UpsertViewPayload{View: viewOf(place, view, user), Inserted: &inserted, ClientMutationID: input.ClientMutationID}, nil
}

func viewOf(place access.Place, view store.View, user *model.User) *model.View {
	created, updated := view.CreatedAt.Time(), view.UpdatedAt.Time()
	return &model.View{
		ID: model.ID(viewKind, view.ID), Name: string(view.Name), DisplayName: textOf([]byte(view.DisplayName)),
		Description: textOf(view.Description), Type: textOf([]byte(view.Type)), User: user, Project: &model.Project{Place: place},
		Spec: textOf(view.Spec), CreatedUsing: textOf([]byte(view.CreatedUsing)), CreatedAt: created, UpdatedAt: updated,
	}
}

func (r *Resolver) viewByID(ctx context.Context, text string) (*model.View, error) {
	id, ok := model.ParseID(text, viewKind)
	if !ok {
		return nil, nil
	}
	place, view, err := r.Runs.View(ctx, id, access.Read)
	if access.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	user, err := r.userByID(ctx, view.UserID)
	if err != nil {
		return nil, err
	}
	return viewOf(place, view, user), nil
}

func (r *Resolver) viewsOf(ctx context.Context, obj *model.Project, kind, name, after *string, first *int) (*model.ViewConnection, error) {
	before, err := cursorID(after, viewKind)
	if err != nil {
		return nil, err
	}
	views, more, err := r.Runs.Views(ctx, obj.Place, store.ViewFilter{
		Type: store.Text(value(kind)), Name: store.Text(value(name)), Before: before, Limit: value(first),
	})
	if err != nil {
		return nil, err
	}
	var ids []store.ID
	for _, view := range views {
		ids = append(ids, view.UserID)
	}
	users, err := r.Runs.ProjectUsers(ctx, ids)
	if err != nil {
		return nil, err
	}
	connection := &model.ViewConnection{Edges: make([]*model.ViewEdge, len(views)), PageInfo: &model.PageInfo{HasNextPage: more}}
	for i, view := range views {
		var user *model.User
		if row, ok := users[view.UserID]; ok {
			user = userOf(row)
		}
		node := viewOf(obj.Place, view, user)
		connection.Edges[i] = &model.ViewEdge{Node: node, Cursor: node.ID}
		connection.PageInfo.EndCursor = &node.ID
	}
	return connection, nil
}
