package server_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/test/identityprovider"
)

const (
	ssoHost   = "https://wandb.example.test" // of config
	ssoClient = "wandb"
	ssoSecret = "canary-client-secret-e05d"
)

func verified(email, login string) identityprovider.User {
	yes := true
	return identityprovider.User{Email: email, EmailVerified: &yes, Login: login, Name: "Person " + login}
}

func startProvider(t *testing.T, change func(*identityprovider.Options)) *identityprovider.Provider {
	t.Helper()
	no := false
	options := identityprovider.Options{
		Clients: []identityprovider.Client{{ID: ssoClient, Secret: ssoSecret, RedirectURIs: []string{ssoHost + "/oidc/callback"}}},
		Users: map[string]identityprovider.User{
			"ada-sub": verified("ada@example.com", "Ada.L"), "new-sub": verified("new@example.com", "newcomer"),
			"bad-sub": {Email: "boss@example.com", EmailVerified: &no, Login: "boss"},
		},
	}
	if change != nil {
		change(&options)
	}
	return identityprovider.Start(t, options)
}

// startSSO starts a server whose people sign in at a provider. One user, boss, has a password.
func startSSO(t *testing.T, issuer string, change func(*server.Config)) running {
	t.Helper()
	s := start(t, func(cfg *server.Config) {
		cfg.Identity.Issuer, cfg.Identity.ClientID, cfg.Identity.ClientSecret = issuer, ssoClient, redact.Secret(ssoSecret)
		cfg.IdentityPolicy = account.IdentityPolicy{Provision: true}
		if change != nil {
			change(cfg)
		}
	})
	s.createUser(t, "boss", true)
	return s
}

// traveller is a browser that walks between server and provider without following redirects by itself.
type traveller struct {
	browser
	t *testing.T
	// change may alter an address before it is visited.
	change func(u *url.URL)
}

