package graph

import (
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// lenientRules are what a query must keep to: the standard's, without those that the client breaks, or that cost too much.
func lenientRules() *rules.Rules {
	lenient := rules.NewDefaultRules()
	// The client declares variables whose use it drops where a feature is off, and fragments that it does not use.
	lenient.RemoveRule(rules.NoUnusedVariablesRule.Name)
	lenient.RemoveRule(rules.NoUnusedFragmentsRule.Name)
	// Its cost grows with the square of repeated fields: 20 s for a query of 12 kB. Without it the first of two fields
	// that share a name but not their arguments is answered.
	lenient.RemoveRule(rules.OverlappingFieldsCanBeMergedRule.Name)
	return lenient
}

// Validate tells what keeps the server from answering a query; nothing where it can.
func Validate(query string) []string {
	var problems []string
	_, errs := gqlparser.LoadQueryWithRules(NewExecutableSchema(Config{}).Schema(), query, lenientRules())
	for _, err := range errs {
		problems = append(problems, err.Message)
	}
	return problems
}

// ValidateInput tells what keeps the server from reading a field of an input type; "" for nothing.
func ValidateInput(name, field string) string {
	definition := NewExecutableSchema(Config{}).Schema().Types[name]
	switch {
	case definition == nil:
		return "there is no such input type"
	case definition.Fields.ForName(field) == nil:
		return "it has no field " + field
	}
	return ""
}

// HasType tells whether the schema has a type of this name.
func HasType(name string) bool { return NewExecutableSchema(Config{}).Schema().Types[name] != nil }
