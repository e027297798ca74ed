package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// The methods of a search.
const (
	// Grid visits each combination of values once.
	Grid = "grid"
	// Random draws each value at random.
	Random = "random"
	// Bayes draws where the results so far promise the most.
	Bayes = "bayes"
)

// methods are what this server can do, in the order in which an error lists them.
var methods = []string{Grid, Random, Bayes}

// ReasonInvalid: the configuration of a sweep cannot be run.
const ReasonInvalid = "SweepConfigInvalid"

const (
	// maxConfig bounds the text of a configuration.
	maxConfig = 1 << 20
	// maxProblems are told at once.
	maxProblems = 20
)

// Metric is what a sweep looks for.
type Metric struct {
	// Name is a key of the run's summary; nested keys are joined by dots.
	Name string
	// Maximize: more is better.
	Maximize bool
}

// Better tells whether a is a better result than b.
func (m Metric) Better(a, b float64) bool {
	if m.Maximize {
		return a > b
	}
	return a < b
}

// Config is a sweep's configuration, understood.
type Config struct {
	// Method is one of the methods above, and empty where the client decides what comes next.
	Method string
	// Name is shown to people; Program is what the command line's agents start.
	Name, Description, Program string
	Metric                     Metric
	// RunCap is how many runs there may be; 0 means any number.
	RunCap int64
	Space  Space
	Bands  *Hyperband
	// Local is set where a program of the user decides what comes next.
	Local bool
}

// Limit is how many draws the sweep has; -1 means no limit.
func (c Config) Limit() int64 {
	limit := int64(-1)
	if c.Method == Grid {
		limit = c.Space.Size()
	}
	if c.RunCap > 0 && (limit < 0 || c.RunCap < limit) {
		limit = c.RunCap
	}
	return limit
}

// parser collects what is wrong, so that people see all of it at once.
type parser struct {
	reader
	problems []string
	warnings []string
}

func (p *parser) fail(format string, args ...any) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, fmt.Sprintf(format, args...))
	}
}

func (p *parser) warn(format string, args ...any) {
	if len(p.warnings) < maxProblems {
		p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
	}
}

// Parse reads a configuration, which is YAML. Warnings tell of what has no effect; an error, which names each parameter that
// is wrong, of what cannot be run.
func Parse(text []byte) (cfg Config, warnings []string, err error) {
	p := &parser{}
	if len(text) > maxConfig {
		p.fail("the configuration is longer than %d bytes", maxConfig)
		return Config{}, nil, p.err()
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		p.fail("the configuration is no YAML: %v", err)
		return Config{}, nil, p.err()
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		p.fail("the configuration is no mapping of keys to values")
		return Config{}, nil, p.err()
	}
	cfg = p.config(document.Content[0])
	return cfg, p.warnings, p.err()
}

func (p *parser) err() error {
	if len(p.problems) == 0 {
		return nil
	}
	return &fault.Error{
		Reason: ReasonInvalid, Op: "read the sweep's configuration", Err: errors.New(strings.Join(p.problems, "; ")),
		Hint: "Change the configuration and create the sweep again.",
	}
}

func (p *parser) config(n *yaml.Node) Config {
	var cfg Config
	method, early := "", (*yaml.Node)(nil)
	p.each(n, "the configuration", func(key string, value *yaml.Node) {
		switch key {
		case "method":
			method = p.text(value, "method")
		case "name":
			cfg.Name = p.text(value, "name")
		case "description":
			cfg.Description = p.text(value, "description")
		case "program":
			cfg.Program = p.text(value, "program")
		case "metric":
			cfg.Metric = p.metric(value)
		case "run_cap":
			cfg.RunCap = p.positive(value, "run_cap")
		case "parameters":
			cfg.Space = p.space(value)
		case "early_terminate":
			early = value
		case "controller":
			cfg.Local = p.local(value)
		case "command", "project", "entity", "job", "image_uri", "scheduler", "prior_runs", "template_variables", "launch":
			// read by the client
		default:
			p.warn("%s is not known and has no effect", key)
		}
	})
	if early != nil && !cfg.Local {
		cfg.Bands = p.bands(early)
	}
	p.settle(&cfg, method)
	return cfg
}

