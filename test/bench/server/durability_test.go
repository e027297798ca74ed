package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestNothingIsAcknowledgedBeforeItsSync watches the system calls of a server: between the answers to two requests the log of
// the database is written, and then synced.
func TestNothingIsAcknowledgedBeforeItsSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace")
	}
	folder := t.TempDir()
	db := store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")}
	key := furnish(t, db, 1)
	trace := filepath.Join(folder, "trace")
	p := start(t, "real", folder, db, strace, "-f", "-y", "-qq", "-e", "signal=none", "-s", "16", "-o", trace,
		"-e", "trace=fsync,fdatasync,write,pwrite64,writev,sendto,sendmsg")
	const requests = 20
	for n := range requests {
		body := fmt.Sprintf(`{"files":{"wandb-history.jsonl":{"offset":%d,"content":["{\"_step\":%d}"]}}}`, n, n)
		if n%4 == 3 {
			body = `{}`
		}
		must(t, post(t.Context(), http.DefaultClient, p.url+"/files/bench/project/run-0/file_stream", key.Reveal(), []byte(body)))
	}
	http.DefaultClient.CloseIdleConnections()
	p.stop(t)
	text, err := os.ReadFile(trace)
	must(t, err)
	covered, early := acknowledgements(string(text))
	if early > 0 || covered != requests {
		t.Errorf("of %d answers %d were written after a sync, %d before", requests, covered, early)
	}
}

// acknowledgements counts the answers that had a write of the log and a sync of it before them, since the answer before, and
// those that had not. Answers to probes come before the first write and are not counted.
func acknowledgements(trace string) (covered, early int) {
	written, synced, begun := false, false, false
	syncing := map[string]bool{} // threads
	lines := bufio.NewScanner(strings.NewReader(trace))
	for lines.Scan() {
		thread, call, _ := strings.Cut(lines.Text(), " ")
		call = strings.TrimSpace(call)
		log := strings.Contains(call, "wandb.sqlite-wal>")
		switch {
		case log && strings.HasPrefix(call, "pwrite64("), log && strings.HasPrefix(call, "write("):
			written = true
		case log && (strings.HasPrefix(call, "fsync(") || strings.HasPrefix(call, "fdatasync(")):
			syncing[thread] = written
			if strings.HasSuffix(call, "= 0") {
				synced = synced || written
			}
		case strings.HasPrefix(call, "<... fsync resumed>"), strings.HasPrefix(call, "<... fdatasync resumed>"):
			synced = synced || syncing[thread]
		case strings.Contains(call, `"HTTP/1.1 200 OK`):
			if synced {
				covered++
				begun = true
			} else if begun {
				early++
			}
			written, synced = false, false
		}
	}
	return covered, early
}

func TestAcknowledgementsAreRecognized(t *testing.T) {
	const write, sync, answer = "1 pwrite64(7</x/wandb.sqlite-wal>, \"a\"..., 1, 0) = 1\n", "2 fdatasync(7</x/wandb.sqlite-wal>) = 0\n",
		"3 write(9<socket:[1]>, \"HTTP/1.1 200 OK\"..., 99) = 99\n"
	split := "2 fsync(7</x/wandb.sqlite-wal> <unfinished ...>\n"
	for name, test := range map[string]struct {
		trace          string
		covered, early int
	}{
		"in order":                {write + sync + answer + write + sync + answer, 2, 0},
		"a probe at first":        {answer + write + sync + answer, 1, 0},
		"no sync":                 {write + sync + answer + write + answer, 1, 1},
		"the sync comes first":    {write + sync + answer + sync + write + answer, 1, 1},
		"the sync has not ended":  {write + sync + answer + write + split + answer + "2 <... fsync resumed>) = 0\n", 1, 1},
		"the sync ends elsewhere": {write + split + "2 <... fsync resumed>) = 0\n" + answer, 1, 0},
	} {
		if covered, early := acknowledgements(test.trace); covered != test.covered || early != test.early {
			t.Errorf("%s: %d covered, %d early; want %d, %d", name, covered, early, test.covered, test.early)
		}
	}
}

