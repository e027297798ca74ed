package replicas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/serverprocess"
)

// change is one thing that is acknowledged by one replica and read from another in the very next request.
type change struct {
	*world
	// run is a run of the test's own, which begin makes.
	run string
	// writer acknowledges, reader is asked next.
	writer, reader *serverprocess.Process
}

// begin makes a run and returns its id.
func (c change) begin(t *testing.T) string {
	t.Helper()
	return c.upsert(t, fields{"config": `{"lr":{"value":0.1},"_wandb":{"value":{"t":{"1":[1]}}}}`}).get("data.upsertBucket.bucket.id").String()
}

func (c change) upsert(t *testing.T, more fields) reply {
	t.Helper()
	variables := fields{"entity": entity, "project": project, "name": c.run}
	for name, value := range more {
		variables[name] = value
	}
	return c.ada.ask(t, c.writer, "UpsertBucket", variables)
}

// read asks the reader for the run as the client's public API does.
func (c change) read(t *testing.T, path string) string {
	t.Helper()
	return c.ada.ask(t, c.reader, "Run", c.named()).get("data.project.run." + path).String()
}

// named are the variables by which operations name the run.
func (c change) named() fields {
	return fields{"entity": entity, "project": project, "name": c.run, "run": c.run, "runName": c.run, "runId": c.run, "entityName": entity, "projectName": project}
}

// with adds variables.
func (f fields) with(name string, value any) fields {
	f[name] = value
	return f
}

// expect compares what was read.
func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// TestWhatOneReplicaAcknowledgesTheOtherKnows asks the second replica before and after, so that whatever it remembers is old.
func TestWhatOneReplicaAcknowledgesTheOtherKnows(t *testing.T) {
	w := newWorld(t, store.LateAfter)
	directions := []struct {
		name           string
		writer, reader *serverprocess.Process
	}{{"one way", w.a, w.b}, {"the other way", w.b, w.a}}
	for i, test := range knowledge {
		for j, d := range directions {
			t.Run(test.sentence+", "+d.name, func(t *testing.T) {
				test.run(t, change{world: w, run: fmt.Sprintf("run-%d-%d", i, j), writer: d.writer, reader: d.reader})
			})
		}
	}
}

// knowledge is what replicas tell each other, by way of the database.
var knowledge = []struct {
	sentence string
	run      func(t *testing.T, c change)
}{
	{"a run that was made", aNewRun},
	{"config, tags, notes and a summary that a person edits", anEditedRun},
	{"lines of the history, their keys and their number", newLines},
	{"lines of the console and of the machine", newConsole},
	{"what a resumed process asks first", aResumedRun},
	{"a run in the table of runs", aListedRun},
	{"the end of a run", anEndedRun},
	{"a stop", aStoppedRun},
	{"a deletion", aDeletedRun},
	{"a rewind", aRewoundRun},
	{"a fork", aForkedRun},
	{"a file", aFile},
	{"a key that was revoked", aRevokedKey},
	{"who may see a project", anOpenedProject},
	{"who belongs to a team", aMember},
	{"a version of an artifact, and an alias that moves", anArtifact},
	{"heartbeats of a sweep's agents, its state and its end", aSweep},
}

func aNewRun(t *testing.T, c change) {
	expect(t, "before", c.read(t, "name"), "")
	c.begin(t)
	expect(t, "name", c.read(t, "name"), c.run)
	expect(t, "state", c.read(t, "state"), "running")
	expect(t, "config", c.read(t, "config"), `{"lr":{"value":0.1},"_wandb":{"value":{"t":{"1":[1]}}}}`)
	again := c.ada.ask(t, c.reader, "UpsertBucket", fields{"entity": entity, "project": project, "name": c.run})
	expect(t, "made a second time", again.get("data.upsertBucket.inserted").Raw, "false")
}

func anEditedRun(t *testing.T, c change) {
	id := c.begin(t)
	for n := range 3 {
		config, summary, note := fmt.Sprintf(`{"n":{"value":%d}}`, n), fmt.Sprintf(`{"best":%d.0}`, n), fmt.Sprint("note ", n)
		c.upsert(t, fields{"id": id, "config": config, "summaryMetrics": summary, "notes": note, "tags": []string{note}})
		expect(t, "config", c.read(t, "config"), config)
		expect(t, "summary", c.read(t, "summaryMetrics"), summary)
		expect(t, "notes", c.read(t, "notes"), note)
		expect(t, "tags", c.read(t, "tags.0"), note)
	}
}

