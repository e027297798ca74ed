package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
)

func TestTheFirstVisitorBecomesAdministrator(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		visitor := s.browser(t)
		var session struct {
			User *struct {
				Name, Username, Email string
				Admin                 bool
			}
			Setup bool
			Host  string
		}
		visitor.call(t, "GET", "/api/session", "").decode(t, &session)
		if session.User != nil || !session.Setup || session.Host != "https://wandb.example.test" {
			t.Fatalf("an empty server says %+v", session)
		}
		a := visitor.call(t, "POST", "/api/setup", `{"name":"Ada","username":"ada","email":"ada@example.com","password":"`+password+`"}`)
		if a.code != http.StatusCreated {
			t.Fatalf("setup: %d %s", a.code, a.body)
		}
		cookie := a.header.Get("Set-Cookie")
		for _, want := range []string{"wandb_session=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Expires="} {
			if !strings.Contains(cookie, want) {
				t.Errorf("the cookie lacks %s", want)
			}
		}
		visitor.call(t, "GET", "/api/session", "").decode(t, &session)
		if session.User == nil || session.User.Username != "ada" || !session.User.Admin || session.Setup {
			t.Errorf("after setup: %+v", session)
		}
		late := s.browser(t).call(t, "POST", "/api/setup", `{"name":"Eve","username":"eve","email":"eve@example.com","password":"`+password+`"}`)
		if late.code != http.StatusConflict || late.header.Get("Set-Cookie") != "" {
			t.Errorf("a second setup: %d %s", late.code, late.body)
		}
		if a := visitor.call(t, "DELETE", "/api/session", ""); a.code != http.StatusNoContent {
			t.Errorf("sign out: %d %s", a.code, a.body)
		}
		session.User = nil
		visitor.call(t, "GET", "/api/session", "").decode(t, &session)
		if session.User != nil {
			t.Errorf("signed out: %+v", session)
		}
	})
}

func TestOfTwoVisitorsAtOnceOneBecomesAdministrator(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		codes := make([]int, 2)
		var group sync.WaitGroup
		for i := range codes {
			b := s.browser(t)
			group.Go(func() {
				codes[i] = b.call(t, "POST", "/api/setup", fmt.Sprintf(
					`{"name":"Visitor","username":"visitor%d","email":"visitor%d@example.com","password":"%s"}`, i, i, password)).code
			})
		}
		group.Wait()
		if codes[0]+codes[1] != http.StatusCreated+http.StatusConflict {
			t.Errorf("both visitors were answered %v, want one 201 and one 409", codes)
		}
	})
}

func TestSetupNamesTheFieldThatIsWrong(t *testing.T) {
	s := start(t, nil)
	for field, form := range map[string]string{
		"username": `{"name":"A","username":"a b","email":"a@example.com","password":"` + password + `"}`,
		"email":    `{"name":"A","username":"a","email":"nowhere","password":"` + password + `"}`,
		"password": `{"name":"A","username":"a","email":"a@example.com","password":"short"}`,
		"name":     `{"name":"\u0007","username":"a","email":"a@example.com","password":"` + password + `"}`,
	} {
		a := s.browser(t).call(t, "POST", "/api/setup", form)
		var failure struct{ Error, Field string }
		a.decode(t, &failure)
		if a.code != http.StatusUnprocessableEntity || failure.Field != field || failure.Error == "" {
			t.Errorf("%s: %d %s", field, a.code, a.body)
		}
	}
	for sentence, body := range map[string]string{"no JSON": "name=a", "nothing": "", "a list": "[]"} {
		if a := s.browser(t).call(t, "POST", "/api/setup", body); a.code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", sentence, a.code, a.body)
		}
	}
	if a := s.browser(t).call(t, "POST", "/api/setup", `{"name":"`+strings.Repeat("x", 70<<10)+`"}`); a.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge form: %d", a.code)
	}
}

