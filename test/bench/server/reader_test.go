package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// samples is how many rows a chart asks for.
const samples = 500

// reader asks for a random run right after one of its requests was acknowledged, and compares what it is told with what was
// sent. Nothing that was acknowledged before may be missing, nothing that was not sent may be there.
type reader struct {
	load   *load
	client *http.Client
	random *rand.Rand
	names  []string
	// numbers are the values of every key, by client, before they come again.
	numbers []map[string][]float64
	// falls is the first line at which a key is smaller than in the line before, by client.
	falls []map[string]int64
	// keys and charts are how long each question took.
	keys, charts []time.Duration
}

func newReader(l *load) *reader {
	r := &reader{load: l, client: &http.Client{}, random: rand.New(rand.NewPCG(3, 3))}
	for name := range l.rows[0][0] {
		r.names = append(r.names, name)
	}
	slices.Sort(r.names)
	for _, rows := range l.rows {
		numbers, falls := map[string][]float64{}, map[string]int64{}
		for _, name := range r.names {
			if name == "_step" {
				continue
			}
			for _, row := range rows {
				numbers[name] = append(numbers[name], number(row[name]))
			}
			falls[name] = fall(numbers[name])
		}
		r.numbers, r.falls = append(r.numbers, numbers), append(r.falls, falls)
	}
	return r
}

func number(value any) float64 {
	if whole, ok := value.(int); ok {
		return float64(whole)
	}
	return value.(float64) // rows hold nothing else
}

// fall is the first place at which numbers that come again and again fall.
func fall(numbers []float64) int64 {
	for i := 1; i <= len(numbers); i++ {
		if numbers[i%len(numbers)] < numbers[i-1] {
			return int64(i)
		}
	}
	return math.MaxInt64
}

// run asks until ctx ends.
func (r *reader) run(ctx context.Context) error {
	defer r.client.CloseIdleConnections()
	for {
		client := r.random.IntN(r.load.clients)
		r.load.awaited.Store(int64(client))
		select {
		case <-r.load.answered:
		case <-ctx.Done():
			if !r.load.awaited.CompareAndSwap(int64(client), -1) {
				<-r.load.answered // it is being sent
			}
			return nil
		}
		if err := r.ask(ctx, client); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read run-%d: %w", client, err)
		}
	}
}

// ask asks as pages and the client do: for keys with the last step, and for the chart of a metric.
func (r *reader) ask(ctx context.Context, client int) error {
	least := r.load.acknowledged[client].Load()
	run, took, err := r.query(ctx, client, "query RunHistoryKeys", "historyKeys historyLineCount", "", nil)
	if err != nil {
		return err
	}
	r.keys = append(r.keys, took)
	if err := r.checkKeys(client, run, least); err != nil {
		return err
	}
	name := r.names[r.random.IntN(len(r.names))]
	spec, err := json.Marshal(map[string]any{"keys": []string{"_step", name}, "samples": samples})
	if err != nil {
		return err
	}
	least = r.load.acknowledged[client].Load()
	run, took, err = r.query(ctx, client, "query RunSampledHistory", "sampledHistory(specs: $specs)", ", $specs: [JSONString!]!", []string{string(spec)})
	if err != nil {
		return err
	}
	r.charts = append(r.charts, took)
	return r.checkChart(client, name, run.SampledHistory, least)
}

// answer is what a reader is told of a run.
type answer struct {
	HistoryKeys struct {
		Keys     map[string]keyAnswer
		LastStep int64
	}
	HistoryLineCount int64
	SampledHistory   [][]map[string]json.RawMessage
}

type keyAnswer struct {
	TypeCounts []struct {
		Type  string
		Count int64
	}
	Monotonic     bool
	PreviousValue json.RawMessage
}

// query sends a query; took is until its answer is whole.
func (r *reader) query(ctx context.Context, client int, name, fields, parameters string, specs []string) (a answer, took time.Duration, err error) {
	var found struct {
		Data struct {
			Project struct{ Run *answer }
		}
		Errors []json.RawMessage
	}
	text, err := json.Marshal(map[string]any{
		"query":     name + "($entity: String!, $project: String!, $run: String!" + parameters + ") { project(name: $project, entityName: $entity) { run(name: $run) { " + fields + " } } }",
		"variables": map[string]any{"entity": "bench", "project": "project", "run": fmt.Sprintf("run-%d", client), "specs": specs},
	})
	if err != nil {
		return answer{}, 0, err
	}
	began := time.Now()
	body, err := exchange(ctx, r.client, r.load.url+"/graphql", r.load.key, text)
	if err != nil {
		return answer{}, 0, err
	}
	took = time.Since(began)
	if err := json.Unmarshal(body, &found); err != nil {
		return answer{}, 0, err
	}
	if len(found.Errors) > 0 || found.Data.Project.Run == nil {
		return answer{}, 0, fmt.Errorf("got %.500s", body)
	}
	return *found.Data.Project.Run, took, nil
}

