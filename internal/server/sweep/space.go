package sweep

import (
	"encoding/json"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxParameters bounds the work of a draw.
const maxParameters = 10_000

// Space is what a sweep searches.
type Space struct {
	// leaves are the parameters that have values, in the order of the text; roots the tree that they stand in.
	leaves []leaf
	roots  []branch
}

// leaf is a parameter. name joins the names on the way to it by dots.
type leaf struct {
	name         string
	path         []string
	distribution distribution
}

// branch is a parameter, or a group of them.
type branch struct {
	name     string
	group    bool
	leaf     int
	branches []branch
}

func (n branch) append(b []byte, values []json.RawMessage) []byte {
	if !n.group {
		return append(b, values[n.leaf]...)
	}
	b = append(b, '{')
	for i, inner := range n.branches {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, quote(inner.name)...), ':')
		b = inner.append(b, values)
	}
	return append(b, '}')
}

// Size is the number of points of the grid; 0 where a parameter is continuous or the number does not fit.
func (s Space) Size() int64 {
	size := uint64(1)
	for _, leaf := range s.leaves {
		high, low := bits.Mul64(size, uint64(max(leaf.distribution.size(), 0)))
		if high > 0 || low > math.MaxInt64 {
			return 0
		}
		size = low
	}
	return int64(size)
}

// Point returns one of the Size points of the grid, as what a run is started with. The last parameter changes first.
func (s Space) Point(i int64) json.RawMessage {
	values := make([]json.RawMessage, len(s.leaves))
	for at := len(s.leaves) - 1; at >= 0; at-- {
		size := s.leaves[at].distribution.size()
		values[at] = s.leaves[at].distribution.nth(i % size)
		i /= size
	}
	return s.args(values)
}

// At returns what stands at a point of the unit cube, which has one number per parameter.
func (s Space) At(cube []float64) json.RawMessage {
	values := make([]json.RawMessage, len(s.leaves))
	for i, leaf := range s.leaves {
		values[i] = leaf.distribution.at(cube[i])
	}
	return s.args(values)
}

// Cube is the point of the unit cube that a sweep's draw takes: always the same for the same sweep and draw.
func (s Space) Cube(sweep store.ID, draw int64) []float64 {
	random := source(sweep, draw)
	cube := make([]float64, len(s.leaves))
	for i := range cube {
		cube[i] = random.Float64()
	}
	return cube
}

func source(sweep store.ID, draw int64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(sweep), uint64(draw)))
}

func (p *parser) space(n *yaml.Node) Space {
	var s Space
	s.roots = p.group(n, &s, nil)
	return s
}

func (p *parser) group(n *yaml.Node, s *Space, path []string) []branch {
	var branches []branch
	what := "parameters"
	if len(path) > 0 {
		what = "parameter " + strings.Join(path, ".")
	}
	if len(path) > maxDepth {
		p.fail("%.100s %v", what, errTooDeep)
		return nil
	}
	p.each(n, what, func(key string, value *yaml.Node) {
		branches = append(branches, p.branch(key, value, s, append(path[:len(path):len(path)], key)))
	})
	return branches
}

func (p *parser) branch(name string, n *yaml.Node, s *Space, path []string) branch {
	if inner := nested(n); inner != nil {
		return branch{name: name, group: true, branches: p.group(inner, s, path)}
	}
	if len(s.leaves) >= maxParameters {
		p.fail("there are more than %d parameters", maxParameters)
		return branch{name: name}
	}
	full := strings.Join(path, ".")
	s.leaves = append(s.leaves, leaf{name: full, path: path, distribution: p.parameter(n, full)})
	return branch{name: name, leaf: len(s.leaves) - 1}
}

// nested returns the parameters inside of a parameter; nil where it is none.
func nested(n *yaml.Node) *yaml.Node {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "parameters" {
			return n.Content[i+1]
		}
	}
	return nil
}
