package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// desk is an administrator's program.
type desk struct {
	running
	t   *testing.T
	key string
}

func (d desk) json(method, path, body string, want int, into any) answer {
	d.t.Helper()
	a := d.do(d.t, http.DefaultClient, call{method: method, path: path, body: body, header: map[string]string{"Authorization": "Bearer " + d.key}})
	if a.code != want {
		d.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, a.code, a.body, want)
	}
	if into != nil {
		a.decode(d.t, into)
	}
	return a
}

func TestAccountsFromADirectory(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, key := s.createUser(t, "boss", true)
		d := desk{s, t, key}
		type user struct {
			ID, UserName, ExternalID, DisplayName string
			Active                                bool
			Emails                                []struct{ Value string }
			Meta                                  struct{ Location string }
		}
		type list struct {
			TotalResults, StartIndex, ItemsPerPage int
			Resources                              []user
		}
		var ada user
		created := d.json("POST", "/scim/v2/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada.l@example.com","externalId":"00u1",
			"name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"value":"ada@example.com","primary":true}],"active":true,"password":"canary violet rocket"}`, http.StatusCreated, &ada)
		if ada.UserName != "ada.l@example.com" || ada.DisplayName != "Ada Lovelace" || ada.Emails[0].Value != "ada@example.com" || !ada.Active || ada.ExternalID != "00u1" {
			t.Errorf("created %s", created.body)
		}
		if created.header.Get("Content-Type") != "application/scim+json" || created.header.Get("Location") != ada.Meta.Location ||
			ada.Meta.Location != "https://wandb.example.test/scim/v2/Users/"+ada.ID || strings.Contains(created.body, "canary") {
			t.Errorf("created %s with %v", created.body, created.header)
		}
		local, err := s.accounts.UserByEmail(t.Context(), "ada@example.com")
		if err != nil || local.Username != "ada-l" {
			t.Fatalf("the user here is %+v, %v", local, err)
		}
		var found list
		for filter, want := range map[string]int{
			`userName eq "ADA.L@example.com"`: 1, `userName eq "ada-l"`: 0, `userName eq "nobody"`: 0, `externalId eq "00u1"`: 1,
			`emails.value eq "ada@example.com"`: 1, `emails[value eq "ada@example.com"]`: 1, `displayName co "love"`: 1, `active eq false`: 0,
			`id eq "` + ada.ID + `"`: 1, `userName eq "boss"`: 1,
		} {
			path := "/scim/Users?filter=" + strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D").Replace(filter)
			if d.json("GET", path, "", http.StatusOK, &found); found.TotalResults != want || len(found.Resources) != want {
				t.Errorf("%s finds %+v, want %d", filter, found, want)
			}
		}
		d.json("GET", "/scim/Users?startIndex=2&count=1", "", http.StatusOK, &found)
		if found.TotalResults != 2 || found.StartIndex != 2 || found.ItemsPerPage != 1 || found.Resources[0].ID != ada.ID {
			t.Errorf("the second page is %+v", found)
		}
		for sentence, c := range map[string]struct {
			method, path, body string
			want               int
			kind               string
		}{
			"a second user of the name":    {"POST", "/scim/Users", `{"userName":"Ada.L@example.com","emails":[{"value":"x@example.com"}]}`, 409, "uniqueness"},
			"a second user of the address": {"POST", "/scim/Users", `{"userName":"other","emails":[{"value":"ADA@example.com"}]}`, 409, "uniqueness"},
			"no name":                      {"POST", "/scim/Users", `{}`, 400, "invalidValue"},
			"no address":                   {"POST", "/scim/Users", `{"userName":"other"}`, 400, "invalidValue"},
			"no JSON":                      {"POST", "/scim/Users", `{`, 400, "invalidSyntax"},
			"a filter that is none":        {"GET", "/scim/Users?filter=x", ``, 400, "invalidFilter"},
			"an unknown user":              {"GET", "/scim/Users/12", ``, 404, ""},
			"an id that is none":           {"DELETE", "/scim/Users/x", ``, 404, ""},
			"an unknown kind":              {"GET", "/scim/Things", ``, 404, ""},
			"a member who is nobody":       {"POST", "/scim/Groups", `{"displayName":"ml","members":[{"value":"5"}]}`, 400, "invalidValue"},
			"a team with a space":          {"POST", "/scim/Groups", `{"displayName":"m l"}`, 400, "invalidValue"},
		} {
			a := d.json(c.method, c.path, c.body, c.want, nil)
			if !strings.Contains(a.body, "api:messages:2.0:Error") || (c.kind != "" && !strings.Contains(a.body, `"scimType":"`+c.kind+`"`)) {
				t.Errorf("%s: %s", sentence, a.body)
			}
		}

		secret := redact.Secret("user_gw0-" + strings.Repeat("0a", 20))
		if _, err := s.accounts.AddKey(t.Context(), local, secret, ""); err != nil {
			t.Fatal(err)
		}
		patch := func(operations string) user {
			t.Helper()
			var u user
			d.json("PATCH", "/scim/v2/Users/"+ada.ID, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operations+`]}`, http.StatusOK, &u)
			return u
		}
		if u := patch(`{"op":"Replace","value":{"active":"False"}}`); u.Active {
			t.Error("the user is still active")
		}
		if a := s.viewer(t, secret); a.code != http.StatusUnauthorized {
			t.Errorf("the key of a deactivated user: %d %s", a.code, a.body)
		}
		d.json("PUT", "/scim/Users/"+ada.ID, `{"userName":"ada@new.example","emails":[{"value":"ada@new.example"}]}`, http.StatusOK, &ada)
		if ada.Active || ada.UserName != "ada@new.example" || ada.Emails[0].Value != "ada@new.example" || ada.DisplayName != "Ada Lovelace" {
			t.Errorf("replaced %+v", ada)
		}
		if u := patch(`{"op":"replace","path":"active","value":true},{"op":"replace","path":"name.familyName","value":"Byron"}`); !u.Active || u.DisplayName != "Ada Byron" {
			t.Errorf("patched %+v", u)
		}
		if a := s.viewer(t, secret); a.code != http.StatusOK {
			t.Errorf("the key of a user who is active again: %d %s", a.code, a.body)
		}
		testGroups(t, d, ada.ID)
		d.json("DELETE", "/scim/Users/"+ada.ID, "", http.StatusNoContent, nil)
		d.json("GET", "/scim/Users/"+ada.ID, "", http.StatusNotFound, nil)
		for _, path := range []string{"ServiceProviderConfig", "ResourceTypes", "ResourceTypes/User", "Schemas", "Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"} {
			d.json("GET", "/scim/v2/"+path, "", http.StatusOK, nil)
		}
		for _, canary := range []string{key, secret.Reveal(), "canary"} {
			if strings.Contains(s.logs.String(), canary) {
				t.Errorf("the log holds %q", canary)
			}
		}
	})
}