func newLines(t *testing.T, c change) {
	c.begin(t)
	for n := range int64(4) {
		line := fmt.Sprintf(`{"_step":%d,"_timestamp":17.%d,"loss":0.%d5,"big":9007199254740993}`, n, n, n)
		summary := fmt.Sprintf(`{"_step":%d,"_timestamp":%d,"loss":0.%d}`, n, 1_700_000_000+n, n)
		c.ada.stream(t, c.writer, c.run, fields{"files": fields{historyFile: lines(n, line), summaryFile: lines(0, summary)}})
		page := c.ada.ask(t, c.reader, "HistoryPage", c.named().with("minStep", 0).with("maxStep", 100).with("pageSize", 100)).get("data.project.run.history")
		expect(t, "lines", page.Get("#").Raw, fmt.Sprint(n+1))
		expect(t, "the last line", page.Get(fmt.Sprint(n)).String(), line)
		expect(t, "last step", c.read(t, "historyKeys.lastStep"), fmt.Sprint(n))
		expect(t, "last value", c.read(t, "historyKeys.keys.loss.previousValue"), fmt.Sprintf("0.%d5", n))
		expect(t, "number of lines", c.read(t, "historyLineCount"), fmt.Sprint(n+1))
		expect(t, "summary", c.read(t, "summaryMetrics"), summary)
		spec := `{"keys":["_step","big"],"samples":500}`
		sample := c.ada.ask(t, c.reader, "RunSampledHistory", c.named().with("specs", []string{spec})).get("data.project.run.sampledHistory.0")
		expect(t, "sample", sample.Get(fmt.Sprintf("%d.big", n)).Raw, "9007199254740993")
	}
}

func newConsole(t *testing.T, c change) {
	c.begin(t)
	for n := range int64(3) {
		c.ada.stream(t, c.writer, c.run, fields{"files": fields{
			consoleFile: lines(n, fmt.Sprintf("2026-01-01T00:00:0%d.000000 line %d", n, n)), eventsFile: lines(n, fmt.Sprintf(`{"system.cpu":%d.5}`, n)),
		}})
		tail := c.ada.ask(t, c.reader, "RunConsoleLogTail", c.named().with("last", 100)).get("data.project.run")
		expect(t, "number of lines", tail.Get("logLineCount").Raw, fmt.Sprint(n+1))
		expect(t, "the last line", tail.Get(fmt.Sprintf("logLines.edges.%d.node.line", n)).String(), fmt.Sprint("line ", n))
		expect(t, "measurements", c.read(t, "systemMetrics"), fmt.Sprintf(`{"system.cpu":%d.5}`, n))
	}
}

func aResumedRun(t *testing.T, c change) {
	c.begin(t)
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{
		historyFile: lines(0, `{"_step":0}`, `{"_step":1}`), eventsFile: lines(0, `{"a":1}`), consoleFile: lines(0, "x", "y", "z"),
	}})
	status := c.ada.ask(t, c.reader, "RunResumeStatus", c.named()).get("data.model.bucket")
	expect(t, "counts", fmt.Sprint(status.Get("historyLineCount"), status.Get("eventsLineCount"), status.Get("logLineCount")), "2 1 3")
	expect(t, "the last line", status.Get("historyTail").String(), `["{\"_step\":1}"]`)
	expect(t, "telemetry", status.Get("wandbConfig").String(), `{"t":{"1":[1]}}`)
}

func aListedRun(t *testing.T, c change) {
	count := func(filter string) string {
		t.Helper()
		return c.ada.ask(t, c.reader, "Runs", c.named().with("filters", filter).with("order", "-summary_metrics.best").with("perPage", 5)).get("data.project.runCount").Raw
	}
	filter := fmt.Sprintf(`{"config.mark.value":%q}`, c.run)
	c.begin(t)
	expect(t, "before", count(filter), "0")
	c.upsert(t, fields{"config": fmt.Sprintf(`{"mark":{"value":%q}}`, c.run)})
	expect(t, "after", count(filter), "1")
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{summaryFile: lines(0, `{"best":41,"_timestamp":1700000000}`)}})
	expect(t, "with a summary", count(fmt.Sprintf(`{"$and":[%s,{"summary_metrics.best":{"$gt":40}}]}`, filter)), "1")
}

