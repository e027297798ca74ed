package account_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func createTeam(t *testing.T, accounts *account.Service, name string, admin account.User) account.Team {
	t.Helper()
	team, err := accounts.CreateTeam(t.Context(), account.NewTeam{Name: name, Admin: &admin})
	if err != nil {
		t.Fatalf("create team %s: %v", name, err)
	}
	return team
}

func entities(t *testing.T, accounts *account.Service, u account.User) string {
	t.Helper()
	found, err := accounts.EntitiesOf(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, string(e.Name))
	}
	return strings.Join(names, " ")
}

func TestATeamFromItsFirstMemberToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		ada, grace := create(t, accounts, "Ada"), create(t, accounts, "grace")
		team := createTeam(t, accounts, "Zeta", ada)
		createTeam(t, accounts, "alpha", ada)
		if team.Organization != account.DefaultOrganization {
			t.Errorf("the team belongs to %q", team.Organization)
		}
		if got := entities(t, accounts, ada); got != "Ada alpha Zeta" {
			t.Errorf("Ada's entities are %q, want the personal one first", got)
		}
		for sentence, name := range map[string]string{"a team": "zETA", "a user": "Grace"} {
			_, err := accounts.CreateTeam(ctx, account.NewTeam{Name: name})
			expectReason(t, "the name of "+sentence, err, account.ReasonTaken)
		}
		_, err := accounts.CreateUser(ctx, account.NewUser{Username: "zeta", Email: "z@example.com", APIKey: redact.Secret(strings.Repeat("k", 40))})
		var field *account.FieldError
		if expectReason(t, "a user called like a team", err, account.ReasonTaken); !errors.As(err, &field) || field.Field != "username" {
			t.Errorf("the refusal names %v", err)
		}
		for sentence, name := range map[string]string{"reserved": "scim", "empty": "", "with a slash": "a/b", "like a deleted one": "deleted:1"} {
			_, err := accounts.CreateTeam(ctx, account.NewTeam{Name: name})
			expectReason(t, "a name that is "+sentence, err, account.ReasonInvalid)
		}

		for _, role := range []account.Role{account.RoleViewer, account.RoleAdmin} { // the second changes the first
			if err := accounts.SetMember(ctx, team.ID, grace, role); err != nil {
				t.Fatal(err)
			}
		}
		members, err := accounts.Members(ctx, team.ID)
		if err != nil || len(members) != 2 || members[1].Username != "grace" || members[1].Role != account.RoleAdmin {
			t.Errorf("members are %+v, %v", members, err)
		}
		if err := accounts.SetDefaultEntity(ctx, grace, "ZETA"); err != nil {
			t.Fatal(err)
		}
		if again, err := accounts.UserByID(ctx, grace.ID); err != nil || again.Entity() != "Zeta" {
			t.Errorf("grace writes to %q, %v", again.Entity(), err)
		}
		expectReason(t, "a default entity of strangers", accounts.SetDefaultEntity(ctx, grace, "alpha"), account.ReasonInvalid)
		if err := accounts.RemoveMember(ctx, team.ID, grace.ID); err != nil {
			t.Fatal(err)
		}
		if again, err := accounts.UserByID(ctx, grace.ID); err != nil || again.Entity() != "grace" {
			t.Errorf("after leaving, grace writes to %q, %v", again.Entity(), err)
		}
		expectReason(t, "leaving twice", accounts.RemoveMember(ctx, team.ID, grace.ID), account.ReasonNotFound)

		if err := accounts.DeleteTeam(ctx, team, false); err != nil {
			t.Fatal(err)
		}
		expectReason(t, "deleting twice", accounts.DeleteTeam(ctx, team, false), account.ReasonNotFound)
		expectReason(t, "joining a deleted team", accounts.SetMember(ctx, team.ID, grace, account.RoleMember), account.ReasonNotFound)
		if got := entities(t, accounts, ada); got != "Ada alpha" {
			t.Errorf("after the team's end Ada's entities are %q", got)
		}
		createTeam(t, accounts, "Zeta", grace) // the name is free
	})
}

