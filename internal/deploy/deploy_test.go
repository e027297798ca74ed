package deploy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/deploy"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const adminToken = "canary-admin-token-0123456789"

// lockedBuffer collects the log of a server that runs in other goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// running is a deploy server on a loopback port, and a client of its administrator.
type running struct {
	t      testing.TB
	url    string
	dir    string
	client *admin.Client
	log    *lockedBuffer
	// stop ends the server as SIGTERM does and waits for it.
	stop func()
}

type option func(*deploy.Config)

// start runs a server on dir, or on a new folder where dir is "".
func start(t testing.TB, dir string, options ...option) *running {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, url: "http://" + listener.Addr().String(), dir: dir, log: &lockedBuffer{}}
	config := deploy.Config{
		DataDir: dir, ExternalURL: "https://deploy.example.com", AdminTokenFile: tokenFile,
		Logger: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, each := range options {
		each(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server, err := deploy.New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(r.stop)
	r.client = r.adminClient(adminToken)
	return r
}

func (r *running) adminClient(token redact.Secret) *admin.Client {
	r.t.Helper()
	client, err := admin.NewClient(admin.ClientOptions{Server: r.url, Token: token})
	if err != nil {
		r.t.Fatal(err)
	}
	return client
}

// seen is what an operator gets.
type seen struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

// ask sends a request of an operator: licence may be "", headers are pairs.
func (r *running) ask(path string, licence redact.Secret, headers ...string) seen {
	r.t.Helper()
	got, err := r.try(r.t.Context(), path, licence, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *running) try(ctx context.Context, path string, licence redact.Secret, headers ...string) (seen, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return seen{}, err
	}
	if licence != "" {
		request.SetBasicAuth("license", licence.Reveal())
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return seen{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return seen{response.StatusCode, response.Header, string(body), time.Since(began)}, err
}

const channelPath = "/api/v1/operator/channel"

// chartArchive packs files below the folder of the chart's name.
func chartArchive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	packed := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if err := packed.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := packed.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func chartOf(t testing.TB, name, version, note string) []byte {
	return chartArchive(t, map[string]string{
		name + "/Chart.yaml":  fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\nappVersion: \"1.0\"\nannotations: {note: %q}\n", name, version, note),
		name + "/values.yaml": "{}\n",
	})
}

func (r *running) push(name, version string) {
	r.t.Helper()
	if _, err := r.client.PushChart(r.t.Context(), chartOf(r.t, name, version, "")); err != nil {
		r.t.Fatal(err)
	}
}

// publish stores a release of chart operator-wandb 1.0.0 and promotes it where channel is set.
func (r *running) publish(name, channel string) admin.Release {
	r.t.Helper()
	r.push("operator-wandb", "1.0.0")
	release, err := r.client.Publish(r.t.Context(), admin.NewRelease{
		Name: name, Chart: admin.NewReleaseChart{Name: "operator-wandb", Version: "1.0.0"},
		Values: []byte(`{"app":{"tag":"` + name + `","big":9007199254740993}}`), Promote: channel, By: "ada",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return release
}

func (r *running) license(channel string) admin.IssuedLicense {
	r.t.Helper()
	issued, err := r.client.IssueLicense(r.t.Context(), admin.NewLicense{Customer: "acme", Channel: channel, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		r.t.Fatal(err)
	}
	return issued
}

func (r *running) channel(name, inherits string) {
	r.t.Helper()
	if _, err := r.client.CreateChannel(r.t.Context(), admin.NewChannel{Name: name, InheritsFrom: inherits}); err != nil {
		r.t.Fatal(err)
	}
}

// eventually waits for a state of the server that no answer announces.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

func (r *running) held() string {
	r.t.Helper()
	for line := range strings.SplitSeq(r.ask("/metrics", "").body, "\n") {
		if number, ok := strings.CutPrefix(line, "deploy_held_requests "); ok {
			return number
		}
	}
	r.t.Fatal("the metric of held requests is missing")
	return ""
}

// tokenOf reads the admin token that a server without a configured one made.
func tokenOf(t testing.TB, server *deploy.Server) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(deploy.DataDir(server), "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

func bodyOf(text string) io.Reader { return strings.NewReader(text) }
