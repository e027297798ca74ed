package ingress

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// front serves a proxy whose every request goes to the endpoints, over TLS with
// HTTP/2, and returns its URL and a client.
func front(t *testing.T, endpoints ...string) (string, *http.Client) {
	t.Helper()
	p := NewProxy(slog.New(slog.DiscardHandler))
	table := Build(Objects{})
	table.fallback = &Backend{Name: "default/web:80", Problem: "the Service has no ready endpoint", endpoints: endpoints}
	p.Use(table)
	server := httptest.NewUnstartedServer(p)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, server.Client()
}

func upstream(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// dead is an address that refuses connections.
func dead(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func read(t *testing.T, response *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestForwardingHeadersAreTheProxysOwn(t *testing.T) {
	seen := make(chan *http.Request, 1)
	backend := upstream(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	url, client := front(t, backend)
	request, err := http.NewRequest(http.MethodGet, url+"/a%2Fb?q=1;2", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "wandb.demo.test"
	request.Header.Set("X-Forwarded-For", "1.2.3.4")
	request.Header.Set("X-Forwarded-Proto", "gopher")
	response, err := client.Do(request)
	read(t, response, err)
	got := <-seen
	for header, want := range map[string]string{
		"X-Forwarded-Proto": "https", "X-Forwarded-Host": "wandb.demo.test", "X-Forwarded-Port": "443",
		"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1",
	} {
		if got.Header.Get(header) != want {
			t.Errorf("%s = %q, want %q", header, got.Header.Get(header), want)
		}
	}
	if got.Host != "wandb.demo.test" || got.RequestURI != "/a%2Fb?q=1;2" {
		t.Errorf("request = %s %s, want it as the client sent it", got.Host, got.RequestURI)
	}
}

func TestVanishedEndpointIsPassedOverWithTheWholeBody(t *testing.T) {
	backend := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%d bytes", len(content))
	})
	url, client := front(t, dead(t), backend, dead(t))
	body := bytes.Repeat([]byte("x"), 1<<20)
	for range 6 {
		// A reader of unknown length cannot be sent a second time.
		response, err := client.Post(url, "application/octet-stream", io.MultiReader(bytes.NewReader(body)))
		if got := read(t, response, err); got != "1048576 bytes" {
			t.Fatalf("answer = %q", got)
		}
	}
}

func TestFailuresAreExplained(t *testing.T) {
	rude := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	for name, test := range map[string]struct {
		endpoints []string
		status    int
		text      string
	}{
		"no endpoint":       {nil, http.StatusServiceUnavailable, "default/web:80: the Service has no ready endpoint"},
		"all refuse":        {[]string{dead(t), dead(t)}, http.StatusBadGateway, "connection refused"},
		"closed in between": {[]string{rude}, http.StatusBadGateway, "default/web:80 gave no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			url, client := front(t, test.endpoints...)
			response, err := client.Post(url, "text/plain", strings.NewReader("x"))
			got := read(t, response, err)
			if response.StatusCode != test.status || !strings.Contains(got, test.text) {
				t.Errorf("answer = %d %q; want %d with %q", response.StatusCode, got, test.status, test.text)
			}
		})
	}
}

func TestUnknownHostIsExplained(t *testing.T) {
	p := NewProxy(slog.New(slog.DiscardHandler))
	answer := httptest.NewRecorder()
	p.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "https://x.test/y", nil))
	if answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "x.test/y") {
		t.Errorf("answer = %d %q", answer.Code, answer.Body)
	}
}

func TestEventsArriveOneByOne(t *testing.T) {
	next := make(chan struct{})
	backend := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "14")
		for range 2 {
			_, _ = io.WriteString(w, "event\n\n")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	url, client := front(t, backend)
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewReader(response.Body)
	for range 2 {
		// The backend waits until the client has seen the line.
		if line, err := lines.ReadString('\n'); err != nil || line != "event\n" {
			t.Fatalf("line = %q, %v", line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		next <- struct{}{}
	}
}

func TestLargeBodiesAreStreamed(t *testing.T) {
	const size = 64 << 20
	first := make(chan struct{})
	backend := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		head := make([]byte, 1)
		_, _ = io.ReadFull(r.Body, head)
		// The first byte is here while the client still holds the rest back.
		close(first)
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n+1)
	})
	url, client := front(t, backend)
	reader, writer := io.Pipe()
	go func() {
		chunk := make([]byte, 1<<20)
		_, _ = writer.Write(chunk)
		<-first
		for range size/len(chunk) - 1 {
			_, _ = writer.Write(chunk)
		}
		_ = writer.Close()
	}()
	response, err := client.Post(url, "application/octet-stream", reader)
	if got := read(t, response, err); got != fmt.Sprint(size) {
		t.Errorf("the backend read %s bytes of %d", got, size)
	}
}

func TestUpgradesPassThrough(t *testing.T) {
	backend := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" || r.Header.Get("Connection") != "Upgrade" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = stream.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = stream.Flush()
		line, _ := stream.ReadString('\n')
		_, _ = stream.WriteString("echo " + line)
		_ = stream.Flush()
	})
	url, _ := front(t, backend)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer = %+v, %v", response, err)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := reader.ReadString('\n'); err != nil || line != "echo hello\n" {
		t.Errorf("line = %q, %v", line, err)
	}
}

func TestRedirectKeepsMethodPathAndQuery(t *testing.T) {
	answer := httptest.NewRecorder()
	redirect(answer, httptest.NewRequest(http.MethodPost, "http://wandb.demo.test:80/a?b=c", nil))
	if answer.Code != http.StatusPermanentRedirect || answer.Header().Get("Location") != "https://wandb.demo.test/a?b=c" {
		t.Errorf("answer = %d to %s", answer.Code, answer.Header().Get("Location"))
	}
}
