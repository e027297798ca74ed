package graph_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// asker asks as one signed-in user.
type asker struct {
	handler http.Handler
	user    account.User
	// operations is what the handler reported of each request: "Viewer ok".
	operations []string
	logs       *strings.Builder
}

func newAsker(t testing.TB) *asker {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t))
	accounts := account.New(s, account.Config{})
	user, err := accounts.CreateUser(t.Context(), account.NewUser{
		Username: "ada", Email: "ada@example.com", Name: "Ada", Admin: true, APIKey: "local-0123456789012345678901234567890123456789",
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{user: user, logs: &strings.Builder{}}
	a.handler = newHandler(a, accounts)
	return a
}

func newHandler(a *asker, accounts *account.Service) http.Handler {
	return graph.NewHandler(graph.Options{
		Services: graph.Services{Accounts: accounts}, Logger: slog.New(slog.NewTextHandler(a.logs, nil)),
		Observe: func(operation, outcome string, _ time.Duration) {
			a.operations = append(a.operations, operation+" "+outcome)
		},
		Unavailable: func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
	})
}

func (a *asker) post(ctx context.Context, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(account.WithUser(ctx, a.user), http.MethodPost, "/graphql", strings.NewReader(body))
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, request)
	return recorder
}

type response struct {
	Data   map[string]any
	Errors []struct{ Message string }
}

func (a *asker) ask(t testing.TB, body string) (int, response) {
	t.Helper()
	recorder := a.post(t.Context(), body)
	var r response
	if err := json.Unmarshal(recorder.Body.Bytes(), &r); err != nil {
		t.Fatalf("%s: %v", recorder.Body, err)
	}
	return recorder.Code, r
}

