package sweep

import (
	"encoding/json"
	"math"
	"strconv"

	"gonum.org/v1/gonum/stat/distuv"
)

// distribution turns a number in [0, 1) into a value, evenly spread where the number is. All are known to clients by name.
type distribution interface {
	// at returns the value, as JSON.
	at(u float64) json.RawMessage
	// size is how many values there are; 0 where they are not counted, so that a grid cannot visit them.
	size() int64
	// nth returns one of the values that are counted.
	nth(i int64) json.RawMessage
	// place returns a number that stands for a value; ok is false where there is no such value.
	place(value json.RawMessage) (u float64, ok bool)
	// ordered tells whether numbers that are close stand for values that are close; same whether two stand for one value.
	ordered() bool
	same(a, b float64) bool
}

// choice is a list of values, with the sum of the probabilities up to each where they differ.
type choice struct {
	values []json.RawMessage
	sums   []float64
}

func (c choice) size() int64                 { return int64(len(c.values)) }
func (c choice) nth(i int64) json.RawMessage { return c.values[i] }
func (c choice) at(u float64) json.RawMessage {
	return c.values[c.index(u)]
}

func (c choice) index(u float64) int {
	last := len(c.values) - 1
	if c.sums == nil {
		return min(int(u*float64(len(c.values))), last)
	}
	for i, sum := range c.sums {
		if u*c.sums[last] < sum {
			return i
		}
	}
	return last
}

func (choice) ordered() bool            { return false }
func (c choice) same(a, b float64) bool { return c.index(a) == c.index(b) }

func (c choice) place(value json.RawMessage) (float64, bool) {
	for i, known := range c.values {
		if !sameJSON(known, value) {
			continue
		}
		if c.sums == nil {
			return (float64(i) + 0.5) / float64(len(c.values)), true
		}
		before := 0.0
		if i > 0 {
			before = c.sums[i-1]
		}
		return (before + c.sums[i]) / 2 / c.sums[len(c.sums)-1], true
	}
	return 0, false
}

// sameJSON compares values that a client may have written in another way: 1.0 as 1.
func sameJSON(a, b json.RawMessage) bool {
	if string(a) == string(b) {
		return true
	}
	x, xOK := floatOf(a)
	y, yOK := floatOf(b)
	return xOK && yOK && x == y
}

// integers are whole numbers from low to high.
type integers struct{ low, high int64 }

// span is the number of values, and 0 where it is beyond 63 bits.
func (d integers) span() int64 {
	n := uint64(d.high) - uint64(d.low) + 1
	if n == 0 || n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}

func (d integers) size() int64                 { return d.span() }
func (d integers) nth(i int64) json.RawMessage { return strconv.AppendInt(nil, d.low+i, 10) }
func (d integers) at(u float64) json.RawMessage {
	steps := uint64(u * (float64(d.high) - float64(d.low) + 1))
	if top := uint64(d.high) - uint64(d.low); steps > top {
		steps = top
	}
	return strconv.AppendInt(nil, int64(uint64(d.low)+steps), 10)
}

func (integers) ordered() bool            { return true }
func (d integers) same(a, b float64) bool { return string(d.at(a)) == string(d.at(b)) }

func (d integers) place(value json.RawMessage) (float64, bool) {
	v, ok := floatOf(value)
	width := float64(d.high) - float64(d.low) + 1
	return min(max((v-float64(d.low)+0.5)/width, 0), 1), ok
}

// continuous is any distribution of real numbers.
type continuous struct{ quantile func(u float64) float64 }

func (continuous) size() int64               { return 0 }
func (continuous) nth(int64) json.RawMessage { return json.RawMessage("null") }
func (d continuous) at(u float64) json.RawMessage {
	return floatText(finite(d.quantile(u)))
}

func (continuous) ordered() bool          { return true }
func (continuous) same(a, b float64) bool { return a == b }

func (d continuous) place(value json.RawMessage) (float64, bool) {
	v, ok := floatOf(value)
	return placeByHalves(d.quantile, v), ok
}

// finite keeps a distribution with an open end, or a huge exponent, among the numbers that JSON can hold.
func finite(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return 0
	case v > math.MaxFloat64:
		return math.MaxFloat64
	case v < -math.MaxFloat64:
		return -math.MaxFloat64
	}
	return v
}

// steps rounds a distribution to multiples of q, between low and high where it has ends.
type steps struct {
	quantile  func(u float64) float64
	q         number
	low, high float64
	// counted is set where the multiples between low and high are equally likely, so that a grid can visit them.
	counted bool
}

func (steps) ordered() bool            { return true }
func (d steps) same(a, b float64) bool { return string(d.at(a)) == string(d.at(b)) }

func (d steps) place(value json.RawMessage) (float64, bool) {
	v, ok := floatOf(value)
	return placeByHalves(d.quantile, v), ok
}

func (d steps) first() float64 { return math.Ceil(d.low/d.q.value - 1e-9) }
func (d steps) last() float64  { return math.Floor(d.high/d.q.value + 1e-9) }

func (d steps) size() int64 {
	if n := d.last() - d.first() + 1; d.counted && n >= 1 && n < 1<<53 {
		return int64(n)
	}
	return 0
}

func (d steps) nth(i int64) json.RawMessage { return d.text(d.first() + float64(i)) }

func (d steps) at(u float64) json.RawMessage {
	multiple := math.Round(finite(d.quantile(u)) / d.q.value)
	if !math.IsInf(d.low, 0) {
		multiple = max(multiple, d.first())
	}
	if !math.IsInf(d.high, 0) {
		multiple = min(multiple, d.last())
	}
	return d.text(multiple)
}

// text writes a multiple of q with the digits that q has: 3 × 0.1 is 0.3.
func (d steps) text(multiple float64) json.RawMessage {
	v := finite(multiple * d.q.value)
	if d.q.whole && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(nil, int64(v), 10)
	}
	if digits := d.q.decimals(); digits > 0 && digits <= 17 && math.Abs(v) < 1e15 {
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', digits, 64), 64)
		if err == nil {
			v = rounded
		}
	}
	if v == 0 {
		v = 0 // not -0
	}
	return floatText(v)
}

func uniform(low, high float64) func(float64) float64 {
	return func(u float64) float64 { return low*(1-u) + high*u }
}

// logUniform is even in the logarithm; low and high are exponents of e.
func logUniform(low, high float64) func(float64) float64 {
	return func(u float64) float64 { return math.Exp(uniform(low, high)(u)) }
}

// logUniformValues is even in the logarithm; low and high are values, which it never leaves.
func logUniformValues(low, high float64) func(float64) float64 {
	return func(u float64) float64 {
		return min(max(math.Exp(uniform(math.Log(low), math.Log(high))(u)), low), high)
	}
}

// inverse is even in the logarithm of 1/x; low and high are exponents.
func inverseLogUniform(low, high float64) func(float64) float64 {
	return func(u float64) float64 { return 1 / math.Exp(uniform(low, high)(u)) }
}

func normal(mu, sigma float64) func(float64) float64 {
	return func(u float64) float64 { return mu + sigma*math.Sqrt2*math.Erfinv(2*inside(u)-1) }
}

func logNormal(mu, sigma float64) func(float64) float64 {
	return func(u float64) float64 { return math.Exp(normal(mu, sigma)(u)) }
}

func beta(a, b float64) func(float64) float64 {
	d := distuv.Beta{Alpha: a, Beta: b}
	return func(u float64) float64 { return d.Quantile(inside(u)) }
}

// inside keeps a number off the ends, where a distribution that has none is infinite.
func inside(u float64) float64 { return min(max(u, 1e-12), 1-1e-12) }