func TestOrganizations(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		ada := create(t, accounts, "ada")
		lab, err := accounts.CreateOrganization(ctx, "Lab")
		if err != nil {
			t.Fatal(err)
		}
		_, err = accounts.CreateOrganization(ctx, "lab")
		expectReason(t, "a second one of the name", err, account.ReasonTaken)
		team, err := accounts.CreateTeam(ctx, account.NewTeam{Name: "lab", Organization: "LAB", Admin: &ada})
		if err != nil || team.Organization != "Lab" {
			t.Fatalf("a team called like its organization: %+v, %v", team, err)
		}
		_, err = accounts.CreateTeam(ctx, account.NewTeam{Name: "other", Organization: "nowhere"})
		expectReason(t, "a team of an unknown organization", err, account.ReasonNotFound)
		for sentence, entity := range map[string]store.ID{"its team": team.ID, "its own entity": lab.EntityID} {
			if found, err := accounts.OrganizationOfEntity(ctx, entity); err != nil || found.ID != lab.ID {
				t.Errorf("the organization of %s is %+v, %v", sentence, found, err)
			}
		}
		if found, err := accounts.OrganizationsOf(ctx, ada); err != nil || len(found) != 1 || found[0].Name != "Lab" {
			t.Errorf("ada's organizations are %+v, %v", found, err)
		}
		expectReason(t, "deleting it with a team", accounts.DeleteOrganization(ctx, lab), account.ReasonInUse)
		if err := accounts.DeleteTeam(ctx, team, false); err != nil {
			t.Fatal(err)
		}
		if err := accounts.DeleteOrganization(ctx, lab); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.OrganizationByName(ctx, "Lab")
		expectReason(t, "a deleted organization", err, account.ReasonNotFound)
		if _, err := accounts.CreateOrganization(ctx, "Lab"); err != nil {
			t.Errorf("its name again: %v", err)
		}
	})
}

func TestOfManyFirstTeamsOneMakesTheDefaultOrganization(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ada := create(t, accounts, "ada")
		var group sync.WaitGroup
		for _, name := range []string{"a1", "a2", "a3", "a4"} {
			group.Go(func() {
				if _, err := accounts.CreateTeam(t.Context(), account.NewTeam{Name: name, Admin: &ada}); err != nil {
					t.Errorf("team %s: %v", name, err)
				}
			})
		}
		group.Wait()
		if found, err := accounts.OrganizationsOf(t.Context(), ada); err != nil || len(found) != 1 {
			t.Errorf("organizations are %+v, %v", found, err)
		}
	})
}

func TestAServiceAccountHasOnlyItsTeam(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		ada, grace := create(t, accounts, "ada"), create(t, accounts, "grace")
		team, other := createTeam(t, accounts, "ml", ada), createTeam(t, accounts, "other", ada)
		key := redact.Secret("local-" + strings.Repeat("4", 40))
		bot, err := accounts.CreateService(ctx, account.NewService{Team: team, Description: "Nightly CI", APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		user, err := accounts.ByKey(ctx, key)
		if err != nil || !user.Service || user.Entity() != "ml" || user.Username != "ml-nightly-ci" || entities(t, accounts, user) != "ml" {
			t.Errorf("the key belongs to %+v, %v", user, err)
		}
		second, err := accounts.CreateService(ctx, account.NewService{Team: team, Description: "nightly ci", FirstKeyFor: ada.ID})
		if err != nil || second.Username != "ml-nightly-ci-2" {
			t.Errorf("a second one of the name is %+v, %v", second, err)
		}
		expectReason(t, "a second team", accounts.SetMember(ctx, other.ID, bot, account.RoleMember), account.ReasonInvalid)
		_, _, err = accounts.SignIn(ctx, bot.Username, "", "192.0.2.1")
		expectReason(t, "signing in without a password", err, account.ReasonRefused)

		if keys, err := accounts.FirstKeys(ctx, team.ID, grace); err != nil || len(keys) != 0 {
			t.Errorf("somebody else is shown %v, %v", keys, err)
		}
		keys, err := accounts.FirstKeys(ctx, team.ID, ada)
		if err != nil || len(keys) != 1 {
			t.Fatalf("its maker is shown %v, %v", keys, err)
		}
		if user, err := accounts.ByKey(ctx, keys[second.ID]); err != nil || user.ID != second.ID {
			t.Errorf("the shown key belongs to %+v, %v", user, err)
		}
		if keys, err := accounts.FirstKeys(ctx, team.ID, ada); err != nil || len(keys) != 0 {
			t.Errorf("a second time its maker is shown %v, %v", keys, err)
		}
		late, err := accounts.CreateService(ctx, account.NewService{Team: team, Description: "late", FirstKeyFor: ada.ID})
		if err != nil {
			t.Fatal(err)
		}
		now.advance(11 * time.Minute)
		if keys, err := accounts.FirstKeys(ctx, team.ID, ada); err != nil || len(keys) != 0 {
			t.Errorf("too late its maker is shown %v, %v", keys, err)
		}

		if err := accounts.RemoveMember(ctx, team.ID, late.ID); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.UserByUsername(ctx, late.Username)
		expectReason(t, "a service account that left its team", err, account.ReasonNotFound)
		if err := accounts.DeleteTeam(ctx, team, false); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.ByKey(ctx, key)
		expectReason(t, "the key of a service account whose team was deleted", err, account.ReasonRefused)
	})
}

