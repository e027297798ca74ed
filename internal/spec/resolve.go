package spec

import (
	"fmt"

	v1 "github.com/kubewandb/kubewandb/api/v1"
)

// Options of Resolve.
type Options struct {
	// Schema of the chart's values: it knows lists that merge, values of several forms and keys without effect. Nil means
	// that nothing is known.
	Schema *Schema
	// Lists is the rule for lists that the schema says nothing about. Empty means Replace.
	Lists v1.ListRule
}

// Resolved is what the layers come to.
type Resolved struct {
	Values map[string]any
	// Chart is nil where no layer names one.
	Chart *Chart
	// ChartLayer is the layer that named the chart, and ChartFields its description as written.
	ChartLayer  string
	ChartFields map[string]any
	Metadata    map[string]string
	// Origins has one entry for every leaf of Values: a scalar, a null, a list, or an empty map. Keys are dotted paths.
	Origins map[string]Origin
	// Removed has one entry for every path that a layer took away through Unset.
	Removed  map[string]Origin
	Warnings []Warning
}

// Origin says which layer set a leaf.
type Origin struct {
	// Layer is the highest layer that contributed.
	Layer string `json:"layer"`
	// Merged are lower layers whose list items are part of the value, highest first.
	Merged []string `json:"merged,omitempty"`
	// Shadowed are lower layers that set this path, or something below it, in vain; highest first.
	Shadowed []string `json:"shadowed,omitempty"`
}

// Warning is something that was accepted but may surprise.
type Warning struct {
	// Path is dotted.
	Path string
	// Layer that caused it; empty where it is the result as a whole.
	Layer   string
	Message string
}

// String returns "path: message".
func (w Warning) String() string { return w.Path + ": " + w.Message }

// Resolve folds the layers, lowest first. It fails with a fault LayerInvalid, TypeConflict or ChartInvalid. Whether the
// values satisfy the schema is the business of Schema.Validate.
func Resolve(layers []Layer, opts Options) (*Resolved, error) {
	result := &Resolved{}
	f := fold{opts: opts, origins: map[string]Origin{}, removed: map[string]Origin{}}
	root := node{fields: map[string]*node{}, isMap: true}
	for _, layer := range layers {
		if err := f.add(&root, layer); err != nil {
			return nil, err
		}
		if len(layer.Chart) > 0 {
			result.ChartFields, result.ChartLayer = layer.Chart, layer.Name
		}
		if len(layer.Metadata) > 0 {
			result.Metadata = layer.Metadata
		}
	}
	chart, err := ParseChart(result.ChartFields)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", result.ChartLayer, err)
	}
	result.Chart = chart
	result.ChartFields = copyMap(result.ChartFields)
	result.Metadata = copyMetadata(result.Metadata)
	result.Values = f.values(&root)
	result.Origins, result.Removed = f.origins, f.removed
	result.Warnings = append(f.warnings, opts.Schema.warnings(result)...)
	sortWarnings(result.Warnings)
	return result, nil
}
