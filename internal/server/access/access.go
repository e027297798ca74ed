package access

import "github.com/kubewandb/kubewandb/internal/server/store"

// Action is what somebody wants to do to a project or an entity.
type Action int

// The actions, each of which includes those before it.
const (
	// Read: see runs, files, artifacts and sweeps.
	Read Action = iota
	// Write: log runs and artifacts, run sweeps, and change or delete what is in a project.
	Write
	// Manage: delete or rename a project, and say who may see it; change the members of a team.
	Manage
)

// Role is what somebody is to an entity.
type Role int

// The roles, each of which may do what those before it may.
const (
	// Stranger: signed in, and not of the entity.
	Stranger Role = iota
	// Viewer: a member who may only look.
	Viewer
	// Member: a member who works in the entity's projects.
	Member
	// Administrator: of the entity; the owner of a personal entity; and every administrator of the instance.
	Administrator
)

// May tells whether a role allows an action on a project that is open to others as openness says.
func May(role Role, openness store.Text, action Action) bool {
	switch action {
	case Read:
		return role >= Viewer || openness == store.AccessRead || openness == store.AccessWrite
	case Write:
		return role >= Member || (role == Stranger && openness == store.AccessWrite)
	case Manage:
		return role >= Administrator
	}
	return false
}
