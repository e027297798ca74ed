package client_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// maxReplayed bounds a request that is sent again.
const maxReplayed = 64 << 20

// ingress stands before a server and sends requests more often than its clients did, as a proxy does that gives up on an
// answer and tries again while the first copy still waits somewhere.
type ingress struct {
	// next handles a request.
	next http.Handler
	// every: of so many requests one comes a second time; twice: of so many one comes twice at once.
	every, twice int64
	// late is the longest delay of a second copy.
	late time.Duration

	on      atomic.Bool
	count   atomic.Int64
	pending sync.WaitGroup
	// spared says what is sent once only; nil for nothing.
	spared func(r *http.Request, body []byte) bool
	// hurry ends the delays, for a test that has failed.
	hurry context.Context

	mu     sync.Mutex
	random *rand.Rand
	kinds  map[string]int
}

func newIngress(t *testing.T, every, twice int64, late time.Duration) *ingress {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("replays are drawn with seed %d", seed)
	return &ingress{every: every, twice: twice, late: late, hurry: t.Context(), random: rand.New(rand.NewPCG(seed, 1)), kinds: map[string]int{}}
}

func (i *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !i.on.Load() {
		i.next.ServeHTTP(w, r)
		return
	}
	n := i.count.Add(1)
	late, now := n%i.every == 0, n%i.twice == 0
	if !late && !now {
		i.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReplayed))
	if err != nil {
		http.Error(w, "the body broke off", http.StatusBadGateway)
		return
	}
	if i.spared != nil && i.spared(r, body) {
		i.next.ServeHTTP(w, copied(r, body))
		return
	}
	i.note(r)
	if now {
		i.again(r, body, 0)
	}
	i.next.ServeHTTP(w, copied(r, body))
	if late {
		i.again(r, body, i.delay())
	}
}

// note counts what is sent again.
func (i *ingress) note(r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	kind := r.Method
	if r.URL.Path == "/graphql" {
		kind = "graphql"
	}
	i.kinds[kind]++
}

func (i *ingress) delay() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Duration(i.random.Int64N(int64(i.late)))
}

// again sends a copy of a request after a while. Nobody hears the answer.
func (i *ingress) again(r *http.Request, body []byte, after time.Duration) {
	second := copied(r.Clone(context.WithoutCancel(r.Context())), body)
	i.pending.Go(func() {
		select {
		case <-time.After(after):
		case <-i.hurry.Done():
			return
		}
		i.next.ServeHTTP(httptest.NewRecorder(), second)
	})
}

func copied(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.TransferEncoding = nil
	return r
}
