package admin

import (
	"context"
	"strconv"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// User is an account as administrators see it.
type User struct {
	ID        string    `json:"id"`
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Admin     bool      `json:"admin"`
	Service   bool      `json:"service,omitempty"`
	Disabled  bool      `json:"disabled,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// Password is there where it was generated, and only then.
	Password string `json:"password,omitempty"`
	// Key is there where it was just created, and only then.
	Key string `json:"key,omitempty"`
}

// UserOf shows a user.
func UserOf(u account.User) User {
	return User{
		ID: formatID(u.ID), Username: u.Username, Email: u.Email, Name: u.Name, Admin: u.Admin, Service: u.Service, Disabled: u.Disabled,
		CreatedAt: u.CreatedAt,
	}
}

// Team is a team; Members are there where one team is shown.
type Team struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Organization string    `json:"organization"`
	CreatedAt    time.Time `json:"createdAt"`
	Members      []Member  `json:"members,omitempty"`
	// Invitations are open ones.
	Invitations []Invitation `json:"invitations,omitempty"`
}

// TeamOf shows a team without its members.
func TeamOf(t account.Team) Team {
	return Team{ID: formatID(t.ID), Name: t.Name, Organization: t.Organization, CreatedAt: t.CreatedAt}
}

// Project is a project of an entity.
type Project struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Access    string    `json:"access"`
	CreatedAt time.Time `json:"createdAt"`
}

// ProjectOf shows a project.
func ProjectOf(p account.Project) Project {
	return Project{ID: formatID(p.ID), Name: p.Name, Access: p.Access, CreatedAt: p.CreatedAt}
}

// Member is somebody in a team or an organisation.
type Member struct {
	Username string    `json:"username"`
	Email    string    `json:"email,omitempty"`
	Role     string    `json:"role"`
	Service  bool      `json:"service,omitempty"`
	JoinedAt time.Time `json:"joinedAt"`
}

// Invitation is an open one. Link is there where it was just made, and only then.
type Invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	ExpiresAt time.Time `json:"expiresAt"`
	Link      string    `json:"link,omitempty"`
}

// InvitationOf shows an invitation.
func InvitationOf(v account.Invitation) Invitation {
	return Invitation{ID: formatID(v.ID), Email: v.Email, Role: v.Role.String(), ExpiresAt: v.ExpiresAt}
}

// Organization is an organisation; Teams and Members are there where one is shown.
type Organization struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Entity    string    `json:"entity"`
	CreatedAt time.Time `json:"createdAt"`
	Teams     []string  `json:"teams,omitempty"`
	Members   []Member  `json:"members,omitempty"`
}

// OrganizationOf shows an organisation without what is in it.
func OrganizationOf(o account.Organization) Organization {
	return Organization{ID: formatID(o.ID), Name: o.Name, Entity: o.Entity, CreatedAt: o.CreatedAt}
}

// FullTeam shows a team with members and invitations.
func FullTeam(ctx context.Context, accounts *account.Service, t account.Team) (Team, error) {
	shown := TeamOf(t)
	var err error
	if shown.Members, err = membersOf(ctx, accounts, t.ID); err != nil {
		return Team{}, err
	}
	open, err := accounts.Invitations(ctx, t.ID)
	for _, v := range open {
		shown.Invitations = append(shown.Invitations, InvitationOf(v))
	}
	return shown, err
}

// FullOrganization shows an organisation with teams and members.
func FullOrganization(ctx context.Context, accounts *account.Service, o account.Organization) (Organization, error) {
	shown := OrganizationOf(o)
	err := accounts.Teams(ctx, &o, func(t account.Team) error {
		shown.Teams = append(shown.Teams, t.Name)
		return nil
	})
	if err != nil {
		return Organization{}, err
	}
	shown.Members, err = membersOf(ctx, accounts, o.EntityID)
	return shown, err
}

func membersOf(ctx context.Context, accounts *account.Service, entity store.ID) ([]Member, error) {
	members, err := accounts.Members(ctx, entity)
	shown := make([]Member, len(members))
	for i, m := range members {
		shown[i] = Member{Username: m.Username, Email: m.Email, Role: m.Role.String(), Service: m.Service, JoinedAt: m.JoinedAt}
	}
	return shown, err
}

// formatID makes a string of an id: JavaScript's numbers end before ours do.
func formatID(id store.ID) string { return strconv.FormatInt(int64(id), 10) }

// InviteLink is the address at which an invitation is accepted. The token stands behind "#", where no server logs it.
func InviteLink(host, token string) string { return host + "/signup#invitation=" + token }
