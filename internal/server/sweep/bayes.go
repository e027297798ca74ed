package sweep

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	// maxResults bounds the cost of a draw, which grows with the cube of them: the best and the newest are used.
	maxResults = 96
	// minResults are drawn at random before the first guess.
	minResults = 5
	// spread and near are how many points are compared: anywhere, and around the best.
	spread, near = 400, 200
)

// Observation is a run of a sweep: what it was started with and, where it is over, what came out.
type Observation struct {
	Config []byte
	// Over is set where the run's process has ended; Measured where Value is what it says about the metric.
	Over, Measured bool
	Value          float64
}

// sample is an observation in the unit cube; smaller scores are better.
type sample struct {
	cube  []float64
	score float64
}

// Promising returns the point of the cube where a Gaussian process, fitted to the results so far, expects the largest
// improvement. Runs under way count as average ones, so that two agents are not sent to the same place. It returns nil while
// there are too few results.
func (s Space) Promising(observations []Observation, metric Metric, random *rand.Rand) []float64 {
	results, pending := s.samples(observations, metric)
	if len(results) < minResults {
		return nil
	}
	standardize(results)
	best := slices.MinFunc(results, byScore)
	all := results
	for _, cube := range pending {
		all = append(all, sample{cube: cube})
	}
	process, ok := s.fit(all)
	if !ok {
		return nil
	}
	var promising []float64
	most := -1.0
	for i := range spread + near {
		candidate := s.candidate(random, results, i)
		if gain := process.improvement(candidate, best.score); gain > most && !process.knows(candidate) {
			promising, most = candidate, gain
		}
	}
	return promising
}

func byScore(a, b sample) int {
	switch {
	case a.score < b.score:
		return -1
	case a.score > b.score:
		return 1
	}
	return 0
}

// samples places the runs in the cube. Those whose config does not fit the space, as prior runs' may not, are left out.
func (s Space) samples(observations []Observation, metric Metric) (results []sample, pending [][]float64) {
	for _, o := range slices.Backward(observations) {
		cube, ok := s.place(o.Config)
		switch {
		case !ok:
		case !o.Over:
			if len(pending) < maxResults/4 {
				pending = append(pending, cube)
			}
		default:
			score := o.Value
			if metric.Maximize {
				score = -score
			}
			results = append(results, sample{cube: cube, score: score})
		}
	}
	if len(results) > maxResults {
		newest := slices.Clone(results[:maxResults/2])
		rest := results[maxResults/2:]
		slices.SortStableFunc(rest, byScore)
		results = append(newest, rest[:maxResults/2]...)
	}
	return results, pending
}

// place finds where a run's config stands in the cube.
func (s Space) place(config []byte) ([]float64, bool) {
	cube := make([]float64, len(s.leaves))
	for i, leaf := range s.leaves {
		root, rest := leaf.path[0], leaf.path[1:]
		found := gjson.GetBytes(config, escapeDots(pathEscapes.Replace(root))+".value")
		for _, name := range rest {
			found = found.Get(escapeDots(pathEscapes.Replace(name)))
		}
		if !found.Exists() {
			return nil, false
		}
		u, ok := leaf.distribution.place(json.RawMessage(found.Raw))
		if !ok {
			return nil, false
		}
		cube[i] = u
	}
	return cube, true
}

// standardize gives scores mean 0 and deviation 1.
func standardize(samples []sample) {
	var sum, squares float64
	for _, s := range samples {
		sum += s.score
	}
	mean := sum / float64(len(samples))
	for _, s := range samples {
		squares += (s.score - mean) * (s.score - mean)
	}
	deviation := math.Sqrt(squares / float64(len(samples)))
	if !(deviation > 0) || math.IsInf(deviation, 0) {
		deviation = 1
	}
	for i := range samples {
		samples[i].score = (samples[i].score - mean) / deviation
	}
}

