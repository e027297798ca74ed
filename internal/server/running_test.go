package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/test/mysql"
)

const password = "violet rocket 9"

// running is a server on loopback.
type running struct {
	url, metricsURL string
	accounts        *account.Service
	bucket          *blob.Bucket
	quotas          *quota.Service
	handler         http.Handler
	logs            *logs
}

// logs is everything that a server logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func config(t testing.TB, l *logs) server.Config {
	return server.Config{
		Host: "https://wandb.example.test", Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: t.TempDir(), ProxyHops: 1,
		Logger: slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Pages: pages(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "page "+r.URL.Path)
		}),
	}
}

// pages are those of one handler, wherever files come from.
func pages(handler http.HandlerFunc) func(...string) http.Handler {
	return func(...string) http.Handler { return handler }
}

func useMySQL(t testing.TB, cfg *server.Config) {
	db := mysql.Start(t)
	cfg.MySQL.Host, cfg.MySQL.Port, cfg.MySQL.Database = db.Host, db.Port, db.Name
	cfg.MySQL.User, cfg.MySQL.Password = db.User, redact.Secret(db.Password)
}

// each runs a test on a server with a database of each kind.
func each(t *testing.T, test func(t *testing.T, s running)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, start(t, nil)) })
	t.Run("mysql", func(t *testing.T) { test(t, start(t, func(cfg *server.Config) { useMySQL(t, cfg) })) })
}

// start serves until the test ends, and waits until the server is ready.
func start(t testing.TB, change func(*server.Config)) running {
	t.Helper()
	s := startUnready(t, change)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if response := s.do(t, http.DefaultClient, call{path: "/ready"}); response.code == http.StatusOK {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the server is not ready: %s", s.logs)
		case <-tick.C:
		}
	}
}

func startUnready(t testing.TB, change func(*server.Config)) running {
	t.Helper()
	l := &logs{}
	cfg := config(t, l)
	if change != nil {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := server.New(ctx, cfg)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	r := running{url: "http://" + s.Addr().String(), accounts: s.Accounts(), bucket: s.Bucket(), quotas: s.Quotas(), handler: s.Handler(), logs: l}
	if s.MetricsAddr() != nil {
		r.metricsURL = "http://" + s.MetricsAddr().String()
	}
	return r
}

// call is one request.
type call struct {
	method, path string
	// body is JSON; header replaces what a browser of this server's pages would send.
	body   string
	header map[string]string
	// key is an API key.
	key string
}

type answer struct {
	code   int
	header http.Header
	body   string
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("decode %q: %v", a.body, err)
	}
}

func (s running) do(t testing.TB, client *http.Client, c call) answer {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, s.url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	if c.key != "" {
		request.SetBasicAuth("api", c.key)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return answer{code: response.StatusCode, header: response.Header, body: string(body)}
}

// browser is a person at the pages: cookies, and headers that browsers send by themselves.
type browser struct {
	running
	client *http.Client
}

func (s running) browser(t testing.TB) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{running: s, client: &http.Client{Jar: plainJar{jar}}}
}

// plainJar sends Secure cookies over plain HTTP, as the proxy that ends TLS does.
type plainJar struct{ http.CookieJar }

func (j plainJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(secure(u)) }

func (j plainJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secure(u), cookies)
}

func secure(u *url.URL) *url.URL {
	same := *u
	same.Scheme = "https"
	return &same
}

func (b browser) call(t testing.TB, method, path, body string) answer {
	t.Helper()
	return b.do(t, b.client, call{method: method, path: path, body: body, header: map[string]string{"Sec-Fetch-Site": "same-origin"}})
}

func (b browser) signIn(t testing.TB, login string) {
	t.Helper()
	if a := b.call(t, "POST", "/api/session", `{"login":"`+login+`","password":"`+password+`"}`); a.code != http.StatusOK {
		t.Fatalf("sign in: %d %s", a.code, a.body)
	}
}

func (s running) createUser(t testing.TB, name string, admin bool) (account.User, string) {
	t.Helper()
	u, err := s.accounts.CreateUser(t.Context(), account.NewUser{
		Username: name, Email: name + "@example.com", Password: password, Admin: admin,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.accounts.CreateKey(t.Context(), u, "test")
	if err != nil {
		t.Fatal(err)
	}
	return u, secret.Reveal()
}
