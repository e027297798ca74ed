package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// bench is a server of runs, and two users who know nothing of each other.
type bench struct {
	handler  http.Handler
	ada, bob context.Context
	bucket   *blob.Bucket
}

func newBench(t testing.TB, s *store.Store) *bench {
	t.Helper()
	b := &bench{}
	accounts := account.New(s, account.Config{})
	for name, into := range map[string]*context.Context{"ada": &b.ada, "bob": &b.bob} {
		user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		*into = account.WithUser(t.Context(), user)
	}
	bucket, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir(), ExternalURL: "https://wandb.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	b.bucket = bucket
	guard, logs := access.NewGuard(s), history.New(s, history.Config{})
	runs := run.New(s, run.Config{Guard: guard, Bucket: bucket, Histories: logs, ExternalURL: "https://wandb.example.com"})
	b.handler = graph.NewHandler(graph.Options{
		Services: graph.Services{Accounts: accounts, Guard: guard, Runs: runs, History: logs},
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return b
}

// ask returns what a query answers; errors are told in place of data.
func (b *bench) ask(t testing.TB, ctx context.Context, query string, variables map[string]any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables, "operationName": ""})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(string(body))))
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", recorder.Body, err)
	}
	if len(answer.Errors) > 0 {
		return "error: " + answer.Errors[0].Message
	}
	return string(answer.Data)
}

const upsertBucket = `mutation UpsertBucket($id: String, $name: String, $project: String, $entity: String, $groupName: String, $description: String,
	$displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String, $debug: Boolean, $program: String, $repo: String,
	$jobType: String, $state: String, $sweep: String, $tags: [String!], $summaryMetrics: JSONString) {
	upsertBucket(input: {id:$id,name:$name,groupName:$groupName,modelName:$project,entityName:$entity,description:$description,displayName:$displayName,
		notes:$notes,config:$config,commit:$commit,host:$host,debug:$debug,jobProgram:$program,jobRepo:$repo,jobType:$jobType,state:$state,sweep:$sweep,
		tags:$tags,summaryMetrics:$summaryMetrics}) {
		bucket { id name displayName description config sweepName project { id name entity { id name } } historyLineCount } inserted } }`