func TestKeysPage(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		s.createUser(t, "ada", false)
		b := s.browser(t)
		b.signIn(t, "ada@example.com")
		a := b.call(t, "POST", "/api/keys", `{"description":"laptop"}`)
		var made struct{ ID, Name, Key string }
		a.decode(t, &made)
		if a.code != http.StatusCreated || len(made.Key) != 40 || made.Name != made.Key[:8] {
			t.Fatalf("create: %d %s", a.code, a.body)
		}
		list := b.call(t, "GET", "/api/keys", "")
		var keys []struct {
			ID, Name, Description string
			CreatedAt             time.Time
			LastUsedAt            *time.Time
		}
		list.decode(t, &keys)
		if len(keys) != 2 || keys[1].ID != made.ID || keys[1].Description != "laptop" || keys[1].CreatedAt.IsZero() || keys[1].LastUsedAt != nil {
			t.Errorf("keys: %s", list.body)
		}
		if strings.Contains(list.body, made.Key) {
			t.Error("a key is shown a second time")
		}
		if a := s.graphql(t, made.Key, "{viewer{id}}"); a.code != http.StatusOK {
			t.Errorf("the key: %d %s", a.code, a.body)
		}
		for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
			if a := b.call(t, "DELETE", "/api/keys/"+made.ID, ""); a.code != want {
				t.Errorf("revoke: %d %s, want %d", a.code, a.body, want)
			}
		}
		if a := s.graphql(t, made.Key, "{viewer{id}}"); a.code != http.StatusUnauthorized {
			t.Errorf("the revoked key: %d %s", a.code, a.body)
		}
	})
}

func TestSomebodyElsesKeyCannotBeRevoked(t *testing.T) {
	s := start(t, nil)
	_, adasKey := s.createUser(t, "ada", false)
	s.createUser(t, "eve", true)
	ada, eve := s.browser(t), s.browser(t)
	ada.signIn(t, "ada")
	eve.signIn(t, "eve")
	var keys []struct{ ID string }
	ada.call(t, "GET", "/api/keys", "").decode(t, &keys)
	if a := eve.call(t, "DELETE", "/api/keys/"+keys[0].ID, ""); a.code != http.StatusNotFound {
		t.Errorf("got %d %s", a.code, a.body)
	}
	if a := s.graphql(t, adasKey, "{viewer{id}}"); a.code != http.StatusOK {
		t.Errorf("the key no longer works: %d", a.code)
	}
}

// Who may do what. Every address that changes or tells something is in the table.
func TestRights(t *testing.T) {
	s := start(t, nil)
	_, userKey := s.createUser(t, "user", false)
	_, adminKey := s.createUser(t, "root", true)
	user, admin := s.browser(t), s.browser(t)
	user.signIn(t, "user")
	admin.signIn(t, "root")
	who := []struct {
		name    string
		browser browser
		key     string
	}{{"anonymous", s.browser(t), ""}, {"user", user, userKey}, {"administrator", admin, adminKey}}

	for _, c := range []struct {
		method, path, body string
		want               [3]int // anonymous, user, administrator
	}{
		{"GET", "/healthz", "", [3]int{200, 200, 200}},
		{"GET", "/ready", "", [3]int{200, 200, 200}},
		{"GET", "/", "", [3]int{200, 200, 200}},
		{"GET", "/authorize", "", [3]int{200, 200, 200}},
		{"GET", "/ada/project/runs/x", "", [3]int{200, 200, 200}},
		{"GET", "/api/session", "", [3]int{200, 200, 200}},
		{"POST", "/api/setup", `{"name":"x","username":"x","email":"x@example.com","password":"` + password + `"}`, [3]int{409, 409, 409}},
		{"GET", "/api/keys", "", [3]int{401, 200, 200}},
		{"POST", "/api/keys", `{"description":""}`, [3]int{401, 201, 201}},
		{"DELETE", "/api/keys/1", "", [3]int{401, 404, 404}},
		{"DELETE", "/api/keys/x", "", [3]int{401, 404, 404}},
		{"GET", "/oidc/auth", "", [3]int{401, 403, 200}},
		{"POST", "/graphql", `{"query":"{viewer{id}}"}`, [3]int{401, 200, 200}},
		{"GET", "/graphql", "", [3]int{405, 405, 405}},
		{"POST", "/oidc/auth", "", [3]int{404, 404, 404}},
		{"GET", "/oidc/token", "", [3]int{404, 404, 404}},
		{"GET", "/api/unknown", "", [3]int{404, 404, 404}},
		{"PUT", "/api/session", "", [3]int{404, 404, 404}},
		{"POST", "/unknown", "", [3]int{404, 404, 404}},
		{"PUT", "/authorize", "", [3]int{404, 404, 404}},
		{"POST", "/sdk/otel/v1/metrics", "", [3]int{404, 404, 404}},
		{"POST", "/sdk/otel/v1/logs", "", [3]int{404, 404, 404}},
		{"GET", "/metrics", "", [3]int{200, 200, 200}}, // a page: metrics have a listener of their own
	} {
		for i, w := range who {
			if a := w.browser.call(t, c.method, c.path, c.body); a.code != c.want[i] {
				t.Errorf("%s %s as %s: %d %s, want %d", c.method, c.path, w.name, a.code, a.body, c.want[i])
			}
		}
	}
	if a := s.do(t, http.DefaultClient, call{path: "/metrics"}); strings.Contains(a.body, "wandb_") {
		t.Error("metrics are served to everybody")
	}
	for _, w := range who[1:] {
		if a := s.graphql(t, w.key, "{viewer{username admin}}"); a.code != 200 || !strings.Contains(a.body, fmt.Sprintf(`"admin":%t`, w.name == "administrator")) {
			t.Errorf("GraphQL with the key of %s: %d %s", w.name, a.code, a.body)
		}
		if a := s.do(t, http.DefaultClient, call{path: "/api/keys", key: w.key}); a.code != 401 {
			t.Errorf("an API key opens the pages' API: %d", a.code)
		}
	}
	a := admin.call(t, "GET", "/oidc/auth", "")
	if a.header.Get("X-Wandb-User-Name") != "root" || a.header.Get("X-Wandb-User-Email") != "root@example.com" {
		t.Errorf("the console is told %v", a.header)
	}
	if a.header.Get("Set-Cookie") != "" {
		t.Error("a cookie is sent to a program in place of the browser")
	}
}

