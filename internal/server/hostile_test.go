package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server"
)

// counting counts what a server reads from its connections.
type counting struct {
	net.Listener
	read *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return counted{conn, l.read}, err
}

type counted struct {
	net.Conn
	read *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// Whoever has no valid key makes the server read no more than a little, whatever is asked for.
func TestLittleIsReadWithoutAKey(t *testing.T) {
	s := start(t, nil)
	var read atomic.Int64
	closed := make(chan struct{}, 1)
	listening := httptest.NewUnstartedServer(s.handler)
	listening.Listener = counting{listening.Listener, &read}
	listening.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	listening.Start()
	defer listening.Close()
	const (
		size = 10 << 20
		// most is what is read of a body, and one buffer of the connection more, which also holds the head.
		most = 64<<10 + 8<<10
	)
	for _, target := range []string{
		"POST /graphql", "POST /files/e/p/r/file_stream", "POST /api/session", "POST /api/setup", "POST /api/keys", "POST /api/invitation", "POST /oidc/token",
		"POST /api/admin/users", "PUT /scim/v2/Users/1", "POST /", "PUT /files/e/p/r/x", "POST /artifacts/e/0", "PUT /storage/x?expires=1&signature=00",
		"POST /healthz", "GET /ready",
	} {
		for framing, header := range map[string]string{
			"with its length": "Content-Length: " + strconv.Itoa(size), "in chunks": "Transfer-Encoding: chunked",
		} {
			method, path, _ := strings.Cut(target, " ")
			read.Store(0)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listening.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			go func() { // the server hangs up while this is on its way
				_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n%s\r\n\r\n", method, path, header)
				block := bytes.Repeat([]byte("x"), 32<<10)
				for range size / len(block) {
					if header[0] == 'T' {
						_, _ = fmt.Fprintf(conn, "%x\r\n", len(block))
					}
					if _, err := conn.Write(block); err != nil {
						return
					}
					if header[0] == 'T' {
						_, _ = io.WriteString(conn, "\r\n")
					}
				}
			}()
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s %s: no answer: %v", target, framing, err)
			} else {
				_ = response.Body.Close()
			}
			<-closed
			_ = conn.Close()
			if n := read.Load(); n > most {
				t.Errorf("%s %s: %d bytes were read, want at most %d", target, framing, n, most)
			}
		}
	}
}

// Every address has a bound for what it takes, also of those who may send.
func TestOversizedBodiesAreRefused(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", true)
	s.ask(t, key, beginRun, nil, nil)
	text := func(size int) string { return `{"x":"` + strings.Repeat("x", size) + `"}` }
	for _, c := range []struct {
		target string
		size   int
	}{
		{"POST /graphql", 16 << 20}, {"POST /files/ada/p/r/file_stream", 32 << 20}, {"POST /api/session", 64 << 10}, {"POST /api/setup", 64 << 10},
		{"POST /api/invitation", 64 << 10}, {"POST /api/admin/users", 1 << 20}, {"POST /api/admin/teams", 1 << 20}, {"POST /scim/v2/Users", 4 << 20},
		{"POST /scim/v2/Groups", 4 << 20},
	} {
		method, path, _ := strings.Cut(c.target, " ")
		header := map[string]string{"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
		if a := s.do(t, http.DefaultClient, call{method: method, path: path, key: key, header: header, body: text(c.size)}); a.code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with more than %d bytes: %d %.200s", c.target, c.size, a.code, a.body)
		}
	}
	browser := s.browser(t)
	browser.signIn(t, "ada")
	if a := browser.call(t, "POST", "/api/keys", text(64<<10)); a.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of a page: %d %.200s", a.code, a.body)
	}
}

