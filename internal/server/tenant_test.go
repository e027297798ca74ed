package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/account"
)

// canary is in everything that a tenant has written and nobody else may read.
const canary = "CANARY"

// tenant is a user with something of every kind, and its ids by kind.
type tenant struct {
	name, key string
	ids       map[string]string
}

// names are what a tenant calls its things: everybody may know them.
var names = map[string]string{
	"project": "secret", "run": "r", "collection": "data", "portfolio": "best", "type": "dataset", "file": "f.txt", "alias": "gold",
}

// settle makes a tenant.
func (s running) settle(t testing.TB, name string) tenant {
	t.Helper()
	u, err := s.accounts.CreateUser(t.Context(), account.NewUser{Username: name, Name: canary + " person", Email: name + "@example.com", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.accounts.CreateKey(t.Context(), u, canary+" key")
	if err != nil {
		t.Fatal(err)
	}
	who := tenant{name: name, key: secret.Reveal(), ids: map[string]string{}}
	s.furnishRun(t, &who)
	s.furnishArtifact(t, &who)
	s.furnishSweep(t, &who)
	var found struct {
		Viewer struct {
			ID      string
			APIKeys struct {
				Edges []struct{ Node struct{ ID string } }
			}
		}
		Entity  struct{ ID string }
		Project struct {
			ID  string
			Run struct {
				ID    string
				Files struct {
					Edges []struct{ Node struct{ ID string } }
				}
			}
			ArtifactCollection struct{ ID string }
		}
	}
	s.ask(t, who.key, `query Everything($e: String!) { viewer { id apiKeys { edges { node { id } } } } entity(name: $e) { id } project(name: "secret", entityName: $e) { id
		run(name: "r") { id files(first: 5) { edges { node { id } } } } artifactCollection(name: "best") { id } } }`, map[string]any{"e": name}, &found)
	who.ids["user"], who.ids["key"], who.ids["entity"] = found.Viewer.ID, found.Viewer.APIKeys.Edges[0].Node.ID, found.Entity.ID
	who.ids["project"], who.ids["run"], who.ids["file"] = found.Project.ID, found.Project.Run.ID, found.Project.Run.Files.Edges[0].Node.ID
	who.ids["portfolio"] = found.Project.ArtifactCollection.ID
	for kind, id := range who.ids {
		if id == "" {
			t.Fatalf("no id of the %s", kind)
		}
	}
	return who
}

func (s running) furnishRun(t testing.TB, who *tenant) {
	t.Helper()
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	v := map[string]any{"e": who.name, "text": canary, "config": text(map[string]any{canary: map[string]any{"value": 1}}), "summary": text(map[string]any{canary: 1})}
	s.ask(t, who.key, `mutation UpsertModel($e: String, $text: String) { upsertModel(input: {entityName: $e, name: "secret", description: $text}) { inserted } }`, v, nil)
	s.ask(t, who.key, `mutation UpsertBucket($e: String, $text: String, $config: JSONString, $summary: JSONString) { upsertBucket(input: {entityName: $e, modelName: "secret", name: "r",
		displayName: $text, notes: $text, groupName: $text, jobType: $text, host: $text, tags: ["CANARY"], config: $config, summaryMetrics: $summary}) { inserted } }`, v, nil)
	var files struct {
		CreateRunFiles struct{ Files []struct{ UploadURL string } }
	}
	s.ask(t, who.key, `mutation CreateRunFiles($e: String) { createRunFiles(input: {entityName: $e, projectName: "secret", runName: "r", files: ["f.txt"]}) { files { uploadUrl } } }`, v, &files)
	s.move(t, "PUT", files.CreateRunFiles.Files[0].UploadURL, nil, canary)
	stream := fmt.Sprintf(`{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"_step\":0,\"%[1]s\":1}"]},"wandb-events.jsonl":{"offset":0,"content":["{\"%[1]s\":1}"]},
		"output.log":{"offset":0,"content":["%[1]s"]}},"uploaded":["f.txt"]}`, canary)
	if a := s.do(t, http.DefaultClient, call{method: "POST", path: "/files/" + who.name + "/secret/r/file_stream", key: who.key, body: stream}); a.code != http.StatusOK {
		t.Fatalf("log: %d %s", a.code, a.body)
	}
	var view struct {
		UpsertView struct{ View struct{ ID string } }
	}
	s.ask(t, who.key, `mutation UpsertView($e: String, $spec: JSONString) { upsertView(input: {entityName: $e, projectName: "secret", name: "CANARY", displayName: "CANARY", spec: $spec}) { view { id } } }`,
		map[string]any{"e": who.name, "spec": text(map[string]any{canary: 1})}, &view)
	who.ids["view"] = view.UpsertView.View.ID
}

func (s running) furnishArtifact(t testing.TB, who *tenant) {
	t.Helper()
	id, collection := s.createVersion(t, who, "client-of-"+who.name)
	manifest := `{"version":1,"storagePolicy":"wandb-storage-policy-v1","storagePolicyConfig":{"storageLayout":"V2"},"contents":{"CANARY.txt":{"digest":"e","ref":"s3://CANARY/k","size":3}}}`
	made, target := s.addManifest(t, who, id, manifest)
	if a := s.move(t, "PUT", *target.UploadURL, target.UploadHeaders, manifest); a.code/100 != 2 {
		t.Fatalf("upload of the manifest: %d %s", a.code, a.body)
	}
	s.ask(t, who.key, commitArtifact, map[string]any{"id": id}, nil)
	s.ask(t, who.key, `mutation LinkArtifact($id: ID, $e: String!) { linkArtifact(input: {artifactID: $id, artifactPortfolioName: "best", entityName: $e, projectName: "secret", aliases: []}) { versionIndex } }`,
		map[string]any{"id": id, "e": who.name}, nil)
	who.ids["artifact"], who.ids["manifest"] = id, made
	who.ids["collection"], who.ids["client"] = collection, "client-of-"+who.name
	who.ids["pending"], _ = s.createVersion(t, who, "other-client-of-"+who.name)
	who.ids["pendingManifest"], _ = s.addManifest(t, who, who.ids["pending"], manifest)
}

func (s running) addManifest(t testing.TB, who *tenant, artifact, text string) (id string, target uploaded) {
	t.Helper()
	var put struct {
		CreateArtifactManifest struct {
			ArtifactManifest struct {
				ID   string
				File uploaded
			}
		}
	}
	query := strings.NewReplacer(`"ada"`, `"`+who.name+`"`, `"p"`, `"secret"`).Replace(createManifest)
	s.ask(t, who.key, query, map[string]any{"id": artifact, "digest": md5Text(text)}, &put)
	made := put.CreateArtifactManifest.ArtifactManifest
	return made.ID, made.File
}

func (s running) createVersion(t testing.TB, who *tenant, client string) (id, collection string) {
	t.Helper()
	var created struct {
		CreateArtifact struct {
			Artifact struct {
				ID               string
				ArtifactSequence struct{ ID string }
			}
		}
	}
	s.ask(t, who.key, `mutation CreateArtifact($e: String!, $text: String, $meta: JSONString, $client: ID) { createArtifact(input: {entityName: $e, projectName: "secret", runName: "r", artifactTypeName: "dataset",
		artifactCollectionName: "data", digest: "d", digestAlgorithm: MANIFEST_MD5, clientID: $client, sequenceClientID: $client, description: $text, metadata: $meta,
		aliases: [{artifactCollectionName: "data", alias: "gold"}], tags: [{tagName: "CANARY"}]}) { artifact { id artifactSequence { id } } } }`,
		map[string]any{"e": who.name, "text": canary, "meta": `{"CANARY":1}`, "client": client}, &created)
	return created.CreateArtifact.Artifact.ID, created.CreateArtifact.Artifact.ArtifactSequence.ID
}

func (s running) furnishSweep(t testing.TB, who *tenant) {
	t.Helper()
	var made struct {
		UpsertSweep struct{ Sweep struct{ ID, Name string } }
	}
	config := "method: random\nname: CANARY\ndescription: CANARY\nparameters:\n  CANARY:\n    values: [1, 2]\n"
	s.ask(t, who.key, `mutation UpsertSweep($e: String, $config: String, $text: String) { upsertSweep(input: {entityName: $e, projectName: "secret", config: $config, description: $text}) { sweep { id name } } }`,
		map[string]any{"e": who.name, "config": config, "text": canary}, &made)
	who.ids["sweep"], who.ids["sweepName"] = made.UpsertSweep.Sweep.ID, made.UpsertSweep.Sweep.Name
	var agent struct {
		CreateAgent struct{ Agent struct{ ID string } }
	}
	s.ask(t, who.key, `mutation CreateAgent($e: String, $sweep: String!) { createAgent(input: {host: "CANARY", entityName: $e, projectName: "secret", sweep: $sweep}) { agent { id } } }`,
		map[string]any{"e": who.name, "sweep": made.UpsertSweep.Sweep.Name}, &agent)
	who.ids["agent"] = agent.CreateAgent.Agent.ID
}