func TestInvitations(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		ada, grace := create(t, accounts, "ada"), create(t, accounts, "grace")
		team, other := createTeam(t, accounts, "ml", ada), createTeam(t, accounts, "other", ada)
		for sentence, login := range map[string]string{"username": "Grace", "address": "GRACE@example.com"} {
			invited, err := accounts.Invite(ctx, team.ID, ada, login, account.RoleMember)
			if err != nil || invited.Member == nil || invited.Member.ID != grace.ID || invited.Token != "" {
				t.Errorf("by %s: %+v, %v", sentence, invited, err)
			}
			_, err = accounts.Invite(ctx, team.ID, ada, login, account.RoleMember)
			expectReason(t, "a second time by "+sentence, err, account.ReasonTaken)
			if err := accounts.RemoveMember(ctx, team.ID, grace.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := accounts.Invite(ctx, team.ID, ada, "nobody", account.RoleMember)
		expectReason(t, "an unknown username", err, account.ReasonNotFound)

		first, err := accounts.Invite(ctx, team.ID, ada, "new@example.com", account.RoleViewer)
		if err != nil || first.Member != nil || first.Token == "" {
			t.Fatalf("by a new address: %+v, %v", first, err)
		}
		second, err := accounts.Invite(ctx, team.ID, ada, "New@example.com", account.RoleAdmin)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := accounts.Invite(ctx, other.ID, ada, "new@example.com", account.RoleMember); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.InvitationByToken(ctx, first.Token)
		expectReason(t, "a token that was replaced", err, account.ReasonNotFound)
		if open, err := accounts.Invitations(ctx, team.ID); err != nil || len(open) != 1 || open[0].Role != account.RoleAdmin {
			t.Errorf("open invitations are %+v, %v", open, err)
		}
		n := account.NewUser{Username: "newcomer", Email: "evil@example.com", Admin: true, Password: goodPassword}
		user, session, err := accounts.Accept(ctx, second.Token, n)
		if err != nil || user.Email != "New@example.com" || user.Admin {
			t.Fatalf("accepting made %+v, %v", user, err)
		}
		if by, err := accounts.BySession(ctx, session.Token); err != nil || by.ID != user.ID {
			t.Errorf("the session belongs to %+v, %v", by, err)
		}
		if got := entities(t, accounts, user); got != "newcomer ml other" {
			t.Errorf("the newcomer's entities are %q, want every team that invited the address", got)
		}
		_, _, err = accounts.Accept(ctx, second.Token, n)
		expectReason(t, "accepting twice", err, account.ReasonNotFound)

		late, err := accounts.Invite(ctx, team.ID, ada, "late@example.com", account.RoleMember)
		if err != nil {
			t.Fatal(err)
		}
		now.advance(15 * 24 * time.Hour)
		_, _, err = accounts.Accept(ctx, late.Token, account.NewUser{Username: "late", Password: goodPassword})
		expectReason(t, "accepting too late", err, account.ReasonNotFound)
		if u := create(t, accounts, "late"); entities(t, accounts, u) != "late" {
			t.Errorf("an invitation that has expired made %s a member", u.Username)
		}
	})
}

func TestADisabledUserIsLetInNowhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, now := t.Context(), newClock()
		cfg := account.Config{Now: now.Now, Logger: slog.New(slog.DiscardHandler)}
		here, there := account.New(s, cfg), account.New(s, cfg) // two replicas
		ada := create(t, here, "ada")
		_, key, err := here.CreateKey(ctx, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		_, session, err := here.SignIn(ctx, "ada", goodPassword, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := here.IssueAccessToken(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		id := account.Identity{Issuer: "https://id.example", Subject: "1"}
		if err := here.LinkIdentity(ctx, ada, id.Issuer, id.Subject); err != nil {
			t.Fatal(err)
		}
		ways := map[string]func() error{
			"key":          func() error { _, err := there.ByKey(ctx, key); return err },
			"session":      func() error { _, err := there.BySession(ctx, session.Token); return err },
			"access token": func() error { _, err := there.ByAccessToken(ctx, token); return err },
			"password":     func() error { _, _, err := there.SignIn(ctx, "ada", goodPassword, "192.0.2.1"); return err },
			"identity":     func() error { _, _, err := there.SignInIdentity(ctx, id, account.IdentityPolicy{}); return err },
		}
		for way, try := range ways {
			if err := try(); err != nil {
				t.Errorf("before, by %s: %v", way, err)
			}
		}
		yes, no := true, false
		if err := here.UpdateUser(ctx, ada, account.Change{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
		for way, try := range ways {
			expectReason(t, "while disabled, by "+way, try(), account.ReasonRefused)
		}
		ada, err = here.UserByID(ctx, ada.ID)
		if err != nil || !ada.Disabled {
			t.Fatalf("the user is %+v, %v", ada, err)
		}
		if err := here.UpdateUser(ctx, ada, account.Change{Disabled: &no}); err != nil {
			t.Fatal(err)
		}
		for way, try := range ways {
			if ended := slices.Contains([]string{"session", "access token"}, way); (fault.Reason(try(), "") == account.ReasonRefused) != ended {
				t.Errorf("enabled again, by %s: refused is %v, want %v", way, !ended, ended)
			}
		}
	})
}

func TestIdentities(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		all := account.IdentityPolicy{Provision: true, LinkByEmail: true}
		known := create(t, accounts, "known")
		id := func(subject, email string, verified bool) account.Identity {
			return account.Identity{Issuer: "https://id.example", Subject: subject, Email: email, EmailVerified: verified, Login: "Some.One", Name: "Some One"}
		}
		for sentence, tt := range map[string]struct {
			id     account.Identity
			policy account.IdentityPolicy
		}{
			"an address that is not verified":            {id("1", "known@example.com", false), all},
			"a new address that is not verified":         {id("1", "new@example.com", false), all},
			"no address":                                 {id("1", "", true), all},
			"the address of a user where linking is off": {id("1", "known@example.com", true), account.IdentityPolicy{Provision: true}},
			"a new address where making users is off":    {id("1", "new@example.com", true), account.IdentityPolicy{LinkByEmail: true}},
			"no subject": {id("", "new@example.com", true), all},
			"a subject that is longer than the standard allows": {id(strings.Repeat("s", 256), "new@example.com", true), all},
		} {
			_, _, err := accounts.SignInIdentity(ctx, tt.id, tt.policy)
			expectReason(t, sentence, err, account.ReasonNoAccount)
		}
		for sentence, subject := range map[string]string{"the first time": "1", "again": "1"} {
			user, session, err := accounts.SignInIdentity(ctx, id(subject, "KNOWN@example.com", true), all)
			if err != nil || user.ID != known.ID {
				t.Fatalf("by address, %s: %+v, %v", sentence, user, err)
			}
			if by, err := accounts.BySession(ctx, session.Token); err != nil || by.ID != known.ID {
				t.Errorf("the session belongs to %+v, %v", by, err)
			}
		}
		made, _, err := accounts.SignInIdentity(ctx, id("2", "new@example.com", true), all)
		if err != nil || made.Username != "some-one" || made.Name != "Some One" || made.Admin {
			t.Errorf("a new user is %+v, %v", made, err)
		}
		twin, _, err := accounts.SignInIdentity(ctx, id("3", "twin@example.com", true), all)
		if err != nil || twin.Username != "some-one-2" {
			t.Errorf("a second user of the name is %+v, %v", twin, err)
		}
		moved, _, err := accounts.SignInIdentity(ctx, id("2", "known@example.com", true), all)
		if err != nil || moved.ID != made.ID {
			t.Errorf("the subject counts, not an address that it claims later: %+v, %v", moved, err)
		}
		elsewhere := id("2", "else@example.com", true)
		elsewhere.Issuer = "https://other.example"
		if user, _, err := accounts.SignInIdentity(ctx, elsewhere, all); err != nil || user.ID == made.ID {
			t.Errorf("the same subject of another issuer is %+v, %v", user, err)
		}
		expectReason(t, "a second user of an identity", accounts.LinkIdentity(ctx, known, "https://id.example", "2"), account.ReasonTaken)
	})
}