// settle checks what concerns several keys.
func (p *parser) settle(cfg *Config, method string) {
	switch {
	case cfg.Local:
		return
	case method == "":
		p.fail("method is missing: it is one of %s", strings.Join(methods, ", "))
	case !slices.Contains(methods, method):
		p.fail("method %q is not supported: use one of %s", method, strings.Join(methods, ", "))
	case len(cfg.Space.leaves) == 0 && len(p.problems) == 0:
		p.fail("parameters is missing or empty: there is nothing to search")
	}
	cfg.Method = method
	switch method {
	case Grid:
		p.countable(cfg.Space)
	case Bayes:
		if cfg.Metric.Name == "" {
			p.fail("metric.name is missing: bayes needs to know what to improve")
		}
	}
	if cfg.Bands != nil && cfg.Metric.Name == "" {
		p.fail("metric.name is missing: early_terminate needs to know what to compare")
	}
}

// countable refuses what a grid cannot visit.
func (p *parser) countable(s Space) {
	for _, leaf := range s.leaves {
		if leaf.distribution.size() == 0 {
			p.fail("parameter %s has a continuous range, which method grid cannot visit: give values, an int_uniform or a q_uniform", leaf.name)
		}
	}
	if len(p.problems) == 0 && len(s.leaves) > 0 && s.Size() == 0 {
		p.fail("the parameters have too many combinations for method grid")
	}
}

// each visits the entries of a mapping once each.
func (p *parser) each(n *yaml.Node, what string, visit func(key string, value *yaml.Node)) {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		p.fail("%s must be a mapping of keys to values", what)
		return
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if p.nodes++; p.nodes > maxNodes {
			p.fail("%s %v", what, errTooLarge)
			return
		}
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.fail("%s has a key that is no text", what)
		case seen[key.Value]:
			p.fail("%s has the key %.100q twice", what, key.Value)
		default:
			seen[key.Value] = true
			visit(key.Value, n.Content[i+1])
		}
	}
}

// target is what an alias stands for. YAML knows no alias of an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (p *parser) text(n *yaml.Node, what string) string {
	n = target(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		p.fail("%s must be a text", what)
		return ""
	case n.ShortTag() == "!!null":
		return ""
	}
	return n.Value
}

func (p *parser) positive(n *yaml.Node, what string) int64 {
	text, err := p.json(n)
	if err == nil && string(text) == "null" {
		return 0
	}
	number, numberErr := parseNumber(text)
	if err != nil || numberErr != nil || !number.whole || number.integer < 1 {
		p.fail("%s must be a whole number above 0", what)
		return 0
	}
	return number.integer
}

func (p *parser) metric(n *yaml.Node) (m Metric) {
	p.each(n, "metric", func(key string, value *yaml.Node) {
		switch key {
		case "name":
			m.Name = p.text(value, "metric.name")
		case "goal":
			goal := p.text(value, "metric.goal")
			m.Maximize = goal == "maximize"
			if goal != "maximize" && goal != "minimize" && goal != "" {
				p.fail("metric.goal is %q and must be minimize or maximize", goal)
			}
		case "target", "impute", "impute_while_running":
			p.warn("metric.%s is not supported and has no effect", key)
		default:
			p.warn("metric.%s is not known and has no effect", key)
		}
	})
	return m
}

func (p *parser) local(n *yaml.Node) (local bool) {
	p.each(n, "controller", func(key string, value *yaml.Node) {
		if key == "type" {
			local = p.text(value, "controller.type") == "local"
		}
	})
	return local
}

// Args builds what a run is started with: {"lr":{"value":0.1},"optimizer":{"value":{"momentum":0.9}}}.
func (s Space) args(values []json.RawMessage) json.RawMessage {
	b := []byte{'{'}
	for i, n := range s.roots {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, quote(n.name)...), `:{"value":`...)
		b = append(n.append(b, values), '}')
	}
	return append(b, '}')
}
