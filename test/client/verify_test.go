package client_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/test/buckets"
)

// marks is how many checks `wandb verify` prints a mark for.
const marks = 10

// TestVerifyPrintsOnlyGreenMarks does so with each kind of store but S3, with which the tests of the whole system do.
func TestVerifyPrintsOnlyGreenMarks(t *testing.T) {
	for name, start := range map[string]func(testing.TB) blob.Config{"folder": nil, "GCS": buckets.GCS, "Azure": buckets.Azure} {
		t.Run(name, func(t *testing.T) {
			var store []string
			if start != nil {
				store = flags(start(t))
			}
			verify(t, store...)
		})
	}
}

func verify(t *testing.T, store ...string) {
	t.Helper()
	authority := newAuthority(t)
	p := serveBehind(t, authority.front, nil, store...)
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
	first := p.everything(t, home, "all", "verify")
	for _, want := range []string{"artifact ", "file ", "row "} {
		if !slices.ContainsFunc(first, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("nothing that begins with %q in %q", want, first)
		}
	}
	p.stop(t)
	p.start(t)
	if difference := cmp.Diff(first, p.everything(t, home, "all", "verify")); difference != "" {
		t.Errorf("what is there changed with a restart: %s", difference)
	}
	stranger := p.user(t, "grace")
	stranger.Env = append(stranger.Env, trust...)
	p.everything(t, stranger, "none", "verify")
	if _, err := os.Stat(authority.file); err != nil {
		t.Error(err)
	}
}
