package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

func newTestDemo(t *testing.T) *Demo {
	t.Helper()
	var out, log bytes.Buffer
	demo, err := New(Settings{Name: "unit", Dir: t.TempDir()}, &out, &log)
	if err != nil {
		t.Fatal(err)
	}
	return demo
}

func TestAnExistingClusterNeedsContextAndRepository(t *testing.T) {
	for name, settings := range map[string]Settings{
		"only a context":    {Name: "unit", Context: "mine"},
		"only a repository": {Name: "unit", ImageRepo: "registry.example.com/x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(settings, &bytes.Buffer{}, &bytes.Buffer{})
			if err == nil || !strings.Contains(fault.Hint(err), "IMAGE_REPO") {
				t.Errorf("New = %v, want a hint that names both", err)
			}
		})
	}
}

func TestStateSurvivesAndStartsAtTheFirstVersion(t *testing.T) {
	demo := newTestDemo(t)
	fresh, err := demo.readState()
	if err != nil || fresh.Version != firstVersion {
		t.Fatalf("a new demo is at %q, %v", fresh.Version, err)
	}
	next, err := nextPatch(fresh.Version)
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.writeState(state{Version: next}); err != nil {
		t.Fatal(err)
	}
	if kept, err := demo.readState(); err != nil || kept.Version != "0.1.1" {
		t.Errorf("kept %q, %v, want 0.1.1", kept.Version, err)
	}
}

func TestSecretsAreMadeOnceAndKeptPrivate(t *testing.T) {
	demo := newTestDemo(t)
	made := 0
	make := func() (string, error) { made++; return randomToken(), nil }
	first, err := demo.keepSecret("token", make)
	if err != nil {
		t.Fatal(err)
	}
	second, err := demo.keepSecret("token", make)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || made != 1 || len(first) < 40 {
		t.Errorf("made %d times; %d characters; equal: %v", made, len(first), first == second)
	}
	info, err := os.Stat(demo.path("token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestReferencesMustBeByDigest(t *testing.T) {
	references, err := pairReferences("10.88.0.1:5000/server@sha256:aa\n10.88.0.1:5000/console@sha256:bb\n", []string{"server", "console"})
	if err != nil {
		t.Fatal(err)
	}
	if got := references["console"]; got.Repository != "10.88.0.1:5000/console" || got.Digest != "sha256:bb" {
		t.Errorf("console is %+v", got)
	}
	for name, output := range map[string]string{"a tag": "repo/server:1.0\n", "too few lines": ""} {
		if _, err := pairReferences(output, []string{"server"}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestPollReportsWhatItWaitedFor(t *testing.T) {
	err := poll(t.Context(), 20*time.Millisecond, time.Millisecond, func(context.Context) (bool, string, error) {
		return false, "Ready=False, reason Progressing", nil
	})
	if err == nil || !strings.Contains(err.Error(), "reason Progressing") {
		t.Errorf("poll = %v, want the last state", err)
	}
	broken := errors.New("connection refused")
	if err := poll(t.Context(), time.Minute, time.Millisecond, func(context.Context) (bool, string, error) { return false, "", broken }); !errors.Is(err, broken) {
		t.Errorf("poll = %v, want the failure at once", err)
	}
}

func TestEnvironmentQuotesForAShellAndNeedsADemo(t *testing.T) {
	demo := newTestDemo(t)
	if err := demo.Env(t.Context()); err == nil || !strings.Contains(err.Error(), "make demo") {
		t.Errorf("Env without a demo = %v, want to be told to start it", err)
	}
	if err := os.WriteFile(demo.kubeconfig(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := demo.Env(t.Context()); err != nil {
		t.Fatal(err)
	}
	output := demo.out.(*bytes.Buffer).String()
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "export ") {
			t.Errorf("line %q is no export", line)
		}
	}
	for _, name := range []string{"KUBECONFIG", "WANDB_BASE_URL", "CONSOLE_URL", "DEPLOY_URL", "HELM_REPO_URL", "CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PATH"} {
		if !strings.Contains(output, "export "+name+"='") {
			t.Errorf("%s is missing:\n%s", name, output)
		}
	}
}

func TestNewestSourceIgnoresWhatIsBuilt(t *testing.T) {
	folder := t.TempDir()
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, when := range map[string]time.Time{"src/a.ts": old, "node_modules/b.js": time.Now(), "dist/c.js": time.Now()} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	newest, err := newestIn(folder)
	if err != nil || !newest.Equal(old) {
		t.Errorf("newest = %s, %v, want %s", newest, err, old)
	}
}
