package sweep

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settings are the keys of one parameter; nil is absent.
type settings struct {
	name          string
	distribution  string
	value         json.RawMessage
	values        []json.RawMessage
	probabilities []number
	numbers       map[string]number
}

// numeric are the keys that hold one number.
var numeric = []string{"min", "max", "mu", "sigma", "q", "a", "b"}

// nothing stands for a parameter that is wrong, while others are still read.
var nothing = choice{values: []json.RawMessage{json.RawMessage("null")}}

func (p *parser) parameter(n *yaml.Node, name string) distribution {
	before := len(p.problems)
	s := settings{name: name, numbers: make(map[string]number)}
	p.each(n, "parameter "+name, func(key string, value *yaml.Node) { p.setting(&s, key, value) })
	if len(p.problems) > before {
		return nothing
	}
	d := p.distribution(s)
	if len(p.problems) > before {
		return nothing
	}
	return d
}

func (p *parser) setting(s *settings, key string, value *yaml.Node) {
	switch {
	case key == "distribution":
		s.distribution = p.text(value, "parameter "+s.name+": distribution")
	case key == "value":
		s.value = p.raw(value, s.name)
	case key == "values":
		s.values = p.list(value, s.name, key)
	case key == "probabilities":
		for _, text := range p.list(value, s.name, key) {
			probability, err := parseNumber(text)
			if err != nil || probability.value < 0 || probability.value > math.MaxFloat64 {
				p.fail("parameter %s: probabilities must be numbers of at least 0", s.name)
				return
			}
			s.probabilities = append(s.probabilities, probability)
		}
	case slices.Contains(numeric, key):
		number, err := parseNumber(p.raw(value, s.name))
		if err != nil {
			p.fail("parameter %s: %s %v", s.name, key, err)
			return
		}
		s.numbers[key] = number
	default:
		p.warn("parameter %s: %s is not known and has no effect", s.name, key)
	}
}

func (p *parser) raw(n *yaml.Node, name string) json.RawMessage {
	text, err := p.json(n)
	if err != nil {
		p.fail("parameter %s %v", name, err)
	}
	return text
}

func (p *parser) list(n *yaml.Node, name, key string) []json.RawMessage {
	n = target(n)
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fail("parameter %s: %s must be a list that is not empty", name, key)
		return nil
	}
	values := make([]json.RawMessage, len(n.Content))
	for i, item := range n.Content {
		values[i] = p.raw(item, name)
	}
	return values
}

// implied is the distribution of a parameter that names none.
func (p *parser) implied(s settings) string {
	low, hasLow := s.numbers["min"]
	high, hasHigh := s.numbers["max"]
	_, hasMu := s.numbers["mu"]
	switch {
	case s.value != nil:
		return "constant"
	case s.probabilities != nil:
		return "categorical_w_probabilities"
	case s.values != nil:
		return "categorical"
	case hasLow && hasHigh && low.whole && high.whole:
		return "int_uniform"
	case hasLow && hasHigh:
		return "uniform"
	case hasMu:
		return "normal"
	}
	p.fail("parameter %s needs value, values, min and max, or a distribution", s.name)
	return ""
}

func (p *parser) distribution(s settings) distribution {
	kind := s.distribution
	if kind == "" {
		kind = p.implied(s)
	}
	switch kind {
	case "":
		return nothing
	case "constant":
		if s.value == nil {
			p.fail("parameter %s: distribution constant needs value", s.name)
		}
		return choice{values: []json.RawMessage{s.value}}
	case "categorical", "categorical_w_probabilities":
		return p.choice(s, kind)
	case "int_uniform":
		return p.integers(s)
	}
	return p.real(s, kind)
}

func (p *parser) choice(s settings, kind string) distribution {
	if s.values == nil {
		p.fail("parameter %s: distribution %s needs values", s.name, kind)
		return nothing
	}
	if s.probabilities == nil {
		if kind == "categorical_w_probabilities" {
			p.fail("parameter %s: distribution %s needs probabilities", s.name, kind)
		}
		return choice{values: p.distinct(s)}
	}
	if len(s.probabilities) != len(s.values) {
		p.fail("parameter %s has %d values but %d probabilities", s.name, len(s.values), len(s.probabilities))
		return nothing
	}
	sums, total := make([]float64, len(s.values)), 0.0
	for i, probability := range s.probabilities {
		total += probability.value
		sums[i] = total
	}
	switch {
	case total == 0 || total > math.MaxFloat64:
		p.fail("parameter %s: the probabilities must add up to 1", s.name)
	case math.Abs(total-1) > 1e-6:
		p.warn("parameter %s: the probabilities add up to %g and are scaled to 1", s.name, total)
	}
	return choice{values: s.values, sums: sums}
}

