package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server"
	"github.com/kubewandb/kubewandb/internal/server/admin"
)

const (
	beginNamed = `mutation UpsertBucket($run: String!, $project: String!, $entity: String, $config: JSONString) {
		upsertBucket(input: {name: $run, modelName: $project, entityName: $entity, config: $config}) { inserted } }`
	storageOf = `query Entity($name: String!) { entity(name: $name) { storage { usedBytes filesBytes artifactsBytes historyBytes quotaBytes measuredAt } } }`
)

func named(entity, project, run string) map[string]any {
	return map[string]any{"entity": entity, "project": project, "run": run}
}

// A full quota closes one door, the beginning of a new run, by whichever way it comes. All that goes on is taken.
func TestAQuotaRefusesNewRunsAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		eve := s.settle(t, "eve") // who has files, lines, a version and a sweep
		_, boss := s.createUser(t, "boss", true)
		d := desk{s, t, boss}
		var usage admin.Quota
		d.json("POST", "/api/admin/entities/eve/measurements", "", http.StatusOK, &usage)
		if usage.FilesBytes < int64(len(canary)) || usage.ArtifactsBytes == 0 || usage.HistoryBytes == 0 ||
			usage.UsedBytes != usage.FilesBytes+usage.ArtifactsBytes+usage.HistoryBytes || usage.MeasuredAt == nil || usage.Quota != "none" {
			t.Fatalf("eve stores %+v", usage)
		}
		d.json("PUT", "/api/admin/entities/eve/quota", `{"quota":"1Ki"}`, http.StatusOK, nil)
		s.ask(t, eve.key, beginNamed, named("eve", "secret", "below"), nil)
		d.json("PUT", "/api/admin/entities/eve/quota", `{"quota":"10"}`, http.StatusOK, &usage)
		if usage.Quota != "10 B" || usage.QuotaBytes != 10 || !usage.Own {
			t.Errorf("the quota is %+v", usage)
		}

		fork := named("eve", "secret", "forked")
		fork["config"] = `{"_wandb":{"value":{"branch_point":{"run_id":"r","step":0}}}}`
		for sentence, variables := range map[string]map[string]any{
			"a new run": named("eve", "secret", "new"), "one in a new project": named("eve", "fresh", "new"),
			"one by an administrator": named("eve", "secret", "other"), "a fork": fork,
		} {
			key := eve.key
			if strings.Contains(sentence, "administrator") {
				key = boss
			}
			code, message := s.fails(t, key, beginNamed, variables)
			for _, want := range []string{"quota of eve", "of 10 B", "Delete runs or artifacts", "server admin quota set eve"} {
				if code != http.StatusOK || !strings.Contains(message, want) {
					t.Errorf("%s: %d %q, want %q", sentence, code, message, want)
				}
			}
		}
		var projects struct{ Models struct{ Edges []any } }
		if s.ask(t, eve.key, `{models(entityName: "eve") {edges {node {name}}}}`, nil, &projects); len(projects.Models.Edges) != 1 {
			t.Errorf("a refused run has left its project: %v", projects)
		}

		s.ask(t, eve.key, beginNamed, named("eve", "secret", "r"), nil)     // resumes
		s.ask(t, eve.key, beginNamed, named("eve", "secret", "below"), nil) // begins a second time, as after a lost answer
		lines := call{method: "POST", path: "/files/eve/secret/r/file_stream", key: eve.key, body: `{"files":{"wandb-history.jsonl":{"offset":1,"content":["{\"_step\":1}"]}}}`}
		if a := s.do(t, http.DefaultClient, lines); a.code != http.StatusOK {
			t.Errorf("lines of a run that has begun: %d %s", a.code, a.body)
		}
		s.ask(t, eve.key, `mutation CreateRunFiles { createRunFiles(input: {entityName: "eve", projectName: "secret", runName: "r", files: ["g"]}) { files { uploadUrl } } }`, nil, nil)
		_, ada := s.createUser(t, "ada", false)
		s.ask(t, ada, beginRun, nil, nil) // others go on

		for range 4 { // an agent waits
			if code, message := s.fails(t, eve.key, heartbeat, map[string]any{"id": eve.ids["agent"]}); code != http.StatusOK || !strings.Contains(message, "quota of eve") {
				t.Errorf("an agent is told %d %q", code, message)
			}
		}
		metrics := running{url: s.metricsURL}.do(t, http.DefaultClient, call{path: "/metrics"})
		if !strings.Contains(metrics.body, "wandb_quota_refusals_total 8\n") {
			t.Errorf("refusals are not counted: %v", slices.Collect(strings.Lines(metrics.body)))
		}
		logged := s.logs.String()
		if !strings.Contains(logged, `"new run refused: the storage quota is used up","entity":"eve"`) || strings.Contains(logged, eve.key) {
			t.Error("refusals are not logged, or with a key")
		}

		d.json("DELETE", "/api/admin/entities/eve/quota", "", http.StatusOK, nil)
		s.ask(t, eve.key, beginNamed, named("eve", "fresh", "new"), nil)
		var told struct{ AgentHeartbeat struct{ Commands string } }
		if s.ask(t, eve.key, heartbeat, map[string]any{"id": eve.ids["agent"]}, &told); !strings.Contains(told.AgentHeartbeat.Commands, `"run"`) {
			t.Errorf("with room the agent is told %v", told)
		}
	})
}

