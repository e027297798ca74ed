package client_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/client"
)

func TestTheOfficialClientSignsIn(t *testing.T) {
	p := serve(t)
	var user struct{ Password string }
	p.admin(t, &user, "user", "create", "--username", "ada", "--email", "ada@example.com", "--admin")
	var key struct{ Key string }
	p.admin(t, &key, "key", "create", "--username", "ada", "--description", "test")

	long := "user_gw0-" + strings.Repeat("a1", 20)
	p.admin(t, &struct{}{}, "user", "create", "--username", long, "--email", "gw0@example.com", "--no-password", "--api-key", long)

	t.Run("with a key that the server made", func(t *testing.T) {
		home := client.NewHome(t)
		result := home.Run(t, "wandb", "login", "--host", p.url, "--verify", key.Key)
		if result.Code != 0 || !strings.Contains(result.Output, "Currently logged in as: ada to "+p.url) {
			t.Errorf("exit code %d: %s\n%s", result.Code, result.Output, p.logs)
		}
		netrc, err := os.ReadFile(home.Netrc())
		if err != nil || !strings.Contains(string(netrc), key.Key) {
			t.Errorf("the key was not saved: %v", err)
		}
		again := home.Run(t, "wandb", "login", "--host", p.url, "--verify")
		if again.Code != 0 || !strings.Contains(again.Output, "Currently logged in as: ada") {
			t.Errorf("with the saved key: exit code %d: %s", again.Code, again.Output)
		}
	})
	t.Run("with a key that an administrator chose, equal to the user name", func(t *testing.T) {
		result := client.NewHome(t).Run(t, "wandb", "login", "--host", p.url, "--verify", long)
		if result.Code != 0 || !strings.Contains(result.Output, "Currently logged in as: "+long) {
			t.Errorf("exit code %d: %s", result.Code, result.Output)
		}
	})
	t.Run("not with a key that nobody has", func(t *testing.T) {
		result := client.NewHome(t).Run(t, "wandb", "login", "--host", p.url, "--verify", strings.Repeat("0", 40))
		if result.Code == 0 || !strings.Contains(result.Output, p.url+"/authorize") {
			t.Errorf("exit code %d: %s", result.Code, result.Output)
		}
	})
	t.Run("not with a key that was revoked", func(t *testing.T) {
		var doomed struct{ ID, Key string }
		p.admin(t, &doomed, "key", "create", "--username", "ada")
		home := client.NewHome(t)
		if result := home.Run(t, "wandb", "login", "--host", p.url, "--verify", doomed.Key); result.Code != 0 {
			t.Fatalf("exit code %d: %s", result.Code, result.Output)
		}
		p.admin(t, &struct{}{}, "key", "revoke", "--username", "ada", "--id", doomed.ID)
		if result := home.Run(t, "wandb", "login", "--host", p.url, "--verify"); result.Code == 0 {
			t.Errorf("a revoked key signs in: %s", result.Output)
		}
	})
	t.Run("through its public API", func(t *testing.T) {
		home := client.NewHome(t)
		home.Env = []string{"WANDB_BASE_URL=" + p.url, "WANDB_API_KEY=" + key.Key}
		result := home.Run(t, "python", "-c", `import wandb
api = wandb.Api()
viewer = api.viewer
print("viewer", viewer.username, viewer.email, viewer.admin, viewer.teams, [k for k in viewer.api_keys])
print("entity", api.default_entity)`)
		for _, want := range []string{"viewer ada ada@example.com True ['ada']", "'" + key.Key[:8] + "'", "entity ada"} {
			if !strings.Contains(result.Output, want) {
				t.Errorf("exit code %d, want %q in: %s", result.Code, want, result.Output)
			}
		}
	})

	printed := p.logs.String()
	for _, credential := range []string{key.Key, user.Password, long[9:]} {
		// The chosen key is also a user name, so it is looked for without the part that both share.
		if strings.Contains(strings.ReplaceAll(printed, `"user":"`+long+`"`, ""), credential) {
			t.Errorf("the server's log holds a credential:\n%s", printed)
		}
	}
	if strings.Contains(printed, `"level":"ERROR"`) || strings.Contains(printed, "not supported") {
		t.Errorf("the client asked for what the server does not have:\n%s", printed)
	}
}
