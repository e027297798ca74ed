package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// process is a server while it runs.
type process struct {
	command *exec.Cmd
	output  *bytes.Buffer
	url     string
	// peak is the most memory that was seen, four times a second.
	peak int64
	// cpu is what processors have worked for it, once it has ended.
	cpu      time.Duration
	watching chan struct{}
}

// start runs this binary as a server, under another program where one is given, and waits until it is ready.
func start(tb testing.TB, role, folder string, db store.Config, under ...string) *process {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	address := listener.Addr().String()
	must(tb, listener.Close())
	p := &process{output: &bytes.Buffer{}, url: "http://" + address, watching: make(chan struct{})}
	arguments := append(under, os.Args[0])
	p.command = exec.Command(arguments[0], arguments[1:]...)
	p.command.Env = append(os.Environ(), roleVariable+"="+role, "BENCH_LISTEN="+address, "BENCH_DATA_DIR="+folder)
	if my := db.MySQL; my != nil {
		p.command.Env = append(p.command.Env, "BENCH_MYSQL_HOST="+my.Host, "BENCH_MYSQL_PORT="+strconv.Itoa(my.Port),
			"BENCH_MYSQL_DATABASE="+my.Database, "BENCH_MYSQL_USER="+my.User, "BENCH_MYSQL_PASSWORD="+my.Password.Reveal())
	}
	p.command.Stdout, p.command.Stderr = p.output, p.output
	// What ends the benchmark must end the server as well. The group is for a program above, which passes no signal on.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.command.WaitDelay = 10 * time.Second
	must(tb, p.command.Start())
	for began := time.Now(); !p.ready(tb.Context()); wait(tb, 20*time.Millisecond) {
		if time.Since(began) > time.Minute {
			p.stop(tb)
			tb.Fatalf("the server does not become ready:\n%s", p.output)
		}
	}
	go p.watch()
	return p
}

func (p *process) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/ready", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

var residentSize = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// watch samples the memory of the process.
func (p *process) watch() {
	defer close(p.watching)
	ticker := time.NewTicker(time.Second / 4)
	defer ticker.Stop()
	for range ticker.C {
		now := p.resident()
		if now == 0 {
			return
		}
		p.peak = max(p.peak, now)
	}
}

// resident is the memory of the process now; 0 where it has ended.
func (p *process) resident() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	found := residentSize.FindSubmatch(status)
	if err != nil || found == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kilobytes << 10
}

// stop ends the process and returns the most memory that it took.
func (p *process) stop(tb testing.TB) (peak int64) {
	tb.Helper()
	group, last := -p.command.Process.Pid, p.resident() // a short life has no other sample
	_ = syscall.Kill(group, syscall.SIGTERM)
	timer := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	defer timer.Stop()
	if err := p.command.Wait(); err != nil {
		tb.Errorf("the server ended with %v:\n%s", err, p.output)
	}
	<-p.watching
	p.cpu = p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
	p.peak = max(p.peak, last)
	return p.peak
}

func wait(tb testing.TB, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tb.Context().Done():
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