func TestTheDefaultQuotaHoldsForThoseWithoutTheirOwn(t *testing.T) {
	s := start(t, func(cfg *server.Config) { cfg.StorageQuota = 1 })
	eve := s.settle(t, "eve") // nothing was measured yet
	if worked, err := s.quotas.MeasureDue(t.Context()); !worked || err != nil {
		t.Fatalf("measured %t, %v", worked, err)
	}
	s.fails(t, eve.key, beginNamed, named("eve", "secret", "new"))
	_, boss := s.createUser(t, "boss", true)
	d := desk{s, t, boss}
	d.json("PUT", "/api/admin/entities/EVE/quota", `{"quota":"0"}`, http.StatusOK, nil) // any number of bytes
	s.ask(t, eve.key, beginNamed, named("eve", "secret", "new"), nil)
	var all []admin.Quota
	d.json("GET", "/api/admin/quotas", "", http.StatusOK, &all)
	if len(all) != 1 || all[0].Entity != "eve" || !all[0].Own || all[0].Quota != "none" || all[0].UsedBytes == 0 {
		t.Errorf("quotas %+v", all)
	}
	d.json("DELETE", "/api/admin/entities/eve/quota", "", http.StatusOK, nil)
	d.json("DELETE", "/api/admin/entities/eve/quota", "", http.StatusOK, &all[0])
	if all[0].Own || all[0].QuotaBytes != 1 {
		t.Errorf("after it was unset: %+v", all[0])
	}
	s.fails(t, eve.key, beginNamed, named("eve", "secret", "newer"))
}

// Who may see and set quotas, by role.
func TestQuotasAreTheAdministratorsAlone(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, boss := s.createUser(t, "boss", true)
		d := desk{s, t, boss}
		keys := map[string]string{"nobody": "", "the administrator": boss}
		for role, name := range map[string]string{"a stranger": "eve", "a viewer of the team": "vic", "a member of the team": "mia", "an administrator of the team": "ada"} {
			_, keys[role] = s.createUser(t, name, false)
		}
		d.json("POST", "/api/admin/teams", `{"name":"ml","admin":"ada"}`, http.StatusCreated, nil)
		d.json("PUT", "/api/admin/teams/ml/members/mia", `{"role":"member"}`, http.StatusNoContent, nil)
		d.json("PUT", "/api/admin/teams/ml/members/vic", `{"role":"viewer"}`, http.StatusNoContent, nil)
		for role, key := range keys {
			want := http.StatusForbidden
			switch role {
			case "nobody":
				want = http.StatusUnauthorized
			case "the administrator":
				want = http.StatusOK
			}
			for _, c := range []struct{ method, path, body string }{
				{"GET", "/api/admin/quotas", ""}, {"GET", "/api/admin/entities/ml/quota", ""}, {"PUT", "/api/admin/entities/ml/quota", `{"quota":"1Gi"}`},
				{"POST", "/api/admin/entities/ml/measurements", ""}, {"DELETE", "/api/admin/entities/ml/quota", ""},
			} {
				if a := s.do(t, http.DefaultClient, call{method: c.method, path: c.path, body: c.body, key: key}); a.code != want {
					t.Errorf("%s %s by %s: %d %s, want %d", c.method, c.path, role, a.code, a.body, want)
				}
			}
		}
		d.json("PUT", "/api/admin/entities/ml/quota", `{"quota":"500Gi"}`, http.StatusOK, nil)
		d.json("POST", "/api/admin/entities/ml/measurements", "", http.StatusOK, nil)
		for sentence, c := range map[string]struct {
			path, body string
			want       int
		}{
			"no such entity": {"/api/admin/entities/nobody/quota", `{"quota":"1Gi"}`, http.StatusNotFound},
			"no size":        {"/api/admin/entities/ml/quota", `{"quota":"lots"}`, http.StatusUnprocessableEntity},
			"nothing":        {"/api/admin/entities/ml/quota", ``, http.StatusUnprocessableEntity},
			"another field":  {"/api/admin/entities/ml/quota", `{"bytes":5}`, http.StatusBadRequest},
		} {
			if a := d.json("PUT", c.path, c.body, c.want, nil); c.want == http.StatusUnprocessableEntity && !strings.Contains(a.body, "500Gi") {
				t.Errorf("%s: %s", sentence, a.body)
			}
		}

		delete(keys, "nobody")
		for role, key := range keys {
			var seen struct {
				Entity *struct {
					Storage *struct {
						UsedBytes  int64
						QuotaBytes *int64
						MeasuredAt *time.Time
					}
				}
			}
			s.ask(t, key, storageOf, map[string]any{"name": "ml"}, &seen)
			switch shown := seen.Entity; {
			case role == "a stranger" && shown != nil:
				t.Errorf("a stranger sees %+v", shown)
			case role != "a stranger" && (shown == nil || shown.Storage == nil || shown.Storage.QuotaBytes == nil ||
				*shown.Storage.QuotaBytes != 500<<30 || shown.Storage.MeasuredAt == nil):
				t.Errorf("%s sees %+v", role, shown)
			}
		}
	})
}