// whole tells whether so many lines may be there: whole requests, those that were acknowledged and at most one more.
func (r *reader) whole(client int, lines, least int64) error {
	if most := r.load.sent[client].Load(); lines < least || lines > most || lines%int64(r.load.lines) != 0 {
		return fmt.Errorf("%d lines, where %d were acknowledged and %d sent", lines, least, most)
	}
	return nil
}

func (r *reader) checkKeys(client int, a answer, least int64) error {
	lines := a.HistoryKeys.LastStep + 1
	for _, n := range []int64{lines, a.HistoryLineCount} {
		if err := r.whole(client, n, least); err != nil {
			return err
		}
	}
	if len(a.HistoryKeys.Keys) != len(r.names) {
		return fmt.Errorf("%d keys, want %d", len(a.HistoryKeys.Keys), len(r.names))
	}
	for _, name := range r.names {
		key := a.HistoryKeys.Keys[name]
		if len(key.TypeCounts) != 1 || key.TypeCounts[0].Type != "number" || key.TypeCounts[0].Count != lines {
			return fmt.Errorf("%s has %v values, of %d lines", name, key.TypeCounts, lines)
		}
		if want := r.token(client, name, lines-1); string(key.PreviousValue) != want {
			return fmt.Errorf("%s was %s last, want %s", name, key.PreviousValue, want)
		}
		if rises := name == "_step" || lines <= r.falls[client][name]; key.Monotonic != rises {
			return fmt.Errorf("%s is monotonic: %t, in %d lines", name, key.Monotonic, lines)
		}
	}
	return nil
}

// token is the text of a value as it was sent.
func (r *reader) token(client int, name string, line int64) string {
	if name == "_step" {
		return fmt.Sprint(line)
	}
	text, err := json.Marshal(r.load.rows[client][line%int64(r.load.period())][name])
	if err != nil { // it was sent
		return err.Error()
	}
	return string(text)
}

func (r *reader) checkChart(client int, name string, charts [][]map[string]json.RawMessage, least int64) error {
	if len(charts) != 1 || len(charts[0]) == 0 {
		return fmt.Errorf("%d charts", len(charts))
	}
	chart := charts[0]
	steps, drawn := make([]int64, len(chart)), make(map[string]bool, len(chart))
	for i, point := range chart {
		if _, err := fmt.Sscan(string(point["_step"]), &steps[i]); err != nil {
			return err
		}
		want := r.token(client, name, steps[i])
		if string(point[name]) != want {
			return fmt.Errorf("%s is %s at step %d, want %s", name, point[name], steps[i], want)
		}
		drawn[want] = true
	}
	lines := steps[len(steps)-1] + 1
	if err := r.whole(client, lines, least); err != nil {
		return err
	}
	if err := evenly(steps, lines); err != nil {
		return err
	}
	if name == "_step" {
		return nil
	}
	of := r.numbers[client][name]
	of = of[:min(int64(len(of)), lines)]
	for _, extreme := range []float64{slices.Min(of), slices.Max(of)} {
		if want := r.token(client, name, int64(slices.Index(of, extreme))); !drawn[want] {
			return fmt.Errorf("%s in %d lines: the chart lacks its extreme %s", name, lines, want)
		}
	}
	return nil
}

// evenly tells whether a chart has all steps of so many, or enough of them, in order and nowhere far apart.
func evenly(steps []int64, lines int64) error {
	if steps[0] != 0 {
		return fmt.Errorf("the chart begins at step %d", steps[0])
	}
	if n := int64(len(steps)); n < min(lines, samples)*9/10 || n > min(lines, samples) {
		return fmt.Errorf("the chart of %d lines has %d points", lines, n)
	}
	for i := 1; i < len(steps); i++ {
		if gap := steps[i] - steps[i-1]; gap < 1 || gap > 3*lines/samples+1 {
			return fmt.Errorf("step %d follows %d in a chart of %d lines", steps[i], steps[i-1], lines)
		}
	}
	return nil
}
