package sweep

import (
	"math"

	"go.yaml.in/yaml/v3"
)

// maxBand is beyond what any run logs.
const maxBand = 1 << 40

// Hyperband says when runs that promise little are stopped: at each band, a number of results that a run has logged, only
// the best part of the runs goes on.
type Hyperband struct {
	// Bands grow.
	Bands []int64
	// Eta: one of Eta runs goes on.
	Eta float64
	// Strict measures a run by what it had at the band, and not by the best that it ever had.
	Strict bool
}

func (p *parser) bands(n *yaml.Node) *Hyperband {
	kind, eta, strict := "", number{value: 3}, false
	var minIter, maxIter, s int64
	p.each(n, "early_terminate", func(key string, value *yaml.Node) {
		switch key {
		case "type":
			kind = p.text(value, "early_terminate.type")
		case "min_iter":
			minIter = p.positive(value, "early_terminate.min_iter")
		case "max_iter":
			maxIter = p.positive(value, "early_terminate.max_iter")
		case "s":
			s = p.positive(value, "early_terminate.s")
		case "eta":
			eta = p.eta(value)
		case "strict":
			strict = p.text(value, "early_terminate.strict") == "true"
		default:
			p.warn("early_terminate.%s is not known and has no effect", key)
		}
	})
	if kind != "hyperband" {
		p.fail("early_terminate.type is %q and must be hyperband", kind)
		return nil
	}
	h := &Hyperband{Eta: eta.value, Strict: strict}
	switch {
	case minIter > 0:
		h.Bands = growing(minIter, eta.value)
	case maxIter > 0 && s > 0:
		h.Bands = shrinking(maxIter, s, eta.value)
	default:
		p.fail("early_terminate needs min_iter, or max_iter and s")
	}
	return h
}

func (p *parser) eta(n *yaml.Node) number {
	text, err := p.json(n)
	eta, numberErr := parseNumber(text)
	if err != nil || numberErr != nil || !(eta.value > 1) || eta.value > maxBand {
		p.fail("early_terminate.eta must be a number above 1")
		return number{value: 3}
	}
	return eta
}

// growing are the bands min, min·eta, min·eta² …
func growing(first int64, eta float64) (bands []int64) {
	for band := float64(first); band < maxBand && len(bands) < 64; band *= eta {
		if at := int64(band); len(bands) == 0 || at > bands[len(bands)-1] {
			bands = append(bands, at)
		}
	}
	return bands
}

// shrinking are the bands max/eta, max/eta² … of which there are s.
func shrinking(last, s int64, eta float64) (bands []int64) {
	for i := min(s, 64); i >= 1; i-- {
		at := int64(math.Floor(float64(last) / math.Pow(eta, float64(i))))
		if at >= 1 && (len(bands) == 0 || at > bands[len(bands)-1]) {
			bands = append(bands, at)
		}
	}
	return bands
}
