package client_test

import (
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/client"
)

// administration is what a user's script does with teams, users and keys.
const administration = `
import wandb
api = wandb.Api()
team = api.create_team("ml")
print("team", team.name, team.is_team, team.entity_type, [(m.name, m.admin, m.account_type) for m in team.members])
print("invite", team.invite("grace"), team.invite("grace"), team.invite("nobody"), team.invite("new@example.com", admin=True))
bot = team.create_service_account("nightly training")
print("bot", bot.username, bot.account_type, len(bot.api_key), bot.email)
print("key", bot.api_key)
team.load(force=True)
print("later", [(m.name, m.pending, m.api_key) for m in team.members])
print("unknown", api.user("nobody"), [u.username for u in api.users("grace@example.com")])
made = api.create_user("Some.One@example.com")
print("made", made.username, made.email, made.admin)
key = api.viewer.generate_api_key("from a script")
print("generated", key)
viewer = wandb.Api(api_key=key).viewer
print("viewer", viewer.username, viewer.teams, viewer.api_keys)
print("deleted", viewer.delete_api_key(key[:8]), viewer.delete_api_key(key[:8]))
invited = [m for m in team.members if m.pending][0]
print("uninvite", invited.delete(), [m for m in team.members if m.username == "grace"][0].delete())
print("organization", api.organization("default").org_entity.name)
try:
    api.organization("nowhere")
except Exception as e:
    print("nowhere", type(e).__name__)
`

func TestTheOfficialClientAdministersTeams(t *testing.T) {
	p := serve(t)
	p.admin(t, &struct{}{}, "user", "create", "--username", "ada", "--email", "ada@example.com", "--admin")
	p.admin(t, &struct{}{}, "user", "create", "--username", "grace", "--email", "grace@example.com")
	var key struct{ Key string }
	p.admin(t, &key, "key", "create", "--username", "ada")
	home := client.NewHome(t)
	home.Env = []string{"WANDB_BASE_URL=" + p.url, "WANDB_API_KEY=" + key.Key}
	result := home.Run(t, "python", "-c", administration)
	if result.Code != 0 {
		t.Fatalf("exit code %d: %s\n%s", result.Code, result.Output, p.logs)
	}
	lines := map[string]string{}
	for _, line := range strings.Split(result.Output, "\n") {
		name, rest, _ := strings.Cut(line, " ")
		lines[name] = rest
	}
	for name, want := range map[string]string{
		"team": "ml True team [('ada', True, 'ADMIN')]", "invite": "True False False True",
		"bot":     "ml-nightly-training SERVICE 40 None",
		"later":   "[('new@example.com', True, None), ('ada', False, None), ('grace', False, None), ('nightly training', False, None)]",
		"unknown": "None ['grace']", "made": "some-one Some.One@example.com False", "deleted": "True False",
		"uninvite": "True True", "organization": "org_default", "nowhere": "CommError",
	} {
		if lines[name] != want {
			t.Errorf("%s is %q, want %q", name, lines[name], want)
		}
	}
	if !strings.HasPrefix(lines["viewer"], "ada ['ada', 'ml'] [") {
		t.Errorf("the viewer is %q", lines["viewer"])
	}
	bot := client.NewHome(t)
	bot.Env = []string{"WANDB_BASE_URL=" + p.url, "WANDB_API_KEY=" + lines["key"]}
	if result := bot.Run(t, "python", "-c", "import wandb; v = wandb.Api().viewer; print(v.username, v.entity, v.teams)"); !strings.Contains(result.Output, "ml-nightly-training ml ['ml']") {
		t.Errorf("with the service account's key: %s", result.Output)
	}
	printed := p.logs.String()
	for _, secret := range []string{key.Key, lines["key"], lines["generated"]} {
		if len(secret) != 40 || strings.Contains(printed, secret) {
			t.Errorf("the log holds a key, or there is none: %q", secret)
		}
	}
	if strings.Contains(printed, `"level":"ERROR"`) || strings.Contains(printed, "not supported") {
		t.Errorf("the client asked for what the server does not have:\n%s", printed)
	}
}