func (s running) viewer(t testing.TB, key redact.Secret) answer {
	t.Helper()
	return s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key.Reveal(), body: `{"query":"{viewer{username entity}}"}`})
}

func testGroups(t *testing.T, d desk, ada string) {
	t.Helper()
	type group struct {
		ID, DisplayName, ExternalID string
		Members                     []struct{ Value, Display string }
	}
	var g group
	d.json("POST", "/scim/v2/Groups", `{"displayName":"ml","externalId":"g1","members":[{"value":"`+ada+`"}]}`, http.StatusCreated, &g)
	if g.DisplayName != "ml" || len(g.Members) != 1 || g.Members[0].Value != ada || g.Members[0].Display != "ada@new.example" {
		t.Errorf("created %+v", g)
	}
	d.json("POST", "/scim/Groups", `{"displayName":"ML"}`, http.StatusConflict, nil)
	var boss struct{ Resources []struct{ ID string } }
	d.json("GET", "/scim/Users?filter=userName%20eq%20%22boss%22", "", http.StatusOK, &boss)
	other := boss.Resources[0].ID
	for i, step := range []struct{ operations, want string }{
		{`{"op":"add","path":"members","value":[{"value":"` + other + `"}]}`, other},
		{`{"op":"remove","path":"members[value eq \"` + ada + `\"]"}`, other},
		{`{"op":"replace","path":"members","value":[{"value":"` + ada + `"}]}`, ada},
	} {
		d.json("PATCH", "/scim/v2/Groups/"+g.ID, `{"Operations":[`+step.operations+`]}`, http.StatusOK, &g)
		held := false
		for _, m := range g.Members {
			held = held || m.Value == step.want
		}
		if !held || (i > 0 && len(g.Members) != 1) {
			t.Errorf("after step %d the members are %+v", i+1, g.Members)
		}
	}
	d.json("PATCH", "/scim/Groups/"+g.ID, `{"Operations":[{"op":"replace","path":"displayName","value":"other"}]}`, http.StatusBadRequest, nil)
	for filter, members := range map[string]bool{"filter=displayName%20eq%20%22ML%22": true, "filter=externalId%20eq%20%22g1%22&excludedAttributes=members": false, "": true} {
		a := d.json("GET", "/scim/Groups?"+filter, "", http.StatusOK, nil)
		if !strings.Contains(a.body, `"totalResults":1`) || strings.Contains(a.body, `"members"`) != members {
			t.Errorf("%s finds %s", filter, a.body)
		}
	}
	d.json("DELETE", "/scim/Groups/"+g.ID, "", http.StatusNoContent, nil)
	d.json("GET", "/scim/Groups/"+g.ID, "", http.StatusNotFound, nil)
}

