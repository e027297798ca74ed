package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// MaxSchemaSize bounds values.schema.json of a chart.
const MaxSchemaSize = 4 << 20

// Schema is a chart's values.schema.json. Beside the standard keywords it knows four of ours:
//
//	x-merge:          "replace" or "concat": the rule for this list between layers
//	x-effect:         "none": the key is accepted and does nothing; x-effect-reason says why. A value that equals the
//	                  default of the schema is not worth a warning
//	x-unknown:        "warn": keys that this object does not name are warned of, though Helm accepts them
//	x-secret:         true: the value is a credential (so are format: password and writeOnly: true)
//
// A nil Schema is valid and knows nothing.
type Schema struct {
	root     any
	compiled *jsonschema.Schema
}

// ParseSchema reads values.schema.json; empty text gives nil. What is no JSON schema, or refers to other documents, is a
// fault ChartInvalid.
func ParseSchema(raw []byte) (*Schema, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	schema, err := parseSchema(raw)
	if err != nil {
		return nil, &fault.Error{
			Reason: v1.ReasonChartInvalid,
			Op:     "read values.schema.json of the chart",
			Hint:   "The chart is broken; ask whoever publishes it, or choose another version.",
			Err:    err,
		}
	}
	return schema, nil
}

func parseSchema(raw []byte) (*Schema, error) {
	if len(raw) > MaxSchemaSize {
		return nil, fmt.Errorf("%d bytes exceed the limit of %d", len(raw), MaxSchemaSize)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	const location = "values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(location, document); err != nil {
		return nil, fmt.Errorf("add document: %w", err)
	}
	compiled, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	if err := checkMergeRules(document); err != nil {
		return nil, err
	}
	return &Schema{root: document, compiled: compiled}, nil
}

// checkMergeRules refuses rules for lists that this version does not know: taking another one would lose items.
func checkMergeRules(part any) error {
	switch v := part.(type) {
	case map[string]any:
		if rule, ok := v["x-merge"].(string); ok && mergeRuleOf(rule) == "" {
			return fmt.Errorf("x-merge: rule %q is not known", rule)
		}
		for _, key := range sortedKeys(v) {
			if err := checkMergeRules(v[key]); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := checkMergeRules(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func mergeRuleOf(rule string) v1.ListRule {
	switch strings.ToLower(rule) {
	case "replace":
		return v1.ListsReplace
	case "concat":
		return v1.ListsConcat
	default:
		return ""
	}
}

// noLoader keeps a schema from reading files or the network.
type noLoader struct{}

var _ jsonschema.URLLoader = noLoader{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to %s: %w", url, errors.ErrUnsupported)
}

// describing returns every part of the schema that speaks about the value at path, references resolved. An empty result
// means that the schema says nothing about it.
func (s *Schema) describing(path string) []map[string]any {
	if s == nil {
		return nil
	}
	keys, err := SplitPath(path)
	if err != nil {
		return nil
	}
	parts := s.expand(s.root, 0)
	for _, key := range keys {
		var next []map[string]any
		for _, part := range parts {
			next = append(next, s.child(part, key)...)
		}
		parts = next
	}
	return parts
}

// maxReferences bounds chains of $ref and nested combinations, which may be circular.
const maxReferences = 16

// expand returns schema itself and the parts that $ref, allOf, anyOf and oneOf bring in.
func (s *Schema) expand(schema any, depth int) []map[string]any {
	part, ok := schema.(map[string]any)
	if !ok || depth > maxReferences {
		return nil
	}
	parts := []map[string]any{part}
	if ref, ok := part["$ref"].(string); ok {
		parts = append(parts, s.expand(s.lookup(ref), depth+1)...)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		alternatives, _ := part[keyword].([]any)
		for _, alternative := range alternatives {
			parts = append(parts, s.expand(alternative, depth+1)...)
		}
	}
	return parts
}

// listItem stands for every item of a list in a path.
const listItem = "[]"

// child returns the parts that describe key of the object, or an item of the list, that part describes.
func (s *Schema) child(part map[string]any, key string) []map[string]any {
	if key == listItem {
		return s.expand(part["items"], 0)
	}
	properties, _ := part["properties"].(map[string]any)
	if property, ok := properties[key]; ok {
		return s.expand(property, 0)
	}
	patterns, _ := part["patternProperties"].(map[string]any)
	for _, pattern := range sortedKeys(patterns) {
		expression, err := regexp.Compile(pattern)
		if err == nil && expression.MatchString(key) {
			return s.expand(patterns[pattern], 0)
		}
	}
	return s.expand(part["additionalProperties"], 0)
}

// lookup resolves a reference inside the document: "#/$defs/name".
func (s *Schema) lookup(ref string) any {
	pointer, inside := strings.CutPrefix(ref, "#")
	if !inside {
		return nil
	}
	current := s.root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if token == "" {
			continue
		}
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		fields, ok := current.(map[string]any)
		if !ok {
			return nil
		}
		current = fields[token]
	}
	return current
}

// allows tells whether the schema knows the value at path and accepts this kind there.
func (s *Schema) allows(path, kind string) bool {
	for _, part := range s.describing(path) {
		if partAllows(part, kind) {
			return true
		}
	}
	return false
}

func partAllows(part map[string]any, kind string) bool {
	switch types := part["type"].(type) {
	case string:
		return typeIs(types, kind)
	case []any:
		for _, one := range types {
			if name, ok := one.(string); ok && typeIs(name, kind) {
				return true
			}
		}
		return false
	}
	for _, keyword := range []string{"$ref", "allOf", "anyOf", "oneOf", "enum", "const", "properties"} {
		if _, limited := part[keyword]; limited {
			return keyword == "properties" && kind == kindMap
		}
	}
	return true
}

func typeIs(name, kind string) bool {
	switch name {
	case "object":
		return kind == kindMap
	case "array":
		return kind == kindList
	case "string":
		return kind == kindString
	case "boolean":
		return kind == kindBool
	case "integer":
		return kind == kindInt
	case "number":
		return kind == kindInt || kind == kindFloat
	default:
		return name == "null" && kind == kindNull
	}
}

// mergeRule returns the rule of x-merge at path, or "" where the schema has none.
func (s *Schema) mergeRule(path string) v1.ListRule {
	for _, part := range s.describing(path) {
		if rule, ok := part["x-merge"].(string); ok {
			return mergeRuleOf(rule)
		}
	}
	return ""
}

// secret tells whether the schema calls the value at path a credential.
func (s *Schema) secret(path string) bool {
	for _, part := range s.describing(path) {
		if part["x-secret"] == true || part["format"] == "password" || part["writeOnly"] == true {
			return true
		}
	}
	return false
}

// toInstance turns values into what the validator understands: numbers keep every digit.
func toInstance(values map[string]any) (any, error) {
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode values: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var instance any
	if err := decoder.Decode(&instance); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decode values: %w", err)
	}
	return instance, nil
}
