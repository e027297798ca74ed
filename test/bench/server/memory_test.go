package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// TestMemoryStaysBounded sends many large bodies at once.
func TestMemoryStaysBounded(t *testing.T) {
	desc := strings.Repeat("x", 10<<20)
	operation := []byte(`{"query":"query Project($desc:String){viewer{username}}","variables":{"desc":"` + desc + `"}}`)
	for name, test := range map[string]struct {
		clients int
		path    string // %d is the client
		body    []byte
		refused bool
	}{
		"metrics":               {50, "/files/bench/project/run-%d/file_stream", manyRows(t), false},
		"GraphQL":               {20, "/graphql?client=%d", operation, false},
		"GraphQL without a key": {20, "/graphql?client=%d", operation, true},
		"metrics without a key": {50, "/files/bench/project/run-%d/file_stream", operation, true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			db := store.Config{SQLitePath: filepath.Join(folder, "wandb.sqlite")}
			key := furnish(t, db, test.clients).Reveal()
			if test.refused {
				key = strings.Repeat("0", 40)
			}
			p := start(t, realServer, folder, db)
			var group sync.WaitGroup
			for c := range test.clients {
				group.Go(func() {
					if err := postPatiently(t, p.URL+fmt.Sprintf(test.path, c), key, test.body); err != nil && !test.refused || err == nil && test.refused {
						t.Errorf("client %d: %v", c, err)
					}
				})
			}
			group.Wait()
			checkMemory(t, p)
		})
	}
}

// checkMemory ends a server that may have taken so much memory at most.
func checkMemory(t *testing.T, p *serverprocess.Process) {
	t.Helper()
	const limit = 200 << 20
	p.End(t)
	peak := p.Peak()
	t.Logf("at most %d MiB of memory", peak>>20)
	if peak == 0 || peak > limit {
		t.Errorf("the server took %d MiB of memory, want at most %d", peak>>20, limit>>20)
	}
}

// manyRows is a body of 10 MiB.
func manyRows(t *testing.T) []byte {
	t.Helper()
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
	return body
}

// postPatiently comes again where it is sent away, as the client does.
func postPatiently(t *testing.T, url, key string, body []byte) error {
	for began := time.Now(); ; wait(t, rand.N(time.Second)) {
		err := post(t.Context(), http.DefaultClient, url, key, body)
		var sentAway *refusal
		if !errors.As(err, &sentAway) || sentAway.status != http.StatusTooManyRequests && sentAway.status != http.StatusServiceUnavailable {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("in %s the server took nothing: %w", patience, err)
		}
	}
}
