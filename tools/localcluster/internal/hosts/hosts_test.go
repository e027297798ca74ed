package hosts

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestBlock(t *testing.T) {
	const base = "127.0.0.1 localhost\n# a comment\n"
	const demo = "# BEGIN kubewandb localcluster demo\n127.77.0.1 wandb.demo.test deploy.demo.test\n# END kubewandb localcluster demo\n"
	names := []string{"wandb.demo.test", "deploy.demo.test"}
	for name, test := range map[string]struct{ content, with, without string }{
		"a file without the block":       {base, base + demo, base},
		"a file without a last line end": {"127.0.0.1 localhost", "127.0.0.1 localhost\n" + demo, "127.0.0.1 localhost"},
		"an empty file":                  {"", demo, ""},
		"the block in the middle":        {base + demo + "::1 six\n", base + "::1 six\n" + demo, base + "::1 six\n"},
		"two blocks of the cluster":      {demo + base + demo, base + demo, base},
		"a block that lost its end": {
			base + "# BEGIN kubewandb localcluster demo\n127.77.0.1 wandb.demo.test\n10.0.0.1 mine\n",
			base + "10.0.0.1 mine\n" + demo, base + "10.0.0.1 mine\n",
		},
		"a cluster whose name begins alike": {
			"# BEGIN kubewandb localcluster demo2\n127.77.0.2 x\n# END kubewandb localcluster demo2\n",
			"# BEGIN kubewandb localcluster demo2\n127.77.0.2 x\n# END kubewandb localcluster demo2\n" + demo,
			"# BEGIN kubewandb localcluster demo2\n127.77.0.2 x\n# END kubewandb localcluster demo2\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(With([]byte(test.content), "demo", "127.77.0.1", names)); got != test.with {
				t.Errorf("With:\n%s\nwant:\n%s", got, test.with)
			}
			if got := string(Without([]byte(test.content), "demo")); got != test.without {
				t.Errorf("Without:\n%s\nwant:\n%s", got, test.without)
			}
			if got, want := Has([]byte(test.content), "demo"), test.content != test.without; got != want {
				t.Errorf("Has = %v, want %v", got, want)
			}
		})
	}
}

func TestRewriteKeepsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	add := func(content []byte) []byte { return With(content, "demo", "127.77.0.1", []string{"wandb.demo.test"}) }
	for i, want := range []bool{true, false} {
		if changed, err := Rewrite(path, add); err != nil || changed != want {
			t.Fatalf("Rewrite %d = %v, %v; want %v", i, changed, err, want)
		}
	}
	if _, err := Rewrite(path, func(content []byte) []byte { return Without(content, "demo") }); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the file was replaced: a bind mount would show the old one for ever")
	}
	content, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(content, []byte("127.0.0.1 localhost\n")) {
		t.Errorf("content = %q, %v", content, err)
	}
}
