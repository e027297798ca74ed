package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/test/client"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(folder))
	}
	os.Exit(code)
}

// built is `server`, as it is shipped, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "server")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "server")
	build := exec.Command("go", "build", "-o", path, "github.com/kubewandb/kubewandb/cmd/server")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w: %s", err, output)
	}
	return path, nil
})

// program is a server on a data folder of its own, behind a proxy that notes what it is asked.
type program struct {
	path, data string
	// flags are those of `server serve` beside the usual.
	flags []string
	// url is how clients reach it; address is where it listens.
	url, address string
	logs         *logs
	tape         *tape
	cmd          *exec.Cmd
}

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

// tail is what was logged last, without requests that went well.
func (l *logs) tail() string {
	var b strings.Builder
	for line := range strings.Lines(l.String()) {
		if !strings.Contains(line, `"level":"INFO"`) || !strings.Contains(line, `"status":200`) {
			b.WriteString(line)
		}
	}
	text := b.String()
	return text[max(0, len(text)-4000):]
}

// serve starts the server on an empty data folder.
func serve(t *testing.T) *program {
	t.Helper()
	return serveBehind(t, plain, nil)
}

// serveBehind starts it behind a proxy, and an ingress where there is one, with flags beside the usual.
func serveBehind(t *testing.T, front front, ingress *ingress, flags ...string) *program {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{path: path, flags: flags, data: filepath.Join(t.TempDir(), "data"), logs: &logs{}, address: freeAddress(t)}
	p.tape = newTape(t, p.address, front, ingress)
	p.url = p.tape.url
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (p *program) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.path, "serve", "--data-dir", p.data, "--host", p.url, "--listen", p.address, "--metrics-listen", "")
	p.cmd.Args = append(p.cmd.Args, p.flags...)
	p.cmd.Stderr = p.logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.awaitReady(t)
}

func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v: %s", err, p.logs.tail())
	}
}

func (p *program) awaitReady(t *testing.T) {
	t.Helper()
	await(t, 20*time.Second, "the server is ready", func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
}

// await asks until something is so.
func await(t *testing.T, patience time.Duration, what string, so func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("after %s it is not so that %s", patience, what)
		case <-tick.C:
		}
	}
}

// admin runs a command beside the server and decodes what it prints.
func (p *program) admin(t *testing.T, into any, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, append([]string{"admin"}, arguments...)...)
	cmd.Env = append(os.Environ(), "DATA_DIR="+p.data)
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("server admin %s: %v: %s", strings.Join(arguments, " "), err, exit.Stderr)
		}
		t.Fatal(err)
	}
	if err := json.Unmarshal(output, into); err != nil {
		t.Fatalf("server admin %s printed no JSON: %v: %s", strings.Join(arguments, " "), err, output)
	}
}

// user makes an account and returns a home that is signed in with its key.
func (p *program) user(t *testing.T, name string) *client.Home {
	t.Helper()
	return p.userOf(t, client.Newest(), name)
}

func (p *program) userOf(t *testing.T, release client.Release, name string) *client.Home {
	t.Helper()
	var key struct{ Key string }
	p.admin(t, &struct{}{}, "user", "create", "--username", name, "--email", name+"@example.com", "--no-password")
	p.admin(t, &key, "key", "create", "--username", name)
	home := release.Home(t)
	home.Env = []string{"WANDB_BASE_URL=" + p.url, "WANDB_API_KEY=" + key.Key, "WANDB_ENTITY=" + name}
	return home
}

// script is the path of one of the programs in scripts.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// runs runs a script, which ends with exit code 0 and prints "good" where everything was as it should be.
func (p *program) runs(t *testing.T, home *client.Home, name string, arguments ...string) string {
	t.Helper()
	result := home.Run(t, "python", append([]string{script(t, name)}, arguments...)...)
	if result.Code != 0 || !strings.Contains(result.Output, "good") {
		t.Fatalf("%s: exit code %d: %s\n--- server:\n%s", name, result.Code, result.Output, p.logs.tail())
	}
	return result.Output
}

// everything lists what ada has in projects, one line for each thing, read with an empty cache. In mode "none" it checks that
// the user of home sees none of it.
func (p *program) everything(t *testing.T, home *client.Home, mode string, projects ...string) []string {
	t.Helper()
	clean := *home
	clean.Env = append(slices.Clone(home.Env), "WANDB_CACHE_DIR="+t.TempDir())
	listing := filepath.Join(t.TempDir(), "listing")
	p.runs(t, &clean, "everything.py", append([]string{"ada", mode, listing}, projects...)...)
	listed, err := os.ReadFile(listing)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(listed), "\n")
}