func (s running) traveller(t *testing.T, change func(u *url.URL)) traveller {
	t.Helper()
	b := s.browser(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if change == nil {
		change = func(*url.URL) {}
	}
	return traveller{browser: b, t: t, change: change}
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// signOn walks from the sign-in page to the provider, types a login there, agrees, and comes back. It returns the path on
// which it ends.
func (v traveller) signOn(login, next string) string {
	v.t.Helper()
	outside, err := cookiejar.New(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	provider := &http.Client{Jar: outside, CheckRedirect: v.client.CheckRedirect}
	method, address, body := http.MethodGet, ssoHost+"/oidc/login?next="+url.QueryEscape(next), ""
	for range 20 {
		u, err := url.Parse(address)
		if err != nil {
			v.t.Fatal(err)
		}
		v.change(u)
		client, path := provider, u.String()
		if strings.HasPrefix(address, ssoHost) || u.Host == "" {
			if u.Path != "/oidc/login" && u.Path != "/oidc/callback" {
				return u.RequestURI()
			}
			client, path = v.client, v.url+u.RequestURI()
		}
		response, text := v.visit(client, method, path, body)
		method, body = http.MethodGet, ""
		if location := response.Header.Get("Location"); location != "" {
			target, err := u.Parse(location)
			if err != nil {
				v.t.Fatal(err)
			}
			address = target.String()
			continue
		}
		form := formAction.FindStringSubmatch(text)
		if form == nil {
			v.t.Fatalf("%s answered %d: %.500s", address, response.StatusCode, text)
		}
		address, method = form[1], http.MethodPost
		body = url.Values{"prompt": {"login"}, "login": {login}, "password": {"any"}}.Encode()
		if strings.Contains(text, `value="consent"`) {
			body = "prompt=consent"
		}
	}
	v.t.Fatal("the walk does not end")
	return ""
}

func (v traveller) visit(client *http.Client, method, address, body string) (*http.Response, string) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		v.t.Fatal(err)
	}
	return response, string(text)
}

func (v traveller) user() string {
	v.t.Helper()
	var session struct {
		User *struct{ Username string }
		SSO  bool
	}
	v.call(v.t, "GET", "/api/session", "").decode(v.t, &session)
	if !session.SSO {
		v.t.Error("the session does not tell that a provider is there")
	}
	if session.User == nil {
		return ""
	}
	return session.User.Username
}

func TestSignOnAtAProvider(t *testing.T) {
	for sentence, change := range map[string]func(*identityprovider.Options){
		"with claims in the token":        nil,
		"with claims from its own answer": func(o *identityprovider.Options) { o.ClaimsFromUserInfo = true },
	} {
		t.Run(sentence, func(t *testing.T) {
			p := startProvider(t, change)
			s := startSSO(t, p.Issuer, nil)
			v := s.traveller(t, nil)
			if end := v.signOn("new-sub", "/authorize?ref=models"); end != "/authorize?ref=models" || v.user() != "newcomer" {
				t.Fatalf("the walk ends on %s as %q: %s", end, v.user(), s.logs)
			}
			if a := v.call(t, "DELETE", "/api/session", ""); a.code != http.StatusNoContent || v.user() != "" {
				t.Errorf("signing out: %d", a.code)
			}
			again := s.traveller(t, nil)
			if end := again.signOn("new-sub", ""); end != "/" || again.user() != "newcomer" {
				t.Errorf("a second walk ends on %s as %q", end, again.user())
			}
			if strings.Contains(s.logs.String(), ssoSecret) || strings.Contains(s.logs.String(), "code=") {
				t.Error("the log holds a secret")
			}
		})
	}
}

func TestAPublicClientNeedsNoSecret(t *testing.T) {
	p := startProvider(t, func(o *identityprovider.Options) { o.Clients[0].Secret, o.Clients[0].AuthMethod = "", "none" })
	s := startSSO(t, p.Issuer, func(cfg *server.Config) { cfg.Identity.ClientSecret = "" })
	v := s.traveller(t, nil)
	if end := v.signOn("new-sub", "/"); end != "/" || v.user() != "newcomer" {
		t.Errorf("the walk ends on %s as %q: %s", end, v.user(), s.logs)
	}
}

func TestASignOnThatProvesNothingIsRefused(t *testing.T) {
	p := startProvider(t, nil)
	set := func(path, name, value string) func(u *url.URL) {
		return func(u *url.URL) {
			q := u.Query()
			if u.Path == path && q.Has(name) {
				q.Set(name, value)
				u.RawQuery = q.Encode()
			}
		}
	}
	without := func(names ...string) func(u *url.URL) {
		return func(u *url.URL) {
			if q := u.Query(); u.Path == "/auth" {
				for _, name := range names {
					q.Del(name)
				}
				u.RawQuery = q.Encode()
			}
		}
	}
	s := startSSO(t, p.Issuer, nil)
	for sentence, tt := range map[string]struct {
		change func(u *url.URL)
		login  string
		want   string
	}{
		"another state":                      {set("/oidc/callback", "state", "other"), "new-sub", "refused"},
		"another nonce":                      {set("/auth", "nonce", "other"), "new-sub", "refused"},
		"another code":                       {set("/oidc/callback", "code", "other"), "new-sub", "refused"},
		"another issuer":                     {set("/oidc/callback", "iss", "https://evil.example"), "new-sub", "refused"},
		"no PKCE":                            {without("code_challenge", "code_challenge_method"), "new-sub", "refused"},
		"the challenge of another verifier":  {set("/auth", "code_challenge", strings.Repeat("A", 43)), "new-sub", "refused"},
		"an address that is not verified":    {nil, "bad-sub", "account"},
		"the address of an unlinked account": {nil, "ada-sub", "account"},
	} {
		if strings.HasPrefix(sentence, "the address") {
			s.createUser(t, "ada", false)
		}
		v := s.traveller(t, tt.change)
		if end := v.signOn(tt.login, "/"); end != "/login?sso="+tt.want || v.user() != "" {
			t.Errorf("%s: the walk ends on %s as %q", sentence, end, v.user())
		}
	}
	t.Run("an answer that nobody asked for", func(t *testing.T) {
		v := s.traveller(t, nil)
		response, _ := v.visit(v.client, http.MethodGet, s.url+"/oidc/callback?code=x&state=y", "")
		if response.Header.Get("Location") != "/login?sso=refused" || v.user() != "" {
			t.Errorf("it leads to %q", response.Header.Get("Location"))
		}
	})
}

func TestAnAccountIsLinkedByAVerifiedAddressWhereThatIsAllowed(t *testing.T) {
	p := startProvider(t, nil)
	s := startSSO(t, p.Issuer, func(cfg *server.Config) {
		cfg.IdentityPolicy = account.IdentityPolicy{LinkByEmail: true}
	})
	s.createUser(t, "ada", false)
	v := s.traveller(t, nil)
	if end := v.signOn("ada-sub", "/"); end != "/" || v.user() != "ada" {
		t.Errorf("the walk ends on %s as %q: %s", end, v.user(), s.logs)
	}
	stranger := s.traveller(t, nil)
	if end := stranger.signOn("new-sub", "/"); end != "/login?sso=account" {
		t.Errorf("where no accounts are made, a stranger ends on %s", end)
	}
	thief := s.traveller(t, nil)
	if end := thief.signOn("bad-sub", "/"); end != "/login?sso=account" || thief.user() != "" {
		t.Errorf("who claims the address of an administrator without proof ends on %s as %q", end, thief.user())
	}
}

func TestClocksMayDifferALittle(t *testing.T) {
	p := startProvider(t, nil)
	for sentence, tt := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"half a minute ahead": {30 * time.Second, "/"}, "half a minute behind": {-30 * time.Second, "/"},
		"two hours ahead": {2 * time.Hour, "/login?sso=refused"},
	} {
		s := startSSO(t, p.Issuer, func(cfg *server.Config) { cfg.Now = func() time.Time { return time.Now().Add(tt.ahead) } })
		if end := s.traveller(t, nil).signOn("new-sub", "/"); end != tt.want {
			t.Errorf("a server that is %s: the walk ends on %s", sentence, end)
		}
		if tt.want != "/" && !strings.Contains(s.logs.String(), "clocks") {
			t.Errorf("the log does not tell of clocks: %s", s.logs)
		}
	}
}

