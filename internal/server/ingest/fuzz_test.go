package ingest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// FuzzStream sends any body, twice: it is acknowledged or refused for good, the second time as the first; what was refused
// has changed nothing, and what comes again changes nothing.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0,\"a\":1.0}","{\"_step\":1,\"a\":NaN}"]}},"uploaded":["a","../b"]}`,
		`{"files":{"output.log":[{"offset":3,"content":["a\r","\u001b[A"]},{"offset":3,"content":["b"]}]},"complete":true,"exitcode":-1}`,
		`{"files":{"wandb-summary.json":{"offset":0,"content":["{\"a\":{\"min\":1}}"]}},"preempting":true}`,
		`{"files":{"wandb-events.jsonl":{"offset":9007199254740991,"content":["{}","{}"]}}}`,
		`{"files":{"wandb-history.jsonl":{"offset":1,"content":["{}","[]","1","","{\"_step\":"]}}}`,
		`{"files":{"wandb-history.jsonl":{"offset":2,"content":["{\"_step\":9}"]},"wandb-history.jsonl":{"offset":2,"content":["{\"_step\":8}"]}}}`,
		`{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":1e400,\"\\u0000\":\"\\ud800\"}"]}},"failed":true,"exitcode":"7"}`,
	} {
		f.Add(seed, "")
		f.Add(seed, "one of many")
	}
	sc := newScene(f, storetest.Open(f, storetest.SQLite(f)))
	made := 0
	f.Fuzz(func(t *testing.T, body, writer string) {
		made++
		name := fmt.Sprintf("r%d", made)
		run := sc.run(t, name)
		var header []string
		if writer = strings.Map(printable, writer); writer != "" {
			header = []string{"X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", writer}
		}
		status, answer := sc.post(t, sc.url, name, body, header...)
		switch status {
		case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%q is answered %d %s", body, status, answer)
		}
		held := sc.holds(t, run, writer)
		if status != http.StatusOK && held != sc.holds(t, sc.run(t, name+" untouched"), writer) {
			t.Fatalf("%q was refused with %s and left %s", body, answer, held)
		}
		if again, answer := sc.post(t, sc.url, name, body, header...); again != status {
			t.Fatalf("%q is answered %d, and then %d %s", body, status, again, answer)
		}
		if after := sc.holds(t, run, writer); after != held {
			t.Fatalf("%q came twice and changed\n%s to\n%s", body, held, after)
		}
	})
}

// printable keeps what a header may hold.
func printable(r rune) rune {
	if r <= ' ' || r >= 0x7f {
		return -1
	}
	return r
}

// holds is all that a stream of requests has left in a run.
func (sc *scene) holds(t testing.TB, run store.ID, writer string) string {
	t.Helper()
	var b strings.Builder
	for _, stream := range []store.Stream{store.StreamHistory, store.StreamEvents, store.StreamConsole} {
		fmt.Fprintf(&b, "%d: %q\n", stream, text(sc.lines(t, run, stream, writer)))
	}
	fmt.Fprintf(&b, "%q %v", sc.summary(t, run, writer), sc.live(t, run).State)
	return b.String()
}
