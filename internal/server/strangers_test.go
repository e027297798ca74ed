package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/kubewandb/kubewandb/internal/server/graph"
)

// everyRequest makes requests out of the schema, so that no field of it is forgotten.
type everyRequest struct {
	schema *ast.Schema
	of     tenant
	// id and name stand where a field says no more than that it is one.
	id, name string
	// whole fills optional fields as well; else only those that name something.
	whole bool
}

// text is what a tenant's thing is called, by the name of an argument or a field of an input.
func (r everyRequest) text(field string) string {
	field = strings.ToLower(field)
	for _, rule := range []struct{ part, text string }{
		{"clientid", r.of.ids["client"]}, {"manifestid", r.either("pendingManifest", "manifest")}, {"portfolioid", r.of.ids["portfolio"]}, {"sequenceid", r.of.ids["collection"]},
		{"md5", md5Text("")}, {"artifactid", r.either("pending", "artifact")}, {"state", "failed"}, {"metricname", "_step"}, {"runid", r.of.ids["run"]}, {"uploadid", strings.Repeat("A", 26)},
		{"portfolioname", names["portfolio"]}, {"sequencename", names["collection"]}, {"collectionname", names["collection"]}, {"typename", names["type"]},
		{"entity", r.of.name}, {"organization", r.of.name}, {"user", r.of.name}, {"query", r.of.name}, {"project", names["project"]}, {"modelname", names["project"]},
		{"runname", names["run"]}, {"sweep", r.of.ids["sweepName"]}, {"alias", names["alias"]}, {"id", r.id},
	} {
		if strings.HasSuffix(field, rule.part) || strings.HasPrefix(field, rule.part) {
			return rule.text
		}
	}
	if field == "files" {
		return r.id
	}
	return r.name
}

// either is one thing where it is asked for, and the other else.
func (r everyRequest) either(one, other string) string {
	if r.id == r.of.ids[one] {
		return r.id
	}
	return r.of.ids[other]
}

func (r everyRequest) value(t *ast.Type, field string) any {
	if t.Elem != nil {
		return []any{r.value(t.Elem, field)}
	}
	switch definition := r.schema.Types[t.NamedType]; {
	case definition.Kind == ast.Enum:
		return definition.EnumValues[0].Name
	case definition.Kind == ast.InputObject:
		object := map[string]any{}
		for _, f := range definition.Fields {
			names := strings.Contains(strings.ToLower(f.Name), "name") || strings.HasSuffix(strings.ToLower(f.Name), "id") || f.Name == "sweep"
			if f.Name != "clientMutationId" && (f.Type.NonNull || r.whole || names) {
				object[f.Name] = r.value(f.Type, f.Name)
			}
		}
		return object
	}
	switch t.NamedType {
	case "Boolean":
		return true
	case "Int", "Int64", "Float", "Duration":
		return 1
	case "JSONString":
		return `{}`
	case "JSON":
		return map[string]any{}
	case "DateTime":
		return "2026-01-02T03:04:05Z"
	}
	return r.text(field)
}

// selection asks for all that an answer holds, down to a depth.
func (r everyRequest) selection(typeName string, depth int) string {
	definition := r.schema.Types[typeName]
	if definition.IsLeafType() {
		return ""
	}
	parts := []string{"__typename"}
	for _, f := range definition.Fields {
		required := slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
		leaf := r.schema.Types[f.Type.Name()].IsLeafType()
		if strings.HasPrefix(f.Name, "__") || required || !leaf && depth == 0 {
			continue
		}
		parts = append(parts, f.Name+r.selection(f.Type.Name(), depth-1))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// request is the body of a request for one field of Query or Mutation.
func (r everyRequest) request(t testing.TB, kind string, field *ast.FieldDefinition) string {
	t.Helper()
	var declared, passed []string
	variables := map[string]any{}
	for _, a := range field.Arguments {
		if a.Name == "after" { // of an answer before
			continue
		}
		declared = append(declared, "$"+a.Name+": "+a.Type.String())
		passed = append(passed, a.Name+": $"+a.Name)
		variables[a.Name] = r.value(a.Type, a.Name)
	}
	head := kind + " Every"
	call := field.Name
	if len(declared) > 0 {
		head += "(" + strings.Join(declared, ", ") + ")"
		call += "(" + strings.Join(passed, ", ") + ")"
	}
	body, err := json.Marshal(map[string]any{"query": head + " { " + call + r.selection(field.Type.Name(), 2) + " }", "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// passing is what changes by itself: signatures, and what a server measures in the background.
var passing = regexp.MustCompile(`https://[^"]*/storage/[^"]*|"storage":\{[^}]*\}`)

// state is all that a tenant reads of its own things.
func (s running) state(t testing.TB, of tenant, schema *ast.Schema) string {
	t.Helper()
	r := everyRequest{schema: schema, of: of}
	project := r.selection("Project", 2)
	run := r.selection("Run", 2)
	artifact := r.selection("Artifact", 1)
	sweep := r.selection("Sweep", 1)
	var all strings.Builder
	for _, query := range []string{
		fmt.Sprintf(`{project(name:"secret",entityName:%q)%s}`, of.name, project),
		fmt.Sprintf(`{project(name:"secret",entityName:%q){run(name:"r")%s}}`, of.name, run),
		fmt.Sprintf(`{artifact(id:%q)%s}`, of.ids["artifact"], artifact),
		fmt.Sprintf(`{project(name:"secret",entityName:%q){sweep(sweepName:%q)%s}}`, of.name, of.ids["sweepName"], sweep),
		fmt.Sprintf(`{view(id:%q)%s}`, of.ids["view"], r.selection("View", 1)), `{viewer` + r.selection("User", 2) + `}`,
	} {
		body, err := json.Marshal(map[string]any{"query": query})
		if err != nil {
			t.Fatal(err)
		}
		a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: of.key, body: string(body)})
		if a.code != http.StatusOK || strings.Contains(a.body, `"errors"`) || !strings.Contains(a.body, canary) {
			t.Fatalf("a tenant reads %.60s: %d %.500s", query, a.code, a.body)
		}
		all.WriteString(passing.ReplaceAllString(a.body, "") + "\n")
	}
	return all.String()
}

// TestAStrangerReachesNothing asks for everything that the schema has, by every id and every name of another user.
func TestAStrangerReachesNothing(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		eve := s.settle(t, "eve")
		_, ada := s.createUser(t, "ada", false)
		schema := graph.NewExecutableSchema(graph.Config{}).Schema()
		before := s.state(t, eve, schema)
		asked := 0
		for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
			kind := strings.ToLower(root.Name)
			for _, field := range root.Fields {
				if strings.HasPrefix(field.Name, "__") {
					continue
				}
				for _, body := range bodiesFor(t, schema, eve, kind, field) {
					asked++
					judgeStranger(t, kind, field, body, s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: ada, body: body}))
				}
			}
		}
		t.Logf("%d requests", asked)
		if after := s.state(t, eve, schema); after != before {
			t.Errorf("what somebody else did has changed\n%s\nto\n%s", before, after)
		}
	})
}

