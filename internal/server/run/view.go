package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	maxViewName = 512
	// maxSpec is how many bytes the description of a report or a chart may have.
	maxSpec = 8 << 20
	// maxPage is how many objects one answer lists.
	maxPage = 1000
)

// ViewChange makes a report or saved workspace, or changes it. What is nil stays as it is.
type ViewChange struct {
	// ID is 0 for a new one, which is then of Entity and Project.
	ID              store.ID
	Entity, Project string

	Name, DisplayName, Description, Type, Spec, CreatedUsing *string
}

// PutView makes or changes a view, for the user in ctx. Its spec is kept as it is.
func (s *Service) PutView(ctx context.Context, c ViewChange) (place access.Place, view store.View, inserted bool, err error) {
	now := store.At(s.Now())
	if c.ID != 0 {
		place, view, err = s.View(ctx, c.ID, access.Write)
	} else {
		place, err = s.Guard.Project(ctx, c.Entity, c.Project, access.Write)
		view = store.View{ProjectID: place.Project.ID, UserID: place.User.ID, Type: "runs", CreatedAt: now}
	}
	if err != nil {
		return place, view, false, err
	}
	for field, value := range map[*store.Text]*string{
		&view.Name: c.Name, &view.DisplayName: c.DisplayName, &view.Type: c.Type, &view.CreatedUsing: c.CreatedUsing,
	} {
		if value != nil {
			*field = store.Text(*value)
		}
	}
	if c.Description != nil {
		view.Description = store.Blob(*c.Description)
	}
	if c.Spec != nil {
		view.Spec = store.Packed(*c.Spec)
	}
	view.UpdatedAt = now
	if len(view.Name) > maxViewName || len(view.Type) > 64 || len(view.CreatedUsing) > 128 || len(view.DisplayName) > 1024 ||
		len(view.Spec) > maxSpec {
		return place, view, false, &fault.Error{
			Reason: ReasonInvalid, Op: "keep the view: its name or what it holds is too long",
			Hint: fmt.Sprintf("A name has at most %d bytes, a spec %d MiB.", maxViewName, maxSpec>>20),
		}
	}
	if c.ID != 0 {
		return place, view, false, missing(s.store.UpdateView(ctx, view), "view")
	}
	view.ID, err = s.store.CreateView(ctx, view)
	return place, view, true, err
}

// View returns a view, where the user in ctx may do something to its project.
func (s *Service) View(ctx context.Context, id store.ID, action access.Action) (access.Place, store.View, error) {
	view, err := s.store.View(ctx, id)
	if err != nil {
		return access.Place{}, view, missing(err, "view")
	}
	place, err := s.Guard.ProjectByID(ctx, view.ProjectID, action)
	return place, view, err
}

// Views returns a page of a project's views, the newest first.
func (s *Service) Views(ctx context.Context, place access.Place, filter store.ViewFilter) (views []store.View, more bool, err error) {
	limit := pageSize(filter.Limit)
	filter.Limit = limit + 1
	views, err = s.store.Views(ctx, place.Project.ID, filter)
	if len(views) > limit {
		return views[:limit], true, err
	}
	return views, false, err
}

func pageSize(first int) int {
	if first <= 0 || first > maxPage {
		return maxPage
	}
	return first
}

// DeleteView deletes a view, for the user in ctx.
func (s *Service) DeleteView(ctx context.Context, id store.ID) error {
	if _, _, err := s.View(ctx, id, access.Write); err != nil {
		return err
	}
	return s.store.DeleteView(ctx, id)
}

// NewChart is a way to draw tables.
type NewChart struct{ Entity, Name, DisplayName, Type, Access, Spec string }

// CreateChart keeps a chart of an entity, for the user in ctx.
func (s *Service) CreateChart(ctx context.Context, c NewChart) (store.ID, error) {
	entity, err := s.Guard.Entity(ctx, c.Entity, access.Write)
	if err != nil {
		return 0, err
	}
	if c.Name == "" || len(c.Name) > maxViewName || len(c.DisplayName) > 1024 || len(c.Type) > 64 || len(c.Access) > 32 || len(c.Spec) > maxSpec {
		return 0, &fault.Error{Reason: ReasonInvalid, Op: "keep the chart: a name is missing, or something is too long"}
	}
	user, _ := account.FromContext(ctx) // Guard has seen that there is one
	now := store.At(s.Now())
	id, err := s.store.CreateCustomChart(ctx, store.CustomChart{
		EntityID: entity.ID, Name: store.Text(c.Name), DisplayName: store.Text(c.DisplayName), Type: store.Text(c.Type),
		Access: store.Text(c.Access), UserID: user.ID, Spec: store.Packed(c.Spec), CreatedAt: now, UpdatedAt: now,
	})
	if errors.Is(err, store.ErrDuplicate) {
		return 0, &fault.Error{
			Reason: ReasonTaken, Op: fmt.Sprintf("a custom chart named %s exists already", c.Name), Err: err,
			Hint: "Choose another name.",
		}
	}
	return id, err
}