func TestWithoutTheProviderPasswordsStillWork(t *testing.T) {
	p := startProvider(t, nil)
	for sentence, issuer := range map[string]string{
		"a provider that calls itself otherwise": strings.Replace(p.Issuer, "127.0.0.1", "localhost", 1),
		"a provider that is down":                "http://127.0.0.1:9",
	} {
		s := startSSO(t, issuer, nil)
		v := s.traveller(t, nil)
		if end := v.signOn("new-sub", "/"); end != "/login?sso=unavailable" {
			t.Errorf("%s: the walk ends on %s", sentence, end)
		}
		if !strings.Contains(s.logs.String(), "OIDC_ISSUER") {
			t.Errorf("%s: the log gives no hint: %s", sentence, s.logs)
		}
		v.signIn(t, "boss")
		if v.user() != "boss" {
			t.Errorf("%s: nobody is signed in by password", sentence)
		}
	}
	s := startSSO(t, p.Issuer, nil)
	if end := s.traveller(t, nil).signOn("new-sub", "/"); end != "/" {
		t.Fatalf("the walk ends on %s", end)
	}
	p.Stop()
	_, location := s.traveller(t, nil).begin("/")
	if location == nil { // the description is known, so the browser is still sent there
		t.Error("a known provider is not offered")
	}
}

func (v traveller) begin(next string) (cookies []*http.Cookie, location *url.URL) {
	v.t.Helper()
	response, _ := v.visit(v.client, http.MethodGet, v.url+"/oidc/login?next="+url.QueryEscape(next), "")
	location, err := response.Location()
	if err != nil {
		return response.Cookies(), nil
	}
	return response.Cookies(), location
}

func TestSignOnLeadsNowhereElseAndItsCookieIsKept(t *testing.T) {
	p := startProvider(t, nil)
	s := startSSO(t, p.Issuer, nil)
	for sentence, next := range map[string]string{
		"another host": "https://evil.example/", "without a scheme": "//evil.example", "with a backslash": `/\evil.example`,
		"a script": "javascript:alert(1)", "a line break": "/a\r\nSet-Cookie: x=y", "nothing": "",
	} {
		if end := s.traveller(t, nil).signOn("new-sub", next); end != "/" {
			t.Errorf("%s: the walk ends on %s", sentence, end)
		}
	}
	cookies, location := s.traveller(t, nil).begin("/")
	if len(cookies) != 1 {
		t.Fatalf("cookies are %v", cookies)
	}
	c := cookies[0]
	if c.Name != "__Host-wandb_sso" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge > 600 {
		t.Errorf("the cookie is %+v", c)
	}
	q := location.Query()
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "client_id": ssoClient, "redirect_uri": ssoHost + "/oidc/callback"} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if strings.Contains(location.String(), c.Value) || len(q.Get("state")) < 43 || len(q.Get("nonce")) < 43 {
		t.Errorf("the address is %s", location)
	}
}

