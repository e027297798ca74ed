package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/probe/report"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// site is a server on loopback behind a proxy that speaks TLS.
type site struct {
	inside, outside, caFile, key string
	// meddle, where set, answers in place of the proxy, and tells whether it did.
	meddle atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// page is a page of the application with its script.
func page(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".js") {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "main()")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><script type="module" crossorigin src="/assets/index.js"></script>`)
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	var proxy atomic.Pointer[httputil.ReverseProxy]
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if meddle := s.meddle.Load(); meddle != nil && (*meddle)(w, r) {
			return
		}
		proxy.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.outside = front.URL
	s.caFile = filepath.Join(t.TempDir(), "ca.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(s.caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	running, err := server.New(ctx, server.Config{
		Host: front.URL, Listen: "127.0.0.1:0", DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Pages: func(...string) http.Handler { return http.HandlerFunc(page) },
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	s.inside = "http://" + running.Addr().String()
	target, err := url.Parse(s.inside)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Store(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() }})
	s.key = s.createKey(t, running.Accounts())
	return s
}

// createKey makes a user with a key as soon as the database is there.
func (s *site) createKey(t *testing.T, accounts *account.Service) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		user, err := accounts.CreateUser(ctx, account.NewUser{Username: "probe", Email: "probe@example.com"})
		if err == nil {
			_, key, err := accounts.CreateKey(ctx, user, "probe")
			if err != nil {
				t.Fatal(err)
			}
			return key.Reveal()
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the server has no database: %v", err)
		case <-tick.C:
		}
	}
}

// probe runs the command and returns the results by path and name, with their messages where they did not pass.
func (s *site) probe(t *testing.T, arguments ...string) (map[string]string, string, error) {
	t.Helper()
	output, _, err := shell{}.run(t.Context(), "", append([]string{"probe", "--inside-url", s.inside}, arguments...)...)
	found, parseErr := report.Parse([]byte(output))
	if parseErr != nil {
		t.Fatalf("%v in %q (the command: %v)", parseErr, output, err)
	}
	results := map[string]string{}
	for _, check := range found.Checks {
		results[string(check.Path)+"/"+check.Name] = strings.TrimSuffix(string(check.Result)+": "+check.Message, ": ")
	}
	return results, output, err
}

func TestProbeOfARunningServer(t *testing.T) {
	s := startSite(t)
	t.Setenv("API_KEY", s.key)
	t.Setenv("HOST", s.outside)
	results, output, err := s.probe(t, "--ca-file", s.caFile, "--timeout", "1m")
	want := map[string]string{}
	for _, name := range []string{"inside/ready", "inside/sign-in", "inside/api", "inside/cors", "inside/viewer", "outside/sign-in", "outside/api", "outside/cors", "outside/viewer"} {
		want[name] = "passed"
	}
	if diff := cmp.Diff(want, results); err != nil || diff != "" {
		t.Errorf("the command: %v; results (-want +got):\n%s", err, diff)
	}
	if strings.Contains(output, s.key) {
		t.Error("the output holds the key")
	}
}

func TestProbeSkipsWhatItCannotCheck(t *testing.T) {
	s := startSite(t)
	results, _, err := s.probe(t, "--timeout", "1m")
	if err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"inside/ready": "passed", "inside/viewer": "skipped: it needs an API key", "outside/sign-in": "skipped: there is no external URL"} {
		if !strings.HasPrefix(results[name], want) {
			t.Errorf("%s %s, want %s", name, results[name], want)
		}
	}
}

func TestProbeTellsWhatIsWrong(t *testing.T) {
	answer := func(path string, answer http.HandlerFunc) *func(http.ResponseWriter, *http.Request) bool {
		meddle := func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			answer(w, r)
			return true
		}
		return &meddle
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<p>Welcome to nginx!")
	}
	for sentence, test := range map[string]struct {
		meddle    *func(http.ResponseWriter, *http.Request) bool
		arguments func(s *site) []string
		failing   map[string]string
	}{
		"a certificate of an unknown authority": {
			arguments: func(s *site) []string { return []string{"--host", s.outside} },
			failing:   map[string]string{"outside/sign-in": "global.customCACerts", "outside/api": "unknown authority", "outside/cors": "unknown authority", "outside/viewer": "unknown authority"},
		},
		"another program answers for the API": {
			meddle:  answer("/graphql", page),
			failing: map[string]string{"outside/api": "answered 200, want 401", "outside/cors": "answered 200, want 401", "outside/viewer": "\"text/html\" in place of JSON"},
		},
		"a proxy wants people to sign in first": {
			meddle: answer("/login", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://sso.example.com/?secret=x", http.StatusFound)
			}),
			failing: map[string]string{"outside/sign-in": "led to https://sso.example.com, want 200"},
		},
		"the page's script is another release's": {
			meddle:  answer("/assets/index.js", http.NotFound),
			failing: map[string]string{"outside/sign-in": "/assets/index.js: answered 404"},
		},
		"a proxy lets every site read": {
			meddle: answer("/api/session", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", "*")
				w.Header().Set("Access-Control-Allow-Credentials", "true")
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"version":"1.0.0"}`)
			}),
			failing: map[string]string{"outside/cors": "other sites may read answers with a browser's cookie"},
		},
		"an answer without end": {
			meddle: answer("/login", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				chunk := []byte(strings.Repeat("x", 64<<10))
				for range 100 {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			}),
			failing: map[string]string{"outside/sign-in": "larger than 1048576 bytes"},
		},
		"the external URL is not that of the configuration": {
			arguments: func(s *site) []string {
				return []string{"--host", strings.Replace(s.outside, "127.0.0.1", "127.0.0.2", 1), "--ca-file", s.caFile}
			},
			failing: map[string]string{"inside/cors": "global.host must be the URL", "outside/sign-in": "127.0.0.2", "outside/api": "127.0.0.2",
				"outside/cors": "127.0.0.2", "outside/viewer": "127.0.0.2"},
		},
		"a key that is refused": {
			arguments: func(s *site) []string {
				return []string{"--host", s.outside, "--ca-file", s.caFile, "--api-key", strings.Repeat("c0de", 10)}
			},
			failing: map[string]string{"inside/viewer": "the API key is refused", "outside/viewer": "the API key is refused"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := startSite(t)
			s.meddle.Store(test.meddle)
			arguments := []string{"--host", s.outside, "--ca-file", s.caFile}
			if test.arguments != nil {
				arguments = test.arguments(s)
			}
			results, output, err := s.probe(t, append([]string{"--api-key", s.key, "--timeout", "6s"}, arguments...)...)
			if want := fmt.Sprintf("%d of 9 checks failed", len(test.failing)); err == nil || err.Error() != want {
				t.Errorf("the command ended with %v, want %s", err, want)
			}
			for name, result := range results {
				want, fails := test.failing[name]
				if fails != strings.HasPrefix(result, "failed: ") || !strings.Contains(result, want) {
					t.Errorf("%s %s, want a failure about %q: %v", name, result, want, fails)
				}
			}
			if strings.Contains(output, s.key) || strings.Contains(output, "secret=x") {
				t.Error("the output holds a secret")
			}
		})
	}
}

