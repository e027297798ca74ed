package ingest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

const (
	history = "wandb-history.jsonl"
	events  = "wandb-events.jsonl"
	summary = "wandb-summary.json"
	console = "output.log"
)

func TestLinesAreStoredAsTheyCame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		first := `{"x":9007199254740993,"y":1.0,"z":NaN,"_step":0,"ü":"\ud83d\ude00"}`
		sc.send(t, "r", file(history, 0, first, `no json`, `{"_step":7,"a":{"b":1}}`))
		sc.send(t, "r", file(history, 5, `{"_step":6}`)) // a gap is possible
		sc.send(t, "r", file(events, 3, `{"system.cpu":1}`))
		sc.send(t, "r", file(console, 0, "one\ntwo", ""))
		if got, want := text(sc.lines(t, run, store.StreamHistory, "")), `0:`+first+` 1:no json 2:{"_step":7,"a":{"b":1}} 5:{"_step":6}`; got != want {
			t.Errorf("history: got %s, want %s", got, want)
		}
		if got := text(sc.lines(t, run, store.StreamEvents, "")); got != `3:{"system.cpu":1}` {
			t.Errorf("events: got %s", got)
		}
		if got := text(sc.lines(t, run, store.StreamConsole, "")); got != "0:one\ntwo 1:" {
			t.Errorf("console: got %q", got)
		}
		if next, step, generation := sc.head(t, run, store.StreamHistory, ""); next != 6 || step != 7 || generation != 0 {
			t.Errorf("head: next line %d, highest step %d, generation %d", next, step, generation)
		}
		if rev := sc.live(t, run).Rev; rev != 5 {
			t.Errorf("rev is %d after making the run and four changes", rev)
		}
	})
}

func TestWhatComesAgainChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		first := file(console, 0, "10%", "a")
		sc.send(t, "r", first)
		sc.send(t, "r", file(console, 0, "20%"))
		rev := sc.live(t, run).Rev
		for range 2 {
			sc.send(t, "r", first)
			sc.send(t, "r", file(console, 0, "20%"))
		}
		if got := text(sc.lines(t, run, store.StreamConsole, "")); got != "0:20% 1:a" {
			t.Errorf("got %s", got)
		}
		if next, _, generation := sc.head(t, run, store.StreamConsole, ""); next != 2 || generation != 1 {
			t.Errorf("next line %d, generation %d: one overwrite makes 1", next, generation)
		}
		if got := sc.live(t, run).Rev; got != rev {
			t.Errorf("rev grew from %d to %d", rev, got)
		}
	})
}

func TestTheEndOfARun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		state := func(want store.RunState, exit int32, when string) {
			t.Helper()
			if live := sc.live(t, run); live.State != want || live.ExitCode != exit {
				t.Errorf("%s: state %d, exit code %d; want %d, %d", when, live.State, live.ExitCode, want, exit)
			}
		}
		end := `{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0}"]}},"complete":true,"exitcode":3}`
		sc.send(t, "r", end)
		state(store.RunFailed, 3, "after the end")
		beat := sc.live(t, run).HeartbeatAt
		for _, body := range []string{`{}`, `{"uploaded":["f"]}`, end, `{"preempting":true}`, file(events, 0, `{}`)} {
			sc.send(t, "r", body)
			state(store.RunFailed, 3, body)
		}
		sc.setState(t, run, store.RunRunning, false)
		sc.send(t, "r", end)
		state(store.RunRunning, 0, "the end of before, after the run was resumed")
		sc.send(t, "r", `{"complete":true,"exitcode":0}`)
		state(store.RunFinished, 0, "after the second end")
		sc.send(t, "r", file(history, 1, `{"_step":1}`))
		state(store.RunRunning, 0, "after lines beyond the last")
		sc.send(t, "r", `{"preempting":true}`)
		state(store.RunPreempting, 0, "about to be suspended")
		if sc.live(t, run).HeartbeatAt <= beat {
			t.Error("no heartbeat was noted")
		}
	})
}

func TestSummaries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		for i, step := range []struct{ line, want string }{
			{`{"a":0}`, `{"a":0}`},
			{`{"a":1}`, `{"a":1}`},
			{`{"a":9007199254740993,"_timestamp":1700000001.5}`, `{"a":9007199254740993,"_timestamp":1700000001.5}`},
			{`{"a":3,"_timestamp":1700000001.4}`, `{"a":9007199254740993,"_timestamp":1700000001.5}`},
			{`{"a":4}`, `{"a":9007199254740993,"_timestamp":1700000001.5}`},
			{`{"a":5,"_timestamp":1700000001.5}`, `{"a":5,"_timestamp":1700000001.5}`},
			{`not json`, `{"a":5,"_timestamp":1700000001.5}`},
		} {
			sc.send(t, "r", file(summary, 0, step.line))
			if got := sc.summary(t, run, ""); got != step.want {
				t.Errorf("step %d: got %s, want %s", i, got, step.want)
			}
		}
	})
}