// bodiesFor are requests for a field with each id and each name.
func bodiesFor(t testing.TB, schema *ast.Schema, of tenant, kind string, field *ast.FieldDefinition) (bodies []string) {
	t.Helper()
	calls := []string{names["run"], names["project"], names["file"], names["collection"] + ":" + names["alias"], names["collection"], names["type"], of.ids["sweepName"], of.name}
	for _, whole := range []bool{false, true} {
		for _, id := range of.ids {
			bodies = append(bodies, everyRequest{schema, of, id, names["run"], whole}.request(t, kind, field))
		}
		for _, name := range calls {
			bodies = append(bodies, everyRequest{schema, of, of.ids["run"], name, whole}.request(t, kind, field))
		}
	}
	slices.Sort(bodies)
	return slices.Compact(bodies)
}

func judgeStranger(t testing.TB, kind string, field *ast.FieldDefinition, body string, a answer) {
	t.Helper()
	var got struct {
		Data   map[string]json.RawMessage
		Errors []struct{ Message string }
	}
	a.decode(t, &got)
	switch byID := slices.ContainsFunc(field.Arguments, func(a *ast.ArgumentDefinition) bool { return strings.HasSuffix(strings.ToLower(a.Name), "id") }); {
	case a.code != http.StatusOK && a.code != http.StatusNotFound:
		t.Errorf("%s: %d %s", body, a.code, a.body)
	case strings.Contains(a.body, canary):
		t.Errorf("%s shows what somebody else wrote: %s", body, a.body)
	case kind == "query" && byID && (string(got.Data[field.Name]) != "null" || len(got.Errors) > 0):
		t.Errorf("%s: got %s, want null", body, a.body)
	case strings.Contains(a.body, "token limit"), strings.Contains(a.body, "Cannot query field"), strings.Contains(a.body, "internal error"), strings.Contains(a.body, "not valid"):
		t.Errorf("%.3000s: %s", body, a.body)
	}
}

// The requests of the test above mean what they should: whoever the things belong to gets them, and changes them.
func TestTheOwnerReachesWhatAStrangerDoesNot(t *testing.T) {
	s := start(t, nil)
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	// unlikely need more than ids and names of what a tenant has here.
	unlikely := []string{"createTeam", "createInvite", "deleteInvite", "createServiceAccount", "createUser", "organization",
		"completeMultipartUploadArtifact", "refreshMultipartUploadUrls"}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		kind := strings.ToLower(root.Name)
		for i, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") || slices.Contains(unlikely, field.Name) {
				continue
			}
			owner := s.settle(t, fmt.Sprintf("%s%d", kind, i)) // whose things no other request has changed
			succeeded, last := false, ""
			for _, body := range bodiesFor(t, schema, owner, kind, field) {
				last = s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: owner.key, body: body}).body
				succeeded = succeeded || !strings.Contains(last, `"errors"`) && !strings.Contains(last, fmt.Sprintf(`%q:null`, field.Name))
			}
			if !succeeded {
				t.Errorf("no %s is answered, the last with %.300s", field.Name, last)
			}
		}
	}
}
