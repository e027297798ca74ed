package sweep

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
)

func parse(t testing.TB, text string) Config {
	t.Helper()
	cfg, _, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return cfg
}

func TestConfigurationsThatCannotRunNameWhatIsWrong(t *testing.T) {
	parameter := func(text string) string { return "method: random\nparameters: {lr: " + text + "}" }
	for sentence, c := range map[string]struct{ text, want string }{
		"no YAML":                         {"a: [", "is no YAML"},
		"a list":                          {"[1]", "no mapping"},
		"nothing":                         {"", "no mapping"},
		"no method":                       {"parameters: {x: {value: 1}}", "method is missing"},
		"a method that nobody knows":      {"method: magic\nparameters: {x: {value: 1}}", `method "magic" is not supported: use one of grid, random, bayes`},
		"no parameters":                   {"method: grid", "parameters is missing"},
		"a parameter that is a number":    {parameter("3"), "parameter lr must be a mapping"},
		"a parameter without values":      {parameter("{}"), "parameter lr needs value, values, min and max, or a distribution"},
		"min above max":                   {parameter("{min: 2, max: 1}"), "parameter lr: min is 2 and must not be above max, which is 1"},
		"large whole numbers, min above":  {parameter("{min: 9007199254740993, max: 9007199254740992}"), "must not be above"},
		"min only":                        {parameter("{min: 2, distribution: uniform}"), "needs min and max"},
		"a min that is a word":            {parameter("{min: low, max: 1}"), "parameter lr: min must be a number"},
		"an infinite max":                 {parameter("{min: 0, max: .inf}"), "no finite number"},
		"an unknown distribution":         {parameter("{distribution: zipf, a: 1}"), `parameter lr: distribution "zipf" is not known`},
		"an unknown distribution in q":    {parameter("{distribution: q_inv_log_uniform, min: 1, max: 2}"), "is not known"},
		"int_uniform with a fraction":     {parameter("{distribution: int_uniform, min: 0.5, max: 2}"), "whole numbers"},
		"logarithm of nothing":            {parameter("{distribution: log_uniform_values, min: 0, max: 2}"), "parameter lr: distribution log_uniform_values needs a min above 0"},
		"q of zero":                       {parameter("{distribution: q_uniform, min: 0, max: 2, q: 0}"), "q is 0 and must be above 0"},
		"no multiple of q":                {parameter("{distribution: q_uniform, min: 1, max: 4, q: 5}"), "no multiple of q"},
		"a negative sigma":                {parameter("{distribution: normal, sigma: -1}"), "sigma"},
		"beta without its numbers":        {parameter("{distribution: beta, a: 1}"), "needs a and b"},
		"values that are empty":           {parameter("{values: []}"), "values must be a list that is not empty"},
		"fewer probabilities than values": {parameter("{values: [1, 2], probabilities: [1]}"), "parameter lr has 2 values but 1 probabilities"},
		"probabilities below zero":        {parameter("{values: [1, 2], probabilities: [2, -1]}"), "at least 0"},
		"probabilities of nothing":        {parameter("{values: [1, 2], probabilities: [0, 0]}"), "add up to 1"},
		"categorical without values":      {parameter("{distribution: categorical}"), "needs values"},
		"weighted without probabilities":  {parameter("{distribution: categorical_w_probabilities, values: [1]}"), "needs probabilities"},
		"constant without a value":        {parameter("{distribution: constant}"), "needs value"},
		"a key twice":                     {"method: random\nparameters:\n  lr: {value: 1}\n  lr: {value: 2}", `key "lr" twice`},
		"a nested parameter":              {parameter("{parameters: {warmup: {min: 3, max: 1}}}"), "parameter lr.warmup: min"},
		"a continuous grid":               {"method: grid\nparameters: {lr: {min: 0.0, max: 1.0}, n: {values: [1]}}", "parameter lr has a continuous range, which method grid cannot visit"},
		"a grid without end":              {"method: grid\nparameters: {a: {min: 0, max: 9000000000000000000}, b: {min: 0, max: 9}}", "too many combinations"},
		"run_cap of zero":                 {"method: random\nrun_cap: 0\nparameters: {x: {value: 1}}", "run_cap must be a whole number above 0"},
		"a goal that is none":             {"method: random\nmetric: {name: a, goal: up}\nparameters: {x: {value: 1}}", "metric.goal"},
		"bayes without a metric":          {"method: bayes\nparameters: {x: {value: 1}}", "metric.name is missing"},
		"an early end of another kind":    {"method: random\nearly_terminate: {type: median}\nparameters: {x: {value: 1}}", "must be hyperband"},
		"an early end without a metric":   {"method: random\nearly_terminate: {type: hyperband, min_iter: 3}\nparameters: {x: {value: 1}}", "metric.name is missing"},
		"several mistakes at once":        {"method: random\nparameters: {a: {}, b: {min: 2, max: 1}}", "parameter b: min"},
	} {
		_, _, err := Parse([]byte(c.text))
		if err == nil || fault.Reason(err, "") != ReasonInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	_, warnings, err := Parse([]byte("method: grid\ncolour: red\nmetric: {name: a, target: 3}\nparameters: {a: {values: [1, 1], depth: 2}, b: {values: [1, 2]}}"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(warnings, "\n")
	for _, want := range []string{"colour is not known", "metric.target is not supported", "parameter a: depth is not known", "parameter a holds a value twice"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning %q in %s", want, text)
		}
	}
}

func TestAnAliasBombIsRefused(t *testing.T) {
	text := "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
	for i := 1; i < 12; i++ {
		previous := "*a" + strconv.Itoa(i-1)
		text += "a" + strconv.Itoa(i) + ": &a" + strconv.Itoa(i) + " [" + strings.Repeat(previous+",", 9) + previous + "]\n"
	}
	_, _, err := Parse([]byte(text + "method: grid\nparameters: {x: {value: *a11}}"))
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}

func TestValuesKeepTheTypeOfTheirNumbers(t *testing.T) {
	cfg := parse(t, `
method: grid
parameters:
  a: {value: 1}
  b: {value: 1.0}
  c: {value: 9007199254740993}
  d: {value: 1.0e-05}
  e: {value: "008"}
  f: {value: null}
  g: {value: true}
  h: {value: {deep: [1, 2.0, "x<y"], empty: {}}}
  i: {value: 0x10}
  j: {value: -3}
  k: {parameters: {l: {value: 0.5}, m: {parameters: {n: {value: []}}}}}
`)
	want := `{"a":{"value":1},"b":{"value":1.0},"c":{"value":9007199254740993},"d":{"value":1.0e-05},"e":{"value":"008"},` +
		`"f":{"value":null},"g":{"value":true},"h":{"value":{"deep":[1,2.0,"x<y"],"empty":{}}},"i":{"value":16},"j":{"value":-3},` +
		`"k":{"value":{"l":0.5,"m":{"n":[]}}}}`
	if got := string(cfg.Space.Point(0)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if cfg.Limit() != 1 {
		t.Errorf("%d points", cfg.Limit())
	}
}

func TestGridVisitsEachPointOnce(t *testing.T) {
	cfg := parse(t, "method: grid\nparameters: {a: {values: [1, x, 1]}, b: {min: -1, max: 1}, c: {distribution: q_uniform, min: 0.1, max: 0.35, q: 0.1}}")
	if cfg.Limit() != 2*3*3 {
		t.Fatalf("%d points", cfg.Limit())
	}
	seen := map[string]bool{}
	for i := range cfg.Limit() {
		seen[string(cfg.Space.Point(i))] = true
	}
	if len(seen) != 18 || !seen[`{"a":{"value":"x"},"b":{"value":-1},"c":{"value":0.3}}`] {
		t.Errorf("%d points: %v", len(seen), seen)
	}
	if first := string(cfg.Space.Point(0)); first != `{"a":{"value":1},"b":{"value":-1},"c":{"value":0.1}}` {
		t.Errorf("the first point is %s", first)
	}
}

func TestLimit(t *testing.T) {
	for sentence, c := range map[string]struct {
		text string
		want int64
	}{
		"a grid":                    {"method: grid\nparameters: {a: {values: [1, 2]}, b: {values: [1, 2, 3]}}", 6},
		"a grid with a smaller cap": {"method: grid\nrun_cap: 4\nparameters: {a: {values: [1, 2]}, b: {values: [1, 2, 3]}}", 4},
		"a grid with a larger cap":  {"method: grid\nrun_cap: 40\nparameters: {a: {values: [1, 2]}}", 2},
		"random":                    {"method: random\nparameters: {a: {values: [1, 2]}}", -1},
		"random with a cap":         {"method: random\nrun_cap: 7\nparameters: {a: {values: [1, 2]}}", 7},
		"a huge but finite grid":    {"method: grid\nparameters: {a: {min: 0, max: 999999999}, b: {min: 0, max: 99}}", 100_000_000_000},
	} {
		if got := parse(t, c.text).Limit(); got != c.want {
			t.Errorf("%s: %d, want %d", sentence, got, c.want)
		}
	}
}

// Each distribution is drawn from often; mean is that of the transformed value.
func TestDistributions(t *testing.T) {
	identity := func(v float64) float64 { return v }
	for text, c := range map[string]struct {
		low, high float64
		mean, off float64
		of        func(float64) float64
		whole     bool
	}{
		"{min: 1, max: 6}": {1, 6, 3.5, 0.1, identity, true},
		"{distribution: int_uniform, min: -9223372036854775808, max: 9223372036854775807}": {math.MinInt64, math.MaxInt64, 0, 2e17, identity, true},
		"{min: 1.0, max: 3.0}":                                            {1, 3, 2, 0.05, identity, false},
		"{min: 1, max: 3.5}":                                              {1, 3.5, 2.25, 0.05, identity, false},
		"{distribution: q_uniform, min: 0, max: 10, q: 5}":                {0, 10, 5, 0.2, identity, true},
		"{distribution: q_uniform, min: 0.0, max: 1.0, q: 0.25}":          {0, 1, 0.5, 0.02, identity, false},
		"{distribution: log_uniform, min: -3, max: 1}":                    {math.Exp(-3), math.E, -1, 0.1, math.Log, false},
		"{distribution: log_uniform_values, min: 0.001, max: 10}":         {0.001, 10, -1, 0.06, math.Log10, false},
		"{distribution: q_log_uniform, min: 0, max: 5, q: 1}":             {1, 148, 2.5, 0.15, math.Log, true},
		"{distribution: q_log_uniform_values, min: 16, max: 1024, q: 16}": {16, 1024, 7, 0.2, math.Log2, true},
		"{distribution: inv_log_uniform, min: 1, max: 3}":                 {math.Exp(-3), math.Exp(-1), -2, 0.05, math.Log, false},
		"{distribution: inv_log_uniform_values, min: 0.01, max: 1}":       {0.01, 1, -1, 0.05, math.Log10, false},
		"{distribution: normal, mu: 5, sigma: 2}":                         {-10, 20, 5, 0.1, identity, false},
		"{mu: 5}": {-1, 11, 5, 0.1, identity, false},
		"{distribution: q_normal, mu: 50, sigma: 2, q: 1}":      {30, 70, 50, 0.1, identity, true},
		"{distribution: log_normal, mu: 1, sigma: 0.5}":         {0, 40, 1, 0.05, math.Log, false},
		"{distribution: q_log_normal, mu: 3, sigma: 0.5, q: 1}": {1, 400, 3, 0.1, math.Log, true},
		"{distribution: beta, a: 2, b: 6}":                      {0, 1, 0.25, 0.02, identity, false},
		"{distribution: q_beta, a: 2, b: 6, q: 0.01}":           {0, 1, 0.25, 0.02, identity, false},
		"{distribution: categorical, values: [4, 8]}":           {4, 8, 6, 0.1, identity, true},
		"{values: [0, 1], probabilities: [0.9, 0.1]}":           {0, 1, 0.1, 0.02, identity, true},
		"{values: [0, 1], probabilities: [9, 1]}":               {0, 1, 0.1, 0.02, identity, true},
		"{distribution: constant, value: 7}":                    {7, 7, 7, 1e-9, identity, true},
	} {
		cfg := parse(t, "method: random\nparameters: {x: "+text+"}")
		const n = 4000
		sum := 0.0
		for draw := range int64(n) {
			var args struct{ X struct{ Value json.Number } }
			raw := cfg.Space.At(cfg.Space.Cube(7, draw))
			if err := json.Unmarshal(raw, &args); err != nil {
				t.Fatalf("%s: %s: %v", text, raw, err)
			}
			v, err := args.X.Value.Float64()
			if whole := !strings.ContainsAny(args.X.Value.String(), ".e"); err != nil || v < c.low || v > c.high || whole != c.whole {
				t.Fatalf("%s: drew %s", text, args.X.Value)
			}
			sum += c.of(v) / n
		}
		if math.Abs(sum-c.mean) > c.off {
			t.Errorf("%s: the mean is %g, want %g", text, sum, c.mean)
		}
	}
}

func TestDrawsCanBeRepeated(t *testing.T) {
	cfg := parse(t, "method: random\nparameters: {a: {min: 0.0, max: 1.0}, b: {values: [1, 2, 3]}}")
	first := string(cfg.Space.At(cfg.Space.Cube(42, 3)))
	if again := string(cfg.Space.At(cfg.Space.Cube(42, 3))); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	if other := string(cfg.Space.At(cfg.Space.Cube(42, 4))); other == first {
		t.Errorf("two draws are both %s", first)
	}
	if other := string(cfg.Space.At(cfg.Space.Cube(43, 3))); other == first {
		t.Errorf("two sweeps both draw %s", first)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"method: grid\nparameters: {a: {values: [1, x]}, b: {min: 1, max: 3}}",
		"method: random\nrun_cap: 3\nparameters: {a: {distribution: q_log_uniform_values, min: 1, max: 100, q: 2}}",
		"method: bayes\nmetric: {name: loss, goal: minimize}\nparameters: {a: {parameters: {b: {mu: 1, sigma: 2, distribution: normal}}}}",
		"method: random\nparameters: {a: {values: [1, 2], probabilities: [0.1, 0.9]}}\nearly_terminate: {type: hyperband, max_iter: 27, s: 2}",
		"a: &a {method: grid}\n<<: *a\nparameters: {x: {distribution: beta, a: 1, b: 2}}",
		"method: random\nparameters: {x: {distribution: q_uniform, min: -1e308, max: 1e308, q: 1e-300}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, _, err := Parse(text)
		if err != nil || cfg.Local {
			return
		}
		if cfg.Method == Grid {
			for _, i := range []int64{0, cfg.Space.Size() - 1} {
				if point := cfg.Space.Point(i); !json.Valid(point) {
					t.Errorf("point %d is %s", i, point)
				}
			}
		}
		for draw := range int64(5) {
			if drawn := cfg.Space.At(cfg.Space.Cube(1, draw)); !json.Valid(drawn) {
				t.Errorf("drew %s", drawn)
			}
		}
		for _, u := range []float64{0, math.Nextafter(1, 0)} {
			cube := make([]float64, len(cfg.Space.leaves))
			for i := range cube {
				cube[i] = u
			}
			if drawn := cfg.Space.At(cube); !json.Valid(drawn) {
				t.Errorf("at %g stands %s", u, drawn)
			}
		}
	})
}
