package spec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// fold lays one layer after the other onto a tree of nodes. The tree belongs to the fold, so that no input is ever
// changed or shared with the result.
type fold struct {
	opts     Options
	origins  map[string]Origin
	removed  map[string]Origin
	warnings []Warning
}

// node is a map (fields) or a leaf (value), with the layers that spoke about it.
type node struct {
	isMap  bool
	fields map[string]*node
	value  any
	// layer touched the node last; merged and shadowed are lower ones, highest first.
	layer    string
	merged   []string
	shadowed []string
}

func (f *fold) add(root *node, layer Layer) error {
	for _, path := range layer.Unset {
		keys, err := SplitPath(path)
		if err != nil {
			return &fault.Error{
				Reason: v1.ReasonLayerInvalid,
				Op:     fmt.Sprintf("read path %q of unset in layer %s", path, layer.Name),
				Hint:   `Write it as a dotted path below values, for example ingress.tls, and a dot inside a key as \.`,
				Err:    err,
			}
		}
		f.unset(root, keys, layer.Name)
	}
	return f.mergeMap(root, layer.Values, "", layer.Name)
}

func (f *fold) unset(root *node, keys []string, layer string) {
	path := JoinPath(keys...)
	parent := root
	for _, key := range keys[:len(keys)-1] {
		if parent = parent.fields[key]; parent == nil {
			break
		}
	}
	last := keys[len(keys)-1]
	if parent == nil || parent.fields[last] == nil {
		f.warn(path, layer, "unset removes nothing: no lower layer sets it")
		return
	}
	f.removed[path] = Origin{Layer: layer, Shadowed: parent.fields[last].layers()}
	delete(parent.fields, last)
}

func (f *fold) mergeMap(target *node, fields map[string]any, path, layer string) error {
	target.layer = layer
	for _, key := range sortedKeys(fields) {
		if key == "" {
			// No path can name it, so nothing could be said about it.
			return invalidValue(cmp.Or(path, "values"), layer, "an empty key")
		}
		at := childPath(path, key)
		value, err := normalize(fields[key], at, layer)
		if err != nil {
			return err
		}
		existing := target.fields[key]
		if existing == nil {
			existing = &node{layer: layer}
			target.fields[key] = existing
			if err := f.set(existing, value, at, layer); err != nil {
				return err
			}
			continue
		}
		if err := f.merge(existing, value, at, layer); err != nil {
			return err
		}
	}
	return nil
}

// set makes target hold value alone; what it held before is forgotten, shadowed layers stay.
func (f *fold) set(target *node, value any, path, layer string) error {
	target.layer, target.merged = layer, nil
	fields, isMap := value.(map[string]any)
	target.isMap = isMap
	if !isMap {
		target.value, target.fields = copyValue(value), nil
		return nil
	}
	target.value, target.fields = nil, map[string]*node{}
	shadowed := target.shadowed
	if err := f.mergeMap(target, fields, path, layer); err != nil {
		return err
	}
	for _, child := range target.fields {
		child.inherit(shadowed)
	}
	return nil
}

// inherit hands the layers that a new map shadows down to its leaves.
func (n *node) inherit(shadowed []string) {
	n.shadowed = union(n.shadowed, shadowed)
	for _, child := range n.fields {
		child.inherit(shadowed)
	}
}

func (f *fold) merge(target *node, value any, path, layer string) error {
	fields, isMap := value.(map[string]any)
	if target.isMap && isMap {
		if len(target.fields) == 0 {
			target.shadow()
		}
		return f.mergeMap(target, fields, path, layer)
	}
	if err := f.checkKinds(target, value, path, layer); err != nil {
		return err
	}
	lower, lowerIsList := target.value.([]any)
	higher, higherIsList := value.([]any)
	if lowerIsList && higherIsList && f.opts.listRule(path) == v1.ListsConcat {
		target.merged = append([]string{target.layer}, target.merged...)
		target.layer = layer
		target.value = append(copyList(higher), lower...)
		return nil
	}
	target.shadow()
	return f.set(target, value, path, layer)
}

// checkKinds refuses a map against anything else, unless one of them is null or the schema allows both forms; it warns
// of a scalar of another kind.
func (f *fold) checkKinds(target *node, value any, path, layer string) error {
	if value == nil || (target.value == nil && !target.isMap) {
		return nil
	}
	lower, lowerNumber := target.kind()
	higher, higherNumber := kindOf(value)
	if lower == higher || (lowerNumber && higherNumber) {
		return nil
	}
	if isScalarKind(lower) && isScalarKind(higher) {
		f.warn(path, layer, fmt.Sprintf("%s in layer %s replaces %s in layer %s", higher, layer, lower, target.layer))
		return nil
	}
	if f.opts.Schema.allows(path, lower) && f.opts.Schema.allows(path, higher) {
		return nil
	}
	return &fault.Error{
		Reason: v1.ReasonTypeConflict,
		Op:     fmt.Sprintf("merge %s: layer %s holds %s, layer %s holds %s", path, layer, higher, target.layer, lower),
		Hint:   fmt.Sprintf("Give %s the same form in both layers, or list it in spec.unset to drop what the lower layers set.", path),
	}
}