func TestIdentityTokensAreExchanged(t *testing.T) {
	p := startProvider(t, nil)
	s := startSSO(t, p.Issuer, nil)
	team, err := s.accounts.CreateTeam(t.Context(), account.NewTeam{Name: "ml"})
	if err != nil {
		t.Fatal(err)
	}
	bot, err := s.accounts.CreateService(t.Context(), account.NewService{Team: team, Username: "bot"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.accounts.LinkIdentity(t.Context(), bot, p.Issuer, "ci-job"); err != nil {
		t.Fatal(err)
	}
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"iss": p.Issuer, "sub": "ci-job", "aud": ssoClient, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
		for name, value := range change {
			c[name] = value
		}
		return c
	}
	exchange := func(grant, assertion string) answer {
		return s.do(t, http.DefaultClient, call{
			method: "POST", path: "/oidc/token", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			body: url.Values{"grant_type": {grant}, "assertion": {assertion}}.Encode(),
		})
	}
	const grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	for sentence, audience := range map[string]any{"this client": ssoClient, "this server": ssoHost, "several": []string{"x", ssoHost}} {
		a := exchange(grant, p.Mint(t, claims(map[string]any{"aud": audience})))
		var given struct {
			Token   string `json:"access_token"`
			Expires int64  `json:"expires_in"`
		}
		a.decode(t, &given)
		if a.code != http.StatusOK || given.Expires != 3600 {
			t.Fatalf("a token for %s: %d %s", sentence, a.code, a.body)
		}
		viewer := s.do(t, http.DefaultClient, call{
			method: "POST", path: "/graphql", header: map[string]string{"Authorization": "Bearer " + given.Token},
			body: `{"query":"{viewer{username entity teams{edges{node{name}}}}}"}`,
		})
		if !strings.Contains(viewer.body, `"username":"bot","entity":"ml","teams":{"edges":[{"node":{"name":"ml"}}]}`) {
			t.Errorf("with its access token the viewer is %s", viewer.body)
		}
		if strings.Contains(s.logs.String(), given.Token) {
			t.Error("the log holds an access token")
		}
	}
	other := startProvider(t, nil)
	for sentence, tt := range map[string]struct {
		grant, assertion string
		want             int
	}{
		"another grant":            {"password", p.Mint(t, claims(nil)), http.StatusBadRequest},
		"no token":                 {grant, "", http.StatusBadRequest},
		"something else":           {grant, "a.b.c", http.StatusBadRequest},
		"somebody else's audience": {grant, p.Mint(t, claims(map[string]any{"aud": "other"})), http.StatusBadRequest},
		"an expired token":         {grant, p.Mint(t, claims(map[string]any{"exp": time.Now().Add(-5 * time.Minute).Unix()})), http.StatusBadRequest},
		"an unknown issuer":        {grant, other.Mint(t, claims(map[string]any{"iss": other.Issuer})), http.StatusBadRequest},
		"a forged signature":       {grant, other.Mint(t, claims(nil)), http.StatusBadRequest},
		"no signature":             {grant, "eyJhbGciOiJub25lIn0." + strings.Split(p.Mint(t, claims(nil)), ".")[1] + ".", http.StatusBadRequest},
		"an unlinked subject":      {grant, p.Mint(t, claims(map[string]any{"sub": "other-job"})), http.StatusForbidden},
	} {
		if a := exchange(tt.grant, tt.assertion); a.code != tt.want || strings.Contains(a.body, "access_token") {
			t.Errorf("%s: %d %s, want %d", sentence, a.code, a.body, tt.want)
		}
	}
}

func TestWithoutAProviderNothingIsThere(t *testing.T) {
	s := start(t, nil)
	for path, method := range map[string]string{"/oidc/login": "GET", "/oidc/callback": "GET", "/oidc/token": "POST"} {
		if a := s.do(t, http.DefaultClient, call{method: method, path: path}); a.code != http.StatusNotFound {
			t.Errorf("%s %s: %d", method, path, a.code)
		}
	}
}
