package build

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func write(t *testing.T, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDigestFollowsSources(t *testing.T) {
	base := map[string]string{"go.mod": "m", "cmd/a/main.go": "a", "cmd/a/b.go": "b"}
	sum := func(t *testing.T, change map[string]string) string {
		t.Helper()
		root := t.TempDir()
		for name, content := range base {
			write(t, root, name, content)
		}
		for name, content := range change {
			write(t, root, name, content)
		}
		got, err := digest(root, []string{"go.mod", "cmd"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	original := sum(t, nil)
	for name, test := range map[string]struct {
		change map[string]string
		same   bool
	}{
		"nothing":             {nil, true},
		"a test":              {map[string]string{"cmd/a/main_test.go": "x"}, true},
		"a file elsewhere":    {map[string]string{"other.go": "x"}, true},
		"a changed source":    {map[string]string{"cmd/a/main.go": "x"}, false},
		"a new source":        {map[string]string{"cmd/a/c.go": ""}, false},
		"a changed module":    {map[string]string{"go.mod": "n"}, false},
		"bytes across a file": {map[string]string{"cmd/a/main.go": "", "cmd/a/b.go": "ab"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sum(t, test.change); (got == original) != test.same {
				t.Errorf("the digest stayed: %v, want %v", got == original, test.same)
			}
		})
	}
}

func TestMissingNamesWhatIsNotInTheCache(t *testing.T) {
	source, err := FindSource("")
	if err != nil {
		t.Fatal(err)
	}
	b := Builder{Source: source, Cache: t.TempDir()}
	got, err := b.Missing()
	if want := []string{"kubernetes", "services"}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("Missing = %v, %v; want %v", got, err, want)
	}
	dir, err := b.folder(components()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Missing(); err != nil || !slices.Equal(got, []string{"services"}) {
		t.Errorf("Missing = %v, %v", got, err)
	}
}

func TestInstallMakesTheWholeFolder(t *testing.T) {
	staging, cache := t.TempDir(), t.TempDir()
	write(t, staging, "kube", "program")
	c := components()[0]
	dir := filepath.Join(cache, "out")
	if err := install(c, staging, dir); err != nil {
		t.Fatal(err)
	}
	// envtest looks for these three names.
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != "program" {
			t.Errorf("%s = %q, %v", name, content, err)
		}
	}
}

func TestFindSourceRefusesAnotherFolder(t *testing.T) {
	if got, err := FindSource(t.TempDir()); err == nil {
		t.Errorf("FindSource of an empty folder = %s", got)
	}
}
