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
