package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const (
	sweepOf   = `mutation UpsertSweep { upsertSweep(input: {projectName: "p", config: "method: grid\nparameters: {x: {values: [1, 2]}}"}) { sweep { id name } } }`
	agentOf   = `mutation CreateAgent($sweep: String!) { createAgent(input: {host: "h", projectName: "p", sweep: $sweep}) { agent { id } } }`
	heartbeat = `mutation AgentHeartbeat($id: ID!) { agentHeartbeat(input: {id: $id, runState: "{}"}) { commands } }`
	viewOf    = `mutation UpsertView { upsertView(input: {projectName: "p", name: "v", type: "runs", spec: "{}"}) { view { id } } }`
	ofProject = `query Project { project(name: "p", entityName: "ada") { id run(name: "r") { id } sweeps { edges { node { id } } }
		artifactTypes { edges { node { name } } } } }`
	listed      = `query Projects { models(entityName: "ada") { edges { node { name } } } }`
	deleteModel = `mutation DeleteModel($id: String!) { deleteModel(input: {id: $id}) { success } }`
)

// fails sends an operation that must be refused, and returns the status and the first message.
func (s running) fails(t *testing.T, key, query string, variables any) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: string(body)})
	var answer struct{ Errors []struct{ Message string } }
	a.decode(t, &answer)
	if len(answer.Errors) == 0 {
		t.Fatalf("%s is not refused: %s", strings.Fields(query)[1], a.body)
	}
	return a.code, answer.Errors[0].Message
}

func TestADeletedProjectIsOutOfReachAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, ada := s.createUser(t, "ada", false)
		_, eve := s.createUser(t, "eve", false)
		s.ask(t, ada, beginRun, nil, nil)
		lines := call{
			method: "POST", path: "/files/ada/p/r/file_stream", key: ada,
			body: `{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0,\"a\":1}"]}}}`,
		}
		if a := s.do(t, http.DefaultClient, lines); a.code != http.StatusOK {
			t.Fatalf("file_stream: %d %s", a.code, a.body)
		}
		var sweep struct {
			UpsertSweep struct{ Sweep struct{ ID, Name string } }
		}
		s.ask(t, ada, sweepOf, nil, &sweep)
		var agent struct {
			CreateAgent struct{ Agent struct{ ID string } }
		}
		s.ask(t, ada, agentOf, map[string]any{"sweep": sweep.UpsertSweep.Sweep.Name}, &agent)
		var view struct {
			UpsertView struct{ View struct{ ID string } }
		}
		s.ask(t, ada, viewOf, nil, &view)
		var found struct {
			Project struct {
				ID  string
				Run struct{ ID string }
			}
		}
		s.ask(t, ada, ofProject, nil, &found)

		if _, message := s.fails(t, eve, deleteModel, map[string]any{"id": found.Project.ID}); !strings.Contains(message, "not found") {
			t.Errorf("a stranger hears %q", message)
		}
		s.fails(t, ada, deleteModel, map[string]any{"id": "UnVuOjE="}) // a run's
		var deleted struct{ DeleteModel struct{ Success bool } }
		if s.ask(t, ada, deleteModel, map[string]any{"id": found.Project.ID}, &deleted); !deleted.DeleteModel.Success {
			t.Error("no success")
		}

		for what, query := range map[string]string{
			"the project": ofProject,
			"its view":    `query View { view(id: "` + view.UpsertView.View.ID + `") { id } }`,
		} {
			var answer map[string]any
			if s.ask(t, ada, query, nil, &answer); answer["project"] != nil || answer["view"] != nil {
				t.Errorf("%s is still there: %v", what, answer)
			}
		}
		var list struct{ Models struct{ Edges []any } }
		if s.ask(t, ada, listed, nil, &list); len(list.Models.Edges) != 0 {
			t.Errorf("the project is listed: %v", list)
		}
		for what, query := range map[string]string{
			"stop the run":   `mutation StopRun { stopRun(input: {id: "` + found.Project.Run.ID + `"}) { success } }`,
			"delete the run": `mutation DeleteRun { deleteRun(input: {id: "` + found.Project.Run.ID + `"}) { clientMutationId } }`,
			"change it":      `mutation UpsertModel { upsertModel(input: {id: "` + found.Project.ID + `", description: "x"}) { inserted } }`,
			"delete it":      `mutation DeleteModel { deleteModel(input: {id: "` + found.Project.ID + `"}) { success } }`,
			"log into it":    beginRun,
		} {
			if _, message := s.fails(t, ada, query, nil); !strings.Contains(message, "not found") && !strings.Contains(message, "deleted") {
				t.Errorf("%s: %q", what, message)
			}
		}
		if code, _ := s.fails(t, ada, heartbeat, map[string]any{"id": agent.CreateAgent.Agent.ID}); code != http.StatusNotFound {
			t.Errorf("the sweep's agent is answered with %d and goes on", code)
		}
		lines.body = strings.Replace(lines.body, `"offset":0`, `"offset":1`, 1)
		if a := s.do(t, http.DefaultClient, lines); a.code != http.StatusNotFound && a.code != http.StatusGone {
			t.Errorf("file_stream into the deleted project: %d %s", a.code, a.body)
		}
	})
}

