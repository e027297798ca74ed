package run

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	// maxFilter bounds the text of a filter, maxDepth how deep its operators nest, maxRegexp a regular expression.
	maxFilter = 1 << 20
	maxDepth  = 32
	maxRegexp = 4 << 10
)

// row gives the values of one run.
type row func(c column) value

// matcher tells whether a run is one that is asked for.
type matcher func(r row) bool

// Filter is a condition on runs, in the language of the client's public API.
type Filter struct {
	match   matcher
	columns map[column]bool
}

// ParseFilter reads a filter: JSON with the operators of MongoDB. "" and null match every run. The error names what is not
// understood.
func ParseFilter(text string) (Filter, error) {
	f := Filter{match: func(row) bool { return true }, columns: map[column]bool{}}
	text = strings.TrimSpace(text)
	if text == "" || text == "null" || text == `"null"` || text == "{}" {
		return f, nil
	}
	if len(text) > maxFilter {
		return f, badFilter("it is longer than %d bytes", maxFilter)
	}
	if !gjson.Valid(text) {
		return f, badFilter("it is no JSON")
	}
	match, err := (&filterParser{columns: f.columns}).condition(gjson.Parse(text), 0)
	f.match = match
	return f, err
}

func badFilter(format string, arguments ...any) error {
	return &fault.Error{
		Reason: ReasonInvalid, Op: "read the filter: " + fmt.Sprintf(format, arguments...),
		Hint: `A filter looks like {"state": "finished", "summary_metrics.loss": {"$lt": 0.5}}.`,
	}
}

type filterParser struct{ columns map[column]bool }

// condition reads an object whose members must all hold.
func (p *filterParser) condition(object gjson.Result, depth int) (matcher, error) {
	if depth > maxDepth {
		return nil, badFilter("it nests deeper than %d operators", maxDepth)
	}
	if !object.IsObject() {
		return nil, badFilter("%.60s is no object", object.Raw)
	}
	var all []matcher
	var failed error
	object.ForEach(func(key, operand gjson.Result) bool {
		var m matcher
		switch key.Str {
		case "$and", "$or", "$nor":
			m, failed = p.several(key.Str, operand, depth+1)
		case "$not":
			m, failed = p.condition(operand, depth+1)
			m = not(m)
		default:
			m, failed = p.member(key.Str, operand, depth+1)
		}
		all = append(all, m)
		return failed == nil
	})
	return and(all), failed
}

func (p *filterParser) several(operator string, operand gjson.Result, depth int) (matcher, error) {
	if !operand.IsArray() {
		return nil, badFilter("%s needs a list", operator)
	}
	var parts []matcher
	var failed error
	operand.ForEach(func(_, element gjson.Result) bool {
		var m matcher
		m, failed = p.condition(element, depth)
		parts = append(parts, m)
		return failed == nil
	})
	switch operator {
	case "$and":
		return and(parts), failed
	case "$or":
		return or(parts), failed
	}
	return not(or(parts)), failed
}

// member reads what one property of a run must be.
func (p *filterParser) member(name string, operand gjson.Result, depth int) (matcher, error) {
	if strings.HasPrefix(name, "$") {
		return nil, badFilter("there is no operator %s here", name)
	}
	c, ok := parseColumn(name)
	if !ok {
		return nil, badFilter("runs have no property %s", name)
	}
	p.columns[c] = true
	return p.operators(c, operand, depth)
}

// operators reads {"$gt": 1, "$lt": 2}, or a plain value, which must be equal.
func (p *filterParser) operators(c column, operand gjson.Result, depth int) (matcher, error) {
	if depth > maxDepth {
		return nil, badFilter("it nests deeper than %d operators", maxDepth)
	}
	if !hasOperators(operand) {
		return comparison(c, "$eq", operand)
	}
	var all []matcher
	var failed error
	operand.ForEach(func(key, inner gjson.Result) bool {
		var m matcher
		if key.Str == "$not" {
			m, failed = p.operators(c, inner, depth+1)
			m = not(m)
		} else {
			m, failed = comparison(c, key.Str, inner)
		}
		all = append(all, m)
		return failed == nil
	})
	return and(all), failed
}

func hasOperators(operand gjson.Result) bool {
	found := false
	if operand.IsObject() {
		operand.ForEach(func(key, _ gjson.Result) bool {
			found = strings.HasPrefix(key.Str, "$")
			return false
		})
	}
	return found
}