// TestAcknowledgedLinesOutliveAKill ends a server with SIGKILL in the middle of its work, several times on one database.
func TestAcknowledgedLinesOutliveAKill(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, db store.Config) {
		const clients, kills = 4, 3
		folder := t.TempDir()
		if db.MySQL == nil {
			db.SQLitePath = filepath.Join(folder, "wandb.sqlite")
		}
		key := furnish(t, db, clients)
		acknowledged := make([]int, clients)
		for range kills {
			p := start(t, "real", folder, db)
			var group sync.WaitGroup
			for c := range clients {
				group.Go(func() { acknowledged[c] = logUntilFailure(t.Context(), p.url, key.Reveal(), c, acknowledged[c]) })
			}
			wait(t, 200*time.Millisecond+rand.N(300*time.Millisecond))
			_ = p.command.Process.Kill()
			_ = p.command.Wait()
			<-p.watching
			group.Wait()
		}
		for c, want := range acknowledged {
			if want == 0 {
				t.Errorf("client %d was never answered", c)
			}
		}
		check(t, db, folder, acknowledged)
	})
}

// logUntilFailure sends one line after the other, and returns how many are acknowledged.
func logUntilFailure(ctx context.Context, url, key string, client, from int) int {
	for n := from; ; n++ {
		body := fmt.Sprintf(`{"files":{"wandb-history.jsonl":{"offset":%d,"content":["{\"_step\":%d,\"client\":%d}"]}}}`, n, n, client)
		if err := post(ctx, http.DefaultClient, fmt.Sprintf("%s/files/bench/project/run-%d/file_stream", url, client), key, []byte(body)); err != nil {
			return n
		}
	}
}

// check reads back that every acknowledged line of every client is there, as it was sent.
func check(t *testing.T, db store.Config, folder string, acknowledged []int) {
	t.Helper()
	left := openArchive(t, db, folder)
	for c, n := range acknowledged {
		found := map[string]bool{}
		left.each(t, fmt.Sprintf("run-%d", c), func(line string) {
			var row struct {
				Step   json.Number `json:"_step"`
				Client json.Number `json:"client"`
			}
			must(t, json.Unmarshal([]byte(line), &row))
			found[fmt.Sprintf("%s %s", row.Client, row.Step)] = true
		})
		for line := range n {
			if want := fmt.Sprintf("%d %d", c, line); !found[want] {
				t.Fatalf("acknowledged and lost: client and step %s", want)
			}
		}
	}
}

// TestMemoryStaysBounded sends 50 bodies of 10 MiB at once.
func TestMemoryStaysBounded(t *testing.T) {
	const clients, limit = 50, 200 << 20
	folder := t.TempDir()
	db := store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")}
	key := furnish(t, db, clients)
	rows := make([]map[string]any, 32_000)
	random := rand.New(rand.NewPCG(1, 1)) // repeatable
	for i := range rows {
		rows[i] = row(random, i)
	}
	body, err := request(rows, 0)
	must(t, err)
	if len(body) < 10<<20 {
		t.Fatalf("the body has only %d bytes", len(body))
	}
	p := start(t, "real", folder, db)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for { // as the client does where it is sent away
				err := post(t.Context(), http.DefaultClient, fmt.Sprintf("%s/files/bench/project/run-%d/file_stream", p.url, c), key.Reveal(), body)
				if err == nil || !strings.Contains(err.Error(), "429") {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wait(t, rand.N(time.Second))
			}
		})
	}
	group.Wait()
	peak := p.stop(t)
	t.Logf("at most %d MiB of memory", peak>>20)
	if peak > limit {
		t.Errorf("the server took %d MiB of memory, want at most %d", peak>>20, limit>>20)
	}
}