func TestSharedRunsHaveLinesPerWriter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		for _, writer := range []string{"w1", "w2"} {
			header := []string{"X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", writer}
			sc.send(t, "r", file(history, 0, `{"_step":1,"from":"`+writer+`"}`), header...)
			sc.send(t, "r", file(console, 0, writer), header...)
			sc.send(t, "r", file(summary, 0, `{"_timestamp":1,"from":"`+writer+`"}`), header...)
		}
		sc.send(t, "r", file(history, 0, `{}`), "X-WANDB-ASYNC-CLIENT-ID", "w3") // without the other header it means nothing
		for _, writer := range []string{"w1", "w2"} {
			got := text(sc.lines(t, run, store.StreamHistory, writer)) + text(sc.lines(t, run, store.StreamConsole, writer)) + sc.summary(t, run, writer)
			if want := `0:{"_step":1,"from":"` + writer + `"}0:` + writer + `{"_timestamp":1,"from":"` + writer + `"}`; got != want {
				t.Errorf("%s: got %s, want %s", writer, got, want)
			}
		}
		if got := text(sc.lines(t, run, store.StreamHistory, "")); got != "0:{}" {
			t.Errorf("without a writer: got %s", got)
		}
	})
}

func TestAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r a/b%")
		var zipped bytes.Buffer
		zip := gzip.NewWriter(&zipped)
		_, _ = zip.Write([]byte(file(history, 0, `{"_step":4}`)))
		_ = zip.Close()
		var bomb bytes.Buffer
		zip = gzip.NewWriter(&bomb)
		for range 40 {
			_, _ = zip.Write(bytes.Repeat([]byte(" "), 1<<20))
		}
		_ = zip.Close()
		for name, test := range map[string]struct {
			run, body string
			header    []string
			want      int
		}{
			"a heartbeat":               {body: `{}`, want: 200},
			"unknown things":            {body: `{"files":{"x":{"offset":-1}},"y":[{}],"dropped":1}`, want: 200},
			"gzip":                      {body: zipped.String(), header: []string{"Content-Encoding", "gzip"}, want: 200},
			"a bomb":                    {body: bomb.String(), header: []string{"Content-Encoding", "gzip"}, want: 413},
			"another encoding":          {body: `{}`, header: []string{"Content-Encoding", "br"}, want: 400},
			"no gzip":                   {body: file(history, 0, "not compressed"), header: []string{"Content-Encoding", "gzip"}, want: 400},
			"no JSON":                   {body: `{`, want: 400},
			"no object":                 {body: `[]`, want: 400},
			"nothing":                   {body: ``, want: 400},
			"a negative offset":         {body: file(history, -1, `{}`), want: 400},
			"an unknown run":            {run: "s", body: `{}`, want: 404},
			"too large":                 {body: `{"x":"` + strings.Repeat("x", 33<<20) + `"}`, want: 413},
			"a line too large":          {body: file(history, 9, `{"x":"`+strings.Repeat("x", 16<<20)+`"}`), want: 413},
			"a writer with a long name": {body: `{}`, header: []string{"X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", strings.Repeat("x", 129)}, want: 400},
			"a wrong key":               {body: `{}`, header: []string{"Authorization", "Basic YXBpOmE="}, want: 401},
		} {
			if test.run == "" {
				test.run = "r a/b%"
			}
			status, answer := sc.post(t, sc.url, test.run, test.body, test.header...)
			if status != test.want {
				t.Errorf("%s: got %d %s, want %d", name, status, answer, test.want)
			}
			if shape := `{"errors":[{"message":"`; status != 200 && status != 401 && !strings.HasPrefix(answer, shape) {
				t.Errorf("%s: answered %s", name, answer)
			}
			if status == 200 && answer != `{"stopped":false}`+"\n" {
				t.Errorf("%s: answered %s", name, answer)
			}
		}
		if got := text(sc.lines(t, run, store.StreamHistory, "")); got != `0:{"_step":4}` {
			t.Errorf("got %s", got)
		}
		sc.setState(t, run, store.RunRunning, true)
		if _, answer := sc.post(t, sc.url, "r a/b%", `{}`); answer != `{"stopped":true}`+"\n" {
			t.Errorf("a run that is to stop: answered %s", answer)
		}
	})
}

func TestRevocationAndDeletionCountAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		sc.send(t, "r", file(history, 0, `{"_step":0}`)) // now everything is remembered
		record, err := s.RunRecordByID(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteRun(t.Context(), record.Run, time.Now()); err != nil { // as another replica would
			t.Fatal(err)
		}
		if status, answer := sc.post(t, sc.url, "r", `{}`); status != http.StatusNotFound {
			t.Errorf("after the run was deleted: got %d %s", status, answer)
		}
		run = sc.run(t, "q")
		sc.send(t, "q", file(history, 0, `{"_step":0}`))
		if err := s.DeleteKey(t.Context(), sc.user.ID, sc.keyID); err != nil {
			t.Fatal(err)
		}
		if status, answer := sc.post(t, sc.url, "q", file(history, 1, `{"_step":1}`)); status != http.StatusUnauthorized {
			t.Errorf("after the key was revoked: got %d %s", status, answer)
		}
		if got := text(sc.lines(t, run, store.StreamHistory, "")); got != `0:{"_step":0}` {
			t.Errorf("a revoked key has written: %s", got)
		}
	})
}

func TestUploadsAreRegisteredBeforeTheAnswer(t *testing.T) {
	sc := newScene(t, storetest.Open(t, storetest.SQLite(t)))
	sc.run(t, "r")
	sc.send(t, "r", `{"uploaded":["config.yaml","media/ä b.png"]}`)
	if got := fmt.Sprint(sc.files.names); got != "[config.yaml media/ä b.png]" {
		t.Errorf("got %s", got)
	}
	sc.files.err = errors.New("the bucket does not answer")
	if status, _ := sc.post(t, sc.url, "r", `{"uploaded":["x"]}`); status != http.StatusServiceUnavailable {
		t.Errorf("got %d where the bucket does not answer", status)
	}
}

func TestLargeRequestsAreCut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		var lines []string
		for i := range 60 {
			lines = append(lines, fmt.Sprintf(`{"_step":%d,"x":%q}`, i, strings.Repeat("x", 100<<10)))
		}
		lines = append(lines, `{"_step":60,"x":"`+strings.Repeat("y", 3<<20)+`"}`)
		sc.send(t, "r", file(history, 0, lines...))
		sc.send(t, "r", file(history, 0, lines...))
		got := sc.lines(t, run, store.StreamHistory, "")
		for i, line := range lines {
			if got[int64(i)] != line {
				t.Fatalf("line %d differs", i)
			}
		}
		pool, _ := s.Pools()
		var chunks int
		if err := pool.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM chunks").Scan(&chunks); err != nil || chunks != 7 {
			t.Errorf("%d chunks, want 6 of at most 1 MiB and one of a single line; %v", chunks, err)
		}
	})
}

// TestASummaryThatWasReplacedDoesNotComeBack sends the summaries of two processes again after somebody has edited them.
func TestASummaryThatWasReplacedDoesNotComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sc := newScene(t, s)
		run := sc.run(t, "r")
		send := func(writer, line string) {
			t.Helper()
			sc.send(t, "r", file(summary, 0, line), "X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", writer)
		}
		timed, untimed := `{"a":1,"_timestamp":1700000000}`, `{"b":1}`
		send("one", timed)
		send("two", untimed)
		_, err := s.ChangeRun(t.Context(), store.RunKey{ID: run}, "", func(before store.RunBefore) (store.RunAfter, error) {
			return store.RunAfter{Run: before.Run, State: before.Live.State, Summary: []byte(`{"edited":1}`)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		send("one", timed)
		for writer, want := range map[string]string{"one": "{}", "two": "{}", "": `{"edited":1}`} {
			if got := sc.summary(t, run, writer); got != want {
				t.Errorf("the summary of %q is %s, want %s", writer, got, want)
			}
		}
		newer, another := `{"a":2,"_timestamp":1700000001}`, `{"b":2}`
		send("one", newer)
		send("two", another)
		if one, two := sc.summary(t, run, "one"), sc.summary(t, run, "two"); one != newer || two != another {
			t.Errorf("afterwards %s and %s", one, two)
		}
	})
}

func TestLongBodiesAreTakenWhileSomebodyAlwaysReads(t *testing.T) {
	sc := newScene(t, storetest.Open(t, storetest.SQLite(t)))
	run := sc.run(t, "r")
	defer sc.readers.Enter()()
	lines := make([]string, 2000)
	for n := range lines {
		lines[n] = fmt.Sprintf(`{"_step":%d,"pad":"%0300d"}`, n, n)
	}
	sc.send(t, "r", file(history, 0, lines...))
	if got := sc.lines(t, run, store.StreamHistory, ""); len(got) != len(lines) {
		t.Errorf("%d lines of %d", len(got), len(lines))
	}
}