func TestTheAdministratorsAPI(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, key := s.createUser(t, "boss", true)
		d := desk{s, t, key}
		secret := "user_gw0-" + strings.Repeat("c4", 20)
		a := d.json("POST", "/api/admin/users", `{"username":"ada","email":"ada@example.com","password":"canary violet rocket","apiKey":"`+secret+`"}`, http.StatusCreated, nil)
		if strings.Contains(a.body, secret) || strings.Contains(a.body, "canary") {
			t.Errorf("the answer repeats a secret: %s", a.body)
		}
		if v := s.viewer(t, redact.Secret(secret)); !strings.Contains(v.body, `"username":"ada"`) {
			t.Errorf("the viewer with the given key is %s", v.body)
		}
		d.json("POST", "/api/admin/users", `{"username":"ada","email":"x@example.com"}`, http.StatusConflict, nil)
		d.json("POST", "/api/admin/users", `{"username":"grace","email":"g@example.com","apiKey":"short"}`, http.StatusUnprocessableEntity, nil)
		d.json("POST", "/api/admin/users", `{"user":"grace"}`, http.StatusBadRequest, nil)
		d.json("PATCH", "/api/admin/users/ADA", `{"name":"Ada L.","disabled":true}`, http.StatusOK, nil)
		if v := s.viewer(t, redact.Secret(secret)); v.code != http.StatusUnauthorized {
			t.Errorf("the key of a disabled user: %d", v.code)
		}
		d.json("PATCH", "/api/admin/users/ada", `{"disabled":false}`, http.StatusOK, nil)
		d.json("POST", "/api/admin/users/ada/identities", `{"issuer":"https://id.example","subject":"1"}`, http.StatusNoContent, nil)

		d.json("POST", "/api/admin/organizations", `{"name":"lab"}`, http.StatusCreated, nil)
		d.json("POST", "/api/admin/teams", `{"name":"ml","organization":"lab","admin":"boss"}`, http.StatusCreated, nil)
		d.json("PUT", "/api/admin/teams/ml/members/ada", `{"role":"viewer"}`, http.StatusNoContent, nil)
		d.json("PUT", "/api/admin/teams/ml/members/ada", `{"role":"emperor"}`, http.StatusUnprocessableEntity, nil)
		d.json("PUT", "/api/admin/organizations/lab/members/ada", `{"role":"admin"}`, http.StatusNoContent, nil)
		var invited struct{ Link, Email string }
		d.json("POST", "/api/admin/teams/ml/invitations", `{"login":"new@example.com"}`, http.StatusCreated, &invited)
		var bot struct{ Username, Key string }
		d.json("POST", "/api/admin/teams/ml/service-accounts", `{"description":"CI"}`, http.StatusCreated, &bot)
		if v := s.viewer(t, redact.Secret(bot.Key)); !strings.Contains(v.body, `"entity":"ml"`) {
			t.Errorf("the service account's viewer is %s", v.body)
		}
		team := d.json("GET", "/api/admin/teams/ml", "", http.StatusOK, nil)
		for _, part := range []string{`"username":"ada","email":"ada@example.com","role":"viewer"`, `"service":true`, `"email":"new@example.com","role":"member"`} {
			if !strings.Contains(team.body, part) {
				t.Errorf("the team %s lacks %s", team.body, part)
			}
		}
		token, ok := strings.CutPrefix(invited.Link, "https://wandb.example.test/signup#invitation=")
		if !ok || strings.Contains(team.body, token) {
			t.Errorf("the link is %q", invited.Link)
		}
		accept(t, s, token)
		if strings.Contains(s.logs.String(), token) {
			t.Error("the log holds the token of an invitation")
		}

		d.json("DELETE", "/api/admin/organizations/lab", "", http.StatusConflict, nil)
		d.json("DELETE", "/api/admin/teams/ml/members/ada", "", http.StatusNoContent, nil)
		d.json("DELETE", "/api/admin/organizations/lab/members/ada", "", http.StatusNoContent, nil)
		for _, path := range []string{"teams/ml", "organizations/lab", "users/ada"} {
			d.json("DELETE", "/api/admin/"+path, "", http.StatusNoContent, nil)
			d.json("GET", "/api/admin/"+path, "", http.StatusNotFound, nil)
		}
		for path, want := range map[string]string{"users": "boss", "teams": "[]", "organizations": "[]"} {
			if a := d.json("GET", "/api/admin/"+path, "", http.StatusOK, nil); !strings.Contains(a.body, want) {
				t.Errorf("%s are %s", path, a.body)
			}
		}
		start := time.Now()
		const rounds = 20
		for i := range rounds {
			name := fmt.Sprintf("fixture-%d", i)
			d.json("POST", "/api/admin/users", `{"username":"`+name+`","email":"`+name+`@example.com","apiKey":"`+fmt.Sprintf("%040d", i)+`"}`, http.StatusCreated, nil)
			d.json("DELETE", "/api/admin/users/"+name, "", http.StatusNoContent, nil)
		}
		t.Logf("%s for an account from its making to its end, over HTTP", time.Since(start)/rounds)
	})
}

