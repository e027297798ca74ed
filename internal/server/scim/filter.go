package scim

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/scim2/filter-parser/v2"
)

// maxFilter bounds the text of a filter, and with it the depth of what the parser makes of it.
const maxFilter = 1024

// tree is a resource, or a part of one, as it stands in JSON.
type tree = map[string]any

// exactAttributes are compared with their case.
var exactAttributes = []string{"id", "externalid"}

// parseFilter reads a filter; nil for none.
func parseFilter(text string) (filter.Expression, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxFilter {
		return nil, errors.New("the filter is too long")
	}
	return filter.ParseFilter([]byte(text))
}

// matches tells whether a resource passes a filter. What a resource does not have equals nothing.
func matches(e filter.Expression, resource tree) bool {
	switch e := e.(type) {
	case nil:
		return true
	case *filter.AttributeExpression:
		return slices.ContainsFunc(values(resource, e.AttributePath), func(v any) bool { return compare(v, e) })
	case *filter.LogicalExpression:
		if e.Operator == filter.AND {
			return matches(e.Left, resource) && matches(e.Right, resource)
		}
		return matches(e.Left, resource) || matches(e.Right, resource)
	case *filter.NotExpression:
		return !matches(e.Expression, resource)
	case *filter.ValuePath:
		list, _ := lookup(resource, e.AttributePath.AttributeName).([]any)
		return slices.ContainsFunc(list, func(v any) bool {
			element, ok := v.(tree)
			return ok && matches(e.ValueFilter, element)
		})
	}
	return false
}

// lookup finds an attribute; the case of names does not count.
func lookup(resource tree, name string) any {
	key, ok := keyOf(resource, name)
	if !ok {
		return nil
	}
	return resource[key]
}

func keyOf(resource tree, name string) (string, bool) {
	for key := range resource {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return name, false
}

// values are what a path leads to; of a list of objects without a further name, what each calls its value.
func values(resource tree, path filter.AttributePath) []any {
	sub := path.SubAttributeName()
	var found []any
	switch v := lookup(resource, path.AttributeName).(type) {
	case nil:
	case []any:
		for _, element := range v {
			if t, ok := element.(tree); ok {
				element = lookup(t, cmp.Or(sub, "value"))
			}
			found = append(found, element)
		}
	case tree:
		if sub != "" {
			return append(found, lookup(v, sub))
		}
		found = append(found, v)
	default:
		if sub == "" {
			found = append(found, v)
		}
	}
	return found
}

func compare(v any, e *filter.AttributeExpression) bool {
	if v == nil {
		return false
	}
	if e.Operator == filter.PR {
		return v != "" // booleans and numbers are there
	}
	have, want := plain(v), plain(e.CompareValue)
	if !slices.Contains(exactAttributes, strings.ToLower(e.AttributePath.AttributeName)) {
		have, want = strings.ToLower(have), strings.ToLower(want)
	}
	switch e.Operator {
	case filter.EQ:
		return have == want
	case filter.NE:
		return have != want
	case filter.CO:
		return strings.Contains(have, want)
	case filter.SW:
		return strings.HasPrefix(have, want)
	case filter.EW:
		return strings.HasSuffix(have, want)
	case filter.GT:
		return have > want
	case filter.GE:
		return have >= want
	case filter.LT:
		return have < want
	case filter.LE:
		return have <= want
	}
	return false
}

// plain is the text of a simple value; moments in the form of RFC 3339 compare as text.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil { // comes from JSON
		return ""
	}
	return string(text)
}

// asked is the value that a filter of the form `attribute eq "value"` asks for, for a look-up by an index.
func asked(e filter.Expression) (attribute, value string, ok bool) {
	a, ok := e.(*filter.AttributeExpression)
	if !ok || a.Operator != filter.EQ {
		return "", "", false
	}
	value, ok = a.CompareValue.(string)
	attribute = strings.ToLower(a.AttributePath.AttributeName)
	if sub := a.AttributePath.SubAttributeName(); sub != "" && !strings.EqualFold(sub, "value") {
		return "", "", false
	}
	return attribute, value, ok
}