// What is packed counts as what it becomes; where nobody asked for it, it is not unpacked at all.
func TestBombsAreNotUnpacked(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", false)
	s.ask(t, key, beginRun, nil, nil)
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 256 {
		_, _ = zip.Write(block)
	}
	_ = zip.Close()
	header := map[string]string{"Content-Encoding": "gzip", "Content-Type": "application/json"}
	for path, want := range map[string]int{
		"/graphql": http.StatusBadRequest, "/files/ada/p/r/file_stream": http.StatusRequestEntityTooLarge,
	} {
		if a := s.do(t, http.DefaultClient, call{method: "POST", path: path, key: key, header: header, body: bomb.String()}); a.code != want || !strings.Contains(a.body, `"errors"`) {
			t.Errorf("%s: %d %.200s", path, a.code, a.body)
		}
	}
	// A manifest is read as it lies in the bucket.
	for encoding, manifest := range map[string]string{"gzip": bomb.String(), "zstd": "\x28\xb5\x2f\xfd\x00\x00"} {
		id := s.begin(t, key, encoding)
		s.putManifest(t, key, id, manifest)
		a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: fmt.Sprintf(`{"query":"mutation{commitArtifact(input:{artifactID:\"%s\"}){artifact{id}}}"}`, id)})
		if a.code != http.StatusOK || !strings.Contains(a.body, "malformed") {
			t.Errorf("a manifest in %s: %d %s", encoding, a.code, a.body)
		}
	}
}

// begin makes a version of an artifact without files.
func (s running) begin(t testing.TB, key, collection string) (id string) {
	t.Helper()
	var created struct {
		CreateArtifact struct{ Artifact struct{ ID string } }
	}
	s.ask(t, key, createArtifact, map[string]any{"input": map[string]any{
		"entityName": "ada", "projectName": "p", "runName": "r", "artifactTypeName": "dataset", "artifactCollectionName": collection, "digest": "d",
		"digestAlgorithm": "MANIFEST_MD5", "clientID": "c-" + collection, "sequenceClientID": "s-" + collection,
	}}, &created)
	return created.CreateArtifact.Artifact.ID
}

// md5Text is the MD5 of a text as clients write it.
func md5Text(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s running) putManifest(t testing.TB, key, id, text string) {
	t.Helper()
	var put struct {
		CreateArtifactManifest struct{ ArtifactManifest struct{ File uploaded } }
	}
	s.ask(t, key, createManifest, map[string]any{"id": id, "digest": md5Text(text)}, &put)
	target := put.CreateArtifactManifest.ArtifactManifest.File
	if a := s.move(t, "PUT", *target.UploadURL, target.UploadHeaders, text); a.code/100 != 2 {
		t.Fatalf("upload of the manifest: %d %s", a.code, a.body)
	}
}

// sender sends a request in two steps: the head, and the body once the server asks for it.
type sender struct {
	conn   net.Conn
	reader *bufio.Reader
	body   string
}

// announce sends the head of a file_stream request with one line, padded to a size.
func (s running) announce(t *testing.T, key, run string, size int) *sender {
	t.Helper()
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/files/ada/p/"+run+"/file_stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("api", key)
	line := streamed(run)
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		request.URL.RequestURI(), request.Header.Get("Authorization"), size); err != nil {
		t.Fatal(err)
	}
	return &sender{conn, bufio.NewReader(conn), line + strings.Repeat(" ", size-len(line))}
}

func streamed(run string) string {
	return fmt.Sprintf(`{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0,\"of\":\"%s\"}"]}}}`, run)
}

// asked waits until the server wants the body: it has the memory for it.
func (c *sender) asked(t *testing.T) {
	t.Helper()
	line, err := c.reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := c.reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
}