func accept(t *testing.T, s running, token string) {
	t.Helper()
	b := s.browser(t)
	form := `{"token":"` + token + `","username":"newcomer","name":"New","password":"` + password + `"}`
	look := s.do(t, b.client, call{path: "/api/invitation", header: map[string]string{"X-Invitation": token}})
	if look.code != http.StatusOK || !strings.Contains(look.body, "new@example.com") {
		t.Errorf("the invitation is %d %s", look.code, look.body)
	}
	if a := b.call(t, "POST", "/api/invitation", form); a.code != http.StatusCreated {
		t.Fatalf("accepting: %d %s", a.code, a.body)
	}
	if a := b.call(t, "GET", "/api/session", ""); !strings.Contains(a.body, `"username":"newcomer"`) {
		t.Errorf("the session is %s", a.body)
	}
	if a := b.call(t, "POST", "/api/invitation", form); a.code != http.StatusNotFound {
		t.Errorf("accepting twice: %d %s", a.code, a.body)
	}
}

func TestOnlyAdministratorsAdminister(t *testing.T) {
	s := start(t, nil)
	_, admin := s.createUser(t, "boss", true)
	_, plain := s.createUser(t, "ada", false)
	team, err := s.accounts.CreateTeam(t.Context(), account.NewTeam{Name: "ml"})
	if err != nil {
		t.Fatal(err)
	}
	ada, err := s.accounts.UserByUsername(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.accounts.SetMember(t.Context(), team.ID, ada, account.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/scim/Users", "/scim/v2/Groups", "/scim/ServiceProviderConfig", "/scim/x", "/api/admin/users", "/api/admin/teams/ml"} {
		for sentence, c := range map[string]struct {
			header map[string]string
			key    string
			want   int
		}{
			"nobody":                           {nil, "", http.StatusUnauthorized},
			"an unknown key":                   {nil, strings.Repeat("0", 40), http.StatusUnauthorized},
			"a team's administrator":           {nil, plain, http.StatusForbidden},
			"one who asks for more":            {map[string]string{"Use-Admin-Privileges": "true"}, plain, http.StatusForbidden},
			"another as bearer":                {map[string]string{"Authorization": "Bearer " + plain}, "", http.StatusForbidden},
			"an authorization of another kind": {map[string]string{"Authorization": "Digest x"}, "", http.StatusUnauthorized},
		} {
			if a := s.do(t, http.DefaultClient, call{path: path, header: c.header, key: c.key}); a.code != c.want {
				t.Errorf("%s at %s: %d, want %d", sentence, path, a.code, c.want)
			}
		}
		if a := s.do(t, http.DefaultClient, call{path: path, key: admin}); a.code >= http.StatusInternalServerError || a.code == http.StatusUnauthorized || a.code == http.StatusForbidden {
			t.Errorf("an administrator at %s: %d", path, a.code)
		}
	}
	b := s.browser(t)
	b.signIn(t, "boss")
	crossed := s.do(t, b.client, call{method: "POST", path: "/api/admin/users", header: map[string]string{"Sec-Fetch-Site": "cross-site"},
		body: `{"username":"evil","email":"e@example.com","admin":true}`})
	if crossed.code != http.StatusForbidden {
		t.Errorf("another site makes an administrator's browser create a user: %d", crossed.code)
	}
}
