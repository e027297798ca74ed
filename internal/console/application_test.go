package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// wandb stands in for the application's GET /oidc/auth.
type wandb struct {
	*httptest.Server
	asked   atomic.Int64
	answer  atomic.Pointer[http.HandlerFunc]
	cookies atomic.Pointer[[]*http.Cookie]
}

func startApplication(t *testing.T) *wandb {
	t.Helper()
	a := &wandb{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		cookies := r.Cookies()
		a.cookies.Store(&cookies)
		if r.URL.Path != "/oidc/auth" || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		(*a.answer.Load())(w, r)
	}))
	t.Cleanup(a.Close)
	a.answers(http.StatusOK, "Ada", "ada@example.com")
	return a
}

func (a *wandb) service() string { return strings.TrimPrefix(a.URL, "http://") }

func (a *wandb) answers(status int, name, email string) {
	a.answersWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Wandb-User-Name", name)
		w.Header().Set("X-Wandb-User-Email", email)
		w.WriteHeader(status)
	})
}

func (a *wandb) answersWith(handler http.HandlerFunc) { a.answer.Store(&handler) }

func TestAdministratorsOfTheApplication(t *testing.T) {
	c := newCluster(t)
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := map[string]struct {
		application func(a *wandb)
		cookie      string
		// name is who is signed in; empty means nobody.
		name string
	}{
		"an administrator":               {application: func(*wandb) {}, cookie: "s1", name: "Ada"},
		"one without a name":             {application: func(a *wandb) { a.answers(http.StatusOK, "", "ada@example.com") }, cookie: "s1", name: "ada@example.com"},
		"one whose name is no text":      {application: func(a *wandb) { a.answers(http.StatusOK, "A\tda\xff", "") }, cookie: "s1", name: "Ada"},
		"an answer that names nobody":    {application: func(a *wandb) { a.answers(http.StatusOK, "", "") }, cookie: "s1"},
		"nobody":                         {application: func(a *wandb) { a.answers(http.StatusUnauthorized, "Ada", "") }, cookie: "s1"},
		"a user who is no administrator": {application: func(a *wandb) { a.answers(http.StatusForbidden, "Bob", "") }, cookie: "s1"},
		"no cookie":                      {application: func(*wandb) {}},
		"a redirect to a sign-in page":   {application: func(a *wandb) { a.answers(http.StatusFound, "Ada", "") }, cookie: "s1"},
		"an application with an error":   {application: func(a *wandb) { a.answers(http.StatusBadGateway, "Ada", "") }, cookie: "s1"},
		"an application that hangs":      {application: func(a *wandb) { a.answersWith(hang) }, cookie: "s1"},
		"an application that is down":    {application: func(a *wandb) { a.Close() }, cookie: "s1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := startApplication(t)
			console := startConsole(t, c, func(cfg *Config) { cfg.AuthService = a.service() })
			test.application(a)
			b := console.browser(t)
			if test.cookie != "" {
				b.header.Set("Cookie", "other=1; wandb_session="+test.cookie+"; "+sessionCookie+"=x")
			}
			started := time.Now()
			who := b.user()
			if took := time.Since(started); took > applicationDeadline+time.Second {
				t.Errorf("the question took %s", took)
			}
			switch {
			case test.name == "" && who != nil:
				t.Errorf("signed in as %+v", who)
			case test.name != "" && (who == nil || who.Name != test.name || who.Method != "application"):
				t.Errorf("signed in as %+v, want %s by application", who, test.name)
			}
			if got := b.get("/overview").status; (got == http.StatusOK) != (test.name != "") {
				t.Errorf("overview: %d", got)
			}
			if test.cookie == "" && a.asked.Load() != 0 {
				t.Error("the application was asked although there was nothing to ask about")
			}
			if cookies := a.cookies.Load(); cookies != nil && (len(*cookies) != 1 || (*cookies)[0].Name != "wandb_session") {
				t.Errorf("the application was sent %v, want its own cookie alone", *cookies)
			}
			// Whatever became of the application, the password works.
			if got := b.signIn(testPassword); got.status != http.StatusOK {
				t.Errorf("sign in with the password: %d %s", got.status, got.body)
			}
		})
	}
}