// candidate is a point anywhere at first, and then one around one of the best.
func (s Space) candidate(random *rand.Rand, results []sample, i int) []float64 {
	cube := make([]float64, len(s.leaves))
	for at := range cube {
		cube[at] = random.Float64()
	}
	if i < spread {
		return cube
	}
	center := results[0]
	for range 3 { // the best of a few: mostly one of the best
		if other := results[random.IntN(len(results))]; other.score < center.score {
			center = other
		}
	}
	width := 0.02 + 0.15*random.Float64()
	for at, leaf := range s.leaves {
		switch {
		case leaf.distribution.ordered():
			cube[at] = min(max(center.cube[at]+width*random.NormFloat64(), 0), math.Nextafter(1, 0))
		case random.Float64() < 0.8:
			cube[at] = center.cube[at]
		}
	}
	return cube
}

// process is a Gaussian process: what is known, and the solved equations.
type process struct {
	space   Space
	samples []sample
	length  float64
	factor  mat.Cholesky
	weights mat.VecDense
	noise   float64
}

// fit chooses the length and the noise under which the samples are most likely.
func (s Space) fit(samples []sample) (best *process, ok bool) {
	most := math.Inf(-1)
	for _, length := range []float64{0.1, 0.2, 0.4, 0.8, 1.6} {
		for _, noise := range []float64{1e-4, 1e-2, 1e-1} {
			p := &process{space: s, samples: samples, length: length, noise: noise}
			if likelihood, ok := p.solve(); ok && likelihood > most {
				best, most = p, likelihood
			}
		}
	}
	return best, best != nil
}

func (p *process) solve() (likelihood float64, ok bool) {
	n := len(p.samples)
	covariance := mat.NewSymDense(n, nil)
	scores := mat.NewVecDense(n, nil)
	for i, a := range p.samples {
		scores.SetVec(i, a.score)
		for j := range i + 1 {
			v := p.kernel(a.cube, p.samples[j].cube)
			if i == j {
				v += p.noise
			}
			covariance.SetSym(i, j, v)
		}
	}
	if !p.factor.Factorize(covariance) {
		return 0, false
	}
	if err := p.factor.SolveVecTo(&p.weights, scores); err != nil {
		return 0, false
	}
	return -0.5*mat.Dot(scores, &p.weights) - 0.5*p.factor.LogDet(), true
}

// kernel is Matérn's with ν = 5/2. Values without an order are all equally far from each other.
func (p *process) kernel(a, b []float64) float64 {
	var squares float64
	for i, leaf := range p.space.leaves {
		switch {
		case leaf.distribution.ordered():
			squares += (a[i] - b[i]) * (a[i] - b[i])
		case !leaf.distribution.same(a[i], b[i]):
			squares += 0.25
		}
	}
	d := math.Sqrt(5*squares) / p.length
	return (1 + d + d*d/3) * math.Exp(-d)
}

// improvement is how much better than the best a point is expected to be.
func (p *process) improvement(cube []float64, best float64) float64 {
	n := len(p.samples)
	k := mat.NewVecDense(n, nil)
	for i, s := range p.samples {
		k.SetVec(i, p.kernel(cube, s.cube))
	}
	var solved mat.VecDense
	if err := p.factor.SolveVecTo(&solved, k); err != nil {
		return 0
	}
	mean := mat.Dot(k, &p.weights)
	deviation := math.Sqrt(max(1-mat.Dot(k, &solved), 1e-12))
	z := (best - mean) / deviation
	return deviation * (z*distuv.UnitNormal.CDF(z) + distuv.UnitNormal.Prob(z))
}

// knows tells whether a point is the same as one that was run already, value for value.
func (p *process) knows(cube []float64) bool {
	return slices.ContainsFunc(p.samples, func(s sample) bool {
		for i, leaf := range p.space.leaves {
			if !leaf.distribution.same(cube[i], s.cube[i]) {
				return false
			}
		}
		return true
	})
}

// placeByHalves inverts a function that grows or falls from 0 to 1.
func placeByHalves(quantile func(float64) float64, value float64) float64 {
	low, high := 0.0, 1.0
	falling := quantile(0.25) > quantile(0.75)
	for range 40 {
		middle := (low + high) / 2
		if (quantile(middle) < value) != falling {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

func floatOf(value json.RawMessage) (float64, bool) {
	v, err := strconv.ParseFloat(string(value), 64)
	return v, err == nil
}
