package admin

import (
	"context"
	"net/http"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// ofTeam acts on the team that the address names.
func (a api) ofTeam(act func(ctx context.Context, r *http.Request, team account.Team) (int, any, error)) action {
	return func(ctx context.Context, r *http.Request) (int, any, error) {
		team, err := a.Accounts.TeamByName(ctx, r.PathValue("name"))
		if err != nil {
			return 0, nil, err
		}
		return act(ctx, r, team)
	}
}

// ofOrganization acts on the organisation that the address names.
func (a api) ofOrganization(act func(ctx context.Context, r *http.Request, found account.Organization) (int, any, error)) action {
	return func(ctx context.Context, r *http.Request) (int, any, error) {
		found, err := a.Accounts.OrganizationByName(ctx, r.PathValue("name"))
		if err != nil {
			return 0, nil, err
		}
		return act(ctx, r, found)
	}
}

func (a api) teams(ctx context.Context, _ *http.Request) (int, any, error) {
	shown := []Team{}
	err := a.Accounts.Teams(ctx, nil, func(t account.Team) error {
		shown = append(shown, TeamOf(t))
		return nil
	})
	return http.StatusOK, shown, err
}

func (a api) createTeam(ctx context.Context, r *http.Request) (int, any, error) {
	var form struct {
		Name         string `json:"name"`
		Organization string `json:"organization"`
		// Admin is the username of the first member.
		Admin string `json:"admin"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	n := account.NewTeam{Name: form.Name, Organization: form.Organization}
	if form.Admin != "" {
		user, err := a.Accounts.UserByUsername(ctx, form.Admin)
		if err != nil {
			return 0, nil, err
		}
		n.Admin = &user
	}
	team, err := a.Accounts.CreateTeam(ctx, n)
	return http.StatusCreated, TeamOf(team), err
}

func (a api) team(ctx context.Context, _ *http.Request, team account.Team) (int, any, error) {
	shown, err := FullTeam(ctx, a.Accounts, team)
	return http.StatusOK, shown, err
}

func (a api) deleteTeam(ctx context.Context, r *http.Request, team account.Team) (int, any, error) {
	projects, err := deleteProjects(r)
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, a.Accounts.DeleteTeam(ctx, team, projects)
}

func (a api) setTeamMember(ctx context.Context, r *http.Request, team account.Team) (int, any, error) {
	return 0, nil, a.setMember(ctx, r, team.ID)
}

func (a api) removeTeamMember(ctx context.Context, r *http.Request, team account.Team) (int, any, error) {
	return 0, nil, a.removeMember(ctx, r, team.ID)
}

func (a api) invite(ctx context.Context, r *http.Request, team account.Team) (int, any, error) {
	var form struct {
		// Login is an email address or a username.
		Login string `json:"login"`
		Role  string `json:"role"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	role, err := account.ParseRole(form.Role)
	if err != nil {
		return 0, nil, err
	}
	by, _ := account.FromContext(ctx)
	invited, err := a.Accounts.Invite(ctx, team.ID, by, form.Login, role)
	if err != nil {
		return 0, nil, err
	}
	if m := invited.Member; m != nil {
		return http.StatusOK, Member{Username: m.Username, Email: m.Email, Role: role.String()}, nil
	}
	shown := InvitationOf(invited.Invitation)
	shown.Link = InviteLink(a.Host, invited.Token.Reveal())
	return http.StatusCreated, shown, nil
}

func (a api) createService(ctx context.Context, r *http.Request, team account.Team) (int, any, error) {
	var form struct {
		Username    string        `json:"username"`
		Description string        `json:"description"`
		Role        string        `json:"role"`
		APIKey      redact.Secret `json:"apiKey"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	role, err := account.ParseRole(form.Role)
	if err != nil {
		return 0, nil, err
	}
	shown, err := CreateService(ctx, a.Accounts, account.NewService{
		Team: team, Username: form.Username, Description: form.Description, Role: role, APIKey: form.APIKey,
	})
	return http.StatusCreated, shown, err
}

// CreateService makes a service account with a key: the given one, or a new one that is shown this once.
func CreateService(ctx context.Context, accounts *account.Service, n account.NewService) (User, error) {
	user, err := accounts.CreateService(ctx, n)
	if err != nil {
		return User{}, err
	}
	shown := UserOf(user)
	if n.APIKey == "" {
		_, secret, err := accounts.CreateKey(ctx, user, "first key")
		if err != nil {
			return User{}, err
		}
		shown.Key = secret.Reveal()
	}
	return shown, nil
}

func (a api) organizations(ctx context.Context, _ *http.Request) (int, any, error) {
	shown := []Organization{}
	err := a.Accounts.Organizations(ctx, func(o account.Organization) error {
		shown = append(shown, OrganizationOf(o))
		return nil
	})
	return http.StatusOK, shown, err
}

func (a api) createOrganization(ctx context.Context, r *http.Request) (int, any, error) {
	var form struct {
		Name string `json:"name"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	made, err := a.Accounts.CreateOrganization(ctx, form.Name)
	return http.StatusCreated, OrganizationOf(made), err
}

func (a api) organization(ctx context.Context, _ *http.Request, found account.Organization) (int, any, error) {
	shown, err := FullOrganization(ctx, a.Accounts, found)
	return http.StatusOK, shown, err
}

func (a api) deleteOrganization(ctx context.Context, _ *http.Request, found account.Organization) (int, any, error) {
	return 0, nil, a.Accounts.DeleteOrganization(ctx, found)
}

func (a api) setOrganizationMember(ctx context.Context, r *http.Request, found account.Organization) (int, any, error) {
	return 0, nil, a.setMember(ctx, r, found.EntityID)
}

func (a api) removeOrganizationMember(ctx context.Context, r *http.Request, found account.Organization) (int, any, error) {
	return 0, nil, a.removeMember(ctx, r, found.EntityID)
}