func anEndedRun(t *testing.T, c change) {
	c.begin(t)
	expect(t, "before", c.read(t, "state"), "running")
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}, "complete": true, "exitcode": 0})
	expect(t, "after", c.read(t, "state"), "finished")
	c.upsert(t, nil)
	expect(t, "begun again", c.read(t, "state"), "running")
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{historyFile: lines(1, `{"_step":1}`)}, "complete": true, "exitcode": 3})
	expect(t, "after a failure", c.read(t, "state"), "failed")
}

func aStoppedRun(t *testing.T, c change) {
	id := c.begin(t)
	stopped := func() string {
		t.Helper()
		return c.ada.stream(t, c.reader, c.run, fields{}).get("stopped").Raw
	}
	expect(t, "before", stopped(), "false")
	c.ada.ask(t, c.writer, "StopRun", fields{"id": id})
	expect(t, "after", stopped(), "true")
	expect(t, "asked for", c.ada.ask(t, c.reader, "RunStoppedStatus", c.named()).get("data.project.run.stopped").Raw, "true")
}

func aDeletedRun(t *testing.T, c change) {
	id := c.begin(t)
	c.ada.stream(t, c.reader, c.run, fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}})
	c.ada.ask(t, c.writer, "DeleteRun", fields{"id": id, "deleteArtifacts": false})
	r, err := c.ada.tell(t.Context(), c.reader, c.run, fields{"files": fields{historyFile: lines(1, `{"_step":1}`)}})
	if err != nil || r.status != http.StatusNotFound {
		t.Errorf("metrics of a deleted run: %d %s %v", r.status, r.body, err)
	}
	expect(t, "after", c.read(t, "name"), "")
	refused, err := c.ada.send(t.Context(), c.reader.URL+"/graphql", c.ada.query("UpsertBucket", c.named()))
	if err != nil || !refused.get("errors").Exists() {
		t.Errorf("the name of a deleted run is free: %d %s %v", refused.status, refused.body, err)
	}
}

func aRewoundRun(t *testing.T, c change) {
	c.begin(t)
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{historyFile: lines(0, `{"_step":0}`, `{"_step":1}`, `{"_step":2}`)}})
	expect(t, "before", c.read(t, "historyKeys.lastStep"), "2")
	c.ada.ask(t, c.writer, "RewindRun", c.named().with("metricName", "_step").with("metricValue", 0))
	expect(t, "lines", c.read(t, "historyLineCount"), "1")
	expect(t, "last step", c.read(t, "historyKeys.lastStep"), "0")
	c.ada.stream(t, c.reader, c.run, fields{"files": fields{historyFile: lines(1, `{"_step":1,"new":1}`)}})
	expect(t, "goes on", c.read(t, "historyLineCount"), "2")
}

func aForkedRun(t *testing.T, c change) {
	c.begin(t)
	c.ada.stream(t, c.writer, c.run, fields{"files": fields{historyFile: lines(0, `{"_step":0}`, `{"_step":1}`, `{"_step":2}`)}})
	parent := c.run
	c.run += "-child"
	forked := c.upsert(t, fields{"config": fmt.Sprintf(`{"_wandb":{"value":{"branch_point":{"run_id":%q,"step":1}}}}`, parent)})
	expect(t, "goes on at", forked.get("data.upsertBucket.bucket.historyLineCount").Raw, "2")
	expect(t, "lines", c.read(t, "historyLineCount"), "2")
	expect(t, "last step", c.read(t, "historyKeys.lastStep"), "1")
}