// finish sends the body and returns the status.
func (c *sender) finish() (int, error) {
	if _, err := io.WriteString(c.conn, c.body); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// Where as much waits as may, metrics are sent away, each for another time; they come again and nothing is lost. GraphQL, which
// a client asks fewer times, only waits.
func TestMetricsAreSentAwayWhereTooMuchWaits(t *testing.T) {
	s := start(t, nil)
	_, key := s.createUser(t, "ada", false)
	const holders, waiters, away = 4, 8, 12
	var runs []string
	for i := range holders + waiters + away {
		runs = append(runs, fmt.Sprintf("r%d", i))
		s.ask(t, key, fmt.Sprintf(`mutation UpsertBucket { upsertBucket(input: {name: "r%d", modelName: "p"}) { inserted } }`, i), nil, nil)
	}
	var held, waiting []*sender
	for i := range holders {
		held = append(held, s.announce(t, key, runs[i], 16<<20))
		held[i].asked(t)
	}
	for i := range waiters {
		waiting = append(waiting, s.announce(t, key, runs[holders+i], 8<<20))
	}
	for began := time.Now(); !strings.Contains(s.metrics(t), "wandb_file_stream_waiting_bytes 6.7108864e+07"); {
		if time.Since(began) > time.Minute {
			t.Fatalf("64 MiB never wait:\n%s", s.metrics(t))
		}
	}
	send := func(run string) answer {
		return s.do(t, http.DefaultClient, call{method: "POST", path: "/files/ada/p/" + run + "/file_stream", key: key, body: streamed(run)})
	}
	waits := map[string]bool{}
	for _, run := range runs[holders+waiters:] {
		a := send(run)
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.code != http.StatusTooManyRequests || err != nil || seconds < 5 || seconds > 30 || !strings.Contains(a.body, `"errors"`) {
			t.Errorf("got %d, Retry-After %q, %s", a.code, a.header.Get("Retry-After"), a.body)
		}
		waits[a.header.Get("Retry-After")] = true
	}
	if len(waits) < 2 {
		t.Errorf("all come back at once: %v", waits)
	}
	asked := make(chan answer, 1)
	go func() {
		asked <- s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: `{"query":"{viewer{username}}"}`})
	}()
	var group sync.WaitGroup
	for _, c := range held {
		group.Go(func() {
			if code, err := c.finish(); code != http.StatusOK {
				t.Errorf("who had memory is answered %d, %v", code, err)
			}
		})
	}
	for _, c := range waiting {
		group.Go(func() {
			c.asked(t)
			if code, err := c.finish(); code != http.StatusOK {
				t.Errorf("who waited is answered %d, %v", code, err)
			}
		})
	}
	group.Wait()
	if a := <-asked; a.code != http.StatusOK {
		t.Errorf("GraphQL that had to wait: %d %s", a.code, a.body)
	}
	for _, run := range runs[holders+waiters:] {
		if a := send(run); a.code != http.StatusOK {
			t.Errorf("%s comes again: %d %s", run, a.code, a.body)
		}
	}
	for _, run := range runs {
		var read struct {
			Project struct{ Run struct{ History []string } }
		}
		s.ask(t, key, `query HistoryPage($run: String!) { project(name: "p", entityName: "ada") { run(name: $run) { history(minStep: 0, maxStep: 9, samples: 9) } } }`,
			map[string]any{"run": run}, &read)
		if got := read.Project.Run.History; len(got) != 1 || !strings.Contains(got[0], `"`+run+`"`) {
			t.Errorf("%s holds %q", run, got)
		}
	}
}

// A user who sends too much is held back with metrics first: a run cannot go on without its GraphQL.
func TestGraphQLIsLimitedAfterMetrics(t *testing.T) {
	s := start(t, func(cfg *server.Config) { cfg.RateLimit = 0.2 })
	_, key := s.createUser(t, "ada", false)
	s.ask(t, key, beginRun, nil, nil)
	send := func(path, body string) answer {
		return s.do(t, http.DefaultClient, call{method: "POST", path: path, key: key, body: body})
	}
	allowed := 0
	for send("/files/ada/p/r/file_stream", `{}`).code == http.StatusOK {
		allowed++
	}
	refused := send("/files/ada/p/r/file_stream", `{}`)
	if wait, err := strconv.Atoi(refused.header.Get("Retry-After")); refused.code != http.StatusTooManyRequests || err != nil || wait < 5 || wait > 30 {
		t.Errorf("metrics: %d, Retry-After %q", refused.code, refused.header.Get("Retry-After"))
	}
	for i := range 2 * allowed {
		if a := send("/graphql", `{"query":"{viewer{id}}"}`); a.code != http.StatusOK {
			t.Fatalf("GraphQL after %d operations: %d %s", i, a.code, a.body)
		}
	}
}