func TestWithoutAnApplicationOnlyThePasswordCounts(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	b := console.browser(t)
	b.header.Set("Cookie", "wandb_session=s1")
	if who := b.user(); who != nil {
		t.Errorf("signed in as %+v", who)
	}
}

func TestAnswersOfTheApplicationAreRemembered(t *testing.T) {
	a, k := startApplication(t), &clock{}
	console := startConsole(t, newCluster(t), func(cfg *Config) { cfg.AuthService, cfg.now = a.service(), k.now })
	b := console.browser(t)
	b.header.Set("Cookie", "wandb_session=s1")
	for range 5 {
		if b.user() == nil {
			t.Fatal("not signed in")
		}
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("asked %d times for five requests, want once", n)
	}
	a.answers(http.StatusForbidden, "", "") // no administrator any more
	k.advance(acceptedMemory)
	if who := b.user(); who != nil {
		t.Errorf("%s later still signed in as %+v", acceptedMemory, who)
	}
	a.answers(http.StatusOK, "Ada", "")
	k.advance(refusedMemory)
	if b.user() == nil {
		t.Errorf("a refusal is remembered longer than %s", refusedMemory)
	}
}

func TestSlowApplicationDelaysAPageOnce(t *testing.T) {
	a := startApplication(t)
	a.answersWith(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	console := startConsole(t, newCluster(t), func(cfg *Config) { cfg.AuthService = a.service() })
	b := console.browser(t)
	b.header.Set("Cookie", "wandb_session=s1")
	started := time.Now()
	done := make(chan struct{})
	for range 6 { // as many as a browser opens connections
		go func() {
			defer func() { done <- struct{}{} }()
			b.get("/session")
		}()
	}
	for range 6 {
		<-done
	}
	if took := time.Since(started); took > applicationDeadline+time.Second {
		t.Errorf("six requests took %s", took)
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestSignOutHoldsAgainstTheApplication(t *testing.T) {
	a := startApplication(t)
	console := startConsole(t, newCluster(t), func(cfg *Config) { cfg.AuthService = a.service() })
	b := console.browser(t)
	session := &http.Cookie{Name: "wandb_session", Value: "s1", Path: "/"}
	b.client.Jar.SetCookies(b.request(http.MethodGet, "/session", nil).URL, []*http.Cookie{session})
	if b.user() == nil {
		t.Fatal("an administrator of the application is not signed in")
	}
	b.send(http.MethodDelete, "/session", nil)
	if who := b.user(); who != nil {
		t.Fatalf("after signing out: %+v", who)
	}
	b.send(http.MethodGet, "/console/", nil) // a reload
	if who := b.user(); who != nil {
		t.Fatalf("after signing out and a reload: %+v", who)
	}
	b.header.Set("Referer", console.url+"/console/settings")
	b.send(http.MethodGet, "/console/", nil)
	b.header.Set("Referer", "https://elsewhere.example.com/")
	b.send(http.MethodGet, "/console/", nil)
	if who := b.user(); who != nil {
		t.Fatalf("a link of the console itself, or of another site, signs in: %+v", who)
	}
	b.header.Set("Referer", console.url+"/settings")
	b.send(http.MethodGet, "/console/", nil)
	if b.user() == nil {
		t.Error("the application's menu does not sign in again")
	}
}

func TestMemoryOfAnswersIsBounded(t *testing.T) {
	a := newApplication("wandb-app:8080", time.Now)
	for n := range 3 * answersKept {
		a.remember(cookieHash{byte(n), byte(n >> 8), byte(n >> 16)}, applicationAnswer{until: time.Now().Add(time.Hour)})
	}
	if got := len(a.answers); got > answersKept {
		t.Errorf("%d answers are kept, want at most %d", got, answersKept)
	}
}