func aFile(t *testing.T, c change) {
	c.begin(t)
	const name = "a folder/ünïcode 100%.txt"
	files := func() reply {
		t.Helper()
		return c.ada.ask(t, c.reader, "RunFiles", c.named().with("fileNames", []string{name}))
	}
	expect(t, "before", files().get("data.project.run.files.edges.0.node.md5").String(), "0")
	for _, text := range []string{"one", "another"} {
		place := c.ada.ask(t, c.writer, "CreateRunFiles", c.named().with("files", []string{name})).get("data.createRunFiles")
		follow(t, http.MethodPut, place.Get("files.0.uploadUrl").String(), headerOf(place.Get("uploadHeaders").Array()), text)
		c.ada.stream(t, c.writer, c.run, fields{"uploaded": []string{name}})
		after := files()
		expect(t, "size", after.get("data.project.run.files.edges.0.node.sizeBytes").Raw, fmt.Sprint(len(text)))
		expect(t, "bytes", follow(t, http.MethodGet, after.get("data.project.run.files.edges.0.node.directUrl").String(), nil, ""), text)
	}
	expect(t, "number", files().get("data.project.run.fileCount").Raw, "1")
}

func aRevokedKey(t *testing.T, c change) {
	c.begin(t)
	made := c.ada.ask(t, c.writer, `mutation GenerateApiKey($d:String){generateApiKey(input:{description:$d}){apiKey{id name description}}}`, fields{"d": "short"}).get("data.generateApiKey.apiKey")
	holder := c.ada
	holder.key = made.Get("name").String()
	for n := range int64(2) { // the second request finds what the first has left in caches
		holder.stream(t, c.reader, c.run, fields{"files": fields{historyFile: lines(n, fmt.Sprintf(`{"_step":%d}`, n))}})
		expect(t, "before", holder.ask(t, c.reader, "Viewer", nil).get("data.viewer.username").String(), "ada")
	}
	c.ada.ask(t, c.writer, `mutation DeleteApiKey($id:String!){deleteApiKey(input:{id:$id}){success}}`, fields{"id": made.Get("id").String()})
	r, err := holder.tell(t.Context(), c.reader, c.run, fields{"files": fields{historyFile: lines(2, `{"_step":2}`)}})
	if err != nil || r.status != http.StatusUnauthorized {
		t.Errorf("metrics with a revoked key: %d %s %v", r.status, r.body, err)
	}
	r, err = holder.send(t.Context(), c.reader.URL+"/graphql", holder.query("Viewer", nil))
	if err != nil || r.status != http.StatusUnauthorized {
		t.Errorf("GraphQL with a revoked key: %d %s %v", r.status, r.body, err)
	}
	expect(t, "lines", c.read(t, "historyLineCount"), "2")
}

