package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server"
)

func TestLargeRequests(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", false)
	ten := `{"query":"query Project($desc:String){viewer{id}}","variables":{"desc":"` + strings.Repeat("x", 10<<20) + `"}}`
	if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: ten}); a.code != http.StatusOK {
		t.Errorf("10 MiB with a key: %d %s", a.code, a.body)
	}
	seventeen := `{"query":"{viewer{id}}","variables":{"x":"` + strings.Repeat("x", 17<<20) + `"}}`
	if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: seventeen}); a.code != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, `"errors"`) {
		t.Errorf("17 MiB with a key: %d %s", a.code, a.body)
	}
}

// Without a valid key the answer comes after at most the little that is read, whatever is still on its way.
func TestALargeRequestWithoutKeyIsRefusedEarly(t *testing.T) {
	s := start(t, nil)
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 10<<20)
	if _, err := io.WriteString(conn, head+strings.Repeat(" ", 64<<10)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) // 64 KiB of 10 MiB were sent
	if err != nil {
		t.Fatalf("no answer before the whole body was sent: %v", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || !response.Close {
		t.Errorf("got %d, close %v", response.StatusCode, response.Close)
	}
}

func TestManyLargeRequestsAtOnceShareABudget(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", false)
	body := `{"query":"{viewer{id}}","variables":{"x":"` + strings.Repeat("x", 10<<20) + `"}}`
	ctx, stop := context.WithCancel(t.Context())
	highest := make(chan uint64)
	go func() { highest <- highestHeap(ctx) }()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: body}); a.code != http.StatusOK {
				t.Errorf("got %d %s", a.code, a.body)
			}
		})
	}
	group.Wait()
	stop()
	// Six at a time, each as bytes while it is read and as text once decoded; the test's own client is in the same process.
	if peak := <-highest; peak > 400<<20 {
		t.Errorf("the heap reached %d MiB", peak>>20)
	}
}

func highestHeap(ctx context.Context) (highest uint64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		highest = max(highest, stats.HeapAlloc)
		select {
		case <-ctx.Done():
			return highest
		case <-tick.C:
		}
	}
}

func TestARequestUnderWayIsAnsweredBeforeTheServerEnds(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	cfg := config(t, &logs{})
	cfg.MetricsListen = ""
	cfg.Pages = pages(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	s, err := server.New(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + s.Addr().String() + "/")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	stop()
	select {
	case err := <-ended:
		t.Fatalf("the server ended (%v) with a request under way", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("the request was answered %q", got)
	}
	start := time.Now()
	if err := <-ended; err != nil || time.Since(start) > 10*time.Second {
		t.Errorf("the server ended with %v after %s", err, time.Since(start))
	}
}

func TestDuringTheShutdownDelayRequestsAreServedAndReadySaysNo(t *testing.T) {
	cfg := config(t, &logs{})
	cfg.ShutdownDelay, cfg.MetricsListen = 500*time.Millisecond, ""
	ctx, stop := context.WithCancel(t.Context())
	s, err := server.New(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	r := running{url: "http://" + s.Addr().String()}
	for r.do(t, http.DefaultClient, call{path: "/ready"}).code != http.StatusOK && t.Context().Err() == nil {
		runtime.Gosched()
	}
	stop()
	for r.do(t, http.DefaultClient, call{path: "/ready"}).code == http.StatusOK && t.Context().Err() == nil {
		runtime.Gosched()
	}
	if a := r.do(t, http.DefaultClient, call{path: "/ready"}); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "Stopping") {
		t.Errorf("ready: %d %s", a.code, a.body)
	}
	if a := r.do(t, http.DefaultClient, call{path: "/api/session"}); a.code != http.StatusOK {
		t.Errorf("a request: %d %s", a.code, a.body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// BenchmarkViewer is a client's cheapest request: one key, one user, its teams.
func BenchmarkViewer(b *testing.B) {
	for name, change := range map[string]func(*server.Config){
		"sqlite": func(*server.Config) {}, "mysql": func(cfg *server.Config) { useMySQL(b, cfg) },
	} {
		b.Run(name, func(b *testing.B) {
			s := start(b, change)
			_, key := s.createUser(b, "ada", false)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a := s.do(b, client, call{
						method: "POST", path: "/graphql", key: key,
						body: `{"query":"query Viewer{viewer{id entity username email flags teams{edges{node{name}}}}}","operationName":""}`,
					})
					if a.code != http.StatusOK {
						b.Errorf("got %d %s", a.code, a.body)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkSignIn is what a password check costs.
func BenchmarkSignIn(b *testing.B) {
	s := start(b, nil)
	s.createUser(b, "ada", false)
	for b.Loop() {
		if _, _, err := s.accounts.SignIn(b.Context(), "ada", password, "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}

// A client waits as long as it is told and sends the request again: nothing is lost.
func TestAUserWithTooManyRequestsIsToldToWait(t *testing.T) {
	s := start(t, func(cfg *server.Config) { cfg.RateLimit = 0.1 })
	_, ada := s.createUser(t, "ada", false)
	_, grace := s.createUser(t, "grace", false)
	ask := func(key string) answer {
		return s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: `{"query":"{viewer{id}}"}`})
	}
	var refused answer
	for range 50 {
		if refused = ask(ada); refused.code != http.StatusOK {
			break
		}
	}
	wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if refused.code != http.StatusTooManyRequests || err != nil || wait < 5 || wait > 30 || !strings.Contains(refused.body, `"errors"`) {
		t.Errorf("got %d, Retry-After %q, %s", refused.code, refused.header.Get("Retry-After"), refused.body)
	}
	if other := ask(grace); other.code != http.StatusOK {
		t.Errorf("another user gets %d %s", other.code, other.body)
	}
}
