package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const adminToken = "canary-admin-token-0123456789"

// log collects what the server writes from its own goroutines.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve runs "deploy-server serve", configured by its environment, and points the command line at it.
func serve(t *testing.T) (url string, written *log, stop func()) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url = "http://" + address
	for name, value := range map[string]string{
		"LISTEN": address, "DATA_DIR": filepath.Join(dir, "data"), "EXTERNAL_URL": url, "ADMIN_TOKEN_FILE": tokenFile, "LOG_LEVEL": "debug",
		"DEPLOY_URL": url, "DEPLOY_TOKEN_FILE": tokenFile, "DEPLOY_BY": "ada",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(context.Background())
	written = &log{}
	code := make(chan int, 1)
	go func() { code <- execute(ctx, []string{"serve"}, strings.NewReader(""), io.Discard, written) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if got := <-code; got != 0 {
			t.Errorf("serve ended with %d:\n%s", got, written)
		}
	})
	t.Cleanup(stop)
	eventually(t, "the server becoming ready", func() bool {
		response, err := http.Get(url + "/ready")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return url, written, stop
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

// result is what a command line left behind.
type result struct {
	code        int
	out, errors string
}

func command(t *testing.T, arguments ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), arguments, strings.NewReader("fromStdin: true\n"), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// must runs a command that has to succeed.
func must(t *testing.T, arguments ...string) string {
	t.Helper()
	got := command(t, arguments...)
	if got.code != 0 {
		t.Fatalf("%v ended with %d: %s", arguments, got.code, got.errors)
	}
	return got.out
}

func chartFile(t *testing.T, name, version, note string) string {
	t.Helper()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	packed := tar.NewWriter(zipped)
	text := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\ndescription: %q\n", name, version, note)
	if err := packed.WriteHeader(&tar.Header{Name: name + "/Chart.yaml", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(packed, text); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+"-"+version+".tgz")
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func valuesFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func publish(t *testing.T, name, channel string) string {
	t.Helper()
	out := must(t, "release", "publish", "--name", name, "--chart", "operator-wandb", "--chart-version", "1.2.0",
		"--values", valuesFile(t, "app: {tag: "+name+", big: 9007199254740993}\n"), "--promote", channel, "-o", "json")
	var release admin.Release
	if err := json.Unmarshal([]byte(out), &release); err != nil {
		t.Fatal(err)
	}
	return release.ID
}

func TestAReleaseEngineersDay(t *testing.T) {
	_, written, _ := serve(t)
	must(t, "channel", "create", "beta", "--inherits-from", "stable")
	chart := chartFile(t, "operator-wandb", "1.2.0", "")
	if out := must(t, "chart", "push", chart); !strings.Contains(out, "operator-wandb   1.2.0") {
		t.Errorf("chart push shows %q", out)
	}
	token := strings.TrimSpace(must(t, "license", "issue", "--customer", "acme", "--channel", "stable", "--expires", "1h",
		"--entitlement", "seats=50", "--entitlement", "sso=true", "--entitlement", "tier=gold"))
	if len(strings.Split(token, ".")) != 3 || strings.ContainsAny(token, " \n") {
		t.Fatalf("license issue prints %q, want a token alone", token)
	}
	id := publish(t, "v1.2.0", "stable")
	if out := must(t, "release", "publish", "--name", "v1.3.0", "--chart", "operator-wandb", "--chart-version", "1.2.0", "--values", "-"); !strings.Contains(out, "v1.3.0") {
		t.Errorf("release publish shows %q", out)
	}
	if out := must(t, "release", "show", "v1.3.0"); !strings.Contains(out, "fromStdin: true") {
		t.Errorf("values of standard input are shown as %q", out)
	}
	if out := must(t, "release", "show", id); !strings.Contains(out, "big: 9007199254740993") {
		t.Errorf("release show prints %q", out)
	}
	must(t, "release", "promote", "v1.3.0", "--channel", "beta")
	for what, lines := range map[string][]string{
		must(t, "channel", "list"):           {"beta     v1.3.0", "stable   v1.2.0"},
		must(t, "channel", "show", "stable"): {"SEQUENCE", id, "ada"},
		must(t, "release", "list"):           {"v1.2.0", "v1.3.0", "operator-wandb", "beta"},
		must(t, "chart", "list"):             {"operator-wandb"},
		must(t, "license", "list"):           {"acme", "stable", "valid"},
		must(t, "license", "keys"):           {`"kty":"OKP"`},
	} {
		for _, line := range lines {
			if !strings.Contains(what, line) {
				t.Errorf("%q is missing in:\n%s", line, what)
			}
		}
		if strings.Contains(what, token) || strings.Contains(what, adminToken) {
			t.Errorf("a credential is shown:\n%s", what)
		}
	}
	var licenses []admin.License
	if err := json.Unmarshal([]byte(must(t, "license", "list", "-o", "json")), &licenses); err != nil || len(licenses) != 1 {
		t.Fatalf("licences = %v, %v", licenses, err)
	}
	if granted := fmt.Sprint(licenses[0].Entitlements); granted != "map[seats:50 sso:true tier:gold]" {
		t.Errorf("entitlements = %s", granted)
	}
	if out := must(t, "license", "revoke", licenses[0].ID, "--reason", "unpaid"); !strings.Contains(out, "revoked") {
		t.Errorf("license revoke shows %q", out)
	}
	if strings.Contains(written.String(), adminToken) || strings.Contains(written.String(), token) {
		t.Error("the server's log shows a credential")
	}
}

func TestMistakesAreExplained(t *testing.T) {
	_, _, stop := serve(t)
	must(t, "chart", "push", chartFile(t, "operator-wandb", "1.2.0", ""))
	publish(t, "v1", "stable")
	other := chartFile(t, "operator-wandb", "1.2.0", "other")
	cases := map[string]struct {
		arguments []string
		// want are parts of what is printed.
		want []string
	}{
		"a chart that changed":     {[]string{"chart", "push", other}, []string{"exists with other content", "hint: Raise the version"}},
		"a file that is none":      {[]string{"chart", "push", "none.tgz"}, []string{"no such file"}},
		"a release that changed":   {[]string{"release", "publish", "--name", "v1", "--chart", "operator-wandb", "--chart-version", "1.2.0"}, []string{"hint: Releases never change"}},
		"no such chart":            {[]string{"release", "publish", "--name", "v2", "--chart", "x", "--chart-version", "1.2.0"}, []string{"no chart x 1.2.0", "hint: Push it first"}},
		"a missing flag":           {[]string{"release", "publish", "--name", "v2"}, []string{`"chart-version" not set`}},
		"values of another shape":  {[]string{"release", "publish", "--name", "v2", "--chart", "operator-wandb", "--chart-version", "1.2.0", "--values", valuesFile(t, "- a\n")}, []string{"holds no object"}},
		"a key twice":              {[]string{"release", "publish", "--name", "v2", "--chart", "operator-wandb", "--chart-version", "1.2.0", "--values", valuesFile(t, "a: 1\na: 2\n")}, []string{`key "a" already set`}},
		"waiting for nobody":       {[]string{"release", "publish", "--name", "v2", "--chart", "operator-wandb", "--chart-version", "1.2.0", "--wait", "1s"}, []string{"--promote"}},
		"no such channel":          {[]string{"release", "promote", "v1", "--channel", "nope"}, []string{"no channel nope", "hint: List the channels"}},
		"no such release":          {[]string{"release", "promote", "v9", "--channel", "stable"}, []string{"hint: List the releases"}},
		"an entitlement of no use": {[]string{"license", "issue", "--customer", "acme", "--entitlement", "seats"}, []string{"NAME=VALUE"}},
		"another format":           {[]string{"release", "list", "-o", "xml"}, []string{"table, json"}},
		"a wrong token":            {[]string{"channel", "list", "--token-file", valuesFile(t, "wrong-token-wrong-token")}, []string{"missing or wrong", "hint: Give the admin token"}},
		"no authority":             {[]string{"channel", "list", "--ca-file", valuesFile(t, "nothing")}, []string{"hint: Give a file of PEM"}},
		"no URL":                   {[]string{"channel", "list", "--server", "deploy.example.com"}, []string{"hint: Give the deploy server"}},
		"a page of something else": {[]string{"channel", "list", "--server", os.Getenv("DEPLOY_URL") + "/charts"}, []string{"error: call deploy server"}},
		"an unknown command":       {[]string{"relase"}, []string{"unknown command"}},
	}
	for name, tc := range cases {
		got := command(t, tc.arguments...)
		if got.code != 1 || got.out != "" {
			t.Errorf("%s: code %d, output %q", name, got.code, got.out)
		}
		for _, want := range tc.want {
			if !strings.Contains(got.errors, want) {
				t.Errorf("%s: %q does not say %q", name, got.errors, want)
			}
		}
		if strings.Contains(got.errors, adminToken) || strings.Contains(got.errors, "wrong-token") {
			t.Errorf("%s: a token is shown: %s", name, got.errors)
		}
	}
	stop()
	if got := command(t, "channel", "list"); got.code != 1 || !strings.Contains(got.errors, "hint: Check that the deploy server runs") {
		t.Errorf("a server that is away: %d %s", got.code, got.errors)
	}
	t.Setenv("DEPLOY_URL", "")
	if got := command(t, "channel", "list"); got.code != 1 || !strings.Contains(got.errors, "--server or DEPLOY_URL") {
		t.Errorf("no server: %d %s", got.code, got.errors)
	}
	t.Setenv("MAX_HELD", "many")
	if got := command(t, "serve"); got.code != 1 || !strings.Contains(got.errors, "MAX_HELD") {
		t.Errorf("a variable of another kind: %d %s", got.code, got.errors)
	}
}

// following is a follower of the real server.
func following(t *testing.T, url string, licence redact.Secret) (*channel.Follower, func() channel.Snapshot) {
	t.Helper()
	f, err := channel.New(channel.Options{UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	key := types.NamespacedName{Namespace: "wandb", Name: "wandb"}
	f.Follow(channel.Subscription{Key: key, BaseURL: url, License: licence})
	return f, func() channel.Snapshot {
		snapshot, _ := f.Latest(key)
		return snapshot
	}
}

func held(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if number, ok := strings.CutPrefix(line, "deploy_held_requests "); ok {
			return number
		}
	}
	return ""
}

// promptly is far less than the minutes after which a follower that nobody wakes asks again. The figures themselves are logged.
const promptly = 15 * time.Second

func TestAFollowerNoticesPromptly(t *testing.T) {
	url, _, _ := serve(t)
	must(t, "chart", "push", chartFile(t, "operator-wandb", "1.2.0", ""))
	publish(t, "v0", "stable")
	licence := redact.Secret(strings.TrimSpace(must(t, "license", "issue", "--customer", "acme")))
	f, latest := following(t, url, licence)
	<-f.Changes()
	var slowest time.Duration
	for i := 1; i <= 10; i++ {
		eventually(t, "holding the follower", func() bool { return held(t, url) == "1" })
		name := fmt.Sprintf("v%d", i)
		id := publish(t, name, "")
		began := time.Now()
		must(t, "release", "promote", id, "--channel", "stable")
		eventually(t, "noticing the release", func() bool { return latest().Release.Name() == name })
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("slowest of ten: promote command started until follower knows: %s", slowest)
	if slowest > promptly {
		t.Errorf("noticing took %s", slowest)
	}
	out := must(t, "release", "publish", "--name", "v99", "--chart", "operator-wandb", "--chart-version", "1.2.0", "--promote", "stable", "--wait", "10s")
	if !strings.Contains(out, "1 of 1 running followers have the release") {
		t.Errorf("--wait prints %q", out)
	}
	var licenses []admin.License
	if err := json.Unmarshal([]byte(must(t, "license", "list", "-o", "json")), &licenses); err != nil {
		t.Fatal(err)
	}
	must(t, "license", "revoke", licenses[0].ID)
	eventually(t, "noticing the revocation", func() bool { return fault.Reason(latest().Err, "") == channel.ReasonRejected })
	if got := latest(); got.Release == nil || got.Release.Name() != "v99" {
		t.Errorf("the revocation took the release away: %+v", got)
	}
}

func TestAThousandFollowersAreCheap(t *testing.T) {
	const followers = 1000
	url, _, stop := serve(t)
	must(t, "chart", "push", chartFile(t, "operator-wandb", "1.2.0", ""))
	publish(t, "v1", "stable")
	response, err := http.Get(url + "/api/v1/operator/channel")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	etag := response.Header.Get("ETag")
	before := memory()
	conns := make([]net.Conn, followers)
	for i := range conns {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := fmt.Fprintf(conn, "GET /api/v1/operator/channel HTTP/1.1\r\nHost: deploy\r\nIf-None-Match: %s\r\nPrefer: wait=60\r\n\r\n", etag); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	eventually(t, "holding a thousand requests", func() bool { return held(t, url) == "1000" })
	each := (memory() - before) / followers
	began := time.Now()
	publish(t, "v2", "stable")
	published := time.Since(began)
	buffer := make([]byte, 32)
	for i, conn := range conns {
		if err := conn.SetReadDeadline(time.Now().Add(promptly)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(buffer); err != nil || !strings.HasPrefix(string(buffer[:n]), "HTTP/1.1 200") {
			t.Fatalf("follower %d: %q, %v", i, buffer[:n], err)
		}
	}
	woken := time.Since(began) - published
	t.Logf("%d held requests: %d KiB each; publish command took %s; after it the last follower was woken within %s", followers, each>>10, published, woken)
	if each > 64<<10 {
		t.Errorf("a held request takes %d KiB, want at most 64", each>>10)
	}
	if woken > promptly {
		t.Errorf("waking took %s", woken)
	}
	stop()
}

// memory is what the process holds from the system for heap and stacks, after a collection.
func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse + stats.StackInuse
}
