package model

import (
	"encoding/json"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Entity is an entity as GraphQL shows it. What its kind, members and organisation are is read where it is asked.
type Entity struct {
	ID   string
	Name string
	Row  store.Entity
}

// EntityOf shows a row.
func EntityOf(row store.Entity) *Entity {
	return &Entity{ID: ID("Entity", row.ID), Name: string(row.Name), Row: row}
}

// Available is false: an entity that exists has taken its name.
func (Entity) Available() *bool { no := false; return &no }

// PhotoURL is null: there are no pictures.
func (Entity) PhotoURL() *string { return nil }

// ReadOnly is false: no entity is closed.
func (Entity) ReadOnly() *bool { no := false; return &no }

// ReadOnlyAdmin is false: administrators may write wherever they may look.
func (Entity) ReadOnlyAdmin() bool { return false }

// PrivateOnly is false: a project may be opened to others.
func (Entity) PrivateOnly() bool { return false }

// CodeSavingEnabled lets clients save code.
func (Entity) CodeSavingEnabled() bool { return true }

// DefaultAccess is that of a new project.
func (Entity) DefaultAccess() string { return string(store.AccessPrivate) }

// IsPaid is true: nothing is held back from anybody.
func (Entity) IsPaid() *bool { yes := true; return &yes }

// Limits are none.
func (Entity) Limits() json.RawMessage { return json.RawMessage(`{}`) }

// Organization is an organisation as GraphQL shows it.
type Organization struct{ account.Organization }

// ID is opaque to clients.
func (o Organization) ID() string { return ID("Organization", o.Organization.ID) }

// OrgEntity is the entity of what the organisation's teams share.
func (o Organization) OrgEntity() *Entity {
	return EntityOf(store.Entity{ID: o.EntityID, Name: store.Text(o.Entity), NameKey: store.Text(strings.ToLower(o.Entity))})
}

// CoreWeaveOrganizationID is null: that is a customer number of the hosted product.
func (o Organization) CoreWeaveOrganizationID() *string { return nil }