func (b *bench) make(t testing.TB, variables map[string]any) string {
	t.Helper()
	answer := b.ask(t, b.ada, upsertBucket, variables)
	var made struct {
		UpsertBucket struct{ Bucket struct{ ID string } }
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil {
		t.Fatalf("upsertBucket answers %s", answer)
	}
	return made.UpsertBucket.Bucket.ID
}

func TestARunIsMadeAndReadAsTheClientDoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s)
		config := `{"lr":{"desc":null,"value":NaN},"n":{"value":9007199254740993},"_wandb":{"value":{"t":{"1":[1]},"e":{"x":{"os":"Linux","startedAt":"2026-11-01T00:00:00Z"}}}}}`
		answer := b.ask(t, b.ada, upsertBucket, map[string]any{
			"name": "r1", "project": "p", "displayName": "d", "config": config, "tags": []string{"a"}, "entity": nil, "undeclared": 1,
		})
		for _, want := range []string{
			`"name":"r1"`, `"displayName":"d"`, `"sweepName":null`, `"historyLineCount":0`, `"inserted":true`, `"entity":{"id":"RW50aXR5O`, `"name":"ada"`, `9007199254740993`,
		} {
			if !strings.Contains(answer, want) {
				t.Errorf("upsertBucket lacks %s: %s", want, answer)
			}
		}
		id := b.make(t, map[string]any{"name": "r1", "project": "p"})
		b.make(t, map[string]any{"id": id, "summaryMetrics": `{"loss":0.5,"big":9007199254740993}`})

		full := b.ask(t, b.ada, `query Run($project: String!, $entity: String!, $name: String!) { project(name: $project, entityName: $entity) { run(name: $name) {
			projectId id tags name displayName sweepName state config group jobType commit readOnly createdAt heartbeatAt description notes systemMetrics
			summaryMetrics historyLineCount user { name username } historyKeys stopped runInfo { os program args } fileCount alerts { title } wandbConfig(keys: ["t"]) } } }`,
			map[string]any{"project": "p", "entity": "ada", "name": "r1"})
		for _, want := range []string{
			`"tags":["a"]`, `"state":"running"`, `"user":{"name":"ada","username":"ada"}`, `"summaryMetrics":"{\"loss\":0.5,\"big\":9007199254740993}"`,
			`"readOnly":false`, `"stopped":false`, `"runInfo":{"os":"Linux"`, `"fileCount":0`, `"wandbConfig":"{\"t\":{\"1\":[1]}}"`, `\"value\":NaN`, `"group":null`,
		} {
			if !strings.Contains(full, want) {
				t.Errorf("run lacks %s: %s", want, full)
			}
		}
		resume := `query RunResumeStatus($project: String, $entity: String, $name: String!) { model(name: $project, entityName: $entity) { id name entity { id name }
			bucket(name: $name, missingOk: true) { id name summaryMetrics displayName logLineCount historyLineCount eventsLineCount historyTail eventsTail config tags notes wandbConfig(keys: ["t"]) } } }`
		b.make(t, map[string]any{"name": "empty", "project": "p", "state": "pending"})
		got := b.ask(t, b.ada, resume, map[string]any{"project": "p", "entity": "ada", "name": "empty"})
		for _, want := range []string{`"wandbConfig":"{}"`, `"config":"{}"`, `"summaryMetrics":"{}"`, `"historyLineCount":0`, `"logLineCount":0`, `"eventsLineCount":0`, `"historyTail":"[]"`, `"tags":[]`} {
			if !strings.Contains(got, want) {
				t.Errorf("resume status lacks %s: %s", want, got)
			}
		}
		if got := b.ask(t, b.ada, resume, map[string]any{"project": "p", "entity": "ada", "name": "nobody"}); !strings.Contains(got, `"bucket":null`) {
			t.Errorf("resume status of a run that is not there: %s", got)
		}
	})
}

func TestRunsAreListedAsTheClientDoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s)
		for i := range 5 {
			b.make(t, map[string]any{"name": fmt.Sprint("r", i), "project": "p", "summaryMetrics": fmt.Sprintf(`{"loss":%d}`, i), "config": fmt.Sprintf(`{"even":{"value":%t}}`, i%2 == 0)})
		}
		runs := `query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String, $filters: JSONString) {
			project(name: $project, entityName: $entity) { internalId runCount(filters: $filters) readOnly runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {
			edges { node { projectId name summaryMetrics user { username } } cursor } pageInfo { endCursor hasNextPage } } } }`
		var seen []string
		cursor := any(nil)
		for {
			answer := b.ask(t, b.ada, runs, map[string]any{
				"project": "p", "entity": "ada", "perPage": 2, "order": "-summary_metrics.loss", "filters": `{"config.even":true}`, "cursor": cursor,
			})
			var page struct {
				Project struct {
					RunCount int
					Runs     struct {
						Edges []struct {
							Node   struct{ Name, SummaryMetrics string }
							Cursor string
						}
						PageInfo struct {
							EndCursor   string
							HasNextPage bool
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(answer), &page); err != nil || page.Project.RunCount != 3 {
				t.Fatalf("runs: %s", answer)
			}
			for _, edge := range page.Project.Runs.Edges {
				seen = append(seen, edge.Node.Name+edge.Node.SummaryMetrics)
				cursor = edge.Cursor
			}
			if cursor != page.Project.Runs.PageInfo.EndCursor {
				t.Error("the two cursors differ")
			}
			if !page.Project.Runs.PageInfo.HasNextPage {
				break
			}
		}
		if got := strings.Join(seen, " "); got != `r4{"loss":4} r2{"loss":2} r0{"loss":0}` {
			t.Errorf("runs: %s", got)
		}
		if got := b.ask(t, b.ada, runs, map[string]any{"project": "p", "entity": "ada", "filters": `{"config.even":{"$near":1}}`}); !strings.Contains(got, "$near") {
			t.Errorf("a filter that is not understood: %s", got)
		}
		if got := b.ask(t, b.ada, runs, map[string]any{"project": "nothing", "entity": "ada"}); got != `{"project":null}` {
			t.Errorf("a project that is not there: %s", got)
		}
	})
}

func TestFilesAreUploadedAsTheClientDoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s)
		b.make(t, map[string]any{"name": "r", "project": "p"})
		where := map[string]any{"entity": "ada", "project": "p", "run": "r", "name": "r", "files": []string{"./a b%.txt", "media/ü .html"}}
		created := b.ask(t, b.ada, `mutation CreateRunFiles ($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
			createRunFiles(input: {entityName:$entity,projectName:$project,runName:$run,files:$files}) { runID uploadHeaders files { name uploadUrl } } }`, where)
		var answer struct {
			CreateRunFiles struct {
				UploadHeaders []string
				Files         []struct{ Name, UploadURL string }
			}
		}
		if err := json.Unmarshal([]byte(created), &answer); err != nil || len(answer.CreateRunFiles.Files) != 2 || answer.CreateRunFiles.UploadHeaders == nil ||
			answer.CreateRunFiles.Files[0].Name != "./a b%.txt" {
			t.Fatalf("createRunFiles: %s", created)
		}
		put := httptest.NewRequestWithContext(t.Context(), http.MethodPut, answer.CreateRunFiles.Files[0].UploadURL, strings.NewReader("hello"))
		recorder := httptest.NewRecorder()
		if b.bucket.Handler().ServeHTTP(recorder, put); recorder.Code != http.StatusOK {
			t.Fatalf("upload: %d %s", recorder.Code, recorder.Body)
		}
		marked := b.ask(t, b.ada, `mutation MarkRunFilesUploaded($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
			markRunFilesUploaded(input: {entityName:$entity,projectName:$project,runName:$run,files:$files}) { success } }`, where)
		if marked != `{"markRunFilesUploaded":{"success":true}}` {
			t.Errorf("mark: %s", marked)
		}
		files := `query RunFiles($project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int = 50, $fileNames: [String] = [], $upload: Boolean = false, $pattern: String) {
			project(name: $project, entityName: $entity) { internalId run(name: $name) { fileCount files(names: $fileNames, after: $fileCursor, first: $fileLimit, pattern: $pattern) {
			totalCount edges { node { id name url(upload: $upload) directUrl sizeBytes mimetype updatedAt md5 } cursor } pageInfo { endCursor hasNextPage } } } } }`
		listed := b.ask(t, b.ada, files, where)
		for _, want := range []string{
			`"fileCount":1`, `"totalCount":1`, `"name":"a b%.txt"`, `"url":"https://wandb.example.com/files/ada/p/r/a%20b%25.txt"`, `"sizeBytes":5`, `"md5":"XUFAKrxLKna5cZ2REBfFkg=="`,
			`"directUrl":"https://wandb.example.com/storage/`, `"mimetype":"text/plain`,
		} {
			if !strings.Contains(listed, want) {
				t.Errorf("files lack %s: %s", want, listed)
			}
		}
		if got := b.ask(t, b.ada, `{entity(name:"ada"){storageBytes}}`, nil); got != `{"entity":{"storageBytes":5}}` {
			t.Errorf("the entity holds %s, want the 5 bytes of its file", got)
		}
		where["fileNames"], where["upload"] = []any{"nothing", nil}, true
		missing := b.ask(t, b.ada, files, where)
		for _, want := range []string{`"name":"nothing"`, `"md5":"0"`, `"sizeBytes":0`, `"updatedAt":null`, `"url":"https://wandb.example.com/storage/`} {
			if !strings.Contains(missing, want) {
				t.Errorf("a file that is not there lacks %s: %s", want, missing)
			}
		}
	})
}

