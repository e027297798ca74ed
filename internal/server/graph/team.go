package graph

import (
	"context"
	"errors"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// The kinds of entities, as the client compares them.
const (
	entityUser         = "user"
	entityTeam         = "team"
	entityOrganization = "organization"
)

func (r *Resolver) kindOf(ctx context.Context, entity *model.Entity) (string, error) {
	if entity.Row.UserID != 0 {
		return entityUser, nil
	}
	_, err := r.Accounts.TeamOf(ctx, entity.Row.ID)
	if fault.Reason(err, "") == account.ReasonNotFound {
		return entityOrganization, nil
	}
	return entityTeam, err
}

// sees tells whether the user of the request belongs to an entity: who may see one of its projects need not know its members.
func (r *Resolver) sees(ctx context.Context, entity *model.Entity) (bool, error) {
	_, err := r.Guard.Entity(ctx, entity.Name, access.Read)
	if access.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func (r *Resolver) storageOf(ctx context.Context, entity *model.Entity) (*model.EntityStorage, error) {
	if ok, err := r.sees(ctx, entity); !ok || r.Quotas == nil {
		return nil, err
	}
	usage, err := r.Quotas.Of(ctx, entity.Row.ID)
	if err != nil {
		return nil, err
	}
	shown := &model.EntityStorage{
		UsedBytes: usage.Used(), FilesBytes: usage.Files, ArtifactsBytes: usage.Artifacts, HistoryBytes: usage.History,
	}
	if usage.Quota > 0 {
		shown.QuotaBytes = &usage.Quota
	}
	if !usage.MeasuredAt.IsZero() {
		shown.MeasuredAt = &usage.MeasuredAt
	}
	return shown, nil
}

func (r *Resolver) members(ctx context.Context, entity *model.Entity) ([]*model.EntityMember, error) {
	if ok, err := r.sees(ctx, entity); !ok {
		return []*model.EntityMember{}, err
	}
	members, err := r.Accounts.Members(ctx, entity.Row.ID)
	if err != nil {
		return nil, err
	}
	invitations, err := r.Accounts.Invitations(ctx, entity.Row.ID)
	if err != nil {
		return nil, err
	}
	keys, err := r.firstKeys(ctx, entity)
	if err != nil {
		return nil, err
	}
	shown := make([]*model.EntityMember, 0, len(members)+len(invitations))
	for _, v := range invitations {
		shown = append(shown, invitedMember(v))
	}
	for _, m := range members { // last, since the client takes the last one for the account that it just made
		shown = append(shown, shownMember(m, keys[m.ID]))
	}
	return shown, nil
}

// firstKeys are those of accounts that the user of the request has just made.
func (r *Resolver) firstKeys(ctx context.Context, entity *model.Entity) (map[store.ID]redact.Secret, error) {
	user, ok := account.FromContext(ctx)
	if !ok {
		return nil, nil
	}
	return r.Accounts.FirstKeys(ctx, entity.Row.ID, user)
}

func shownMember(m account.Member, key redact.Secret) *model.EntityMember {
	admin, pending, kind, role := m.Role == account.RoleAdmin, false, "MEMBER", m.Role.String()
	switch {
	case m.Service:
		kind = "SERVICE"
	case m.Role == account.RoleAdmin:
		kind = "ADMIN"
	case m.Role == account.RoleViewer:
		kind = "VIEWER"
	}
	shown := &model.EntityMember{
		ID: model.ID("User", m.ID), Admin: &admin, Pending: &pending, Username: &m.Username, Name: m.Name, AccountType: &kind, Role: &role,
		Email: model.User{User: m.User}.Email(),
	}
	if key != "" {
		secret := key.Reveal()
		shown.APIKey = &secret
	}
	return shown
}

func invitedMember(v account.Invitation) *model.EntityMember {
	admin, pending, kind, role := v.Role == account.RoleAdmin, true, "MEMBER", v.Role.String()
	return &model.EntityMember{
		ID: model.ID("Invite", v.ID), Admin: &admin, Pending: &pending, Email: &v.Email, Name: v.Email, AccountType: &kind, Role: &role,
	}
}

func (r *Resolver) owner(ctx context.Context, entity *model.Entity) (*model.User, error) {
	if entity.Row.UserID == 0 {
		return nil, nil
	}
	user, err := r.Accounts.UserByID(ctx, entity.Row.UserID)
	if fault.Reason(err, "") == account.ReasonNotFound {
		return nil, nil
	}
	return &model.User{User: user}, err
}

func (r *Resolver) organizationOf(ctx context.Context, entity *model.Entity) (*model.Organization, error) {
	if entity.Row.UserID != 0 {
		return nil, nil
	}
	if ok, err := r.sees(ctx, entity); !ok {
		return nil, err
	}
	found, err := r.Accounts.OrganizationOfEntity(ctx, entity.Row.ID)
	if fault.Reason(err, "") == account.ReasonNotFound {
		return nil, nil
	}
	return &model.Organization{Organization: found}, err
}

func (r *Resolver) organizationsOf(ctx context.Context, user account.User) ([]*model.Organization, error) {
	found, err := r.Accounts.OrganizationsOf(ctx, user)
	shown := make([]*model.Organization, len(found))
	for i, o := range found {
		shown[i] = &model.Organization{Organization: o}
	}
	return shown, err
}

// organization finds one that the user belongs to, by a team or directly.
func (r *Resolver) organization(ctx context.Context, name string) (*model.Organization, error) {
	found, err := r.Accounts.OrganizationByName(ctx, name)
	if fault.Reason(err, "") == account.ReasonNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ok, err := r.sees(ctx, &model.Entity{Name: found.Entity}); !ok {
		return nil, err
	}
	return &model.Organization{Organization: found}, nil
}

// teamsOf returns those of an organisation's teams that the user may see.
func (r *Resolver) teamsOf(ctx context.Context, o *model.Organization) ([]*model.Entity, error) {
	shown := []*model.Entity{}
	err := r.Accounts.Teams(ctx, &o.Organization, func(t account.Team) error {
		entity, err := r.Guard.Entity(ctx, t.Name, access.Read)
		if access.IsNotFound(err) {
			return nil
		}
		shown = append(shown, model.EntityOf(entity))
		return err
	})
	return shown, err
}

func (r *Resolver) createTeam(ctx context.Context, input model.CreateTeamInput) (*model.Entity, error) {
	user, ok := account.FromContext(ctx)
	if !ok || !(user.Admin || r.Accounts.AllowTeamCreation()) || user.Service {
		return nil, forbidden("create a team", "Ask an administrator of this instance.")
	}
	admin := user
	if name := value(input.TeamAdminUserName); name != "" {
		found, err := r.Accounts.UserByUsername(ctx, name)
		if err != nil {
			return nil, err
		}
		if found.ID != user.ID && !user.Admin {
			return nil, forbidden("create a team for somebody else", "Create it for yourself, and invite them.")
		}
		admin = found
	}
	team, err := r.Accounts.CreateTeam(ctx, account.NewTeam{
		Name: input.TeamName, Organization: value(input.OrganizationName), Admin: &admin,
	})
	if err != nil {
		return nil, err
	}
	return model.EntityOf(store.Entity{ID: team.ID, Name: store.Text(team.Name)}), nil
}

// managed returns a team that the user administers.
func (r *Resolver) managed(ctx context.Context, name string) (account.Team, error) {
	if name == "" { // would be the user's own entity
		return account.Team{}, &fault.Error{Reason: account.ReasonNotFound, Op: "find the team", Err: errors.New("no team is named")}
	}
	entity, err := r.Guard.Entity(ctx, name, access.Manage)
	if err != nil {
		return account.Team{}, err
	}
	return r.Accounts.TeamOf(ctx, entity.ID)
}

func (r *Resolver) invite(ctx context.Context, input model.CreateInviteInput) (*model.Invite, error) {
	user, _ := account.FromContext(ctx)
	team, err := r.managed(ctx, input.EntityName)
	if err != nil {
		return nil, err
	}
	role, err := account.ParseRole(value(input.Role))
	if err != nil {
		return nil, err
	}
	if input.Role == nil && input.Admin != nil && *input.Admin {
		role = account.RoleAdmin
	}
	login := value(input.Username)
	if login == "" {
		login = value(input.Email)
	}
	invited, err := r.Accounts.Invite(ctx, team.ID, user, login, role)
	if err != nil {
		return nil, err
	}
	if m := invited.Member; m != nil {
		to := &model.User{User: *m}
		return &model.Invite{ID: to.ID(), Name: &m.Name, Email: to.Email(), CreatedAt: to.CreatedAt(), ToUser: to}, nil
	}
	v := invited.Invitation
	return &model.Invite{ID: model.ID("Invite", v.ID), Name: &v.Email, Email: &v.Email, CreatedAt: &v.CreatedAt}, nil
}

func (r *Resolver) uninvite(ctx context.Context, input model.DeleteInviteInput) error {
	user, _ := account.FromContext(ctx)
	member, isMember := model.ParseID(value(input.ID), "User")
	if isMember && member == user.ID { // everybody may leave
		entity, err := r.Guard.Entity(ctx, value(input.EntityName), access.Read)
		if err != nil {
			return err
		}
		return r.Accounts.RemoveMember(ctx, entity.ID, member)
	}
	team, err := r.managed(ctx, value(input.EntityName))
	if err != nil {
		return err
	}
	if isMember {
		return r.Accounts.RemoveMember(ctx, team.ID, member)
	}
	id, ok := model.ParseID(value(input.ID), "Invite")
	if !ok {
		return &fault.Error{Reason: account.ReasonNotFound, Op: "find the invitation", Err: errors.New("there is no such invitation")}
	}
	return r.Accounts.Uninvite(ctx, team.ID, id)
}

func (r *Resolver) createServiceAccount(ctx context.Context, input model.CreateServiceAccountInput) (*model.User, error) {
	user, _ := account.FromContext(ctx)
	team, err := r.managed(ctx, input.EntityName)
	if err != nil {
		return nil, err
	}
	made, err := r.Accounts.CreateService(ctx, account.NewService{Team: team, Description: input.Description, FirstKeyFor: user.ID})
	return &model.User{User: made}, err
}

func forbidden(what, hint string) error {
	return &fault.Error{Reason: access.ReasonForbidden, Op: "you may not " + what, Hint: hint}
}

func truth() *bool { yes := true; return &yes }
