package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scim2/filter-parser/v2"
)

// maxOperations bounds one patch.
const maxOperations = 1000

// operation is one change of a patch.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// errPath tells that a path leads nowhere.
var errPath = errors.New("the path leads to nothing that can be changed")

// patch applies operations to a resource, in order. It changes the tree that it is given.
func patch(resource tree, operations []operation) error {
	if len(operations) > maxOperations {
		return fmt.Errorf("a patch holds at most %d operations", maxOperations)
	}
	for _, o := range operations {
		var value any
		if len(o.Value) > 0 {
			if err := json.Unmarshal(o.Value, &value); err != nil {
				return fmt.Errorf("read the value: %w", err)
			}
		}
		if err := apply(resource, strings.ToLower(o.Op), o.Path, value); err != nil {
			return err
		}
	}
	return nil
}

func apply(resource tree, op, path string, value any) error {
	if op != "add" && op != "replace" && op != "remove" {
		return fmt.Errorf("the operation %q is unknown", op)
	}
	if path == "" {
		return applyEach(resource, op, value)
	}
	if len(path) > maxFilter {
		return errPath
	}
	p, err := filter.ParsePath([]byte(path))
	if err != nil {
		return errPath
	}
	if foreign(p.AttributePath.URI()) {
		return nil // an attribute that we do not keep
	}
	sub := p.AttributePath.SubAttributeName()
	if s := p.SubAttributeName(); s != "" {
		sub = s
	}
	name := p.AttributePath.AttributeName
	switch {
	case p.ValueExpression != nil:
		return applyElements(resource, op, name, p.ValueExpression, sub, value)
	case sub != "":
		return applyPart(resource, op, name, sub, value)
	}
	set(resource, op, name, value)
	return nil
}

// applyEach applies an operation without a path: each name in the value is one.
func applyEach(resource tree, op string, value any) error {
	parts, ok := value.(tree)
	if !ok || op == "remove" {
		return errors.New("an operation without a path needs an object")
	}
	for name, part := range parts {
		if strings.HasPrefix(name, "urn:") {
			if _, isTree := part.(tree); isTree { // a whole extension
				continue
			}
		}
		if strings.EqualFold(name, "schemas") {
			continue
		}
		if err := apply(resource, op, name, part); err != nil {
			return err
		}
	}
	return nil
}

// foreign tells whether a schema is none of ours.
func foreign(uri string) bool { return uri != "" && uri != schemaUser && uri != schemaGroup }

// set changes an attribute. Adding to a list appends what it does not hold yet.
func set(resource tree, op, name string, value any) {
	key, _ := keyOf(resource, name)
	old, isList := resource[key].([]any)
	added, addsList := value.([]any)
	switch {
	case op == "remove" && value != nil && isList:
		resource[key] = slices.DeleteFunc(slices.Clone(old), func(v any) bool { return slices.ContainsFunc(listOf(value), same(v)) })
	case op == "remove":
		delete(resource, key)
	case op == "add" && (isList || addsList):
		if !addsList {
			added = listOf(value)
		}
		for _, v := range added {
			if !slices.ContainsFunc(old, same(v)) {
				old = append(slices.Clone(old), v)
			}
		}
		resource[key] = old
	default:
		resource[key] = value
	}
}

func listOf(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	return []any{value}
}

// same tells whether two elements of a list mean the same: objects do where their values do.
func same(a any) func(b any) bool {
	of := func(v any) string {
		if t, ok := v.(tree); ok {
			return plain(lookup(t, "value"))
		}
		return plain(v)
	}
	return func(b any) bool { return of(a) == of(b) }
}

// applyPart changes one part of an attribute; of a list, that of its first element.
func applyPart(resource tree, op, name, sub string, value any) error {
	key, _ := keyOf(resource, name)
	switch v := resource[key].(type) {
	case tree:
		set(v, op, sub, value)
	case []any:
		for _, element := range v {
			if t, ok := element.(tree); ok {
				set(t, op, sub, value)
				return nil
			}
		}
		return errPath
	case nil:
		if op != "remove" {
			resource[key] = tree{sub: value}
		}
	default:
		return errPath
	}
	return nil
}

// applyElements changes or removes the elements of a list that pass a filter.
func applyElements(resource tree, op, name string, e filter.Expression, sub string, value any) error {
	key, _ := keyOf(resource, name)
	list, _ := resource[key].([]any)
	hit := func(v any) bool {
		t, ok := v.(tree)
		return ok && matches(e, t)
	}
	if op == "remove" && sub == "" {
		resource[key] = slices.DeleteFunc(slices.Clone(list), hit)
		return nil
	}
	found := false
	for i, element := range list {
		if !hit(element) {
			continue
		}
		found = true
		if sub != "" {
			set(element.(tree), op, sub, value)
		} else {
			list[i] = value
		}
	}
	if found || op == "remove" {
		return nil
	}
	if a, ok := e.(*filter.AttributeExpression); ok && a.Operator == filter.EQ && sub != "" {
		resource[key] = append(list, tree{a.AttributePath.AttributeName: a.CompareValue, sub: value})
		return nil
	}
	return errPath
}
