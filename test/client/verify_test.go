package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kubewandb/kubewandb/test/client"
)

// marks is how many checks `wandb verify` prints a mark for.
const marks = 10

func TestVerifyPrintsOnlyGreenMarks(t *testing.T) {
	authority := newAuthority(t)
	p := serveBehind(t, authority.front)
	p.ends(t)
	home := p.user(t, "ada")
	trust := []string{"SSL_CERT_FILE=" + authority.file, "REQUESTS_CA_BUNDLE=" + authority.file}
	home.Env = append(home.Env, trust...)
	key := home.Env[1][len("WANDB_API_KEY="):]
	if result := home.Run(t, "wandb", "login", "--host", p.url, key); result.Code != 0 {
		t.Fatalf("log in: %s", result.Output)
	}
	result := home.Run(t, "wandb", "verify", "--host", p.url)
	green, red := strings.Count(result.Output, "\u2705"), strings.Count(result.Output, "\u274c")
	if result.Code != 0 || green != marks || red != 0 {
		t.Fatalf("exit code %d, %d green and %d red marks: %s\n--- server:\n%s", result.Code, green, red, result.Output, p.logs.tail())
	}

	// Most of what verify downloads comes from the client's cache: only this proves that the server holds it.
	everything := func(home *client.Home, mode string) string {
		home.Env = append(home.Env, "WANDB_CACHE_DIR="+t.TempDir())
		listing := filepath.Join(t.TempDir(), "listing")
		p.runs(t, home, "everything.py", "ada", mode, listing, "verify")
		listed, err := os.ReadFile(listing)
		if err != nil {
			t.Fatal(err)
		}
		return string(listed)
	}
	first := everything(home, "all")
	for _, want := range []string{"artifact ", "file ", "row "} {
		if !strings.Contains(first, "\n"+want) {
			t.Errorf("nothing that begins with %q in %s", want, first)
		}
	}
	p.stop(t)
	p.start(t)
	if difference := cmp.Diff(strings.Split(first, "\n"), strings.Split(everything(home, "all"), "\n")); difference != "" {
		t.Errorf("what is there changed with a restart: %s", difference)
	}
	stranger := p.user(t, "grace")
	stranger.Env = append(stranger.Env, trust...)
	everything(stranger, "none")
	if _, err := os.Stat(authority.file); err != nil {
		t.Error(err)
	}
}
