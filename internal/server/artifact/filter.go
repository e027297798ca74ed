package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxFilter = 64 << 10
	// maxDepth bounds how deep a filter may be nested.
	maxDepth = 32
)

// lookup returns the values of a thing under a key: one for a plain field, any number for tags and aliases. A value is a
// string, an int64, a json.Number, a bool or a time.Time.
type lookup func(key string) []any

// filter tells whether a thing is wanted.
type filter func(lookup) bool

// parseFilter reads a filter in the style of MongoDB. An empty one, and null, want everything; everything tells of that.
func parseFilter(text string) (f filter, everything bool, err error) {
	if len(text) > maxFilter {
		return nil, false, invalid(fmt.Sprintf("the filter is longer than %d bytes", maxFilter))
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if strings.TrimSpace(text) == "" {
		return nil, true, nil
	}
	if err := decoder.Decode(&value); err != nil {
		return nil, false, invalid("the filter is not JSON: " + err.Error())
	}
	if value == nil {
		return nil, true, nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, false, invalid("the filter is no JSON object")
	}
	if len(object) == 0 {
		return nil, true, nil
	}
	if len(object) == 1 && object["state"] == "COMMITTED" { // what the client asks for by itself; others are never listed
		return nil, true, nil
	}
	f, err = parseObject(object, 0)
	return f, false, err
}

func parseObject(object map[string]any, depth int) (filter, error) {
	if depth > maxDepth {
		return nil, invalid(fmt.Sprintf("the filter is nested deeper than %d", maxDepth))
	}
	var parts []filter
	for key, value := range object {
		var part filter
		var err error
		switch key {
		case "$and", "$or", "$nor":
			part, err = parseList(key, value, depth)
		case "$not":
			part, err = parseNot(value, depth)
		default:
			if strings.HasPrefix(key, "$") {
				return nil, invalid(fmt.Sprintf("the filter holds %q, which is no operator here", key))
			}
			part, err = parseField(key, value, depth)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return all(parts), nil
}

func all(parts []filter) filter {
	return func(l lookup) bool {
		return !slices.ContainsFunc(parts, func(f filter) bool { return !f(l) })
	}
}

func parseList(operator string, value any, depth int) (filter, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, invalid(fmt.Sprintf("what follows %s in the filter is no list", operator))
	}
	var parts []filter
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, invalid(fmt.Sprintf("the list of %s in the filter holds other than objects", operator))
		}
		part, err := parseObject(object, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	any := func(l lookup) bool { return slices.ContainsFunc(parts, func(f filter) bool { return f(l) }) }
	switch operator {
	case "$or":
		return any, nil
	case "$nor":
		return func(l lookup) bool { return !any(l) }, nil
	}
	return all(parts), nil
}

func parseNot(value any, depth int) (filter, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, invalid("what follows $not in the filter is no object")
	}
	part, err := parseObject(object, depth+1)
	return func(l lookup) bool { return !part(l) }, err
}

// parseField reads what a field is compared with.
func parseField(key string, value any, depth int) (filter, error) {
	if depth > maxDepth {
		return nil, invalid(fmt.Sprintf("the filter is nested deeper than %d", maxDepth))
	}
	object, ok := value.(map[string]any)
	if !ok {
		return compare(key, "$eq", value)
	}
	var parts []filter
	for operator, operand := range object {
		part, err := fieldOperator(key, operator, operand, depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return all(parts), nil
}

func fieldOperator(key, operator string, operand any, depth int) (filter, error) {
	switch operator {
	case "$not":
		part, err := parseField(key, operand, depth+1)
		return func(l lookup) bool { return !part(l) }, err
	case "$ne":
		part, err := compare(key, "$eq", operand)
		return func(l lookup) bool { return !part(l) }, err
	case "$nin":
		part, err := fieldOperator(key, "$in", operand, depth)
		return func(l lookup) bool { return !part(l) }, err
	case "$in":
		list, ok := operand.([]any)
		if !ok {
			return nil, invalid("what follows $in in the filter is no list")
		}
		return func(l lookup) bool {
			return slices.ContainsFunc(l(key), func(have any) bool {
				return slices.ContainsFunc(list, func(want any) bool { return order(have, want) == same })
			})
		}, nil
	case "$exists":
		want, ok := operand.(bool)
		if !ok {
			return nil, invalid("what follows $exists in the filter is neither true nor false")
		}
		return func(l lookup) bool { return (len(l(key)) > 0) == want }, nil
	case "$regex", "$contains":
		return match(key, operator, operand)
	}
	return compare(key, operator, operand)
}

func match(key, operator string, operand any) (filter, error) {
	text, ok := operand.(string)
	if !ok {
		return nil, invalid(fmt.Sprintf("what follows %s in the filter is no text", operator))
	}
	matches := func(have string) bool { return strings.Contains(have, text) }
	if operator == "$regex" {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return nil, invalid("the filter's regular expression is malformed: " + err.Error())
		}
		matches = pattern.MatchString
	}
	return func(l lookup) bool {
		return slices.ContainsFunc(l(key), func(have any) bool { return matches(fmt.Sprint(have)) })
	}, nil
}

func compare(key, operator string, want any) (filter, error) {
	var accept []ordering
	switch operator {
	case "$eq":
		if want == nil {
			return func(l lookup) bool { return len(l(key)) == 0 }, nil
		}
		accept = []ordering{same}
	case "$gt":
		accept = []ordering{above}
	case "$gte":
		accept = []ordering{above, same}
	case "$lt":
		accept = []ordering{below}
	case "$lte":
		accept = []ordering{below, same}
	default:
		return nil, invalid(fmt.Sprintf("the filter holds %q, which is no operator here", operator))
	}
	return func(l lookup) bool {
		return slices.ContainsFunc(l(key), func(have any) bool { return slices.Contains(accept, order(have, want)) })
	}, nil
}

// ordering is how two values compare; unlike for values of different kinds.
type ordering int

const (
	below ordering = iota - 1
	same
	above
	unlike
)

// order compares what a thing has with what a filter wants.
func order(have, want any) ordering {
	switch h := have.(type) {
	case bool:
		if w, ok := want.(bool); ok && h == w {
			return same
		}
		return unlike
	case string:
		if w, ok := want.(string); ok {
			return ordering(strings.Compare(h, w))
		}
		return unlike
	case time.Time:
		w, ok := want.(string)
		if !ok {
			return unlike
		}
		if at, err := parseTime(w); err == nil {
			return ordering(h.Compare(at))
		}
		return unlike
	}
	a, aOK := number(have)
	b, bOK := number(want)
	if !aOK || !bOK {
		return unlike
	}
	return compareNumbers(a, b)
}

// parseTime reads a time as the server writes it, or a date.
func parseTime(text string) (time.Time, error) {
	var err error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		var at time.Time
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}

// number is the text of a number.
func number(v any) (string, bool) {
	switch n := v.(type) {
	case json.Number:
		return n.String(), true
	case int64:
		return strconv.FormatInt(n, 10), true
	}
	return "", false
}

// compareNumbers compares whole numbers exactly.
func compareNumbers(a, b string) ordering {
	m, errA := strconv.ParseInt(a, 10, 64)
	n, errB := strconv.ParseInt(b, 10, 64)
	if errA == nil && errB == nil {
		return ordering(min(max(boolInt(m > n)-boolInt(m < n), -1), 1))
	}
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if errA != nil || errB != nil {
		return unlike
	}
	return ordering(boolInt(x > y) - boolInt(x < y))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// metadataValue is the value under dots in a JSON object; none where it is missing.
func metadataValue(metadata []byte, path string) []any {
	decoder := json.NewDecoder(bytes.NewReader(metadata))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{value}
}
