package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// instance is a running console and a browser of sorts.
type instance struct {
	*Server
	url  string
	log  *logBuffer
	stop func() error
}

// clock can be moved by tests.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startConsole runs a console of c with its service account. When the test ends, the console has to stop in order, and its
// log is searched for the cluster's secrets.
func startConsole(t *testing.T, c *cluster, change func(*Config)) *instance {
	t.Helper()
	kube, err := kubernetes.NewForConfig(c.console)
	must(t, err)
	dyn, err := dynamic.NewForConfig(c.console)
	must(t, err)
	log := &logBuffer{}
	cfg := Config{
		Listen: "127.0.0.1:0", ReleaseName: "wandb", ReleaseNamespace: c.namespace, OperatorNamespace: "wandb-operator",
		ProxyHops: 1, Kube: kube, Dynamic: dyn,
		Pages: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
		Log:   slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	server, err := New(cfg)
	must(t, err)
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", cfg.Listen)
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.serve(ctx, listeners{pages: l}) }()
	i := &instance{Server: server, url: "http://" + l.Addr().String(), log: log}
	i.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Errorf("console ended with %v", err)
		}
		if found := containsAny(log.String(), testPassword, testKey, "canary-session-key", testLicense); found != "" {
			t.Errorf("the log holds %s:\n%s", found, log)
		}
	})
	return i
}

// browser sends requests as the console's pages do.
type browser struct {
	t      *testing.T
	url    string
	client *http.Client
	// header is added to each request.
	header http.Header
}

func (i *instance) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t: t, url: i.url, client: &http.Client{Jar: jar, Timeout: 10 * time.Second}, header: http.Header{}}
}

// signedIn returns a browser that gave the password.
func (i *instance) signedIn(t *testing.T) *browser {
	t.Helper()
	b := i.browser(t)
	if got := b.signIn(testPassword); got.status != http.StatusOK {
		t.Fatalf("sign in: %d %s", got.status, got.body)
	}
	return b
}

type reply struct {
	status int
	header http.Header
	body   string
}

// into decodes a JSON body.
func (r reply) into(t *testing.T, target any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), target); err != nil {
		t.Fatalf("status %d, body %q: %v", r.status, r.body, err)
	}
}

func (b *browser) signIn(password string) reply {
	b.t.Helper()
	return b.send(http.MethodPost, "/session", map[string]string{"password": password})
}

func (b *browser) get(path string) reply {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil)
}

// user returns who is signed in, or nil.
func (b *browser) user() *user {
	b.t.Helper()
	var session sessionAnswer
	b.get("/session").into(b.t, &session)
	return session.User
}

func (b *browser) send(method, path string, body any) reply {
	b.t.Helper()
	request := b.request(method, path, body)
	response, err := b.client.Do(request)
	must(b.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(b.t, err)
	return reply{status: response.StatusCode, header: response.Header, body: string(text)}
}

func (b *browser) request(method, path string, body any) *http.Request {
	b.t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(b.t, err)
		reader = bytes.NewReader(text)
	}
	if !strings.HasPrefix(path, "/console") {
		path = apiPath + path
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, reader)
	must(b.t, err)
	if method != http.MethodGet {
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range b.header {
		request.Header[name] = values
	}
	return request
}