// A list in place of a text is the client's mistake, and no failure inside of the server.
func TestAVariableOfAnotherTypeIsNamed(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	b.make(t, map[string]any{"name": "r", "project": "p"})
	const history = `query($from: Int64!) { project(name: "p", entityName: "ada") { run(name: "r") { history(samples: 1, minStep: $from, maxStep: 2) } } }`
	for _, c := range []struct {
		query     string
		variables map[string]any
		want      string
	}{
		{upsertBucket, map[string]any{"name": "r", "project": "p", "config": []any{"{}"}}, "error: the value of upsertBucket.input.config is not of its type"},
		{upsertBucket, map[string]any{"name": "r", "project": "p", "summaryMetrics": map[string]any{}}, "error: the value of upsertBucket.input.summaryMetrics is not of its type"},
		{history, map[string]any{"from": "first"}, "error: the value of project.run.history.minStep is not of its type"},
		{history, map[string]any{"from": 0}, `{"project":{"run":{"history":[]}}}`},
	} {
		if got := b.ask(t, b.ada, c.query, c.variables); got != c.want {
			t.Errorf("%v: %s, want %s", c.variables, got, c.want)
		}
	}
}

func TestAnotherUserSeesNothing(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	id := b.make(t, map[string]any{"name": "r", "project": "p"})
	view := b.ask(t, b.ada, `mutation { upsertView(input: {entityName: "ada", projectName: "p", name: "v", spec: "{\"a\":1.0}"}) { view { id spec } inserted } }`, nil)
	var made struct {
		UpsertView struct{ View struct{ ID, Spec string } }
	}
	if err := json.Unmarshal([]byte(view), &made); err != nil || made.UpsertView.View.Spec != `{"a":1.0}` {
		t.Fatalf("upsertView: %s", view)
	}
	for query, want := range map[string]string{
		`{project(name:"p",entityName:"ada"){id}}`:                                                                    `{"project":null}`,
		`{models(entityName:"ada"){edges{node{name}}}}`:                                                               `{"models":{"edges":[]}}`,
		`{models(entityName:"nobody"){edges{node{name}}}}`:                                                            `{"models":null}`,
		`{view(id:"` + made.UpsertView.View.ID + `"){id}}`:                                                            `{"view":null}`,
		`mutation{stopRun(input:{id:"` + id + `"}){success}}`:                                                         "error: ",
		`mutation{deleteRun(input:{id:"` + id + `"}){clientMutationId}}`:                                              "error: ",
		`mutation{updateRunState(input:{id:"` + id + `",state:"failed"}){success}}`:                                   "error: ",
		`mutation{upsertBucket(input:{id:"` + id + `",notes:"mine"}){inserted}}`:                                      "error: ",
		`mutation{upsertBucket(input:{entityName:"ada",modelName:"p",name:"r"}){inserted}}`:                           "error: ",
		`mutation{createRunFiles(input:{entityName:"ada",projectName:"p",runName:"r",files:["a"]}){runID}}`:           "error: ",
		`mutation{notifyScriptableRunAlert(input:{entityName:"ada",projectName:"p",runName:"r",title:"t"}){success}}`: "error: ",
		`mutation{upsertModel(input:{entityName:"ada",name:"p",description:"mine"}){inserted}}`:                       "error: ",
		`mutation{renameProject(input:{entityName:"ada",oldProjectName:"p",newProjectName:"q"}){inserted}}`:           "error: ",
		`mutation{deleteView(input:{id:"` + made.UpsertView.View.ID + `"}){success}}`:                                 "error: ",
		`mutation{createCustomChart(input:{entity:"ada",name:"c"}){chart{id}}}`:                                       "error: ",
	} {
		if got := b.ask(t, b.bob, query, nil); !strings.HasPrefix(got, want) || (strings.HasPrefix(got, "error: ") && !strings.Contains(got, "not found")) {
			t.Errorf("%s answers %s, want %s", query, got, want)
		}
	}
}

