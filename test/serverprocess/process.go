// Package serverprocess runs W&B Server as a process of its own that a test may kill, stop and measure: the test's binary starts
// itself again as a server. The test's package calls Main from TestMain.
package serverprocess

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // served only where PROFILE_BIND_ADDRESS is set
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// variable makes a test's binary a server. It holds settings.
const variable = "TEST_SERVER_SETTINGS"

// settings are a Config on its way to another process.
type settings struct {
	Listen, DataDir     string
	MySQL               *store.MySQL
	MySQLPassword       string
	BucketURL, Endpoint string
	LateAfter           time.Duration
	Logs                slog.Level
	Kind                string
}

// Kinds are other servers than W&B Server, by name. They serve at an address until the context ends.
type Kinds map[string]func(ctx context.Context, address string) error

// Main runs the tests, or the server that one of them has started. Where PROFILE_BIND_ADDRESS is set, a server is profiled there.
func Main(m *testing.M, kinds Kinds) int {
	text := os.Getenv(variable)
	if text == "" {
		return m.Run()
	}
	if address := os.Getenv("PROFILE_BIND_ADDRESS"); address != "" {
		go func() { _ = http.ListenAndServe(address, nil) }() // for the developer who measures
	}
	if err := serve(text, kinds); err != nil {
		slog.Error("server ended", "error", err, "reason", fault.Reason(err, ""), "hint", fault.Hint(err))
		return 1
	}
	return 0
}

func serve(text string, kinds Kinds) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if other := kinds[s.Kind]; other != nil {
		return other(ctx, s.Listen)
	}
	cfg := server.Config{
		Host: "http://" + s.Listen, Listen: s.Listen, DataDir: s.DataDir, LateAfter: s.LateAfter,
		Bucket: blob.Config{URL: redact.Secret(s.BucketURL), ExternalEndpoint: s.Endpoint},
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: s.Logs})),
	}
	if s.MySQL != nil {
		cfg.MySQL = *s.MySQL
		cfg.MySQL.Password = redact.Secret(s.MySQLPassword)
	}
	return server.Run(ctx, cfg)
}

// Config says what a server serves.
type Config struct {
	// Store is its database. That of SQLite must be called as the server calls it, and lie in DataDir.
	Store store.Config
	// Bucket is where objects are kept; the zero value is a folder in DataDir.
	Bucket blob.Config
	// DataDir is "" for a new folder.
	DataDir string
	// LateAfter is how long requests may wait; 0 means store.LateAfter.
	LateAfter time.Duration
	// Logs is the least level that it logs; the zero value is that of the server.
	Logs slog.Level
	// Kind is another server of those that Main was given; "" is W&B Server.
	Kind string
	// Under is another program and its arguments that the server runs under, such as one that traces it.
	Under []string
}

// Process is a server. Its address stays the same when it is started again.
type Process struct {
	// URL is where it listens.
	URL      string
	settings settings
	under    []string
	output   *output

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan error
	use     *use
}

// Start runs a server until the test ends, and waits until it is ready.
func Start(t testing.TB, cfg Config) *Process {
	t.Helper()
	p := Prepare(t, cfg)
	p.Run(t)
	p.Await(t)
	return p
}

// Prepare returns a server that does not run yet.
func Prepare(t testing.TB, cfg Config) *Process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	p := &Process{URL: "http://" + address, under: cfg.Under, output: &output{}, settings: settings{
		Listen: address, DataDir: cfg.DataDir, MySQL: cfg.Store.MySQL, LateAfter: cfg.LateAfter,
		BucketURL: cfg.Bucket.URL.Reveal(), Endpoint: cfg.Bucket.ExternalEndpoint, Logs: cfg.Logs, Kind: cfg.Kind,
	}}
	if my := cfg.Store.MySQL; my != nil {
		p.settings.MySQLPassword = my.Password.Reveal()
	}
	t.Cleanup(func() { p.Kill(t) })
	return p
}

// Run starts the process, which must not run.
func (p *Process) Run(t testing.TB) {
	t.Helper()
	text, err := json.Marshal(p.settings)
	if err != nil {
		t.Fatal(err)
	}
	line := append(slices.Clone(p.under), os.Args[0])
	command := exec.Command(line[0], line[1:]...)
	command.Env = append(os.Environ(), variable+"="+string(text))
	command.Stdout, command.Stderr = p.output, p.output
	// The group is for a program above, which passes no signal on.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	command.WaitDelay = 10 * time.Second
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the system ends the process with the thread that started it
		err := command.Start()
		if started <- err; err == nil {
			ended <- command.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start a server: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.command, p.ended, p.use = command, ended, watch(command)
}

// startTimeout is how long a server may take to become ready, on a machine that does much else.
const startTimeout = 2 * time.Minute

// Await waits until the server is ready.
func (p *Process) Await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !p.ready(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("the server does not become ready:\n%s", p.Output())
		case <-tick.C:
		}
	}
}

// probeTimeout is how long a server that is stopped is listened to.
const probeTimeout = 2 * time.Second

func (p *Process) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/ready", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// Kill ends the process at once, where it runs.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return
	}
	p.tell(t, syscall.SIGKILL)
	<-p.ended
	p.command = nil
	p.use.finish()
}

// endTimeout is how long a server may take to end in good order.
const endTimeout = time.Minute

// End asks the process to end, and waits until it has, without an error.
func (p *Process) End(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return
	}
	p.use.sample() // a short life has no other
	p.tell(t, syscall.SIGTERM)
	timer := time.AfterFunc(endTimeout, func() { p.tell(t, syscall.SIGKILL) })
	defer timer.Stop()
	if err := <-p.ended; err != nil {
		t.Errorf("the server ended with %v:\n%s", err, p.Output())
	}
	p.command = nil
	p.use.finish()
}

// tell sends a signal to the server and to a program above it.
func (p *Process) tell(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-p.use.command.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("%s for the server: %v", s, err)
	}
}

// Wait waits until the process ends by itself.
func (p *Process) Wait(t testing.TB) error {
	t.Helper()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-timer.C:
		t.Fatalf("the server does not end:\n%s", p.Output())
		return nil
	}
}

// Stop makes the process stand still until Continue.
func (p *Process) Stop(t testing.TB) { p.signal(t, syscall.SIGSTOP) }

// Continue lets a process go on.
func (p *Process) Continue(t testing.TB) { p.signal(t, syscall.SIGCONT) }

func (p *Process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(t, s)
}

// Output is what the process has printed lately.
func (p *Process) Output() string {
	p.output.mu.Lock()
	defer p.output.mu.Unlock()
	return p.output.text.String()
}

// maxOutput bounds what is kept of a process's output.
const maxOutput = 64 << 10

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() > maxOutput {
		o.text.Next(o.text.Len() - maxOutput/2)
	}
	return o.text.Write(b)
}
