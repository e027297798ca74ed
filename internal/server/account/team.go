package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Role is what a member may do in a team; each may do what those below it may.
type Role int64

// The roles of members.
const (
	// RoleViewer: look.
	RoleViewer = Role(store.RoleViewer)
	// RoleMember: log runs, and change what is in projects.
	RoleMember = Role(store.RoleMember)
	// RoleAdmin: also change the members, and delete projects.
	RoleAdmin = Role(store.RoleAdmin)
)

// String is the role's name.
func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleMember:
		return "member"
	case RoleAdmin:
		return "admin"
	}
	return "none"
}

// ParseRole reads a role's name; "" is a member.
func ParseRole(name string) (Role, error) {
	for _, r := range []Role{RoleViewer, RoleMember, RoleAdmin} {
		if name == r.String() {
			return r, nil
		}
	}
	if name == "" {
		return RoleMember, nil
	}
	return 0, invalid("role", "the role is viewer, member or admin")
}

// Team is an entity that people share. ID is that of the entity.
type Team struct {
	ID           store.ID
	Name         string
	Organization string
	ExternalID   string
	CreatedAt    time.Time
}

func teamOf(row store.Team) Team {
	return Team{
		ID: row.EntityID, Name: string(row.Name), Organization: string(row.OrganizationName), ExternalID: string(row.ExternalID),
		CreatedAt: row.CreatedAt.Time(),
	}
}

// NewTeam is a team to be made.
type NewTeam struct {
	Name string
	// Organization is the name of the one that it belongs to; empty means the default one, which is made where it is missing.
	Organization string
	// Admin becomes its first member; nil means that it has none yet.
	Admin      *User
	ExternalID string
}

// CreateTeam makes a team.
func (s *Service) CreateTeam(ctx context.Context, n NewTeam) (Team, error) {
	if err := CheckTeamName(n.Name); err != nil {
		return Team{}, err
	}
	organization, err := s.organizationFor(ctx, n.Organization)
	if err != nil {
		return Team{}, err
	}
	write := store.NewTeam{
		Name: store.Text(n.Name), NameKey: store.Text(fold(n.Name)), Organization: organization.ID,
		ExternalID: store.Text(n.ExternalID), CreatedAt: store.At(s.now()),
	}
	if n.Admin != nil {
		write.Admin = n.Admin.ID
	}
	row, err := s.store.CreateTeam(ctx, write)
	if errors.Is(err, store.ErrDuplicate) {
		return Team{}, taken("team", "this name is taken by a team or a user")
	}
	row.OrganizationName = store.Text(organization.Name)
	return teamOf(row), err
}

// TeamByName finds a team.
func (s *Service) TeamByName(ctx context.Context, name string) (Team, error) {
	row, err := s.store.TeamByName(ctx, fold(name))
	if errors.Is(err, store.ErrNotFound) {
		return Team{}, missing(fmt.Sprintf("find team %q", name), "there is no such team", "List teams with: server admin team list")
	}
	return teamOf(row), err
}

// TeamOf returns the team of an entity; ReasonNotFound where the entity is no team.
func (s *Service) TeamOf(ctx context.Context, entity store.ID) (Team, error) {
	row, err := s.store.Team(ctx, entity)
	if errors.Is(err, store.ErrNotFound) {
		return Team{}, missing("find the team", "there is no such team", "")
	}
	return teamOf(row), err
}

// TeamByExternalID finds a team by what a directory calls it.
func (s *Service) TeamByExternalID(ctx context.Context, id string) (Team, error) {
	row, err := s.store.TeamByExternalID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Team{}, missing("find the team", "there is no such team", "")
	}
	return teamOf(row), err
}

// SetTeamExternalID notes what a directory calls a team.
func (s *Service) SetTeamExternalID(ctx context.Context, t Team, id string) error {
	return s.store.SetTeamExternalID(ctx, t.ID, id)
}

// Teams calls visit with every team of an organisation, oldest first; nil means all.
func (s *Service) Teams(ctx context.Context, organization *Organization, visit func(Team) error) error {
	const page = 500
	var of, after store.ID
	if organization != nil {
		of = organization.ID
	}
	for {
		rows, err := s.store.Teams(ctx, of, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := visit(teamOf(row)); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].EntityID
	}
}

