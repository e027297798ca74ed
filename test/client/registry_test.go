package client_test

import (
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/client"
)

// share logs a model of a team and links it into the registry of the team's organization.
const share = `
import wandb
with wandb.init(project="models", entity="ml") as run:
    model = wandb.Artifact("net", "model")
    with model.new_file("weights") as f:
        f.write("w")
    run.log_artifact(model).wait()
    run.link_artifact(model, "wandb-registry-model/nets", aliases=["best"])
linked = wandb.Api().artifact("acme/wandb-registry-model/nets:best")
print("linked", linked.qualified_name, linked.source_qualified_name)
`

// fetch reads what share has linked.
const fetch = `
import pathlib
import wandb
linked = wandb.Api().artifact("acme/wandb-registry-model/nets:best")
print("fetched", pathlib.Path(linked.download("got", skip_cache=True), "weights").read_text())
`

// TestAnOrganizationSharesModels links into a registry, which takes a role in the organization, and reads it from there, which
// takes one in the team as well.
func TestAnOrganizationSharesModels(t *testing.T) {
	p := serve(t)
	homes := map[string]*client.Home{}
	for _, name := range []string{"ada", "grace", "bob", "eve"} {
		p.admin(t, &struct{}{}, "user", "create", "--username", name, "--email", name+"@example.com")
		var key struct{ Key string }
		p.admin(t, &key, "key", "create", "--username", name)
		homes[name] = client.NewHome(t)
		homes[name].Env = []string{"WANDB_BASE_URL=" + p.url, "WANDB_API_KEY=" + key.Key}
	}
	p.admin(t, &struct{}{}, "org", "create", "--name", "acme")
	p.admin(t, &struct{}{}, "team", "create", "--name", "ml", "--org", "acme", "--admin", "ada")
	for _, member := range []struct{ place, name, of, role string }{
		{"--team", "grace", "ml", "member"}, {"--org", "ada", "acme", "member"}, {"--org", "grace", "acme", "viewer"}, {"--org", "bob", "acme", "viewer"},
	} {
		p.admin(t, &struct{}{}, "member", "set", member.place, member.of, "--username", member.name, "--role", member.role)
	}
	for i, step := range []struct {
		who, does, script, want string
		succeeds                bool
	}{
		{"grace", "links as a viewer of the organization", share, "you may see the entity org_acme but not change it", false},
		{"ada", "links as its member", share, "linked org_acme/wandb-registry-model/nets:best ml/models/net:v0", true},
		{"grace", "fetches as a member of the team", fetch, "fetched w", true},
		{"bob", "fetches without a role in the team", fetch, "not found", false},
		{"eve", "fetches without any role", fetch, "Unable to find organization", false},
	} {
		result := homes[step.who].Run(t, "python", "-c", step.script)
		if (result.Code == 0) != step.succeeds || !strings.Contains(result.Output, step.want) {
			t.Errorf("%d: %s %s: exit code %d: %s", i, step.who, step.does, result.Code, result.Output)
		}
	}
	if printed := p.logs.String(); strings.Contains(printed, `"level":"ERROR"`) || strings.Contains(printed, "not supported") {
		t.Errorf("the client asked for what the server does not have:\n%s", printed)
	}
}
