package sweep

import (
	"encoding/json"
	"math"
	"testing"
)

// search runs a search of 40 draws and returns the best value.
func search(t *testing.T, cfg Config, seed int64, of func(x, y float64, kind string) float64) float64 {
	t.Helper()
	var observations []Observation
	best := math.Inf(1)
	for draw := range int64(40) {
		var promising []float64
		if cfg.Method == Bayes {
			promising = cfg.Space.Promising(observations, cfg.Metric, source(7, draw+1000*seed))
		}
		args := next(cfg, 7, draw+1000*seed, promising)
		var config struct {
			X, Y struct{ Value float64 }
			Kind struct{ Value string }
		}
		if err := json.Unmarshal(args, &config); err != nil {
			t.Fatal(err)
		}
		value := of(config.X.Value, config.Y.Value, config.Kind.Value)
		best = min(best, value)
		if cfg.Metric.Maximize {
			value = -value
		}
		observations = append(observations, Observation{Config: args, Over: true, Measured: true, Value: value})
	}
	return best
}

func TestBayesFindsMoreThanChance(t *testing.T) {
	const parameters = "parameters: {x: {min: -5.0, max: 5.0}, y: {distribution: log_uniform_values, min: 0.001, max: 10}, kind: {values: [a, b, c]}}"
	valley := func(x, y float64, kind string) float64 {
		v := (x-1.3)*(x-1.3) + math.Pow(math.Log10(y)+1, 2)*3
		if kind != "b" {
			v += 2
		}
		return v
	}
	for _, goal := range []string{"minimize", "maximize"} {
		bayes := parse(t, "method: bayes\nmetric: {name: loss, goal: "+goal+"}\n"+parameters)
		random := parse(t, "method: random\n"+parameters)
		var chance, guided float64
		for seed := range int64(6) {
			chance += search(t, random, seed, valley) / 6
			guided += search(t, bayes, seed, valley) / 6
		}
		if guided > chance/4 || guided > 0.1 {
			t.Errorf("%s: after 40 draws the best is %.3f on average, by chance it is %.3f", goal, guided, chance)
		}
	}
}

func TestPlaceIsTheInverseOfAt(t *testing.T) {
	for _, text := range []string{
		"{min: 1.0, max: 3.0}", "{min: 1, max: 60}", "{distribution: log_uniform, min: -3, max: 1}",
		"{distribution: inv_log_uniform, min: 1, max: 3}", "{distribution: normal, mu: 5, sigma: 2}", "{distribution: beta, a: 2, b: 6}",
		"{distribution: q_uniform, min: 0, max: 10, q: 5}", "{values: [a, b, c]}", "{values: [1, 2.5], probabilities: [0.9, 0.1]}",
	} {
		d := parse(t, "method: random\nparameters: {x: "+text+"}").Space.leaves[0].distribution
		for _, u := range []float64{0.03, 0.2, 0.5, 0.77, 0.95} {
			value := d.at(u)
			at, ok := d.place(value)
			if !ok || (!d.same(at, u) && math.Abs(at-u) > 1e-6) {
				t.Errorf("%s: %s of %g is placed at %g, %v", text, value, u, at, ok)
			}
		}
		if _, ok := d.place(json.RawMessage(`"elsewhere"`)); ok {
			t.Errorf("%s: a value that is none has a place", text)
		}
	}
}

func TestRunsThatDoNotFitAreLeftOut(t *testing.T) {
	cfg := parse(t, "method: bayes\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}, g: {parameters: {y.z: {values: [1, 2]}}}}")
	var observations []Observation
	for _, config := range []string{`{}`, `{"x":{"value":0.5}}`, `{"x":{"value":0.5},"g":{"value":{"y.z":3}}}`, `{"x":{"value":0.5},"g":{"value":{"y.z":1}}}`} {
		observations = append(observations, Observation{Config: []byte(config), Over: true, Measured: true, Value: 1})
	}
	results, pending := cfg.Space.samples(observations, cfg.Metric)
	if len(results) != 1 || len(pending) != 0 {
		t.Errorf("%d results, %d pending", len(results), len(pending))
	}
	if cube := cfg.Space.Promising(observations, cfg.Metric, source(1, 1)); cube != nil {
		t.Errorf("one result is enough for %v", cube)
	}
}

func BenchmarkPromising(b *testing.B) {
	cfg := parse(b, "method: bayes\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}, y: {min: 0.0, max: 1.0}, z: {min: 0.0, max: 1.0}}")
	var observations []Observation
	for i := range int64(400) {
		observations = append(observations, Observation{Config: cfg.Space.At(cfg.Space.Cube(1, i)), Over: true, Measured: true, Value: float64(i % 17)})
	}
	for b.Loop() {
		cfg.Space.Promising(observations, cfg.Metric, source(1, 1))
	}
}
