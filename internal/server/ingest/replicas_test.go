package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// TestTwoReplicasWriteTheSameRuns lets processes log through two replicas on one database, each request through one of them
// and some of them twice, while many share runs.
func TestTwoReplicasWriteTheSameRuns(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		const runs, writers, requests = 6, 3, 40
		sc := newScene(t, storetest.Open(t, cfg))
		second := newReplica(t, storetest.Open(t, cfg))
		ids := make([]store.ID, runs)
		for r := range ids {
			ids[r] = sc.run(t, fmt.Sprint("run-", r))
		}
		var group sync.WaitGroup
		for r := range runs {
			for w := range writers {
				group.Go(func() {
					random := rand.New(rand.NewPCG(uint64(r), uint64(w))) // repeatable
					header := []string{"X-WANDB-USE-ASYNC-FILESTREAM", "true", "X-WANDB-ASYNC-CLIENT-ID", fmt.Sprint("writer-", w)}
					var sent []string
					for n := range requests {
						body := file(history, 2*n, fmt.Sprintf(`{"_step":%d}`, 2*n), fmt.Sprintf(`{"_step":%d}`, 2*n+1))
						sent = append(sent, body)
						if random.IntN(4) == 0 {
							sent = append(sent, sent[random.IntN(len(sent))])
						}
						for _, body := range sent[len(sent)-1:] {
							sc.mustAnswer(t, random, second.url, fmt.Sprint("run-", r), body, header)
						}
						sc.mustAnswer(t, random, second.url, fmt.Sprint("run-", r), body, header)
					}
				})
			}
		}
		group.Wait()
		for r, id := range ids {
			for w := range writers {
				writer := fmt.Sprint("writer-", w)
				lines := sc.lines(t, id, store.StreamHistory, writer)
				for n := range 2 * requests {
					if want := fmt.Sprintf(`{"_step":%d}`, n); lines[int64(n)] != want {
						t.Fatalf("run %d, writer %d, line %d: got %q, want %q", r, w, n, lines[int64(n)], want)
					}
				}
				if next, step, generation := sc.head(t, id, store.StreamHistory, writer); next != 2*requests || step != 2*requests-1 || generation != 0 {
					t.Errorf("run %d, writer %d: next line %d, highest step %d, generation %d", r, w, next, step, generation)
				}
			}
		}
		pool, _ := sc.store.Pools()
		var chunks int
		if err := pool.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM chunks").Scan(&chunks); err != nil || chunks != runs*writers*requests {
			t.Errorf("%d chunks, want one for each of %d requests; %v", chunks, runs*writers*requests, err)
		}
	})
}

// mustAnswer sends through one of two replicas.
func (sc *scene) mustAnswer(t *testing.T, random *rand.Rand, other, run, body string, header []string) {
	base := sc.url
	if random.IntN(2) == 0 {
		base = other
	}
	if status, answer := sc.post(t, base, run, body, header...); status != http.StatusOK {
		t.Errorf("got %d %s", status, answer)
	}
}

// TestAReplicaThatStandsStillHoldsUpItsRunsOnly takes the lock of one run, as a replica does that is stopped in the midst of a
// transaction. Requests to the run wait for a while, all others for nothing.
func TestAReplicaThatStandsStillHoldsUpItsRunsOnly(t *testing.T) {
	sc := newScene(t, storetest.Open(t, storetest.MySQL(t)))
	held, free := sc.run(t, "held"), sc.run(t, "free")
	pool, _ := sc.store.Pools()
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "UPDATE run_live SET rev = rev + 1 WHERE run_id = ?", int64(held)); err != nil {
		t.Fatal(err)
	}
	statuses := make(chan int, 1)
	go func() {
		status, _ := sc.post(t, sc.url, "held", file(history, 0, `{"_step":0}`))
		statuses <- status
	}()
	for n := range 20 {
		sc.send(t, "free", file(history, n, `{"_step":0}`))
	}
	if status := <-statuses; status != http.StatusTooManyRequests {
		t.Errorf("a request to a run that is held is answered with %d", status)
	}
	go func() {
		status, _ := sc.post(t, sc.url, "held", file(history, 0, `{"_step":0}`))
		statuses <- status
	}()
	sc.send(t, "free", file(history, 20, `{"_step":0}`))
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if status := <-statuses; status != http.StatusOK {
		t.Errorf("after the lock is gone the request is answered with %d", status)
	}
	if next, _, _ := sc.head(t, free, store.StreamHistory, ""); next != 21 {
		t.Errorf("%d lines of the other run", next)
	}
	if next, _, _ := sc.head(t, held, store.StreamHistory, ""); next != 1 {
		t.Errorf("%d lines of the run that was held", next)
	}
}