func TestAnotherSiteCannotUseTheCookie(t *testing.T) {
	s := start(t, nil)
	s.createUser(t, "ada", true)
	b := s.browser(t)
	b.signIn(t, "ada")
	for sentence, c := range map[string]struct {
		header map[string]string
		ok     bool
	}{
		"the page itself":                       {map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		"the page, in a browser of old":         {map[string]string{"Origin": "https://wandb.example.test"}, true},
		"another site":                          {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, false},
		"another site, in a browser of old":     {map[string]string{"Origin": "https://evil.example"}, false},
		"a sandboxed frame":                     {map[string]string{"Origin": "null"}, false},
		"a sister domain":                       {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example.test"}, false},
		"a program that says nothing of itself": {nil, false},
	} {
		for _, target := range []call{
			{method: "POST", path: "/api/keys", body: `{"description":"x"}`},
			{method: "POST", path: "/graphql", body: `{"query":"{viewer{id}}"}`},
		} {
			target.header = c.header
			a := b.do(t, b.client, target)
			if c.ok == (a.code == http.StatusForbidden) {
				t.Errorf("%s: %s %s is answered %d", sentence, target.method, target.path, a.code)
			}
		}
	}
	if a := b.do(t, b.client, call{method: "POST", path: "/api/session", body: `{}`, header: map[string]string{"Origin": "https://evil.example"}}); a.code != http.StatusForbidden {
		t.Errorf("another site signs a browser in: %d", a.code)
	}
	_, key := s.createUser(t, "bob", false)
	if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: `{"query":"{viewer{id}}"}`}); a.code != http.StatusOK {
		t.Errorf("a program with a key: %d %s", a.code, a.body)
	}
	for name := range s.do(t, http.DefaultClient, call{path: "/api/session", header: map[string]string{"Origin": "https://evil.example"}}).header {
		if strings.HasPrefix(name, "Access-Control") {
			t.Errorf("another site may read answers: %s", name)
		}
	}
}

func TestGuessesAreSlowedDownByAddressBehindAProxy(t *testing.T) {
	s := start(t, nil)
	guess := func(user, forwarded string) answer {
		return s.do(t, http.DefaultClient, call{
			method: "POST", path: "/api/session", body: `{"login":"` + user + `","password":"wrong password"}`,
			header: map[string]string{"X-Forwarded-For": forwarded},
		})
	}
	for i := range 10 {
		if a := guess("ada", fmt.Sprintf("203.0.113.%d", i)); a.code != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d %s", i, a.code, a.body)
		}
	}
	a := guess("ada", "203.0.113.99")
	if a.code != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.header.Get("Retry-After") == "0" {
		t.Fatalf("guess 11: %d, Retry-After %q", a.code, a.header.Get("Retry-After"))
	}
	for i := 0; a.code != http.StatusTooManyRequests || i < 5; i++ {
		// What the client itself writes into the header stands left of what the proxy adds.
		if a = guess(fmt.Sprintf("user%d", i), fmt.Sprintf("10.0.0.%d, 198.51.100.7", i%250)); i > 60 {
			t.Fatal("a client gets a new allowance by writing X-Forwarded-For itself")
		}
	}
	if a := guess("somebody", "198.51.100.8"); a.code != http.StatusUnauthorized {
		t.Errorf("another client behind the same proxy: %d", a.code)
	}
}

