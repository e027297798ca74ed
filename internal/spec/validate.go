package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// maxViolations bounds how many are spelt out; a condition's message is no place for hundreds.
const maxViolations = 10

// Violation is one value that the schema refuses.
type Violation struct {
	// Path is dotted; an index of a list is written [3].
	Path string
	// Allowed says what the schema accepts there. It never repeats the value.
	Allowed string
}

// Validate checks values, which must already include the chart's defaults. A violation is a fault ValuesInvalid that
// names the dotted path and what is allowed there. A null counts as not set. Keys that the schema does not know are no
// violation here: Resolve warns of them, since resources in the field carry keys that earlier charts knew.
func (s *Schema) Validate(values map[string]any) error {
	violations, err := s.Violations(values)
	if err != nil || len(violations) == 0 {
		return err
	}
	texts := make([]string, 0, maxViolations+1)
	for _, violation := range violations[:min(len(violations), maxViolations)] {
		texts = append(texts, violation.Path+": "+violation.Allowed)
	}
	if more := len(violations) - maxViolations; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return &fault.Error{
		Reason: v1.ReasonValuesInvalid,
		Op:     "check values against the chart's schema",
		Hint:   fmt.Sprintf("Correct %s in spec.values or in the System Console.", violations[0].Path),
		Err:    errors.New(strings.Join(texts, "; ")),
	}
}

// Violations returns every violation in the order of their paths; an error means that values could not be checked.
func (s *Schema) Violations(values map[string]any) ([]Violation, error) {
	if s == nil {
		return nil, nil
	}
	if values == nil {
		values = map[string]any{}
	}
	instance, err := toInstance(values)
	if err != nil {
		return nil, err
	}
	err = s.compiled.Validate(withoutNulls(instance))
	if err == nil {
		return nil, nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("check values: %w", err)
	}
	printer := message.NewPrinter(language.English)
	violations := collect(invalid, printer, nil)
	slices.SortFunc(violations, func(a, b Violation) int {
		return strings.Compare(a.Path+"\x00"+a.Allowed, b.Path+"\x00"+b.Allowed)
	})
	return slices.Compact(violations), nil
}

func collect(e *jsonschema.ValidationError, printer *message.Printer, found []Violation) []Violation {
	path := instancePath(e.InstanceLocation)
	switch e.ErrorKind.(type) {
	case *kind.AdditionalProperties, *kind.FalseSchema:
		return found
	case *kind.AnyOf, *kind.OneOf:
		return append(found, Violation{Path: path, Allowed: alternatives(e, printer)})
	case *kind.Not:
		return append(found, Violation{Path: path, Allowed: "has a form that the schema excludes"})
	}
	if len(e.Causes) == 0 {
		return append(found, Violation{Path: path, Allowed: allowed(e.ErrorKind, printer)})
	}
	for _, cause := range e.Causes {
		found = collect(cause, printer, found)
	}
	return found
}

// alternatives describes a value that fits none, or more than one, of several forms.
func alternatives(e *jsonschema.ValidationError, printer *message.Printer) string {
	if one, ok := e.ErrorKind.(*kind.OneOf); ok && len(one.Subschemas) > 0 {
		return "fits more than one of the allowed forms; exactly one must match"
	}
	var texts []string
	for _, cause := range e.Causes {
		for _, violation := range collect(cause, printer, nil) {
			text := violation.Allowed
			if at := instancePath(e.InstanceLocation); violation.Path != at {
				text = strings.TrimPrefix(strings.TrimPrefix(violation.Path, at), ".") + " " + text
			}
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	if len(texts) == 0 {
		return "fits none of the allowed forms: it has keys that none of them knows"
	}
	return strings.Join(texts, ", or ")
}

// allowed words what the schema accepts. It never uses the value itself, which may be a credential.
func allowed(errorKind jsonschema.ErrorKind, printer *message.Printer) string {
	switch k := errorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return "must be one of " + listed(k.Want)
	case *kind.Const:
		return "must be " + listed([]any{k.Want})
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.Format:
		return "must be a valid " + k.Want
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.Required:
		return "needs " + strings.Join(k.Missing, ", ")
	default:
		return errorKind.LocalizedString(printer)
	}
}

func listed(values []any) string {
	texts := make([]string, len(values))
	for i, value := range values {
		raw, err := json.Marshal(value)
		if err != nil {
			raw = []byte("?")
		}
		texts[i] = string(raw)
	}
	return strings.Join(texts, ", ")
}

func instancePath(location []string) string {
	path := ""
	for _, token := range location {
		if path != "" && isIndex(token) {
			path += "[" + token + "]"
			continue
		}
		path = childPath(path, token)
	}
	if path == "" {
		return "values"
	}
	return path
}

func isIndex(token string) bool {
	return token != "" && strings.Trim(token, "0123456789") == ""
}

func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if item == nil {
				delete(v, key)
				continue
			}
			v[key] = withoutNulls(item)
		}
	case []any:
		for i, item := range v {
			v[i] = withoutNulls(item)
		}
	}
	return value
}
