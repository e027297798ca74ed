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
	"slices"
	"strconv"
	"sync"
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

// encode writes a line with its keys in any order, as the client's maps give them.
func encode(row map[string]any) (string, error) {
	line := []byte{'{'}
	for name, value := range row {
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
		row["_step"] = first + i
		var err error
		if content[i], err = encode(row); err != nil {
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
}

func (o outcome) values() float64 {
	n := 0
	for _, lines := range o.lines {
		n += lines
	}
	return float64(n * metricsPerLine)
}

func (o outcome) percentile(p float64) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	slices.Sort(o.latencies)
	return o.latencies[int(p*float64(len(o.latencies)-1))]
}

// drive lets every client of a shape send as fast as it is answered.
func drive(tb testing.TB, url, key string, s shape, d time.Duration) outcome {
	tb.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: s.clients, MaxConnsPerHost: s.clients, DisableCompression: true}}
	defer client.CloseIdleConnections()
	rows := make([][]map[string]any, s.clients)
	for c := range rows {
		random := rand.New(rand.NewPCG(uint64(c), 1)) // repeatable
		for step := range s.lines * s.bodies {
			rows[c] = append(rows[c], row(random, step))
		}
	}
	o := outcome{lines: make([]int, s.clients)}
	var mu sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	for c := range s.clients {
		group.Go(func() {
			var latencies []time.Duration
			for n := 0; time.Since(began) < d; n++ {
				at := n % s.bodies * s.lines
				text, err := request(rows[c][at:at+s.lines], n*s.lines)
				sent := time.Now()
				if err == nil {
					err = post(ctx, client, fmt.Sprintf("%s/files/bench/project/run-%d/file_stream", url, c), key, text)
				}
				if err != nil {
					tb.Error(err)
					cancel()
					return
				}
				latencies = append(latencies, time.Since(sent))
				o.lines[c] += s.lines
			}
			mu.Lock()
			defer mu.Unlock()
			o.latencies = append(o.latencies, latencies...)
		})
	}
	group.Wait()
	o.took = time.Since(began)
	return o
}

func post(ctx context.Context, client *http.Client, url, key string, text []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.SetBasicAuth("api", key)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s: %s", response.Status, answer)
	}
	return err
}