func request(t testing.TB, query string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// The operations are as the client sends them, in each of its generations.
func TestOperationsOfTheClient(t *testing.T) {
	a := newAsker(t)
	for sentence, query := range map[string]string{
		"Viewer of the core":           `query Viewer{viewer{id entity username email flags teams{edges{node{name}}}}}`,
		"Viewer of Python":             `query Viewer{viewer{id entity username flags teams{edges{node{name}}}}}`,
		"Viewer with server":           `query Viewer{viewer{id entity username email flags teams{edges{node{name}}}} serverInfo{cliVersionInfo latestLocalVersionInfo{outOfDate latestVersionString versionOnThisInstanceString}}}`,
		"GetViewer":                    `query GetViewer{viewer{id name username email admin flags entity deletedAt apiKeys{edges{node{id name description}}} teams{edges{node{name}}}}}`,
		"GetDefaultEntity":             `query GetDefaultEntity{viewer{id entity}}`,
		"ServerInfo":                   `query ServerInfo{serverInfo{cliVersionInfo latestLocalVersionInfo{outOfDate latestVersionString versionOnThisInstanceString}}}`,
		"ServerFeaturesQuery":          `query ServerFeaturesQuery { serverInfo { features { __typename name isEnabled } } }`,
		"a probe of older clients":     `query ProbeServerCapabilities{QueryType:__type(name:"Query"){fields{name}} __type(name:"CreateArtifactInput"){inputFields{name}}}`,
		"a leading comment":            "#graphql\nquery Viewer { viewer { id, } }",
		"fragments and an include":     `query Viewer{viewer{...F @include(if:true)}} fragment F on User{id ...on User{entity}}`,
		"an alias":                     `query Viewer{result: viewer{key: id}}`,
		"trailing commas in variables": `query Viewer($x: Boolean = true,){viewer{id @include(if: $x)}}`,
	} {
		code, r := a.ask(t, request(t, query))
		if code != http.StatusOK || len(r.Errors) > 0 || len(r.Data) == 0 {
			t.Errorf("%s: %d %+v", sentence, code, r)
		}
	}
}

func TestViewer(t *testing.T) {
	a := newAsker(t)
	_, r := a.ask(t, request(t, `query Viewer{viewer{id entity username name email admin flags createdAt deletedAt
		apiKeys{edges{node{id name description} cursor} pageInfo{endCursor hasNextPage}} teams{edges{node{id name} cursor} pageInfo{endCursor hasNextPage}}}}`))
	viewer := r.Data["viewer"].(map[string]any)
	id, err := base64.StdEncoding.DecodeString(viewer["id"].(string))
	if err != nil || string(id) != fmt.Sprintf("User:%d", a.user.ID) {
		t.Errorf("id is %q, %v", id, err)
	}
	for field, want := range map[string]any{"entity": "ada", "username": "ada", "name": "Ada", "email": "ada@example.com", "admin": true, "flags": "{}", "deletedAt": nil} {
		if viewer[field] != want {
			t.Errorf("%s is %v, want %v", field, viewer[field], want)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", viewer["createdAt"].(string)); err != nil {
		t.Errorf("createdAt: %v", err)
	}
	for field, name := range map[string]string{"apiKeys": "local-01", "teams": "ada"} {
		connection := viewer[field].(map[string]any)
		edge := connection["edges"].([]any)[0].(map[string]any)
		page := connection["pageInfo"].(map[string]any)
		if edge["node"].(map[string]any)["name"] != name || edge["cursor"] != page["endCursor"] || page["hasNextPage"] != false {
			t.Errorf("%s is %v", field, connection)
		}
	}
}

func TestServerInfo(t *testing.T) {
	a := newAsker(t)
	_, r := a.ask(t, request(t, `{serverInfo{cliVersionInfo features{name isEnabled} latestLocalVersionInfo{outOfDate}}}`))
	info := r.Data["serverInfo"].(map[string]any)
	if _, ok := info["cliVersionInfo"].(map[string]any)["max_cli_version"].(string); !ok {
		t.Errorf("cliVersionInfo is %v: the client crashes without max_cli_version", info["cliVersionInfo"])
	}
	if _, ok := info["features"].([]any); !ok {
		t.Errorf("features is %v: the client needs a list", info["features"])
	}
}

func TestRequestsAreReadLeniently(t *testing.T) {
	a := newAsker(t)
	for sentence, body := range map[string]string{
		"an empty operation name":   `{"query":"query A{viewer{id}}","operationName":""}`,
		"a null operation name":     `{"query":"query A{viewer{id}}","operationName":null}`,
		"null variables":            `{"query":"{viewer{id}}","variables":null}`,
		"undeclared variables":      `{"query":"{viewer{id}}","variables":{"entity":"x","n":12345678901234567890,"deep":[{}]}}`,
		"an unknown member":         `{"query":"{viewer{id}}","extra":{}}`,
		"a variable that is a list": `{"query":"query A($x:[Boolean!]){viewer{id}}","variables":{"x":true}}`,
		"the name of one of two":    `{"query":"query A{viewer{id}} query B{serverInfo{cliVersionInfo}}","operationName":"B"}`,
	} {
		code, r := a.ask(t, body)
		if code != http.StatusOK || len(r.Errors) > 0 {
			t.Errorf("%s: %d %+v", sentence, code, r)
		}
	}
}

func TestFailuresAreNotRetried(t *testing.T) {
	a := newAsker(t)
	for sentence, c := range map[string]struct {
		body    string
		code    int
		outcome string
	}{
		"a field that is unknown":        {request(t, `query New{viewer{id futureField}}`), 200, "New unsupported"},
		"an argument that is unknown":    {request(t, `query New{viewer(x:1){id}}`), 200, "New unsupported"},
		"an operation that is unknown":   {request(t, `mutation PushToRunQueue($id:String){pushToRunQueue(input:{id:$id}){runQueueItemId}}`), 200, "PushToRunQueue unsupported"},
		"a type that is unknown":         {request(t, `query New($x:FutureInput!){viewer{id}}`), 200, "New unsupported"},
		"no GraphQL":                     {request(t, `SELECT 1`), 200, " invalid"},
		"an operation name that is none": {`{"query":"query A{viewer{id}}","operationName":"B"}`, 200, "B unsupported"},
		"no JSON":                        {`query A{viewer{id}}`, 400, " invalid"},
		"no query":                       {`{}`, 400, " invalid"},
		"an empty query":                 {`{"query":""}`, 400, " invalid"},
		"a query that is a number":       {`{"query":1}`, 400, " invalid"},
		"a batch":                        {`[{"query":"{viewer{id}}"}]`, 400, " invalid"},
		"two documents":                  {`{"query":"{viewer{id}}"}{}`, 400, " invalid"},
		"variables that are a list":      {`{"query":"{viewer{id}}","variables":[]}`, 400, " invalid"},
		"too many tokens":                {request(t, `{viewer{`+strings.Repeat("id ", 5_000)+`}}`), 200, " invalid"},
		"errors without end":             {request(t, `query New{viewer{`+strings.Repeat("x ", 3_900)+`}}`), 200, "New unsupported"},
		"too deep":                       {request(t, `{__schema{types{`+strings.Repeat("fields{type{", 20)+"name"+strings.Repeat("}}", 20)+`}}}`), 200, " invalid"},
	} {
		a.operations = nil
		code, r := a.ask(t, c.body)
		if code != c.code || len(r.Errors) == 0 || r.Errors[0].Message == "" {
			t.Errorf("%s: %d %+v, want %d with errors", sentence, code, r, c.code)
		}
		if len(a.operations) != 1 || a.operations[0] != c.outcome {
			t.Errorf("%s: reported as %q, want %q", sentence, a.operations, c.outcome)
		}
	}
	if logged := a.logs.String(); !strings.Contains(logged, "futureField") || !strings.Contains(logged, "PushToRunQueue") {
		t.Errorf("what is unknown is not logged: %s", logged)
	}
}

func TestADatabaseThatFailsIsTriedAgain(t *testing.T) {
	a := newAsker(t)
	closed, err := store.Open(storetest.SQLite(t)) // never prepared
	if err != nil {
		t.Fatal(err)
	}
	a.handler = newHandler(a, account.New(closed, account.Config{}))
	code, r := a.ask(t, request(t, `query Viewer{viewer{id teams{edges{node{name}}}}}`))
	if code != http.StatusServiceUnavailable || len(r.Errors) == 0 || a.operations[0] != "Viewer unavailable" {
		t.Errorf("got %d %+v, reported as %q", code, r, a.operations)
	}
	if strings.Contains(r.Errors[0].Message, "reached") {
		t.Errorf("the client sees what went wrong inside: %s", r.Errors[0].Message)
	}
}

func TestIntrospection(t *testing.T) {
	a := newAsker(t)
	code, r := a.ask(t, request(t, `query IntrospectionQuery{__schema{queryType{name} types{...T} directives{name args{name type{...R}}}}}
		fragment T on __Type{kind name fields(includeDeprecated:true){name args{name type{...R}} type{...R}} inputFields{name} enumValues{name} possibleTypes{...R}}
		fragment R on __Type{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name}}}}}}`))
	if code != http.StatusOK || len(r.Errors) > 0 {
		t.Errorf("got %d %+v", code, r.Errors)
	}
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{viewer{id}}"}`, `{"query":"query A($x:[Boolean!]){viewer{id @skip(if:$x)}}","variables":{"x":[true]}}`,
		`{"query":"{...F} fragment F on Query{...F}"}`, `{"query":"#","operationName":""}`, `{"query":"{__typename}","variables":{"a":1e999}}`,
		`[]`, `null`, ``, `{"query":"subscription{x}"}`, `{"query":"{a:viewer{...on User{id}}}"}`, "{\"query\":\"\\u0000\"}",
		`{"query":"query($x:Boolean!){viewer{id@include(if:$x)}}","variables":{"x":"true"}}`,
	} {
		f.Add(seed)
	}
	a := newAsker(f)
	f.Fuzz(func(t *testing.T, body string) {
		recorder := a.post(t.Context(), body)
		if recorder.Code != http.StatusOK && recorder.Code != http.StatusBadRequest {
			t.Fatalf("%q is answered %d: %s", body, recorder.Code, recorder.Body)
		}
		if !json.Valid(recorder.Body.Bytes()) {
			t.Fatalf("%q is answered by no JSON: %q", body, recorder.Body)
		}
	})
}

// The largest query that is looked at must not hold a core for long.
func TestTheMostExpensiveQueryIsCheap(t *testing.T) {
	a := newAsker(t)
	for sentence, query := range map[string]string{
		"one field over and over":    `{viewer{` + strings.Repeat("id ", 3_900) + `}}`,
		"one field under many names": `{viewer{` + strings.Join(aliases(1_300), " ") + `}}`,
		"one object over and over":   `{` + strings.Repeat("viewer{id}", 950) + `}`,
	} {
		start := time.Now()
		code, r := a.ask(t, request(t, query))
		if took := time.Since(start); took > time.Minute || code != http.StatusOK || len(r.Errors) > 0 {
			t.Errorf("%s: %d %v after %s", sentence, code, r.Errors, took)
		} else {
			t.Logf("%s: %s", sentence, took)
		}
	}
}

func aliases(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a%d:id", i)
	}
	return names
}