func TestProjectsViewsAlertsAndCharts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s)
		for _, step := range []struct{ query, want string }{
			{`mutation CreateProject{result: upsertModel(input:{entityName:"ada",name:"p",description:"d",access:"USER_READ"}){project{name entityName description access views isBenchmark user{username}} inserted}}`,
				`{"result":{"project":{"name":"p","entityName":"ada","description":"d","access":"USER_READ","views":null,"isBenchmark":false,"user":{"username":"ada"}},"inserted":true}}`},
			{`mutation{upsertModel(input:{name:"p",description:"e"}){model{description access} inserted}}`, `{"upsertModel":{"model":{"description":"e","access":"USER_READ"},"inserted":false}}`},
			{`mutation{upsertModel(input:{name:"q"}){inserted}}`, `{"upsertModel":{"inserted":true}}`},
			{`mutation{renameProject(input:{entityName:"ada",oldProjectName:"q",newProjectName:"r s"}){project{name}}}`, `{"renameProject":{"project":{"name":"r s"}}}`},
			{`{models{edges{node{name}} pageInfo{hasNextPage}}}`, `{"models":{"edges":[{"node":{"name":"r s"}},{"node":{"name":"p"}}],"pageInfo":{"hasNextPage":false}}}`},
			{`{models(first:1){edges{node{name}} pageInfo{hasNextPage}}}`, `{"models":{"edges":[{"node":{"name":"r s"}}],"pageInfo":{"hasNextPage":true}}}`},
			{`mutation{upsertBucket(input:{modelName:"p",name:"r"}){inserted}}`, `{"upsertBucket":{"inserted":true}}`},
			{`mutation{notifyScriptableRunAlert(input:{projectName:"p",runName:"r",title:"t",text:"x",severity:WARN,waitDuration:60000}){success}}`, `{"notifyScriptableRunAlert":{"success":true}}`},
			{`mutation{notifyScriptableRunAlert(input:{projectName:"p",runName:"r",title:"t",waitDuration:60000}){success}}`, `{"notifyScriptableRunAlert":{"success":true}}`},
			{`{project(name:"p"){run(name:"r"){alerts{title text severity}}}}`, `{"project":{"run":{"alerts":[{"title":"t","text":"x","severity":"WARN"}]}}}`},
			{`mutation{upsertView(input:{projectName:"p",name:"v",displayName:"V",type:"runs",spec:"{}"}){inserted}}`, `{"upsertView":{"inserted":true}}`},
			{`{project(name:"p"){allViews(viewType:"runs"){edges{node{name displayName spec user{username}}}}}}`,
				`{"project":{"allViews":{"edges":[{"node":{"name":"v","displayName":"V","spec":"{}","user":{"username":"ada"}}}]}}}`},
			{`{project(name:"p"){allViews(viewType:"runs",viewName:"no"){edges{node{name}}}}}`, `{"project":{"allViews":{"edges":[]}}}`},
		} {
			if got := b.ask(t, b.ada, step.query, nil); got != step.want {
				t.Errorf("%s answers\n%s, want\n%s", step.query, got, step.want)
			}
		}
		chart := `mutation{createCustomChart(input:{entity:"ada",name:"c",displayName:"C",type:"vega2",access:"private",spec:"{}"}){chart{id}}}`
		if got := b.ask(t, b.ada, chart, nil); !strings.Contains(got, `"id":"`) {
			t.Errorf("chart: %s", got)
		}
		if got := b.ask(t, b.ada, chart, nil); !strings.Contains(got, "exists already") {
			t.Errorf("the same chart again: %s", got)
		}
	})
}
