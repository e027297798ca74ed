package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

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
