package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shape is how a client sends.
type shape struct {
	name    string
	lines   int
	clients int
	// bodies is how many bodies a client sends before their numbers, but for the steps, come again.
	bodies int
	// once ends a client with its last body, before any number comes again.
	once bool
}

const metricsPerLine = 10

// row is what a training loop of float32 logs at one step: losses and norms with every digit that Python prints, rates,
// counters and percentages with few.
func row(random *rand.Rand, step int) map[string]any {
	loss := 2*math.Exp(-float64(step)/5000) + 0.1*random.NormFloat64()
	return map[string]any{
		"_step": step, "_runtime": float64(step)*0.21 + random.Float64()/100, "_timestamp": 1.7e9 + float64(step)*0.21,
		"train/loss": float64(float32(loss)), "train/accuracy": float64(float32(1 - loss/3)), "train/grad_norm": float64(float32(math.Abs(random.NormFloat64()))),
		"train/lr": 0.001 * float64(1000-step%1000) / 1000, "train/epoch": step / 1000, "perf/batch_seconds": rounded(0.2+0.01*random.Float64(), 3),
		"perf/samples_per_second": rounded(1200+50*random.Float64(), 1), "perf/gpu_percent": 90 + random.IntN(10),
		"val/loss": float64(float32(loss * 1.1)), "val/top5": rounded(random.Float64(), 4),
	}
}

func rounded(v float64, digits int) float64 {
	unit := math.Pow10(digits)
	return math.Round(v*unit) / unit
}

// encode writes the line of a step with its keys in any order, as the client's maps give them.
func encode(row map[string]any, step int) (string, error) {
	line := []byte{'{'}
	for name, value := range row {
		if name == "_step" {
			value = step
		}
		if len(line) > 1 {
			line = append(line, ',')
		}
		line = append(strconv.AppendQuote(line, name), ':')
		text, err := json.Marshal(value)
		if err != nil {
			return "", err
		}
		line = append(line, text...)
	}
	return string(append(line, '}')), nil
}

// request makes a body, from rows to JSON in JSON, as a client has to: that is part of the load, beside any server.
func request(rows []map[string]any, first int) ([]byte, error) {
	type file struct {
		Offset  int      `json:"offset"`
		Content []string `json:"content"`
	}
	content := make([]string, len(rows))
	for i, row := range rows {
		var err error
		if content[i], err = encode(row, first+i); err != nil {
			return nil, err
		}
	}
	return json.Marshal(map[string]map[string]file{"files": {"wandb-history.jsonl": {first, content}}})
}

// outcome is what a load has measured.
type outcome struct {
	lines     []int // acknowledged, of each client
	took      time.Duration
	latencies []time.Duration
	// keys and charts are how long the questions of a reader took; none where nobody read.
	keys, charts []time.Duration
}

func (o outcome) values() float64 {
	n := 0
	for _, lines := range o.lines {
		n += lines
	}
	return float64(n * metricsPerLine)
}

func percentile(of []time.Duration, p float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[int(p*float64(len(of)-1))]
}

// load is what clients send and how far they are. Their numbers come again after some bodies, so that what was sent can be
// told at any time.
type load struct {
	shape
	url, key string
	client   *http.Client
	// rows are those of each client before they come again.
	rows [][]map[string]any
	// sent and acknowledged count the lines of each client: it has begun to send them, or they were answered.
	sent, acknowledged []atomic.Int64
	// encoding bounds how many bodies are made at once: more would only let everybody else of this process wait.
	encoding chan struct{}
	// awaited is the client whose next answer goes to answered; -1 for none.
	awaited  atomic.Int64
	answered chan struct{}
}

func newLoad(url, key string, s shape) *load {
	l := &load{
		shape: s, url: url, key: key, rows: make([][]map[string]any, s.clients),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: s.clients + 1, MaxConnsPerHost: s.clients + 1, DisableCompression: true}},
		sent:   make([]atomic.Int64, s.clients), acknowledged: make([]atomic.Int64, s.clients),
		encoding: make(chan struct{}, runtime.GOMAXPROCS(0)), answered: make(chan struct{}),
	}
	l.awaited.Store(-1)
	for c := range l.rows {
		random := rand.New(rand.NewPCG(uint64(c), 1)) // repeatable
		for step := range s.period() {
			l.rows[c] = append(l.rows[c], row(random, step))
		}
	}
	return l
}

// period is after how many lines the numbers come again.
func (s shape) period() int { return s.lines * s.bodies }

// send makes the next body of a client and sends it.
func (l *load) send(ctx context.Context, client int) (took time.Duration, err error) {
	first := int(l.acknowledged[client].Load())
	at := first % l.period()
	l.encoding <- struct{}{}
	text, err := request(l.rows[client][at:at+l.lines], first)
	<-l.encoding
	if err != nil {
		return 0, err
	}
	l.sent[client].Add(int64(l.lines))
	began := time.Now()
	if err := post(ctx, l.client, fmt.Sprintf("%s/files/bench/project/run-%d/file_stream", l.url, client), l.key, text); err != nil {
		return 0, err
	}
	took = time.Since(began)
	l.acknowledged[client].Add(int64(l.lines))
	if l.awaited.CompareAndSwap(int64(client), -1) {
		l.answered <- struct{}{}
	}
	return took, nil
}

// done tells whether a client has sent all that it has to.
func (l *load) done(client int) bool {
	return l.once && l.acknowledged[client].Load() >= int64(l.period())
}

// drive lets every client send as fast as it is answered, and with read one reader ask, for a time.
func (l *load) drive(tb testing.TB, d time.Duration, read bool) outcome {
	tb.Helper()
	defer l.client.CloseIdleConnections()
	var o outcome
	var mu sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	fail := func(err error) {
		if ctx.Err() == nil {
			tb.Error(err)
		}
		cancel()
	}
	for c := range l.clients {
		group.Go(func() {
			var latencies []time.Duration
			for time.Since(began) < d && ctx.Err() == nil && !l.done(c) {
				took, err := l.send(ctx, c)
				if err != nil {
					fail(err)
					return
				}
				latencies = append(latencies, took)
			}
			mu.Lock()
			defer mu.Unlock()
			o.latencies = append(o.latencies, latencies...)
		})
	}
	reading, stopReading := context.WithCancel(ctx)
	var readers sync.WaitGroup
	if read {
		r := newReader(l)
		readers.Go(func() {
			if err := r.run(reading); err != nil {
				fail(err)
			}
			o.keys, o.charts = r.keys, r.charts
		})
	}
	group.Wait()
	o.took = time.Since(began)
	stopReading()
	readers.Wait()
	for c := range l.clients {
		o.lines = append(o.lines, int(l.acknowledged[c].Load()))
	}
	return o
}

func post(ctx context.Context, client *http.Client, url, key string, text []byte) error {
	_, err := exchange(ctx, client, url, key, text)
	return err
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("got %d: %s", r.status, r.text) }

// patience is how long a client waits for anything at most: a test that hangs tells less than one that fails.
const patience = 5 * time.Minute

// exchange posts JSON and returns the answer. Any other than success is a refusal.
func exchange(ctx context.Context, client *http.Client, url, key string, text []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("api", key)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = &refusal{status: response.StatusCode, text: string(answer)}
	}
	return answer, err
}
