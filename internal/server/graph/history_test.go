package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// historian asks about a run of its user, and of somebody else's project.
type historian struct {
	*asker
	store  *store.Store
	permit store.Permit
}

func newHistorian(t testing.TB) *historian {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t))
	accounts, guard := account.New(s, account.Config{}), access.NewGuard(s)
	runs := run.New(s, run.Config{Guard: guard})
	h := &historian{asker: &asker{logs: &strings.Builder{}}, store: s}
	h.handler = graph.NewHandler(graph.Options{
		Services: graph.Services{Accounts: accounts, Guard: guard, Runs: runs, History: history.New(s, history.Config{})},
		Logger:   slog.New(slog.NewTextHandler(h.logs, nil)),
	})
	for _, name := range []string{"bob", "ada"} { // ada is who asks
		user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		made, err := runs.Upsert(account.WithUser(t.Context(), user), run.Upsert{Project: "p", Name: "r"})
		if err != nil {
			t.Fatal(err)
		}
		h.user = user
		h.permit = store.Permit{
			UserID: user.ID, EntityID: made.Place.Entity.ID, EntityKey: made.Place.Entity.NameKey, OwnerID: made.Place.Entity.UserID,
			ProjectID: made.Place.Project.ID, Project: made.Place.Project.Name, Access: made.Place.Project.Access, RunID: made.ID, Run: made.Name,
		}
		h.log(t, store.StreamHistory, `{"_step":0,"loss":NaN,"n":9007199254740993,"d":{"x":1.0}}`, `{"_step":1,"loss":0.5,"n":2}`, `{"_step":1,"loss":0.25,"n":3}`)
		h.log(t, store.StreamEvents, `{"system.cpu":1,"_runtime":1}`, `{"system.cpu":2.5,"_runtime":2}`)
		h.log(t, store.StreamConsole, "2026-01-01T00:00:00.000000 one", "ERROR 2026-01-01T00:00:01.000000 two", "three")
	}
	return h
}

func (h *historian) log(t testing.TB, stream store.Stream, lines ...string) {
	t.Helper()
	raw := make([][]byte, len(lines))
	var stats chunk.Stats
	for i, text := range lines {
		raw[i] = []byte(text)
		_ = chunk.Scan(raw[i], &stats)
	}
	hash := chunk.Hash(raw)
	part := store.Part{Stream: stream, N: int32(len(lines)), Hash: hash[:], Stats: chunk.EncodeStats(&stats), Body: chunk.Encode(raw)}
	part.MinStep, part.MaxStep = stats.Steps()
	a := &store.Append{Permit: h.permit, Parts: []store.Part{part}}
	if err := errors.Join(h.store.Commit(t.Context(), []*store.Append{a}), a.Err); err != nil {
		t.Fatal(err)
	}
}

