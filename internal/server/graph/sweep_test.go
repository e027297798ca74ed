package graph_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
	"github.com/kubewandb/kubewandb/test/storetest"
)

// sweeper asks a handler that has runs and sweeps.
func sweeper(t *testing.T) *asker {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t))
	accounts := account.New(s, account.Config{})
	user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com", Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	guard := access.NewGuard(s)
	runs := run.New(s, run.Config{Guard: guard, Sweeps: sweep.NewDirectory(s)})
	return &asker{user: user, handler: graph.NewHandler(graph.Options{
		Services: graph.Services{Accounts: accounts, Guard: guard, Runs: runs, Sweeps: sweep.New(s, sweep.Runs{Service: runs})},
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})}
}

func (a *asker) with(t *testing.T, query string, variables map[string]any) (int, response) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables, "operationName": ""})
	if err != nil {
		t.Fatal(err)
	}
	return a.ask(t, string(body))
}

// The first of the five forms in which the client sends a sweep. Were it refused, the client would try the others and show
// the last failure.
const upsertSweep = `mutation UpsertSweep($id: ID, $config: String, $description: String, $entityName: String, $projectName: String,
	$controller: JSONString,$launchScheduler: JSONString, $templateVariableValues: JSONString, $scheduler: JSONString, $state: String,
	$priorRunsFilters: JSONString, $displayName: String,) {
	upsertSweep(input: {id: $id, config: $config, description: $description, entityName: $entityName, projectName: $projectName,
		controller: $controller,launchScheduler: $launchScheduler,templateVariableValues: $templateVariableValues, scheduler: $scheduler,
		state: $state, priorRunsFilters: $priorRunsFilters, displayName: $displayName,}) {
		sweep { name project { id name entity { id name } } } configValidationWarnings } }`

const heartbeat = `mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
	agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) { agent { id } commands } }`

const getSweep = `query GetSweep($name: String!, $project: String, $entity: String) { project(name: $project, entityName: $entity) {
	totalSweeps sweeps(first: 5, filters: "{}") { edges { node { name } } pageInfo { endCursor hasNextPage } }
	sweep(sweepName: $name) { __typename id name displayName method state description bestLoss config createdAt updatedAt runCount
		runCountExpected controllerRunName earlyStopJobRunning heartbeatAt controller scheduler
		agents { edges { node { id name host state totalRuns createdAt heartbeatAt } } } } } }`

func TestASweepThroughItsLife(t *testing.T) {
	a := sweeper(t)
	config := "method: grid\nmetric: {goal: minimize, name: score}\nname: verify_sweep\nparameters: {x: {values: [0.1, 1]}}\n"
	code, r := a.with(t, upsertSweep, map[string]any{
		"config": config, "projectName": "fresh", "templateVariableValues": "null", "controller": nil, "entity": "undeclared",
	})
	if code != http.StatusOK || len(r.Errors) > 0 {
		t.Fatalf("%d %+v", code, r)
	}
	made := r.Data["upsertSweep"].(map[string]any)["sweep"].(map[string]any)
	name := made["name"].(string)
	if project := made["project"].(map[string]any); project["name"] != "fresh" || project["entity"].(map[string]any)["name"] != "ada" {
		t.Errorf("made in %v", project)
	}
	_, r = a.with(t, `mutation CreateAgent($host: String! $projectName: String, $entityName: String, $sweep: String!) {
		createAgent(input: {host: $host, projectName: $projectName, entityName: $entityName, sweep: $sweep,}) { agent { id } } }`,
		map[string]any{"host": "box", "projectName": "fresh", "entityName": "ada", "sweep": name})
	agent := r.Data["createAgent"].(map[string]any)["agent"].(map[string]any)["id"]
	_, r = a.with(t, heartbeat, map[string]any{"id": agent, "metrics": "{}", "runState": "{}"})
	var commands []map[string]any
	if err := json.Unmarshal([]byte(r.Data["agentHeartbeat"].(map[string]any)["commands"].(string)), &commands); err != nil || len(commands) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if args, err := json.Marshal(commands[0]["args"]); err != nil || string(args) != `{"x":{"value":0.1}}` || commands[0]["type"] != "run" {
		t.Errorf("told %v", commands)
	}
	_, r = a.with(t, `query($run: String!){project(name:"fresh"){run(name:$run){state config sweepName displayName wandbConfig(keys:["t"])}}}`,
		map[string]any{"run": commands[0]["run_id"]})
	pending := r.Data["project"].(map[string]any)["run"].(map[string]any)
	if pending["state"] != "pending" || pending["sweepName"] != name || pending["config"] != `{"x":{"value":0.1}}` || strings.Contains(pending["wandbConfig"].(string), "t") {
		t.Errorf("the run is %v", pending)
	}
	_, r = a.with(t, getSweep, map[string]any{"name": name, "project": "fresh", "entity": "ada"})
	project := r.Data["project"].(map[string]any)
	read := project["sweep"].(map[string]any)
	for field, want := range map[string]any{
		"__typename": "Sweep", "displayName": "verify_sweep", "method": "grid", "state": "RUNNING", "config": config, "runCount": 1.0,
		"runCountExpected": 2.0, "bestLoss": nil, "description": nil, "earlyStopJobRunning": false,
	} {
		if read[field] != want {
			t.Errorf("%s is %v, want %v", field, read[field], want)
		}
	}
	seen := read["agents"].(map[string]any)["edges"].([]any)[0].(map[string]any)["node"].(map[string]any)
	if seen["id"] != agent || seen["host"] != "box" || seen["totalRuns"] != 1.0 || project["totalSweeps"] != 1.0 {
		t.Errorf("the agent is %v", seen)
	}
	_, r = a.with(t, `query($s: String!, $a: String!){project(name:"fresh"){sweep(sweepName:$s){byName: agent(agentName:$a){id} none: agent(agentName:"zz"){id}}}}`,
		map[string]any{"s": name, "a": seen["name"]})
	found := r.Data["project"].(map[string]any)["sweep"].(map[string]any)
	if found["byName"].(map[string]any)["id"] != agent || found["none"] != nil {
		t.Errorf("by name: %v", found)
	}
	a.refusesAndEnds(t, read["id"], agent)
}

