// Package reference derives what a chart documents from its values.schema.json: the table of its README, the configuration
// reference of all charts, and the list of keys without effect that its NOTES compare with the values in use.
package reference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Schema is one node of a values.schema.json, with its properties in the order of the file.
type Schema struct {
	Title       string
	Description string
	Types       []string
	Enum        []any
	Properties  []Property
	Items       *Schema
	AnyOf       []*Schema
	Ref         string
	// Default is the JSON of the default; empty where the schema names none, or null.
	Default string
	// Effect is empty for a key that changes what the chart renders, "none" for one that is only accepted, and "operator"
	// for one that the operator reads.
	Effect string
	// Reason says why a key has no effect.
	Reason string
	// Secret marks a credential.
	Secret bool
}

// Property is a named child of an object.
type Property struct {
	Name   string
	Schema *Schema
}

// Parse reads a values.schema.json.
func Parse(raw []byte) (*Schema, error) {
	schema := new(Schema)
	if err := yaml.Unmarshal(raw, schema); err != nil { // JSON is YAML, and this decoder keeps the order
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return schema, nil
}

var _ yaml.Unmarshaler = (*Schema)(nil)

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *Schema) UnmarshalYAML(node *yaml.Node) error {
	var fields struct {
		Title       string    `yaml:"title"`
		Description string    `yaml:"description"`
		Type        yaml.Node `yaml:"type"`
		Enum        []any     `yaml:"enum"`
		Properties  yaml.Node `yaml:"properties"`
		Items       *Schema   `yaml:"items"`
		AnyOf       []*Schema `yaml:"anyOf"`
		Ref         string    `yaml:"$ref"`
		Default     yaml.Node `yaml:"default"`
		Effect      string    `yaml:"x-effect"`
		Reason      string    `yaml:"x-effect-reason"`
		Secret      bool      `yaml:"x-secret"`
	}
	if err := node.Decode(&fields); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*s = Schema{
		Title: fields.Title, Description: fields.Description, Enum: fields.Enum, Items: fields.Items, AnyOf: fields.AnyOf,
		Ref: fields.Ref, Effect: fields.Effect, Reason: fields.Reason, Secret: fields.Secret,
	}
	var err error
	if s.Types, err = decodeTypes(&fields.Type); err != nil {
		return err
	}
	if s.Default, err = decodeDefault(&fields.Default); err != nil {
		return err
	}
	s.Properties, err = decodeProperties(&fields.Properties)
	return err
}

func decodeTypes(node *yaml.Node) ([]string, error) {
	var types []string
	switch node.Kind {
	case 0:
		return nil, nil
	case yaml.ScalarNode:
		types = []string{node.Value}
	default:
		if err := node.Decode(&types); err != nil {
			return nil, fmt.Errorf("line %d: type: %w", node.Line, err)
		}
	}
	return slices.DeleteFunc(types, func(name string) bool { return name == "null" }), nil
}

func decodeDefault(node *yaml.Node) (string, error) {
	if node.Kind == 0 || node.Tag == "!!null" {
		return "", nil
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return "", fmt.Errorf("line %d: default: %w", node.Line, err)
	}
	return encode(value)
}

// encode writes JSON without escaping characters that matter to HTML only.
func encode(value any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("encode value: %w", err)
	}
	return strings.TrimSpace(text.String()), nil
}

func decodeProperties(node *yaml.Node) ([]Property, error) {
	var properties []Property
	for i := 0; i+1 < len(node.Content); i += 2 {
		property := Property{Name: node.Content[i].Value, Schema: new(Schema)}
		if err := node.Content[i+1].Decode(property.Schema); err != nil {
			return nil, fmt.Errorf("property %s: %w", property.Name, err)
		}
		properties = append(properties, property)
	}
	return properties, nil
}
