package server

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/mysql"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestNothingIsAcknowledgedBeforeItsSync watches the system calls of a server and of its database: between the answers to two
// requests of one client the log of the database is written, and then synced.
func TestNothingIsAcknowledgedBeforeItsSync(t *testing.T) {
	needStrace(t)
	t.Run("sqlite", func(t *testing.T) {
		folder := t.TempDir()
		db := store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")}
		told, trace := workAlone(t, folder, db)
		judge(t, told, inOrder(traceIn(t, trace)), "/wandb.sqlite-wal")
	})
	t.Run("mysql", func(t *testing.T) {
		logTrace := filepath.Join(t.TempDir(), "mysql")
		instance := mysql.PrepareInstance(t)
		instance.Run(t, underStrace(logTrace, headOnly)...)
		told, trace := workAlone(t, t.TempDir(), storeOf(instance.Database(t)))
		instance.Shutdown(t)
		judge(t, told, inOrder(traceIn(t, logTrace), traceIn(t, trace)), "/#innodb_redo/")
	})
}

func storeOf(db mysql.Database) store.Config {
	return store.Config{MySQL: &store.MySQL{Host: db.Host, Port: db.Port, Database: db.Name, User: db.User, Password: redact.Secret(db.Password)}}
}

// workAlone lets one client log, upload and commit at a server that is traced. Of each connection it is told which
// answers promise something that is in the database.
func workAlone(t *testing.T, folder string, db store.Config) (told map[int][]bool, trace string) {
	t.Helper()
	key := furnish(t, db, 1)
	trace = filepath.Join(t.TempDir(), "server")
	p := start(t, realServer, folder, db, underStrace(trace, headOnly)...)
	l := &ledger{answers: map[int][]func(*promises){}}
	c := newCaller(t, p.URL, key.Reveal(), l)
	for n := range 20 {
		must(t, c.upsert(fmt.Sprintf("run-%d", n%5)))
		must(t, c.log("run-0", n, "x"))
		must(t, c.stream("run-0", map[string]any{}, func(*promises) {})) // a heartbeat
	}
	must(t, c.upload("run-0", "a.txt", "of a run"))
	for n := range 5 {
		must(t, c.commit(fmt.Sprintf("run-%d", n), map[string]string{"one.txt": fmt.Sprintf("one %d", n)}))
	}
	p.End(t)
	told = map[int][]bool{}
	made := promises{lines: map[string][]string{}, files: map[string]string{}}
	for port, answers := range l.answers {
		for _, acknowledged := range answers {
			before := len(made.objects) // which are not in the database
			if acknowledged != nil {
				acknowledged(&made)
			}
			told[port] = append(told[port], acknowledged != nil && len(made.objects) == before)
		}
	}
	return told, trace
}

func judge(t *testing.T, told map[int][]bool, moments iter.Seq2[int, moment], log string) {
	t.Helper()
	want := 0
	for _, answers := range told {
		for _, promise := range answers {
			if promise {
				want++
			}
		}
	}
	if covered, early := acknowledgements(moments, log, told); early > 0 || covered != want || want == 0 {
		t.Errorf("of %d answers %d were written after a sync, %d before", want, covered, early)
	}
}

// acknowledgements counts the answers that had a write of the log and a sync of it before them, since the answer before, and
// those that had not. Of each connection it is told which answers promise something.
func acknowledgements(moments iter.Seq2[int, moment], log string, told map[int][]bool) (covered, early int) {
	written, synced := false, false
	syncing := map[*systemCall]bool{}
	for _, m := range moments {
		_, what := described(m.call.split()[0])
		isLog := strings.Contains(what, log)
		switch name := m.call.name; {
		case isLog && m.ended && (name == "pwrite64" || name == "write"):
			written = written || m.call.result > 0
		case isLog && (name == "fsync" || name == "fdatasync"):
			if !m.ended {
				syncing[m.call] = written
			} else if m.call.result == 0 {
				synced = synced || syncing[m.call]
			}
		}
		port, ok := m.call.answerOf()
		if !ok || m.ended || len(told[port]) == 0 {
			continue
		}
		promise := told[port][0]
		told[port] = told[port][1:]
		switch {
		case promise && synced:
			covered++
		case promise:
			early++
		}
		written, synced = false, false
	}
	return covered, early
}

func TestAcknowledgementsAreRecognized(t *testing.T) {
	const write, sync, answer = "1 pwrite64(7</x/wandb.sqlite-wal>, \"a\", 1, 0) = 1\n", "2 fdatasync(7</x/wandb.sqlite-wal>) = 0\n",
		"3 write(9<TCP:[127.0.0.1:80->127.0.0.1:4711]>, \"HTTP/1.1 200 OK\", 99) = 99\n"
	probe := strings.ReplaceAll(answer, "4711", "4712")
	split := "2 fsync(7</x/wandb.sqlite-wal> <unfinished ...>\n"
	for name, test := range map[string]struct {
		trace          string
		other          string // of a second program
		covered, early int
	}{
		"in order":                {write + sync + answer + write + sync + answer, "", 2, 0},
		"a probe at first":        {probe + write + sync + answer, "", 1, 0},
		"no sync":                 {write + sync + answer + write + answer, "", 1, 1},
		"the sync comes first":    {write + sync + answer + sync + write + answer, "", 1, 1},
		"the sync has not ended":  {write + sync + answer + write + split + answer + "2 <... fsync resumed>) = 0\n", "", 1, 1},
		"the sync ends elsewhere": {write + split + "2 <... fsync resumed>) = 0\n" + answer, "", 1, 0},
		"the sync fails":          {write + strings.Replace(sync, "= 0", "= -1 EIO", 1) + answer, "", 0, 1},
		"another file":            {strings.ReplaceAll(write+sync, "-wal", "") + answer, "", 0, 1},
		"the sync is too late":    {"1 1.0 pwrite64(7</x/wandb.sqlite-wal>, \"a\", 1, 0) = 1 <0.1>\n2 1.2 fsync(7</x/wandb.sqlite-wal>) = 0 <0.3>\n", "3 1.4" + answer[1:], 0, 1},
		"the sync is in time":     {"1 1.0 pwrite64(7</x/wandb.sqlite-wal>, \"a\", 1, 0) = 1 <0.1>\n2 1.2 fsync(7</x/wandb.sqlite-wal>) = 0 <0.3>\n", "3 1.6" + answer[1:], 1, 0},
	} {
		moments := inOrder(traceOf(t, strings.NewReader(test.trace)), traceOf(t, strings.NewReader(test.other)))
		if covered, early := acknowledgements(moments, "-wal", map[int][]bool{4711: {true, true}}); covered != test.covered || early != test.early {
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
			p := start(t, realServer, folder, db)
			var group sync.WaitGroup
			for c := range clients {
				group.Go(func() { acknowledged[c] = logUntilFailure(t.Context(), p.URL, key.Reveal(), c, acknowledged[c]) })
			}
			wait(t, 200*time.Millisecond+rand.N(300*time.Millisecond))
			p.Kill(t)
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
