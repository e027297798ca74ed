package e2e

import (
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/test/client"
)

// TestB3TheOfficialClientLogsInOverHTTPS makes a key from a shell in the pod, as automation does, and logs in with it.
func TestB3TheOfficialClientLogsInOverHTTPS(t *testing.T) {
	var key struct{ Key string }
	decode(t, admin(t, "key", "create",
		"--username", administrator, "--description", "end to end"), &key)
	if len(key.Key) < 40 {
		t.Fatalf("server admin key create gave a key of %d characters", len(key.Key))
	}
	home := trusting(t)
	host := system.env["WANDB_BASE_URL"]
	result := home.Run(t, "wandb", "login", "--host", host, "--verify", key.Key)
	if result.Code != 0 || !strings.Contains(result.Output, "Currently logged in as: "+administrator+" to "+host) {
		t.Errorf("exit code %d: %s", result.Code, result.Output)
	}
	stranger := client.NewHome(t)
	stranger.Env = home.Env
	if result := stranger.Run(t, "wandb", "login", "--host", host, "--verify", strings.Repeat("0", 40)); result.Code == 0 {
		t.Errorf("a key that nobody has logs in: %s", result.Output)
	}
}

// TestB4EverythingThatTheClientSendsIsKept is on the default installation: one replica, files on the application's host.
func TestB4EverythingThatTheClientSendsIsKept(t *testing.T) { keepsEverything(t) }