// of asks for fields of a run and returns them as JSON.
func (h *historian) of(t testing.TB, entity, fields string) string {
	t.Helper()
	_, r := h.ask(t, request(t, fmt.Sprintf(`{project(entityName:%q,name:"p"){run(name:"r"){%s}}}`, entity, fields)))
	if len(r.Errors) > 0 {
		t.Fatalf("%s: %+v", fields, r.Errors)
	}
	text, err := json.Marshal(r.Data["project"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// raw is an answer as it is written: numbers of other languages than Go's keep their text.
func (h *historian) raw(t testing.TB, fields string) string {
	t.Helper()
	return h.post(t.Context(), request(t, fmt.Sprintf(`{project(entityName:"ada",name:"p"){run(name:"r"){%s}}}`, fields))).Body.String()
}

func TestHistoryThroughGraphQL(t *testing.T) {
	h := newHistorian(t)
	for fields, want := range map[string]string{
		`historyLineCount eventsLineCount logLineCount`: `"historyLineCount":3,"eventsLineCount":2,"logLineCount":3`,
		`historyTail eventsTail historyLineCount`:       `"historyTail":"[\"{\\\"_step\\\":1,\\\"loss\\\":0.25,\\\"n\\\":3}\"]","eventsTail":"[\"{\\\"system.cpu\\\":2.5,\\\"_runtime\\\":2}\"]","historyLineCount":3`,
		`history(minStep:0,maxStep:1,samples:1)`:        `"history":["{\"_step\":0,\"loss\":NaN,\"n\":9007199254740993,\"d\":{\"x\":1.0}}"]`,
		`history(minStep:1,maxStep:2,samples:1)`:        `"history":["{\"_step\":1,\"loss\":0.5,\"n\":2}","{\"_step\":1,\"loss\":0.25,\"n\":3}"]`,
		`history(samples:2)`:                            `"history":["{\"_step\":0,\"loss\":NaN,\"n\":9007199254740993,\"d\":{\"x\":1.0}}","{\"_step\":1,\"loss\":0.25,\"n\":3}"]`,
		`events`:                                        `"events":["{\"system.cpu\":1,\"_runtime\":1}","{\"system.cpu\":2.5,\"_runtime\":2}"]`,
		`systemMetrics`:                                 `"systemMetrics":"{\"system.cpu\":2.5,\"_runtime\":2}"`,
		`sampledHistory(specs:["{\"keys\":[\"_step\",\"n\",\"loss\"]}","{\"keys\":[\"d.x\"]}"])`:                `"sampledHistory":[[{"_step":0,"n":9007199254740993,"loss":"NaN"},{"_step":1,"n":2,"loss":0.5},{"_step":1,"n":3,"loss":0.25}],[{"d.x":1.0}]]`,
		`sampledHistory(specs:"{\"keys\":[\"d.x\"]}")`:                                                          `"sampledHistory":[[{"d.x":1.0}]]`,
		`parquetHistory(liveKeys:["_step"]){parquetUrls liveData}`:                                              `"parquetHistory":{"parquetUrls":[],"liveData":[]}`,
		`logLines(last:2){edges{node{number timestamp level label line}}}`:                                      `"logLines":{"edges":[{"node":{"number":1,"timestamp":"2026-01-01T00:00:01.000000Z","level":"error","label":null,"line":"two"}},{"node":{"number":2,"timestamp":null,"level":null,"label":null,"line":"three"}}]}`,
		`logLines(first:1,after:"0",useImprovedPagination:true){edges{cursor} pageInfo{endCursor hasNextPage}}`: `"logLines":{"edges":[{"cursor":"1"}],"pageInfo":{"endCursor":"1","hasNextPage":true}}`,
	} {
		if got := h.raw(t, fields); !strings.Contains(got, want) {
			t.Errorf("%s gives\n%s, want\n%s", fields, got, want)
		}
	}
	keys := h.of(t, "ada", "historyKeys")
	for _, want := range []string{
		`"d.x":{"monotonic":true,"previousValue":1,"typeCounts":[{"count":1,"type":"number"}]}`, `"lastStep":1`, `"sets":[]`,
	} {
		if !strings.Contains(keys, want) {
			t.Errorf("keys %s lack %s", keys, want)
		}
	}
}

func TestNobodyReadsOrRewindsWhatIsNotTheirs(t *testing.T) {
	h := newHistorian(t)
	if got := h.of(t, "bob", "historyKeys history"); got != "null" {
		t.Errorf("somebody else's run: %s", got)
	}
	const rewind = `mutation RewindRun($entity:String){rewindRun(input:{runName:"r",entityName:$entity,projectName:"p",metricName:"%s",metricValue:0}){
		rewoundRun{id name displayName description config sweepName project{id name entity{id name}} historyLineCount}}}`
	ask := func(entity, metric string) response {
		body, err := json.Marshal(map[string]any{"query": fmt.Sprintf(rewind, metric), "variables": map[string]string{"entity": entity}})
		if err != nil {
			t.Fatal(err)
		}
		_, r := h.ask(t, string(body))
		return r
	}
	if r := ask("bob", "_step"); len(r.Errors) == 0 {
		t.Errorf("somebody else's run was rewound: %+v", r)
	}
	if r := ask("ada", "loss"); len(r.Errors) == 0 {
		t.Errorf("a run was rewound by its loss: %+v", r)
	}
	r := ask("ada", "_step")
	if len(r.Errors) > 0 {
		t.Fatal(r.Errors)
	}
	if n := r.Data["rewindRun"].(map[string]any)["rewoundRun"].(map[string]any)["historyLineCount"]; n != 1.0 {
		t.Errorf("%v lines after the rewind", n)
	}
	if got := h.raw(t, "history historyLineCount"); !strings.Contains(got, `"historyLineCount":1`) || strings.Contains(got, "0.25") {
		t.Errorf("after the rewind: %s", got)
	}
}