func TestNoCredentialIsLogged(t *testing.T) {
	s := start(t, nil)
	b := s.browser(t)
	const wrong, secret = "canary wrong password", "canary violet rocket"
	var seen strings.Builder
	note := func(a answer) answer { seen.WriteString(a.body); return a }
	note(b.call(t, "POST", "/api/setup", `{"name":"Ada","username":"ada","email":"ada@example.com","password":"short canary"`))
	a := note(b.call(t, "POST", "/api/setup", `{"name":"Ada","username":"ada","email":"ada@example.com","password":"`+secret+`"}`))
	token, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Set-Cookie"), "wandb_session="), ";")
	var made struct{ Key string }
	b.call(t, "POST", "/api/keys", `{}`).decode(t, &made)
	note(b.call(t, "POST", "/api/session", `{"login":"ada","password":"`+wrong+`"}`))
	note(b.call(t, "POST", "/api/session", `{"login":"ada","password":"`+wrong))
	note(b.call(t, "GET", "/api/keys", ""))
	note(b.call(t, "GET", "/api/session", ""))
	note(b.call(t, "GET", "/oidc/auth", ""))
	note(s.graphql(t, made.Key, "{viewer{apiKeys{edges{node{name}}}}}"))
	note(s.graphql(t, made.Key, `{viewer(password:"`+secret+`"){nothing}}`))
	note(s.graphql(t, made.Key+"x", "{viewer{id}}"))
	note(s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: made.Key, body: `{"query":"` + secret}))
	note(s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", header: map[string]string{"Authorization": "Bearer " + made.Key}}))
	metrics := running{url: s.metricsURL}.do(t, http.DefaultClient, call{path: "/metrics"})
	if len(token) < 40 || len(made.Key) != 40 || !strings.Contains(metrics.body, "wandb_graphql_operation_duration_seconds") {
		t.Fatalf("the test sees no credential: %q %q", token, made.Key)
	}
	for where, text := range map[string]string{"log": s.logs.String(), "answers": seen.String(), "metrics": metrics.body} {
		for what, credential := range map[string]string{"password": secret, "wrong password": wrong, "key": made.Key, "session": token, "part of a password": "canary"} {
			if strings.Contains(text, credential) {
				t.Errorf("the %s hold a %s:\n%s", where, what, text)
			}
		}
	}
}

func TestReadySaysWhy(t *testing.T) {
	var answer struct {
		Status, Reason, Error, Hint, Database string
		Schema                                struct{ Applied, Wanted int64 }
	}
	t.Run("ready", func(t *testing.T) {
		each(t, func(t *testing.T, s running) {
			s.do(t, http.DefaultClient, call{path: "/ready"}).decode(t, &answer)
			if answer.Status != "ready" || answer.Schema.Applied < 1 || answer.Schema.Applied != answer.Schema.Wanted {
				t.Errorf("got %+v", answer)
			}
		})
	})
	t.Run("a database that is not there", func(t *testing.T) {
		s := startUnready(t, func(cfg *server.Config) { cfg.MySQL.Host, cfg.MySQL.Port, cfg.MySQL.User = "127.0.0.1", 1, "u" })
		a := s.do(t, http.DefaultClient, call{path: "/ready"})
		a.decode(t, &answer)
		if a.code != http.StatusServiceUnavailable || answer.Reason != "DatabaseUnavailable" || answer.Database != "mysql" {
			t.Errorf("got %d %s", a.code, a.body)
		}
		if a := s.do(t, http.DefaultClient, call{path: "/healthz"}); a.code != http.StatusOK {
			t.Errorf("alive: %d", a.code)
		}
		for _, c := range []call{{path: "/api/session"}, {method: "POST", path: "/graphql", key: strings.Repeat("0", 40), body: "{}"}} {
			if a := s.do(t, http.DefaultClient, c); a.code != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s, want 503 with Retry-After", c.path, a.code, a.body)
			}
		}
	})
	t.Run("migrations left to another program", func(t *testing.T) {
		s := startUnready(t, func(cfg *server.Config) { cfg.SkipMigrations = true })
		var reason string
		for deadline := time.Now().Add(10 * time.Second); reason != "MigrationPending" && time.Now().Before(deadline); {
			s.do(t, http.DefaultClient, call{path: "/ready"}).decode(t, &answer)
			reason = answer.Reason
		}
		if reason != "MigrationPending" || !strings.Contains(answer.Hint, "server migrate") {
			t.Errorf("got %+v", answer)
		}
	})
}

