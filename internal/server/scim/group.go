package scim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// groupTree is a team as the directory sees it; service accounts are ours.
func (h handler) groupTree(t account.Team, members []account.Member) tree {
	id := strconv.FormatInt(int64(t.ID), 10)
	list := []any{}
	for _, m := range members {
		if m.Service {
			continue
		}
		value := strconv.FormatInt(int64(m.ID), 10)
		list = append(list, tree{"value": value, "display": userName(m.User), "type": "User", "$ref": h.base + "/Users/" + value})
	}
	resource := tree{
		"schemas": []any{schemaGroup}, "id": id, "displayName": t.Name, "members": list,
		"meta": tree{
			"resourceType": "Group", "created": t.CreatedAt.UTC().Format(time.RFC3339), "location": h.base + "/Groups/" + id,
		},
	}
	if t.ExternalID != "" {
		resource["externalId"] = t.ExternalID
	}
	return resource
}

func (h handler) fullGroup(ctx context.Context, t account.Team) (tree, error) {
	members, err := h.Accounts.Members(ctx, t.ID)
	return h.groupTree(t, members), err
}

func (h handler) listGroups(ctx context.Context, q query) (page, error) {
	collected := newPage(q)
	visit := func(t account.Team) error {
		if q.withoutMembers {
			collected.add(func() tree {
				resource := h.groupTree(t, nil)
				delete(resource, "members")
				return resource
			})
			return nil
		}
		resource, err := h.fullGroup(ctx, t)
		collected.add(func() tree { return resource })
		return err
	}
	attribute, value, ok := asked(q.filter)
	var team account.Team
	var err error
	switch {
	case ok && attribute == "displayname":
		team, err = h.Accounts.TeamByName(ctx, value)
	case ok && attribute == "externalid":
		team, err = h.Accounts.TeamByExternalID(ctx, value)
	default:
		err := h.Accounts.Teams(ctx, nil, visit)
		return collected.page, err
	}
	switch {
	case fault.Reason(err, "") == account.ReasonNotFound:
		return collected.page, nil
	case err == nil:
		err = visit(team)
	}
	return collected.page, err
}

func (h handler) groupByID(ctx context.Context, id string) (account.Team, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return account.Team{}, notFound()
	}
	return h.Accounts.TeamOf(ctx, store.ID(number))
}

func (h handler) getGroup(ctx context.Context, r *http.Request) (tree, error) {
	t, err := h.groupByID(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return h.fullGroup(ctx, t)
}

// memberIDs are the users that a resource names as members.
func memberIDs(resource tree) (map[store.ID]bool, error) {
	list, _ := lookup(resource, "members").([]any)
	ids := map[store.ID]bool{}
	for _, element := range list {
		t, _ := element.(tree)
		number, err := strconv.ParseInt(textOf(t, "value"), 10, 64)
		if err != nil {
			return nil, invalidValue("a member's value is no id of a user")
		}
		ids[store.ID(number)] = true
	}
	return ids, nil
}

func (h handler) createGroup(ctx context.Context, resource tree) (tree, error) {
	wanted, err := memberIDs(resource)
	if err != nil {
		return nil, err
	}
	if err := h.known(ctx, wanted); err != nil {
		return nil, err
	}
	t, err := h.Accounts.CreateTeam(ctx, account.NewTeam{Name: textOf(resource, "displayName"), ExternalID: textOf(resource, "externalId")})
	if err != nil {
		return nil, err
	}
	if err := h.join(ctx, t, nil, wanted); err != nil {
		return nil, err
	}
	return h.fullGroup(ctx, t)
}

// known makes sure of every new member before anything is written.
func (h handler) known(ctx context.Context, wanted map[store.ID]bool) error {
	for id := range wanted {
		if _, err := h.userByID(ctx, strconv.FormatInt(int64(id), 10)); err != nil {
			if fault.Reason(err, "") == account.ReasonNotFound {
				return invalidValue("a member is no user")
			}
			return err
		}
	}
	return nil
}

// join makes the members of a team those that are wanted. Who is a member already keeps the role.
func (h handler) join(ctx context.Context, t account.Team, members []account.Member, wanted map[store.ID]bool) error {
	missing := map[store.ID]bool{}
	for id := range wanted {
		missing[id] = true
	}
	for _, m := range members {
		delete(missing, m.ID)
		if wanted[m.ID] || m.Service {
			continue
		}
		if err := h.Accounts.RemoveMember(ctx, t.ID, m.ID); err != nil && fault.Reason(err, "") != account.ReasonNotFound {
			return err
		}
	}
	if err := h.known(ctx, missing); err != nil {
		return err
	}
	for id := range missing {
		if err := h.Accounts.SetMember(ctx, t.ID, account.User{ID: id}, account.RoleMember); err != nil {
			return err
		}
	}
	return nil
}

func (h handler) changeGroup(ctx context.Context, t account.Team, members []account.Member, after tree) (tree, error) {
	if name := textOf(after, "displayName"); !strings.EqualFold(name, t.Name) {
		return nil, &scimError{status: http.StatusBadRequest, kind: "mutability", detail: "the name of a team stands in addresses and cannot change"}
	}
	wanted, err := memberIDs(after)
	if err != nil {
		return nil, err
	}
	if err := h.join(ctx, t, members, wanted); err != nil {
		return nil, err
	}
	if id := textOf(after, "externalId"); id != t.ExternalID {
		if err := h.Accounts.SetTeamExternalID(ctx, t, id); err != nil {
			return nil, err
		}
		t.ExternalID = id
	}
	return h.fullGroup(ctx, t)
}

func (h handler) replaceGroup(ctx context.Context, r *http.Request, resource tree) (tree, error) {
	t, err := h.groupByID(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	members, err := h.Accounts.Members(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return h.changeGroup(ctx, t, members, resource)
}

func (h handler) patchGroup(ctx context.Context, r *http.Request, operations []operation) (tree, error) {
	t, err := h.groupByID(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	members, err := h.Accounts.Members(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	after := h.groupTree(t, members)
	if err := patch(after, operations); err != nil {
		return nil, invalidPath(err)
	}
	return h.changeGroup(ctx, t, members, after)
}

// deleteGroup refuses a team that has projects: a change in a directory destroys nobody's work.
func (h handler) deleteGroup(ctx context.Context, r *http.Request) error {
	t, err := h.groupByID(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.Accounts.DeleteTeam(ctx, t, false)
}