// DeleteTeam ends a team with its invitations and service accounts; its name is free. With projects, these are deleted as
// well; else ReasonInUse while it has any.
func (s *Service) DeleteTeam(ctx context.Context, t Team, projects bool) error {
	err := s.store.DeleteTeam(ctx, t.ID, projects, s.now())
	switch {
	case errors.Is(err, store.ErrHasProjects):
		return hasProjects("delete the team", "Delete its projects first (server admin project list --entity "+t.Name+
			"), or with it: server admin team delete --delete-projects")
	case errors.Is(err, store.ErrNotFound):
		return missing("delete the team", "there is no such team", "")
	}
	return err
}

func hasProjects(op, hint string) error {
	return &fault.Error{Reason: ReasonInUse, Op: op, Err: errors.New("it has projects"), Hint: hint}
}

// Member is somebody in a team.
type Member struct {
	User
	Role     Role
	JoinedAt time.Time
}

// Members returns who is in a team, or in the entity of an organisation, in the order in which they joined.
func (s *Service) Members(ctx context.Context, entity store.ID) ([]Member, error) {
	rows, err := s.store.Members(ctx, entity)
	if err != nil {
		return nil, err
	}
	members := make([]Member, len(rows))
	for i, row := range rows {
		members[i] = Member{User: userOf(row.User), Role: Role(row.Role), JoinedAt: row.JoinedAt.Time()}
	}
	return members, nil
}

// SetMember adds a member to an entity, or changes its role. A service account stays in its own team.
func (s *Service) SetMember(ctx context.Context, entity store.ID, u User, role Role) error {
	if role < RoleViewer || role > RoleAdmin {
		return invalid("role", "the role is viewer, member or admin")
	}
	if u.Service {
		if was, err := s.store.RoleOf(ctx, entity, u.ID); err != nil {
			return err
		} else if was == store.RoleNone {
			return invalid("username", "a service account belongs to its own team")
		}
	}
	err := s.store.SetMember(ctx, store.Member{EntityID: entity, UserID: u.ID, Role: int64(role), JoinedAt: store.At(s.now())})
	if errors.Is(err, store.ErrNotFound) {
		return missing("add the member", "there is no such team", "")
	}
	return err
}

// RemoveMember takes a member out of an entity. A service account has nothing but its team, and ends.
func (s *Service) RemoveMember(ctx context.Context, entity store.ID, user store.ID) error {
	row, err := s.store.User(ctx, user)
	switch {
	case err == nil && row.Kind == store.KindService && row.TeamID == entity:
		return s.store.DeleteUser(ctx, user, false, s.now())
	case err == nil:
		err = s.store.RemoveMember(ctx, entity, user)
	}
	if errors.Is(err, store.ErrNotFound) {
		return missing("remove the member", "there is no such member", "")
	}
	return err
}

// EntitiesOf returns the entities that a user belongs to: the personal one first, then teams by name.
func (s *Service) EntitiesOf(ctx context.Context, u User) ([]store.Entity, error) {
	return s.store.EntitiesOf(ctx, u.ID)
}

// SetDefaultEntity chooses where a user writes to; the user must belong there.
func (s *Service) SetDefaultEntity(ctx context.Context, u User, name string) error {
	entities, err := s.store.EntitiesOf(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, e := range entities {
		if string(e.NameKey) == fold(name) {
			return s.store.SetDefaultEntity(ctx, u.ID, e.ID)
		}
	}
	return invalid("defaultEntity", "you belong to no entity of this name")
}

// CheckTeamName tells what is wrong with the name of a team. It stands in addresses, as a username does.
func CheckTeamName(name string) error { return checkEntityName("team", name) }

func missing(op, text, hint string) error {
	return &fault.Error{Reason: ReasonNotFound, Op: op, Err: errors.New(text), Hint: hint}
}

// StorageBytes is how many bytes the runs and artifacts of an entity hold.
func (s *Service) StorageBytes(ctx context.Context, entity store.ID) (int64, error) {
	return s.store.StorageBytes(ctx, entity)
}