func TestConfigurationIsCheckedBeforeAnythingStarts(t *testing.T) {
	for sentence, change := range map[string]func(*server.Config){
		"no host":               func(c *server.Config) { c.Host = "" },
		"a host without scheme": func(c *server.Config) { c.Host = "wandb.example.com" },
		"a host with a path":    func(c *server.Config) { c.Host = "https://example.com/wandb" },
		"another scheme":        func(c *server.Config) { c.Host = "ftp://example.com" },
		"broken banners":        func(c *server.Config) { c.Banners = json.RawMessage("{") },
		"negative hops":         func(c *server.Config) { c.ProxyHops = -1 },
		"a CA file that is missing": func(c *server.Config) {
			c.MySQL.Host, c.MySQL.CACertPath = "db.example.com", "/nonexistent.pem"
		},
	} {
		cfg := config(t, &logs{})
		change(&cfg)
		if s, err := server.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", sentence)
			_ = s.Close()
		}
	}
}

func TestRedirectsNever(t *testing.T) {
	s := start(t, nil)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/", "/login", "/authorize", "/authorize/", "/graphql/", "/api/session/", "//evil.example", "/oidc/auth/"} {
		if a := s.do(t, client, call{path: path, header: map[string]string{"X-Forwarded-Proto": "http"}}); a.code >= 300 && a.code < 400 && path[:2] != "//" {
			t.Errorf("%s: %d to %s", path, a.code, a.header.Get("Location"))
		}
	}
	if a := s.do(t, client, call{path: "/api/session", header: map[string]string{"X-Forwarded-Host": "evil.example"}}); strings.Contains(a.body, "evil") {
		t.Errorf("an address is taken from the request: %s", a.body)
	}
}

func TestSessionLengthIsConfigured(t *testing.T) {
	s := start(t, func(cfg *server.Config) { cfg.SessionLength = 2 * time.Hour; cfg.Host = "http://127.0.0.1:8080" })
	s.createUser(t, "ada", false)
	a := s.browser(t).call(t, "POST", "/api/session", `{"login":"ada","password":"`+password+`"}`)
	cookies, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(cookies.Expires); left < 119*time.Minute || left > 121*time.Minute {
		t.Errorf("the session lasts %s", left)
	}
	if cookies.Secure {
		t.Error("over plain HTTP the cookie would never come back")
	}
}

func (s running) graphql(t testing.TB, key, query string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "operationName": "", "variables": map[string]any{"entity": "undeclared"}})
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: string(body)})
}

func TestTheLicenceIsShownAndRefusesNothing(t *testing.T) {
	key, err := license.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	token, err := license.Issue(license.Claims{
		Issuer: "https://deploy.example.test", Customer: "Example", ID: "lic-1", IssuedAt: ended.AddDate(-1, 0, 0), ExpiresAt: ended,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		token  redact.Secret
		metric string
	}{
		"a licence that has ended": {token, "wandb_license_expires_timestamp_seconds " + strconv.FormatFloat(float64(ended.Unix()), 'g', -1, 64)},
		"no licence at all":        {"", "wandb_build_info"},
		"what is no licence":       {"canary.not.a.licence", "wandb_build_info"},
	} {
		s := start(t, func(cfg *server.Config) { cfg.License = c.token })
		_, apiKey := s.createUser(t, "ada", false)
		if a := s.graphql(t, apiKey, "{viewer{id}}"); a.code != http.StatusOK {
			t.Errorf("%s: %d %s", sentence, a.code, a.body)
		}
		metrics := running{url: s.metricsURL}.do(t, http.DefaultClient, call{path: "/metrics"})
		if !strings.Contains(metrics.body, c.metric) {
			t.Errorf("%s: metrics lack %s", sentence, c.metric)
		}
		if c.token != "" && strings.Contains(s.logs.String()+metrics.body, c.token.Reveal()) {
			t.Errorf("%s: it stands in the log or the metrics", sentence)
		}
	}
}

func TestAHandlerThatPanicsEndsOneRequest(t *testing.T) {
	s := start(t, func(cfg *server.Config) {
		cfg.Pages = pages(func(http.ResponseWriter, *http.Request) { panic("canary in a panic") })
	})
	for range 2 {
		if a := s.do(t, http.DefaultClient, call{path: "/page"}); a.code != http.StatusInternalServerError || strings.Contains(a.body, "canary") {
			t.Errorf("got %d %s", a.code, a.body)
		}
	}
	if !strings.Contains(s.logs.String(), "handler panicked") {
		t.Error("the panic is not logged")
	}
}