func TestAdministratorsDeleteProjects(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, key := s.createUser(t, "boss", true)
		_, ada := s.createUser(t, "ada", false)
		d := desk{s, t, key}
		d.json("POST", "/api/admin/teams", `{"name":"ml","admin":"ada"}`, http.StatusCreated, nil)
		for _, project := range []string{"one", "two words"} {
			s.ask(t, ada, `mutation UpsertModel($name: String) { upsertModel(input: {name: $name, entityName: "ml"}) { inserted } }`, map[string]any{"name": project}, nil)
		}
		s.ask(t, ada, beginRun, nil, nil)
		var projects []struct{ Name, Access string }
		d.json("GET", "/api/admin/entities/ml/projects", "", http.StatusOK, &projects)
		if len(projects) != 2 || projects[1].Name != "one" || projects[1].Access != "PRIVATE" {
			t.Errorf("projects %+v", projects)
		}
		d.json("GET", "/api/admin/entities/nobody/projects", "", http.StatusNotFound, nil)
		d.json("DELETE", "/api/admin/entities/ml/projects/two%20words", "", http.StatusNoContent, nil)
		d.json("DELETE", "/api/admin/entities/ml/projects/two%20words", "", http.StatusNotFound, nil)

		if a := d.json("DELETE", "/api/admin/teams/ml", "", http.StatusConflict, nil); !strings.Contains(a.body, "projects") {
			t.Errorf("a team with a project: %s", a.body)
		}
		var groups struct{ Resources []struct{ ID string } }
		d.json("GET", "/scim/v2/Groups", "", http.StatusOK, &groups)
		if a := d.json("DELETE", "/scim/v2/Groups/"+groups.Resources[0].ID, "", http.StatusConflict, nil); !strings.Contains(a.body, "projects") || !strings.Contains(a.body, "api:messages:2.0:Error") {
			t.Errorf("a directory deletes a team with a project: %s", a.body)
		}
		d.json("DELETE", "/api/admin/teams/ml?deleteProjects=perhaps", "", http.StatusBadRequest, nil)
		d.json("DELETE", "/api/admin/teams/ml?deleteProjects=true", "", http.StatusNoContent, nil)
		d.json("GET", "/api/admin/entities/ml/projects", "", http.StatusNotFound, nil)

		var users struct {
			Resources []struct{ ID, UserName string }
		}
		d.json("GET", "/scim/v2/Users?filter=userName%20eq%20%22ada%22", "", http.StatusOK, &users)
		d.json("DELETE", "/scim/v2/Users/"+users.Resources[0].ID, "", http.StatusNoContent, nil)
		if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: ada, body: `{"query":"{viewer{username}}"}`}); a.code != http.StatusUnauthorized {
			t.Errorf("the key of the deleted user: %d", a.code)
		}
		d.json("GET", "/api/admin/entities/ada/projects", "", http.StatusOK, &projects)
		if len(projects) != 1 || projects[0].Name != "p" {
			t.Errorf("the deleted user's projects are %+v, want that they are kept", projects)
		}
		d.json("POST", "/api/admin/users", `{"username":"bob","email":"bob@example.com","password":"`+password+`"}`, http.StatusCreated, nil)
		s.ask(t, key, `mutation UpsertModel { upsertModel(input: {name: "b", entityName: "bob"}) { inserted } }`, nil, nil)
		d.json("DELETE", "/api/admin/users/bob?deleteProjects=1", "", http.StatusNoContent, nil)
		if d.json("GET", "/api/admin/entities/bob/projects", "", http.StatusOK, &projects); len(projects) != 0 {
			t.Errorf("projects that were to be deleted: %+v", projects)
		}
	})
}
