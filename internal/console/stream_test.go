package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream is an open GET /overview/watch.
type stream struct {
	t     *testing.T
	lines chan string
	close func()
}

func (b *browser) watch() *stream {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	client := &http.Client{Jar: b.client.Jar} // without its deadline
	response, err := client.Do(b.request(http.MethodGet, "/overview/watch", nil).WithContext(ctx))
	must(b.t, err)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("watch: %d %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	s := &stream{t: b.t, lines: make(chan string, 256), close: cancel}
	go func() {
		defer close(s.lines)
		defer response.Body.Close()
		scanner := bufio.NewScanner(response.Body)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			if line := scanner.Text(); line != "" {
				s.lines <- line
			}
		}
	}()
	b.t.Cleanup(cancel)
	return s
}

// next returns the next line; "" means that the stream has ended.
func (s *stream) next(within time.Duration) string {
	s.t.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(within):
		s.t.Fatalf("nothing came within %s", within)
		return ""
	}
}

// document returns the next overview.
func (s *stream) document(within time.Duration) overview {
	s.t.Helper()
	for {
		line := s.next(within)
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			var view overview
			must(s.t, json.Unmarshal([]byte(text), &view))
			return view
		}
		if line != ":" {
			s.t.Fatalf("line %q is neither data nor a comment", line)
		}
	}
}

// soon is how long a stream may take on a machine that does other things as well. Nothing but a change makes a document: one that
// is missed would never come.
const soon = 10 * time.Second

func TestChangesArriveUnasked(t *testing.T) {
	c := newCluster(t)
	c.createResource(t, "wandb", "values: {}")
	console := startConsole(t, c, nil)
	streams := []*stream{console.signedIn(t).watch(), console.signedIn(t).watch()}
	for _, s := range streams {
		if view := s.document(soon); view.Resource.Generation != 1 {
			t.Fatalf("the first document is %+v", view)
		}
	}
	started := time.Now()
	c.setStatus(t, "wandb", statusOfARollout)
	for _, s := range streams {
		if view := s.document(soon); len(view.Conditions) != 5 || view.Next == "" {
			t.Errorf("after the status: %+v", view)
		}
	}
	t.Logf("status arrived after %s", time.Since(started).Round(time.Millisecond))
	started = time.Now()
	c.createPod(t, "wandb-app-1", "wandb", "app")
	for _, s := range streams {
		if view := s.document(soon); len(view.Pods) != 1 {
			t.Errorf("after the pod: %+v", view)
		}
	}
	t.Logf("pod arrived after %s", time.Since(started).Round(time.Millisecond))
	select {
	case line := <-streams[0].lines:
		t.Errorf("%q came although nothing changed", line)
	case <-time.After(3 * coalesce):
	}
}

func TestManyChangesAreFewDocuments(t *testing.T) {
	c := newCluster(t)
	c.createResource(t, "wandb", "values: {}")
	s := startConsole(t, c, nil).signedIn(t).watch()
	s.document(soon)
	const pods = 30
	started := time.Now()
	for n := range pods {
		c.createPod(t, "wandb-app-"+string(rune('a'+n%26))+string(rune('a'+n/26)), "wandb", "app")
	}
	documents := 0
	for {
		documents++
		if view := s.document(soon); len(view.Pods) == pods {
			break
		}
	}
	if most := int(time.Since(started)/coalesce) + 2; documents > most {
		t.Errorf("%d documents in %s for %d pods, want at most %d", documents, time.Since(started), pods, most)
	}
}

func TestQuietStreamBeats(t *testing.T) {
	console := startConsole(t, newCluster(t), func(cfg *Config) { cfg.heartbeat = 50 * time.Millisecond })
	s := console.signedIn(t).watch()
	s.document(soon)
	for range 3 {
		if line := s.next(soon); line != ":" {
			t.Errorf("line %q, want a comment", line)
		}
	}
}

func TestStreamEndsWithItsSession(t *testing.T) {
	c, k := newCluster(t), &clock{}
	console := startConsole(t, c, func(cfg *Config) { cfg.heartbeat, cfg.now = 50*time.Millisecond, k.now })
	s := console.signedIn(t).watch()
	s.document(soon)
	c.writeSecret(t, "wandb-password", map[string]string{"password": "rotated"})
	k.advance(credentialsMemory)
	for line := s.next(soon); line != ""; line = s.next(soon) {
		if line != ":" {
			t.Errorf("line %q after the password was changed", line)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	b := console.signedIn(t)
	var open []*stream
	for range streamsOpen {
		open = append(open, b.watch())
	}
	got := b.get("/overview/watch")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("stream %d: %d %s, want 503 with Retry-After", streamsOpen+1, got.status, got.body)
	}
	open[0].close()
	eventually(t, soon, func() string {
		if console.hub.count() == streamsOpen {
			return "a closed stream still takes a place"
		}
		return ""
	})
	b.watch().document(soon)
}

func TestStopEndsStreamsAtOnce(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	s := console.signedIn(t).watch()
	s.document(soon)
	started := time.Now()
	if err := console.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(started); took > soon {
		t.Errorf("stopping took %s", took)
	}
	if line := s.next(soon); line != "" {
		t.Errorf("the stream went on with %q", line)
	}
}

func TestSlowReaderGetsTheNewestDocument(t *testing.T) {
	generation := int64(0)
	h := newHub(func(context.Context) (overview, error) {
		generation++
		return overview{Resource: resourceView{Generation: generation}}, nil
	})
	documents, leave, err := h.subscribe(t.Context())
	must(t, err)
	defer leave()
	for range 5 { // while the reader takes nothing
		h.publish(t.Context())
	}
	var view overview
	must(t, json.Unmarshal(<-documents, &view))
	if view.Resource.Generation != generation {
		t.Errorf("generation %d, want the newest, %d", view.Resource.Generation, generation)
	}
}
