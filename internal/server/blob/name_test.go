package blob

import (
	"strings"
	"testing"
)

func TestNamesOfKeys(t *testing.T) {
	for sentence, c := range map[string]struct{ key, name, file string }{
		"plain text stays":             {"runs/12/files/a-b_c.json", "runs/12/files/a-b_c.json", "objects/runs/12/files/a-b_c.json~"},
		"other bytes are escaped":      {"a b%", "a=20b=25", "objects/a=20b=25~"},
		"a space at the end counts":    {"a ", "a=20", "objects/a=20~"},
		"capitals are marked in files": {"Ab", "Ab", "objects/!ab~"},
		"dots at the ends":             {"../.x./a.b", "=2e=2e/=2ex=2e/a.b", "objects/=2e=2e/=2ex=2e/a.b~"},
		"empty parts":                  {"/a//b/", "=/a/=/b/=", "objects/=/a/=/b/=~"},
		"the mark of a digest":         {"a=~b", "a=3d=7eb", "objects/a=3d=7eb~"},
	} {
		if got := nameOf(c.key); got != c.name {
			t.Errorf("%s: name %q, want %q", sentence, got, c.name)
		}
		if got := fileOf(nameOf(c.key)); got != c.file {
			t.Errorf("%s: file %q, want %q", sentence, got, c.file)
		}
		if key, whole, err := keyOf(c.name); key != c.key || !whole || err != nil {
			t.Errorf("%s: back to %q, %v, %v", sentence, key, whole, err)
		}
	}
	for _, folder := range []string{"runs", strings.Repeat("x", 600) + "/", strings.Repeat("xy/", 300)} {
		if prefix, err := prefixOf(folder); err == nil {
			t.Errorf("the folder %.20q has the prefix %q", folder, prefix)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, key := range []string{
		"runs/1/a", "", "/", "..", "a/../b", "a//b", "ä", "\xff", "A", "=", "=~", "a=7e", strings.Repeat("long/", 400), strings.Repeat("é", 500), strings.Repeat("x", 120) + "/y",
	} {
		f.Add(key, key+"/")
	}
	f.Fuzz(func(t *testing.T, key, other string) {
		if checkKey(key) != nil || checkKey(other) != nil {
			return
		}
		name := nameOf(key)
		if !validName(name) {
			t.Fatalf("the name of %q is %q", key, name)
		}
		if key != other && strings.EqualFold(fileOf(name), fileOf(nameOf(other))) {
			t.Errorf("%q and %q have the file %q", key, other, fileOf(name))
		}
		for segment := range strings.SplitSeq(fileOf(name), "/") {
			if len(segment) > 255 || segment == "." || segment == ".." || segment == "" {
				t.Errorf("the file of %q has the part %q", key, segment)
			}
		}
		if back, whole, err := keyOf(name); err != nil || whole && back != key || !whole && len(name) < digestLen {
			t.Errorf("%q comes back as %q, %v, %v", key, back, whole, err)
		}
		if unfold(fold(name)) != name {
			t.Errorf("%q does not unfold", name)
		}
		if prefix, err := prefixOf("dir/"); err != nil || !strings.HasPrefix(nameOf("dir/"+key), prefix) {
			t.Errorf("dir/%q is not in %q, %v", key, prefix, err)
		}
	})
}

func FuzzForeignNames(f *testing.F) {
	for _, name := range []string{"a", "=zz", "=6", "a=41", "a=~00", "..", "parts/x", "=parts/x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, whole, err := keyOf(name)
		if err == nil && whole && nameOf(key) != name {
			t.Errorf("%q is taken for the name of %q, which is %q", name, key, nameOf(key))
		}
	})
}