func TestProbeRefusesAConfigurationThatCannotWork(t *testing.T) {
	for sentence, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"no server":                      {nil, "INSIDE_URL is not set"},
		"a name in place of a URL":       {[]string{"--inside-url", "wandb-app:8080"}, "INSIDE_URL must be a scheme and a host"},
		"an external URL with a path":    {[]string{"--inside-url", "http://a", "--host", "https://b/wandb"}, "HOST must be"},
		"a password in a URL":            {[]string{"--inside-url", "http://user:canary@a"}, "INSIDE_URL must be"},
		"a broken URL":                   {[]string{"--inside-url", "http://canary:%zz"}, "INSIDE_URL is no URL"},
		"a file without certificates":    {[]string{"--inside-url", "http://a", "--ca-file", os.DevNull}, "holds no certificate"},
		"a file that does not exist":     {[]string{"--inside-url", "http://a", "--ca-file", "missing.crt"}, "missing.crt"},
		"a time that is none":            {[]string{"--inside-url", "http://a", "--timeout", "soon"}, "timeout"},
		"an argument that means nothing": {[]string{"now"}, "unknown command"},
	} {
		output, _, err := shell{}.run(t.Context(), "", append([]string{"probe"}, test.arguments...)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") || output != "" {
			t.Errorf("%s: %v, want %q; printed %q", sentence, err, test.want, output)
		}
	}
}

func TestProbeOfALaptopsURLFromACluster(t *testing.T) {
	output, _, err := shell{}.run(t.Context(), "", "probe", "--inside-url", "http://wandb-app.invalid:8080", "--host", "http://localhost:8080", "--timeout", "100ms")
	found, parseErr := report.Parse([]byte(output))
	if err == nil || parseErr != nil {
		t.Fatalf("%v, %v", err, parseErr)
	}
	for _, check := range found.Checks {
		if want := map[report.Path]report.Result{report.Inside: report.Failed, report.Outside: report.Skipped}[check.Path]; check.Result != want && check.Name != "viewer" {
			t.Errorf("%s/%s %s: %s", check.Path, check.Name, check.Result, check.Message)
		}
	}
}
