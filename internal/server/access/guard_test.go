package access_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// company is a team and a person with a project of each openness, and somebody in every place around them.
type company struct {
	guard    *access.Guard
	accounts *account.Service
	people   map[string]account.User
	projects map[string]map[store.Text]store.Project // by entity
}

func newCompany(t *testing.T, s *store.Store) company {
	t.Helper()
	ctx := t.Context()
	c := company{
		guard: access.NewGuard(s), accounts: account.New(s, account.Config{Logger: slog.New(slog.DiscardHandler)}),
		people: map[string]account.User{}, projects: map[string]map[store.Text]store.Project{},
	}
	for _, name := range []string{"boss", "owner", "lead", "member", "viewer", "teammate", "orgadmin", "stranger"} {
		u, err := c.accounts.CreateUser(ctx, account.NewUser{Username: name, Email: name + "@example.com", Admin: name == "boss"})
		if err != nil {
			t.Fatal(err)
		}
		c.people[name] = u
	}
	lab, err := c.accounts.CreateOrganization(ctx, "lab")
	must(t, err)
	for name, members := range map[string]map[string]account.Role{
		"team":    {"lead": account.RoleAdmin, "member": account.RoleMember, "viewer": account.RoleViewer},
		"sibling": {"teammate": account.RoleAdmin},
	} {
		team, err := c.accounts.CreateTeam(ctx, account.NewTeam{Name: name, Organization: "lab"})
		must(t, err)
		for username, role := range members {
			must(t, c.accounts.SetMember(ctx, team.ID, c.people[username], role))
		}
		if name == "team" {
			bot, err := c.accounts.CreateService(ctx, account.NewService{Team: team, Username: "bot"})
			must(t, err)
			c.people["bot"] = bot
		}
	}
	must(t, c.accounts.SetMember(ctx, lab.EntityID, c.people["orgadmin"], account.RoleAdmin))
	for _, name := range []string{"team", "owner", "org_lab"} {
		entity, err := s.EntityByName(ctx, name)
		must(t, err)
		c.projects[name] = map[store.Text]store.Project{}
		for _, openness := range []store.Text{store.AccessPrivate, store.AccessRead, store.AccessWrite} {
			p, _, err := s.EnsureProject(ctx, store.Project{EntityID: entity.ID, Name: openness, Access: openness})
			must(t, err)
			c.projects[name][openness] = p
		}
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// may says in letters what a user may do to a project; "" means that the user does not even learn that it exists.
func (c company) may(t *testing.T, who string, reach func(context.Context, access.Action) error) string {
	t.Helper()
	ctx := account.WithUser(t.Context(), c.people[who])
	got := ""
	for i, action := range []access.Action{access.Read, access.Write, access.Manage} {
		err := reach(ctx, action)
		switch reason := fault.Reason(err, ""); {
		case err == nil:
			got += "rwm"[i : i+1]
		case got == "" && reason != access.ReasonNotFound:
			t.Errorf("%s, who may not see it, is told %v", who, err)
		case got != "" && reason != access.ReasonForbidden:
			t.Errorf("%s, who may see it, is told %v", who, err)
		}
	}
	return got
}

// Others reach their objects through a project; a test of theirs needs one person of each row.
func TestWhoMayDoWhatToAProject(t *testing.T) {
	order := []store.Text{store.AccessPrivate, store.AccessRead, store.AccessWrite}
	want := map[string]map[string]string{ // entity, person: private, readable, writable
		"team": {
			"boss": "rwm rwm rwm", "lead": "rwm rwm rwm", "orgadmin": "rwm rwm rwm", "member": "rw rw rw", "bot": "rw rw rw",
			"viewer": "r r r", "teammate": "- r rw", "stranger": "- r rw", "owner": "- r rw",
		},
		"owner": {
			"boss": "rwm rwm rwm", "owner": "rwm rwm rwm", "lead": "- r rw", "member": "- r rw", "viewer": "- r rw", "bot": "- r rw",
			"orgadmin": "- r rw", "teammate": "- r rw", "stranger": "- r rw",
		},
		"org_lab": {
			"boss": "rwm rwm rwm", "orgadmin": "rwm rwm rwm", "lead": "r r r", "member": "r r r", "viewer": "r r r", "bot": "r r r",
			"teammate": "r r r", "stranger": "- r rw", "owner": "- r rw",
		},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCompany(t, s)
		for entity, people := range want {
			if len(people) != len(c.people) {
				t.Errorf("%d people are in the table of %s, and %d in the company", len(people), entity, len(c.people))
			}
			for who, want := range people {
				for i, want := range strings.Fields(want) {
					want, project := strings.Trim(want, "-"), c.projects[entity][order[i]]
					sentence := fmt.Sprintf("%s in a %s project of %s", who, order[i], entity)
					byName := c.may(t, who, func(ctx context.Context, a access.Action) error {
						_, err := c.guard.Project(ctx, strings.ToUpper(entity), string(project.Name), a)
						return err
					})
					byID := c.may(t, who, func(ctx context.Context, a access.Action) error {
						_, err := c.guard.ProjectByID(ctx, project.ID, a)
						return err
					})
					if byName != want || byID != want {
						t.Errorf("%s may %q by name and %q by id, want %q", sentence, byName, byID, want)
					}
				}
				private := strings.Trim(strings.Fields(want)[0], "-")
				if got := c.may(t, who, func(ctx context.Context, a access.Action) error { _, err := c.guard.Entity(ctx, entity, a); return err }); got != private {
					t.Errorf("%s may %q with the entity %s, want %q", who, got, entity, private)
				}
			}
		}
	})
}

func TestAChangedMembershipHoldsForTheNextRequestOfAnyReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCompany(t, s)
		there := company{guard: access.NewGuard(s), people: c.people}
		project := c.projects["team"][store.AccessPrivate]
		reach := func(ctx context.Context, a access.Action) error {
			_, err := there.guard.ProjectByID(ctx, project.ID, a)
			return err
		}
		team, err := c.accounts.TeamByName(t.Context(), "team")
		must(t, err)
		for _, step := range []struct {
			role account.Role
			want string
		}{{account.RoleViewer, "r"}, {account.RoleAdmin, "rwm"}, {account.RoleMember, "rw"}} {
			must(t, c.accounts.SetMember(t.Context(), team.ID, c.people["stranger"], step.role))
			if got := there.may(t, "stranger", reach); got != step.want {
				t.Errorf("as %s a user may %q, want %q", step.role, got, step.want)
			}
		}
		must(t, c.accounts.RemoveMember(t.Context(), team.ID, c.people["stranger"].ID))
		if got := there.may(t, "stranger", reach); got != "" {
			t.Errorf("after leaving a user may %q", got)
		}
		must(t, c.accounts.DeleteTeam(t.Context(), team, true))
		for _, who := range []string{"boss", "lead"} { // nobody reaches what a deleted team had
			if got := there.may(t, who, reach); got != "" {
				t.Errorf("after the team's end %s may %q", who, got)
			}
		}
		retired := fmt.Sprintf("deleted:%d", team.ID)
		if _, err := there.guard.Entity(account.WithUser(t.Context(), c.people["boss"]), retired, access.Read); !access.IsNotFound(err) {
			t.Errorf("the deleted team is found by its number: %v", err)
		}
	})
}

func TestWithoutANameAUserWritesToTheDefaultEntity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCompany(t, s)
		must(t, c.accounts.SetDefaultEntity(t.Context(), c.people["member"], "team"))
		for who, want := range map[string]string{"owner": "owner", "member": "team", "bot": "team"} {
			user, err := c.accounts.UserByUsername(t.Context(), who)
			must(t, err)
			entity, err := c.guard.Entity(account.WithUser(t.Context(), user), "", access.Write)
			if err != nil || string(entity.Name) != want {
				t.Errorf("%s writes to %q, %v; want %q", who, entity.Name, err, want)
			}
		}
	})
}
