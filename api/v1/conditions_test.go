package v1

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryConditionAndReasonIsSpecified keeps docs/spec from falling behind: what status may say stands there.
func TestEveryConditionAndReasonIsSpecified(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/v1/weightsandbiases.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "conditions.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
	count := 0
	ast.Inspect(file, func(found ast.Node) bool {
		constant, ok := found.(*ast.ValueSpec)
		if !ok {
			return true
		}
		literal, ok := constant.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		count++
		name := constant.Names[0].Name
		if !form.MatchString(value) {
			t.Errorf("%s = %q is not in CamelCase", name, value)
		}
		if doc := constant.Doc.Text(); !strings.HasPrefix(doc, name+":") {
			t.Errorf("the comment of %s does not say what it means: %q", name, doc)
		}
		if !strings.Contains(string(page), "`"+value+"`") && !strings.Contains(string(page), "**"+value+"**") {
			t.Errorf("docs/spec/v1/weightsandbiases.md does not explain %s (%q)", name, value)
		}
		return false
	})
	if count < 50 {
		t.Errorf("found %d constants", count)
	}
}