// comparison is one operator on one property.
func comparison(c column, operator string, operand gjson.Result) (matcher, error) {
	switch operator {
	case "$in", "$nin":
		return membership(c, operator, operand)
	case "$exists":
		wanted := operand.Bool()
		return func(r row) bool { return (r(c).kind != kindNone) == wanted }, nil
	case "$regex":
		return pattern(c, operand)
	case "$options": // of $regex, whose only use is case, which RE2 writes into the pattern
		return nil, badFilter("$options is not supported: begin the $regex with (?i)")
	}
	wanted, err := constant(c, operand)
	if err != nil {
		return nil, err
	}
	switch operator {
	case "$eq":
		return func(r row) bool { return contains(r(c), wanted) }, nil
	case "$ne":
		return func(r row) bool { return !contains(r(c), wanted) }, nil
	case "$gt", "$gte", "$lt", "$lte":
		return inequality(c, operator, wanted), nil
	}
	return nil, badFilter("there is no operator %s", operator)
}

// inequality holds for values of the same type only.
func inequality(c column, operator string, wanted value) matcher {
	holds := map[string]func(int) bool{
		"$gt": func(n int) bool { return n > 0 }, "$gte": func(n int) bool { return n >= 0 },
		"$lt": func(n int) bool { return n < 0 }, "$lte": func(n int) bool { return n <= 0 },
	}[operator]
	nan := wanted.kind == kindNumber && wanted.num != wanted.num
	return func(r row) bool {
		v := r(c)
		if v.kind != wanted.kind || v.kind == kindNone || nan || (v.kind == kindNumber && v.num != v.num) {
			return false
		}
		return holds(compare(v, wanted))
	}
}

func membership(c column, operator string, operand gjson.Result) (matcher, error) {
	if !operand.IsArray() {
		return nil, badFilter("%s needs a list", operator)
	}
	var wanted []value
	texts := map[string]bool{} // a list may hold the names of a thousand runs
	for _, element := range operand.Array() {
		v, err := constant(c, element)
		if err != nil {
			return nil, err
		}
		if v.kind == kindText {
			texts[v.text] = true
			if c != columnTags && c.source != sourceConfig && c.source != sourceSummary {
				continue
			}
		}
		wanted = append(wanted, v)
	}
	in := func(r row) bool {
		v := r(c)
		if v.kind == kindText {
			return texts[v.text]
		}
		for _, w := range wanted {
			if contains(v, w) {
				return true
			}
		}
		return false
	}
	if operator == "$nin" {
		return not(in), nil
	}
	return in, nil
}

func pattern(c column, operand gjson.Result) (matcher, error) {
	if operand.Type != gjson.String || len(operand.Str) > maxRegexp {
		return nil, badFilter("$regex needs a text of at most %d bytes", maxRegexp)
	}
	expression, err := regexp.Compile(operand.Str)
	if err != nil {
		return nil, badFilter("$regex %q: %v", operand.Str, err)
	}
	return func(r row) bool {
		v := r(c)
		if c == columnTags {
			matched := false
			gjson.Parse(v.text).ForEach(func(_, tag gjson.Result) bool {
				matched = expression.MatchString(tag.Str)
				return !matched
			})
			return matched
		}
		return v.kind == kindText && expression.MatchString(v.text)
	}, nil
}

// timeLayouts are how people and clients write moments.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"}

// constant reads what a property is compared with. Moments are texts in a filter, and seconds where they are numbers.
func constant(c column, operand gjson.Result) (value, error) {
	v := valueOf(operand)
	if v.kind == kindText && v.text == "" && c.source == sourceMeta {
		return value{}, nil // rows do not tell an empty text from none
	}
	if !c.isTime() || v.kind == kindNone {
		return v, nil
	}
	switch v.kind {
	case kindText:
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, v.text); err == nil {
				return timeValue(t), nil
			}
		}
	case kindNumber:
		return integer(int64(v.num * 1e6)), nil
	}
	return v, badFilter("%.60s is no time: write 2026-11-01T12:00:00Z", operand.Raw)
}

func and(parts []matcher) matcher {
	if len(parts) == 1 {
		return parts[0]
	}
	return func(r row) bool {
		for _, part := range parts {
			if !part(r) {
				return false
			}
		}
		return true
	}
}

func or(parts []matcher) matcher {
	return func(r row) bool {
		for _, part := range parts {
			if part(r) {
				return true
			}
		}
		return false
	}
}

func not(m matcher) matcher { return func(r row) bool { return !m(r) } }