func anOpenedProject(t *testing.T, c change) {
	name := "project of " + c.run
	set := func(access string) {
		t.Helper()
		c.ada.ask(t, c.writer, `mutation CreateProject($name:String,$access:String){result:upsertModel(input:{entityName:"ada",name:$name,access:$access}){project{name access}}}`,
			fields{"name": name, "access": access})
	}
	seen := func() string {
		t.Helper()
		return c.eve.ask(t, c.reader, `query GetProject($name:String!){project(name:$name,entityName:"ada"){name access readOnly}}`, fields{"name": name}).get("data.project.access").String()
	}
	written := func() int {
		t.Helper()
		text, err := json.Marshal(fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.eve.send(t.Context(), streamAddress(c.reader, entity, name, c.run), text)
		if err != nil {
			t.Fatal(err)
		}
		return r.status
	}
	set("USER_WRITE")
	c.ada.ask(t, c.writer, "UpsertBucket", fields{"entity": entity, "project": name, "name": c.run})
	for _, step := range []struct {
		access, seen string
		status       int
	}{
		{"USER_WRITE", "USER_WRITE", http.StatusOK}, {"PRIVATE", "", http.StatusNotFound}, {"USER_READ", "USER_READ", http.StatusForbidden},
		{"USER_WRITE", "USER_WRITE", http.StatusOK},
	} {
		set(step.access)
		expect(t, step.access, seen(), step.seen)
		if status := written(); status != step.status {
			t.Errorf("%s: metrics of a stranger are answered with %d, want %d", step.access, status, step.status)
		}
	}
}

func aMember(t *testing.T, c change) {
	team := "team-" + c.run
	if _, err := c.accounts.CreateTeam(t.Context(), account.NewTeam{Name: team, Admin: &c.ada.user}); err != nil {
		t.Fatal(err)
	}
	c.ada.ask(t, c.writer, "UpsertBucket", fields{"entity": team, "project": project, "name": c.run})
	text, err := json.Marshal(fields{"files": fields{historyFile: lines(0, `{"_step":0}`)}})
	if err != nil {
		t.Fatal(err)
	}
	written := func(want int) {
		t.Helper()
		if r, err := c.eve.send(t.Context(), streamAddress(c.reader, team, project, c.run), text); err != nil || r.status != want {
			t.Errorf("metrics of eve are answered with %d %s %v, want %d", r.status, r.body, err, want)
		}
	}
	seen := func(want string) {
		t.Helper()
		expect(t, "seen by eve", c.eve.ask(t, c.reader, "Run", c.named().with("entity", team)).get("data.project.run.name").String(), want)
	}
	written(http.StatusNotFound)
	seen("")
	c.ada.ask(t, c.writer, `mutation CreateInvite($e:String!,$u:String){createInvite(input:{entityName:$e,username:$u}){invite{id}}}`, fields{"e": team, "u": c.eve.name})
	written(http.StatusOK)
	seen(c.run)
	id := c.eve.ask(t, c.reader, "Viewer", nil).get("data.viewer.id").String()
	c.ada.ask(t, c.writer, `mutation DeleteInvite($i:String,$e:String){deleteInvite(input:{id:$i,entityName:$e}){success}}`, fields{"i": id, "e": team})
	written(http.StatusNotFound)
	seen("")
}

func anArtifact(t *testing.T, c change) {
	c.begin(t)
	collection := "set-of-" + c.run
	membership := func(alias string) string {
		t.Helper()
		return c.ada.ask(t, c.reader, "ArtifactMembershipByName", c.named().with("name", collection+":"+alias)).get("data.project.artifactCollectionMembership.versionIndex").Raw
	}
	expect(t, "before", membership("latest"), "")
	var ids []string
	for n := range 3 {
		text := fmt.Sprint("version ", n)
		id := c.publish(t, collection, text)
		ids = append(ids, id)
		expect(t, "latest", membership("latest"), fmt.Sprint(n))
		expect(t, "best", membership("best"), fmt.Sprint(n))
		used := c.ada.ask(t, c.reader, "UseArtifact", fields{"entityName": entity, "projectName": project, "runName": c.run, "artifactID": id})
		expect(t, "usable", used.get("data.useArtifact.artifact.state").String(), "COMMITTED")
		urls := c.ada.ask(t, c.reader, "GetArtifactMembershipFileUrls", c.named().with("collection", collection).with("alias", "latest").with("perPage", 10))
		expect(t, "bytes", follow(t, http.MethodGet, urls.get("data.project.artifactCollection.artifactMembership.files.edges.0.node.directUrl").String(), nil, ""), text)
	}
	for n := range ids {
		c.ada.ask(t, c.writer, "AddAliases", fields{"input": fields{"artifactID": ids[n], "aliases": []fields{{
			"alias": "best", "artifactCollectionName": collection, "entityName": entity, "projectName": project,
		}}}})
		expect(t, "moved to", membership("best"), fmt.Sprint(n))
	}
	c.ada.ask(t, c.writer, "DeleteArtifact", fields{"input": fields{"artifactID": ids[2], "deleteAliases": true}})
	expect(t, "deleted", membership("v2"), "")
}

// publish makes a version of one file, as the client does, and returns its id.
func (c change) publish(t *testing.T, collection, text string) string {
	t.Helper()
	digest := md5Of(text)
	created := c.ada.ask(t, c.writer, "CreateArtifact", fields{"input": fields{
		"entityName": entity, "projectName": project, "runName": c.run, "artifactTypeName": "dataset", "artifactCollectionName": collection,
		"digest": digest, "digestAlgorithm": "MANIFEST_MD5", "enableDigestDeduplication": true, "clientID": c.run + text, "sequenceClientID": c.run,
		"aliases": []fields{{"artifactCollectionName": collection, "alias": "best"}, {"artifactCollectionName": collection, "alias": "latest"}},
	}})
	id := created.get("data.createArtifact.artifact.id").String()
	files := c.ada.ask(t, c.writer, "CreateArtifactFiles", fields{"input": fields{"storageLayout": "V2", "artifactFiles": []fields{{"artifactID": id, "name": "a.txt", "md5": digest}}}})
	node := files.get("data.createArtifactFiles.files.edges.0.node")
	if target := node.Get("uploadUrl").String(); target != "" {
		follow(t, http.MethodPut, target, headerOf(node.Get("uploadHeaders").Array()), text)
	}
	manifest := fmt.Sprintf(`{"version":1,"storagePolicy":"wandb-storage-policy-v1","storagePolicyConfig":{"storageLayout":"V2"},`+
		`"contents":{"a.txt":{"digest":%q,"size":%d,"birthArtifactID":%q}}}`, digest, len(text), node.Get("artifact.id").String())
	put := c.ada.ask(t, c.writer, "CreateArtifactManifest", c.named().with("artifactID", id).with("name", "wandb_manifest.json").
		with("digest", md5Of(manifest)).with("manifestType", "FULL").with("includeUpload", true)).get("data.createArtifactManifest.artifactManifest.file")
	follow(t, http.MethodPut, put.Get("uploadUrl").String(), headerOf(put.Get("uploadHeaders").Array()), manifest)
	c.ada.ask(t, c.writer, "CommitArtifact", fields{"artifactID": id})
	return id
}

func aSweep(t *testing.T, c change) {
	made := c.ada.ask(t, c.writer, "UpsertSweep", fields{
		"entityName": entity, "projectName": project, "config": "method: grid\nparameters: {x: {values: [1, 2, 3]}}", "templateVariableValues": "null",
	})
	name := made.get("data.upsertSweep.sweep.name").String()
	state := func() string {
		t.Helper()
		return c.ada.ask(t, c.reader, "GetSweep", c.named().with("name", name)).get("data.project.sweep.state").String()
	}
	expect(t, "made", state(), "PENDING")
	agent := c.ada.ask(t, c.writer, "CreateAgent", c.named().with("sweep", name).with("host", "h")).get("data.createAgent.agent.id").String()
	expect(t, "with an agent", state(), "RUNNING")
	agents := c.ada.ask(t, c.reader, "GetSweepAgents", c.named().with("sweep", name)).get("data.project.sweep.agents.edges")
	expect(t, "agents", agents.Get("0.node.id").String(), agent)

	beat := func(to *serverprocess.Process, active string) string {
		t.Helper()
		return c.ada.ask(t, to, "Heartbeat", fields{"id": agent, "metrics": "{}", "runState": active}).get("data.agentHeartbeat.commands").String()
	}
	first := beat(c.writer, "{}")
	expect(t, "an answer that was lost", beat(c.reader, "{}"), first)
	var commands []struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal([]byte(first), &commands); err != nil || len(commands) != 1 {
		t.Fatalf("told %s, %v", first, err)
	}
	expect(t, "at work", beat(c.writer, fmt.Sprintf("{%q:true}", commands[0].RunID)), "[]")
	if second := beat(c.reader, "{}"); second == first || !strings.Contains(second, `"run_id"`) {
		t.Errorf("a run that was heard of is given again: %s", second)
	}
	id := c.ada.ask(t, c.writer, "GetSweep", c.named().with("name", name)).get("data.project.sweep.id").String()
	c.ada.ask(t, c.writer, "UpsertSweep", fields{"id": id, "state": "FINISHED", "entityName": entity, "projectName": project})
	expect(t, "ended", state(), "FINISHED")
	expect(t, "told of the end", beat(c.reader, "{}"), `[{"type":"exit"}]`)
	c.ada.ask(t, c.writer, `mutation DeleteSweep($id:ID!){deleteSweep(input:{id:$id}){success}}`, fields{"id": id})
	r, err := c.ada.send(t.Context(), c.reader.URL+"/graphql", c.ada.query("Heartbeat", fields{"id": agent, "metrics": "{}", "runState": "{}"}))
	if err != nil || r.status != http.StatusNotFound {
		t.Errorf("a heartbeat of a deleted sweep: %d %s %v", r.status, r.body, err)
	}
}
