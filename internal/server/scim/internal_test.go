package scim

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const ada = `{"id":"1","userName":"Ada@Example.com","externalId":"X1","active":true,"displayName":"Ada L","name":{"givenName":"Ada","familyName":"L"},
	"emails":[{"value":"ada@example.com","type":"work","primary":true},{"value":"a@home.example","type":"home"}],"members":[{"value":"7"},{"value":"8"}]}`

func treeOf(t testing.TB, text string) tree {
	t.Helper()
	var r tree
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFilters(t *testing.T) {
	for text, want := range map[string]bool{
		``:                                 true,
		`userName eq "ada@example.COM"`:    true,
		`USERNAME eq "ada@example.com"`:    true,
		`userName eq "ada"`:                false,
		`userName ne "ada"`:                true,
		`userName sw "ADA@"`:               true,
		`userName ew "example.com"`:        true,
		`userName co "example"`:            true,
		`userName gt "a"`:                  true,
		`userName lt "a"`:                  false,
		`externalId eq "X1"`:               true,
		`externalId eq "x1"`:               false,
		`active eq true`:                   true,
		`active eq false`:                  false,
		`emails eq "ada@example.com"`:      true,
		`emails.value eq "A@home.example"`: true,
		`emails[type eq "work" and value co "@example.com"]`:           true,
		`emails[type eq "work" and value co "home"]`:                   false,
		`name.familyName eq "l" and not (active eq false)`:             true,
		`userName eq "x" or (emails.type eq "home" and externalId pr)`: true,
		`nickName pr`:    false,
		`nickName eq ""`: false,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@example.com"`: true,
	} {
		e, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := matches(e, treeOf(t, ada)); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{`userName`, `userName eq`, `userName xx "a"`, `(userName eq "a"`, `userName eq "a" and`, strings.Repeat("(", 2000)} {
		if _, err := parseFilter(text); err == nil {
			t.Errorf("%.40q is taken for a filter", text)
		}
	}
}

func TestPatches(t *testing.T) {
	for sentence, tt := range map[string]struct{ operations, path, want string }{
		"active by path":                    {`[{"op":"replace","path":"active","value":false}]`, "active", `false`},
		"active as directories spell it":    {`[{"op":"Replace","value":{"active":"False"}}]`, "active", `"False"`},
		"a part of the name":                {`[{"op":"replace","path":"name.familyName","value":"Byron"}]`, "name", `{"familyName":"Byron","givenName":"Ada"}`},
		"a part of the name without a path": {`[{"op":"add","value":{"name.givenName":"A"}}]`, "name", `{"familyName":"L","givenName":"A"}`},
		"with the whole name of a schema":   {`[{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:displayName","value":"X"}]`, "displayName", `"X"`},
		"an element by filter":              {`[{"op":"replace","path":"emails[type eq \"work\"].value","value":"new@example.com"}]`, "emails", `[{"primary":true,"type":"work","value":"new@example.com"},{"type":"home","value":"a@home.example"}]`},
		"an element that is not there yet":  {`[{"op":"add","path":"emails[type eq \"other\"].value","value":"o@example.com"}]`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"a@home.example"},{"type":"other","value":"o@example.com"}]`},
		"adding members, one twice":         {`[{"op":"add","path":"members","value":[{"value":"8"},{"value":"9"}]}]`, "members", `[{"value":"7"},{"value":"8"},{"value":"9"}]`},
		"adding a member as an object":      {`[{"op":"add","path":"members","value":{"value":"9"}}]`, "members", `[{"value":"7"},{"value":"8"},{"value":"9"}]`},
		"removing a member by filter":       {`[{"op":"remove","path":"members[value eq \"7\"]"}]`, "members", `[{"value":"8"}]`},
		"removing members by value":         {`[{"op":"remove","path":"members","value":[{"value":"8"}]}]`, "members", `[{"value":"7"}]`},
		"removing all members":              {`[{"op":"remove","path":"members"}]`, "members", `null`},
		"replacing all members":             {`[{"op":"replace","path":"members","value":[{"value":"1"}]}]`, "members", `[{"value":"1"}]`},
		"an extension that is not ours":     {`[{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"R"},{"op":"add","value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R"}}}]`, "active", `true`},
		"several, in order":                 {`[{"op":"remove","path":"externalId"},{"op":"add","path":"externalId","value":"X2"}]`, "externalId", `"X2"`},
		"removing what is not there":        {`[{"op":"remove","path":"members[value eq \"99\"]"},{"op":"remove","path":"nickName"}]`, "active", `true`},
	} {
		resource := treeOf(t, ada)
		var operations []operation
		if err := json.Unmarshal([]byte(tt.operations), &operations); err != nil {
			t.Fatal(err)
		}
		if err := patch(resource, operations); err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		if got, _ := json.Marshal(resource[tt.path]); string(got) != tt.want {
			t.Errorf("%s: %s is %s, want %s", sentence, tt.path, got, tt.want)
		}
	}
	for sentence, operations := range map[string]string{
		"an unknown operation":            `[{"op":"move","path":"active","value":true}]`,
		"a path that is none":             `[{"op":"add","path":"a b","value":true}]`,
		"no path and no object":           `[{"op":"add","value":true}]`,
		"no path to remove":               `[{"op":"remove"}]`,
		"an element that is not there":    `[{"op":"replace","path":"members[value eq \"99\"]","value":{"value":"1"}}]`,
		"a part of something without any": `[{"op":"replace","path":"active.x","value":1}]`,
	} {
		var parsed []operation
		if err := json.Unmarshal([]byte(operations), &parsed); err != nil {
			t.Fatal(err)
		}
		if err := patch(treeOf(t, ada), parsed); err == nil {
			t.Errorf("%s is accepted", sentence)
		}
	}
}

func TestWhatADirectorySaysOfAPerson(t *testing.T) {
	before := treeOf(t, `{"userName":"ada","displayName":"Ada Lovelace","active":false,"name":{"formatted":"Ada Lovelace","givenName":"Ada","familyName":"Lovelace"},"emails":[{"value":"ada@example.com"}]}`)
	for sentence, tt := range map[string]struct {
		resource string
		before   tree
		want     person
	}{
		"a full one": {ada, nil, person{userName: "Ada@Example.com", externalID: "X1", email: "ada@example.com", name: "Ada L", active: true}},
		"an address in place of a name": {`{"userName":"x@example.com"}`, nil,
			person{userName: "x@example.com", email: "x@example.com", name: "x@example.com", active: true}},
		"parts of a name":                           {`{"userName":"x","name":{"givenName":"A","familyName":"B"}}`, nil, person{userName: "x", name: "A B", active: true}},
		"the primary address":                       {`{"userName":"x","emails":[{"value":"1@e.com"},{"value":"2@e.com","primary":true}]}`, nil, person{userName: "x", name: "x", email: "2@e.com", active: true}},
		"the name that changed counts":              {`{"userName":"ada","displayName":"Ada Lovelace","name":{"givenName":"Ada","familyName":"Byron"}}`, before, person{userName: "ada", email: "ada@example.com", name: "Ada Byron"}},
		"silence wakes nobody and takes no address": {`{"userName":"ada"}`, before, person{userName: "ada", email: "ada@example.com", name: "Ada Lovelace"}},
		"words for active":                          {`{"userName":"ada","active":"True"}`, before, person{userName: "ada", email: "ada@example.com", name: "Ada Lovelace", active: true}},
	} {
		if got := personOf(treeOf(t, tt.resource), tt.before); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", sentence, got, tt.want)
		}
	}
}

func FuzzFilterAndPatch(f *testing.F) {
	f.Add(`emails[type eq "work"].value`, `"x"`, `userName eq "a" and not (b pr)`)
	f.Add(`name.familyName`, `{"a":[1,null]}`, `emails[type eq "work"]`)
	f.Add(``, `{"members":[{"value":"1"}]}`, `a.b gt 1.5`)
	f.Fuzz(func(t *testing.T, path, value, text string) {
		resource := treeOf(t, ada)
		if e, err := parseFilter(text); err == nil {
			matches(e, resource)
		}
		for _, op := range []string{"add", "replace", "remove"} {
			_ = patch(resource, []operation{{Op: op, Path: path, Value: json.RawMessage(value)}})
		}
		if _, err := json.Marshal(resource); err != nil {
			t.Errorf("the patched resource does not encode: %v", err)
		}
		personOf(resource, treeOf(t, ada))
		_, _ = memberIDs(resource)
	})
}