func TestTheFirstUserOfAProviderIsAdministrator(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		policy := account.IdentityPolicy{Provision: true}
		users := make([]account.User, 4)
		var group sync.WaitGroup
		for i, name := range []string{"a", "b", "c", "a"} { // one of them has two tabs open
			group.Go(func() {
				var err error
				users[i], _, err = accounts.SignInIdentity(t.Context(),
					account.Identity{Issuer: "https://id.example", Subject: name, Email: name + "@example.com", EmailVerified: true}, policy)
				if err != nil {
					t.Errorf("user %s: %v", name, err)
				}
			})
		}
		group.Wait()
		admins := 0
		for _, u := range users[:3] {
			if again, err := accounts.UserByID(t.Context(), u.ID); err == nil && again.Admin {
				admins++
			}
		}
		if admins != 1 || users[0].ID != users[3].ID {
			t.Errorf("%d administrators, want one; the two tabs are %d and %d", admins, users[0].ID, users[3].ID)
		}
	})
}

func TestAnAccessTokenIsNoSession(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		ada := create(t, accounts, "ada")
		token, life, err := accounts.IssueAccessToken(ctx, ada)
		if err != nil || life != time.Hour {
			t.Fatalf("life is %s, %v", life, err)
		}
		if by, err := accounts.ByAccessToken(ctx, token); err != nil || by.ID != ada.ID {
			t.Errorf("the token belongs to %+v, %v", by, err)
		}
		_, err = accounts.BySession(ctx, token)
		expectReason(t, "a token in a cookie", err, account.ReasonRefused)
		_, session, err := accounts.SignIn(ctx, "ada", goodPassword, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = accounts.ByAccessToken(ctx, session.Token)
		expectReason(t, "a session's token as bearer", err, account.ReasonRefused)
		now.advance(61 * time.Minute)
		_, err = accounts.ByAccessToken(ctx, token)
		expectReason(t, "a token after an hour", err, account.ReasonRefused)
	})
}

// A fixture makes and removes an account for each of its tests.
func TestAccountsComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		const rounds = 20
		for i := range rounds {
			name := "user_gw0-" + strings.Repeat(string(rune('a'+i%6)), 39) + string(rune('a'+i))
			u, err := accounts.CreateUser(ctx, account.NewUser{Username: name, Email: name + "@example.com", APIKey: redact.Secret(name)})
			if err != nil {
				t.Fatal(err)
			}
			if by, err := accounts.ByKey(ctx, redact.Secret(name)); err != nil || by.ID != u.ID {
				t.Fatalf("the key belongs to %+v, %v", by, err)
			}
			if err := accounts.DeleteUser(ctx, u, false); err != nil {
				t.Fatal(err)
			}
		}
	})
}
