package reference

import (
	"fmt"
	"strings"
)

// Key is one documented value of a chart.
type Key struct {
	// Path is dotted, as Helm's --set takes it.
	Path string
	// Type is in words: "string", "list of string", "string or valueFrom", "`a` or `b`".
	Type string
	// Default is the JSON of the default, or empty.
	Default string
	Meaning string
	// Effect and Reason are those of the schema.
	Effect, Reason string
	Secret         bool
}

// Section returns the first element of the path.
func (k Key) Section() string {
	section, _, _ := strings.Cut(k.Path, ".")
	return section
}

// Keys lists the leaves of a schema in the order of the file. An object counts as a leaf when it names no properties, has
// a default of its own, or is without effect as a whole.
func Keys(schema *Schema) []Key {
	return appendKeys(nil, "", schema)
}

func appendKeys(keys []Key, prefix string, schema *Schema) []Key {
	for _, property := range schema.Properties {
		path := property.Name
		if prefix != "" {
			path = prefix + "." + path
		}
		s := property.Schema
		if len(s.Properties) > 0 && s.Default == "" && s.Effect == "" {
			keys = appendKeys(keys, path, s)
			continue
		}
		keys = append(keys, Key{
			Path: path, Type: typeOf(s), Default: s.Default, Meaning: s.Description,
			Effect: s.Effect, Reason: s.Reason, Secret: s.Secret,
		})
	}
	return keys
}

func typeOf(s *Schema) string {
	if len(s.Enum) > 0 {
		return alternatives(s.Enum)
	}
	if s.Ref != "" {
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	}
	var names []string
	for _, part := range s.AnyOf {
		names = append(names, typeOf(part))
	}
	for _, name := range s.Types {
		names = append(names, typeName(name, s))
	}
	return strings.Join(names, " or ")
}

func typeName(name string, s *Schema) string {
	switch {
	case name == "object" && len(s.Properties) == 0:
		return "map"
	case name == "array" && s.Items != nil && typeOf(s.Items) != "":
		return "list of " + typeOf(s.Items)
	case name == "array":
		return "list"
	default:
		return name
	}
}

func alternatives(values []any) string {
	var texts []string
	for _, value := range values {
		switch {
		case value == nil:
		case value == "":
			texts = append(texts, "empty")
		default:
			texts = append(texts, fmt.Sprintf("`%v`", value))
		}
	}
	return strings.Join(texts, ", ")
}