// distinct drops values that stand in the list twice: a grid visits each once.
func (p *parser) distinct(s settings) []json.RawMessage {
	seen := make(map[string]bool, len(s.values))
	var values []json.RawMessage
	for _, value := range s.values {
		if !seen[string(value)] {
			seen[string(value)] = true
			values = append(values, value)
		}
	}
	if len(values) < len(s.values) {
		p.warn("parameter %s holds a value twice; it counts once", s.name)
	}
	return values
}

func (p *parser) integers(s settings) distribution {
	low, high, ok := p.bounds(s, "int_uniform")
	if !ok {
		return nothing
	}
	if !low.whole || !high.whole {
		p.fail("parameter %s: distribution int_uniform needs whole numbers as min and max", s.name)
		return nothing
	}
	return integers{low: low.integer, high: high.integer}
}

func (p *parser) bounds(s settings, kind string) (low, high number, ok bool) {
	low, hasLow := s.numbers["min"]
	high, hasHigh := s.numbers["max"]
	switch {
	case !hasLow || !hasHigh:
		p.fail("parameter %s: distribution %s needs min and max", s.name, kind)
	case low.value > high.value || (low.whole && high.whole && low.integer > high.integer):
		p.fail("parameter %s: min is %s and must not be above max, which is %s", s.name, low.text, high.text)
	default:
		return low, high, true
	}
	return low, high, false
}

// real is every distribution of real numbers, rounded to multiples of q where its name begins with q_.
func (p *parser) real(s settings, kind string) distribution {
	plain, stepped := strings.CutPrefix(kind, "q_")
	if stepped && strings.HasPrefix(plain, "inv_") {
		plain = "" // there is no such thing
	}
	quantile, low, high := p.quantile(s, plain, kind)
	if quantile == nil {
		return nothing
	}
	if !stepped {
		return continuous{quantile: quantile}
	}
	q, ok := s.numbers["q"]
	if !ok {
		q = number{value: 1, whole: true, integer: 1, text: "1"}
	}
	d := steps{quantile: quantile, q: q, low: low, high: high, counted: plain == "uniform"}
	switch {
	case q.value <= 0:
		p.fail("parameter %s: q is %s and must be above 0", s.name, q.text)
		return nothing
	case !math.IsInf(low, 0) && !math.IsInf(high, 0) && d.first() > d.last():
		p.fail("parameter %s: there is no multiple of q between min and max", s.name)
		return nothing
	}
	return d
}

// quantile returns the function of a distribution, and where its values begin and end; nil where it is wrong.
func (p *parser) quantile(s settings, plain, kind string) (f func(float64) float64, low, high float64) {
	infinite := math.Inf(1)
	switch plain {
	case "uniform", "log_uniform", "log_uniform_values", "inv_log_uniform", "inv_log_uniform_values":
		return p.bounded(s, plain, kind)
	case "normal":
		mu, sigma := p.spread(s)
		return normal(mu, sigma), -infinite, infinite
	case "log_normal":
		mu, sigma := p.spread(s)
		return logNormal(mu, sigma), 0, infinite
	case "beta":
		a, b := s.numbers["a"], s.numbers["b"]
		if !(a.value > 0 && a.value <= 1e6 && b.value > 0 && b.value <= 1e6) {
			p.fail("parameter %s: distribution %s needs a and b above 0 and at most 1e6", s.name, kind)
			return nil, 0, 0
		}
		return beta(a.value, b.value), 0, 1
	}
	p.fail("parameter %s: distribution %q is not known", s.name, kind)
	return nil, 0, 0
}

func (p *parser) bounded(s settings, plain, kind string) (f func(float64) float64, low, high float64) {
	from, to, ok := p.bounds(s, kind)
	if !ok {
		return nil, 0, 0
	}
	low, high = from.value, to.value
	switch plain {
	case "uniform":
		return uniform(low, high), low, high
	case "log_uniform":
		return logUniform(low, high), math.Exp(low), math.Exp(high)
	case "inv_log_uniform":
		return inverseLogUniform(low, high), math.Exp(-high), math.Exp(-low)
	}
	if low <= 0 {
		p.fail("parameter %s: distribution %s needs a min above 0", s.name, kind)
		return nil, 0, 0
	}
	return logUniformValues(low, high), low, high
}

// spread returns mu and sigma, which are 0 and 1 where they are absent.
func (p *parser) spread(s settings) (mu, sigma float64) {
	sigma = 1
	if given, ok := s.numbers["sigma"]; ok {
		sigma = given.value
	}
	if sigma < 0 {
		p.fail("parameter %s: sigma must not be negative", s.name)
	}
	return s.numbers["mu"].value, sigma
}
