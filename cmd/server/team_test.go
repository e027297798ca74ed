package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
)

func TestTeamsFromAShell(t *testing.T) {
	each(t, func(t *testing.T, sh shell) {
		var any map[string]any
		var user admin.User
		for _, name := range []string{"ada", "grace"} {
			sh.must(t, &user, "", "admin", "user", "create", "--username", name, "--email", name+"@example.com")
		}
		var org admin.Organization
		sh.must(t, &org, "", "admin", "org", "create", "--name", "lab")
		if org.Entity != "org_lab" {
			t.Errorf("created %+v", org)
		}
		var team admin.Team
		sh.must(t, &team, "", "admin", "team", "create", "--name", "ml", "--org", "lab", "--admin", "ada")
		sh.must(t, &any, "", "admin", "member", "set", "--team", "ml", "--username", "grace", "--role", "viewer")
		sh.must(t, &any, "", "admin", "member", "set", "--org", "lab", "--username", "grace", "--role", "admin")
		key := "user_gw0-" + strings.Repeat("0a", 20)
		text := sh.must(t, &user, key+"\n", "admin", "service-account", "create", "--team", "ml", "--description", "CI", "--api-key", "-")
		if !user.Service || strings.Contains(text, key) {
			t.Errorf("created %s", text)
		}
		sh.must(t, &team, "", "admin", "team", "show", "--name", "ML")
		roles := map[string]string{}
		for _, m := range team.Members {
			roles[m.Username] = m.Role
		}
		if roles["ada"] != "admin" || roles["grace"] != "viewer" || roles["ml-ci"] != "member" || len(roles) != 3 {
			t.Errorf("members are %v", roles)
		}
		sh.must(t, &org, "", "admin", "org", "show", "--name", "lab")
		if len(org.Teams) != 1 || len(org.Members) != 1 {
			t.Errorf("the organization is %+v", org)
		}
		accounts := sh.accounts(t)
		if by, err := accounts.ByKey(t.Context(), redact.Secret(key)); err != nil || by.Username != "ml-ci" {
			t.Errorf("the key belongs to %+v, %v", by, err)
		}
		sh.must(t, &user, "", "admin", "user", "disable", "--username", "ml-ci")
		_, err := accounts.ByKey(t.Context(), redact.Secret(key))
		if fault.Reason(err, "") != account.ReasonRefused || !user.Disabled {
			t.Errorf("the key of a disabled account: %v", err)
		}
		sh.must(t, &user, "", "admin", "user", "enable", "--username", "ml-ci")
		if _, err := accounts.ByKey(t.Context(), redact.Secret(key)); err != nil {
			t.Errorf("the key of an enabled account: %v", err)
		}
		sh.must(t, &user, "", "admin", "user", "link", "--username", "ada", "--issuer", "https://id.example", "--subject", "7")
		if by, err := accounts.UserByIdentity(t.Context(), account.Identity{Issuer: "https://id.example", Subject: "7"}); err != nil || by.Username != "ada" {
			t.Errorf("the identity belongs to %+v, %v", by, err)
		}
		sh.must(t, &any, "", "admin", "member", "remove", "--team", "ml", "--username", "grace")
		if _, _, err := sh.run(t.Context(), "", "admin", "org", "delete", "--name", "lab"); fault.Reason(err, "") != account.ReasonInUse {
			t.Errorf("deleting an organization with a team: %v", err)
		}
		sh.must(t, &any, "", "admin", "team", "delete", "--name", "ml")
		sh.must(t, &any, "", "admin", "org", "delete", "--name", "lab")
		var teams []admin.Team
		sh.must(t, &teams, "", "admin", "team", "list")
		var orgs []admin.Organization
		sh.must(t, &orgs, "", "admin", "org", "list")
		if len(teams)+len(orgs) != 0 {
			t.Errorf("left are %v and %v", teams, orgs)
		}
	})
}

func TestVariablesOfTheHostedServerAreUnderstood(t *testing.T) {
	for sentence, tt := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"our own":           {map[string]string{"OIDC_ISSUER": "https://a.example"}, "https://a.example"},
		"the prefixed one":  {map[string]string{"GORILLA_OIDC_ISSUER": "https://b.example"}, "https://b.example"},
		"both: our own":     {map[string]string{"OIDC_ISSUER": "https://a.example", "GORILLA_OIDC_ISSUER": "https://b.example"}, "https://a.example"},
		"neither":           {nil, ""},
		"one for no prefix": {map[string]string{"GORILLA_HOST": "https://c.example"}, ""},
	} {
		s := &settings{}
		serve := serveCommand(s)
		root := &cobra.Command{}
		root.AddCommand(serve)
		err := fromEnvironment(serve, func(name string) (string, bool) { value, ok := tt.environment[name]; return value, ok })
		if err != nil || s.Identity.Issuer != tt.want || s.Host != "" {
			t.Errorf("%s: issuer %q, host %q, %v", sentence, s.Identity.Issuer, s.Host, err)
		}
	}
}
