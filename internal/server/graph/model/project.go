package model

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Project is a project as the user of the request sees it.
type Project struct{ access.Place }

// ID decodes to "Project:<number>", as clients expect.
func (p Project) ID() string { return ID("Project", p.Project.ID) }

// InternalID is the id under which files and reports name a project.
func (p Project) InternalID() string { return ID("ProjectInternalId", p.Project.ID) }

// Name is the project's name.
func (p Project) Name() string { return string(p.Project.Name) }

// EntityName is the name of its entity.
func (p Project) EntityName() string { return string(p.Place.Entity.Name) }

// Entity is where the project belongs.
func (p Project) Entity() *Entity {
	return EntityOf(p.Place.Entity)
}

// Description is what people wrote about it.
func (p Project) Description() *string { return text(p.Project.Description) }

// Access says who may see it beside its entity.
func (p Project) Access() *string { return text(p.Project.Access) }

// ReadOnly tells whether the user may only look.
func (p Project) ReadOnly() bool { return !p.May(access.Write) }

// Manageable tells whether the user may rename and delete it.
func (p Project) Manageable() bool { return p.May(access.Manage) }

// IsBenchmark is always false: this server has none.
func (p Project) IsBenchmark() bool { return false }

// Repo is always null: runs tell theirs.
func (p Project) Repo() *string { return nil }

// DockerImage is always null.
func (p Project) DockerImage() *string { return nil }

// Views is always null: AllViews are those of a project.
func (p Project) Views() json.RawMessage { return nil }

// CreatedAt is when it was made.
func (p Project) CreatedAt() *time.Time { t := p.Project.CreatedAt.Time(); return &t }

func text[T ~string | ~[]byte](t T) *string { s := string(t); return &s }

// ParseID returns the number in an id of one of these kinds; ok is false for anything else.
func ParseID(id string, kinds ...string) (n store.ID, ok bool) {
	kind, number, ok := splitID(id)
	if !ok {
		return 0, false
	}
	for _, k := range kinds {
		if k == kind {
			value, err := strconv.ParseInt(number, 10, 64)
			return store.ID(value), err == nil
		}
	}
	return 0, false
}