// refusesAndEnds changes and deletes a sweep.
func (a *asker) refusesAndEnds(t *testing.T, id, agent any) {
	t.Helper()
	if _, r := a.with(t, upsertSweep, map[string]any{"id": id, "state": "PAUSED", "projectName": "fresh"}); len(r.Errors) > 0 {
		t.Errorf("pause: %+v", r)
	}
	code, r := a.with(t, upsertSweep, map[string]any{"config": "method: grid\nparameters: {lr: {min: 0.1, max: 0.2}}", "projectName": "fresh"})
	if code != http.StatusOK || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Message, "parameter lr has a continuous range") {
		t.Errorf("a continuous grid: %d %+v", code, r)
	}
	if _, r := a.with(t, `mutation($id: ID!){deleteSweep(input:{id:$id}){success}}`, map[string]any{"id": id}); len(r.Errors) > 0 {
		t.Errorf("delete: %+v", r)
	}
	for sentence, id := range map[string]any{"of a deleted sweep": agent, "that never was": "QWdlbnQ6MQ==", "that is none": "x"} {
		if code, r := a.with(t, heartbeat, map[string]any{"id": id, "runState": "{}"}); code != http.StatusNotFound || len(r.Errors) != 1 {
			t.Errorf("the heartbeat of an agent %s: %d %+v", sentence, code, r)
		}
	}
}

func TestAStrangerSeesNoSweep(t *testing.T) {
	a := sweeper(t)
	_, r := a.with(t, upsertSweep, map[string]any{"config": "method: random\nparameters: {x: {values: [1]}}", "projectName": "p"})
	name := r.Data["upsertSweep"].(map[string]any)["sweep"].(map[string]any)["name"]
	_, r = a.with(t, `query($n: String){project(name:"p"){sweep(sweepName:$n){id}}}`, map[string]any{"n": name})
	id := r.Data["project"].(map[string]any)["sweep"].(map[string]any)["id"]
	_, r = a.with(t, `mutation($s: String!){createAgent(input:{host:"h",projectName:"p",sweep:$s}){agent{id}}}`, map[string]any{"s": name})
	agent := r.Data["createAgent"].(map[string]any)["agent"].(map[string]any)["id"]

	a.user.ID, a.user.Username = a.user.ID+1, "grace"
	if _, r := a.with(t, getSweep, map[string]any{"name": name, "project": "p", "entity": "ada"}); r.Data["project"] != nil || len(r.Errors) > 0 {
		t.Errorf("read: %+v", r)
	}
	if code, r := a.with(t, heartbeat, map[string]any{"id": agent}); code != http.StatusNotFound {
		t.Errorf("heartbeat: %d %+v", code, r)
	}
	for sentence, query := range map[string]string{
		"change": `mutation($id: ID!){upsertSweep(input:{id:$id,state:"CANCELED"}){sweep{name}}}`,
		"delete": `mutation($id: ID!){deleteSweep(input:{id:$id}){success}}`,
	} {
		if _, r := a.with(t, query, map[string]any{"id": id}); len(r.Errors) == 0 || !strings.Contains(r.Errors[0].Message, "not found") {
			t.Errorf("%s: %+v", sentence, r)
		}
	}
}
