package replicas

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// TestAPausedReplicaUndoesNothing stops a replica, sends it requests that find nobody, and lets another acknowledge what is
// newer. Then it goes on with what it finds in its connections.
func TestAPausedReplicaUndoesNothing(t *testing.T) {
	w := newWorld(t, shortly)
	c := change{world: w, run: "paused", writer: w.b, reader: w.b}
	id := c.begin(t)
	c.ada.stream(t, w.a, c.run, fields{"files": fields{historyFile: lines(0, `{"_step":0,"of":"both"}`)}})
	c.ada.ask(t, w.a, "Viewer", nil)

	w.a.Stop(t)
	old := map[string]func(ctx context.Context, to *serverprocess.Process) (reply, error){
		"config": func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			return c.ada.send(ctx, to.URL+"/graphql", c.ada.query("UpsertBucket", c.named().with("config", `{"n":{"value":"old"}}`)))
		},
		"notes": func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			return c.ada.send(ctx, to.URL+"/graphql", c.ada.query("UpsertBucket", fields{"id": id, "notes": "old", "summaryMetrics": `{"old":1}`}))
		},
		"lines": func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			return c.ada.tell(ctx, to, c.run, fields{"files": fields{historyFile: lines(1, `{"_step":1,"of":"old"}`), consoleFile: lines(0, "old")}})
		},
		"end": func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			return c.ada.tell(ctx, to, c.run, fields{"complete": true, "exitcode": 7})
		},
		"rewind": func(ctx context.Context, to *serverprocess.Process) (reply, error) {
			return c.ada.send(ctx, to.URL+"/graphql", c.ada.query("RewindRun", c.named().with("metricName", "_step").with("metricValue", -1)))
		},
	}
	given := make(chan string, len(old))
	for name, send := range old {
		go func() {
			if r, err := send(t.Context(), w.a); err == nil {
				t.Errorf("%s: a replica that stands still answers %d %s", name, r.status, r.body)
			}
			given <- name
		}()
	}
	for range old {
		<-given
	}
	c.upsert(t, fields{"config": `{"n":{"value":"new"}}`})
	c.upsert(t, fields{"id": id, "notes": "new", "summaryMetrics": `{"new":1}`})
	c.ada.stream(t, w.b, c.run, fields{"files": fields{historyFile: lines(1, `{"_step":1,"of":"new"}`), consoleFile: lines(0, "new")}})

	w.a.Continue(t)
	w.a.Await(t)
	// Whatever the replica still held it has begun with before it answers this, and writes in the order of its connections.
	for n := range 50 {
		c.ada.stream(t, w.a, c.run, fields{"files": fields{eventsFile: lines(int64(n), fmt.Sprintf(`{"n":%d}`, n))}})
		if n%10 == 0 {
			c.ada.ask(t, w.a, "UpsertBucket", fields{"id": id, "tags": []string{"seen"}})
		}
		expect(t, "config", c.read(t, "config"), `{"n":{"value":"new"}}`)
		expect(t, "notes", c.read(t, "notes"), "new")
		expect(t, "summary", c.read(t, "summaryMetrics"), `{"new":1}`)
		expect(t, "state", c.read(t, "state"), "running")
		page := c.ada.ask(t, w.b, "HistoryPage", c.named().with("minStep", 0).with("maxStep", 100).with("pageSize", 100)).get("data.project.run.history")
		expect(t, "lines", page.Raw, `["{\"_step\":0,\"of\":\"both\"}","{\"_step\":1,\"of\":\"new\"}"]`)
		tail := c.ada.ask(t, w.b, "RunConsoleLogTail", c.named().with("last", 10)).get("data.project.run.logLines.edges.#.node.line")
		expect(t, "console", tail.Raw, `["new"]`)
		if t.Failed() {
			return
		}
	}
}

// TestARequestIsNotLateWhileItIsSent sends a body for longer than a request may wait.
func TestARequestIsNotLateWhileItIsSent(t *testing.T) {
	w := newWorld(t, shortly)
	c := change{world: w, run: "slow", writer: w.a, reader: w.b}
	c.begin(t)
	body := newSlowBody(`{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0}"]}}}`, 2*shortly)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, streamAddress(w.a, entity, project, c.run), body)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("api", w.ada.key)
	response, err := connections.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("got %s", response.Status)
	}
	expect(t, "lines", c.read(t, "historyLineCount"), "1")
}