// values turns the tree into plain maps and records the origin of each leaf.
func (f *fold) values(root *node) map[string]any {
	result, _ := f.export(root, "").(map[string]any)
	return result
}

func (f *fold) export(n *node, path string) any {
	if n.isMap {
		result := make(map[string]any, len(n.fields))
		for key, child := range n.fields {
			result[key] = f.export(child, childPath(path, key))
		}
		if len(result) == 0 && path != "" {
			f.origins[path] = n.origin()
		}
		return result
	}
	f.origins[path] = n.origin()
	return n.value
}

func (f *fold) warn(path, layer, message string) {
	f.warnings = append(f.warnings, Warning{Path: path, Layer: layer, Message: message})
}

// origin of a leaf. A layer that both contributes and is shadowed counts as contributing.
func (n *node) origin() Origin {
	var shadowed []string
	for _, layer := range n.shadowed {
		if layer != n.layer && !slices.Contains(n.merged, layer) {
			shadowed = append(shadowed, layer)
		}
	}
	return Origin{Layer: n.layer, Merged: n.merged, Shadowed: shadowed}
}

// shadow moves every layer that spoke about the node, or about something below it, to the shadowed ones.
func (n *node) shadow() { n.shadowed = n.layers() }

func (n *node) layers() []string {
	layers := union([]string{n.layer}, union(n.merged, n.shadowed))
	for _, key := range sortedKeys(n.fields) {
		layers = union(layers, n.fields[key].layers())
	}
	return layers
}

func (n *node) kind() (string, bool) {
	if n.isMap {
		return kindMap, false
	}
	return kindOf(n.value)
}

const (
	kindMap    = "a map"
	kindList   = "a list"
	kindString = "a string"
	kindBool   = "a boolean"
	kindInt    = "an integer"
	kindFloat  = "a number"
	kindNull   = "null"
)

// kindOf names the kind of a normalised value, and tells whether it is a number.
func kindOf(value any) (string, bool) {
	switch value.(type) {
	case nil:
		return kindNull, false
	case map[string]any:
		return kindMap, false
	case []any:
		return kindList, false
	case string:
		return kindString, false
	case bool:
		return kindBool, false
	case int64:
		return kindInt, true
	default:
		return kindFloat, true
	}
}

func isScalarKind(kind string) bool { return kind != kindMap && kind != kindList }

func describe(value any) string {
	kind, _ := kindOf(value)
	return kind
}

// normalize brings the number types of Go's decoders to int64 and float64, everywhere below value. It copies whatever it
// changes, and refuses what JSON cannot hold.
func normalize(value any, path, layer string) (any, error) {
	switch v := value.(type) {
	case nil, string, bool, int64, map[string]any:
		return v, nil
	case []any:
		return normalizeList(v, path, layer)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, invalidValue(path, layer, "a number that JSON cannot hold")
		}
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return float64(v), nil
		}
		return int64(v), nil
	case float32:
		return normalize(float64(v), path, layer)
	case json.Number:
		if integer, err := v.Int64(); err == nil {
			return integer, nil
		}
		number, err := v.Float64()
		if err != nil {
			return nil, invalidValue(path, layer, "a number out of range")
		}
		return number, nil
	default:
		return nil, invalidValue(path, layer, fmt.Sprintf("a value of type %T", value))
	}
}

func normalizeList(list []any, path, layer string) (any, error) {
	result := make([]any, len(list))
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		normal, err := normalize(item, at, layer)
		if err != nil {
			return nil, err
		}
		if fields, isMap := normal.(map[string]any); isMap {
			if normal, err = normalizeMap(fields, at, layer); err != nil {
				return nil, err
			}
		}
		result[i] = normal
	}
	return result, nil
}

func normalizeMap(fields map[string]any, path, layer string) (map[string]any, error) {
	result := make(map[string]any, len(fields))
	for key, value := range fields {
		at := childPath(path, key)
		normal, err := normalize(value, at, layer)
		if err != nil {
			return nil, err
		}
		if inner, isMap := normal.(map[string]any); isMap {
			if normal, err = normalizeMap(inner, at, layer); err != nil {
				return nil, err
			}
		}
		result[key] = normal
	}
	return result, nil
}

func invalidValue(path, layer, what string) error {
	return &fault.Error{
		Reason: v1.ReasonLayerInvalid,
		Op:     fmt.Sprintf("read %s in layer %s: %s", path, layer, what),
		Hint:   "Values are maps, lists, strings, numbers, booleans and null.",
	}
}

func (o Options) listRule(path string) v1.ListRule {
	if rule := o.Schema.mergeRule(path); rule != "" {
		return rule
	}
	return cmp.Or(o.Lists, v1.ListsReplace)
}

func sortWarnings(warnings []Warning) {
	slices.SortStableFunc(warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
}
