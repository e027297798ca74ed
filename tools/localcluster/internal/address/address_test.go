package address

import (
	"path/filepath"
	"testing"
)

func anyFree(int) bool { return true }

func TestAddressesAreStableAndDistinct(t *testing.T) {
	x := Index{Path: filepath.Join(t.TempDir(), "state", "addresses.json")}
	want := map[string]int{"other": 2, "demo": 1, "third": 3}
	for _, cluster := range []string{"other", "demo", "third"} {
		for range 2 {
			if got, err := x.Allocate(cluster, anyFree); err != nil || got != want[cluster] {
				t.Fatalf("Allocate(%q) = %d, %v; want %d", cluster, got, err, want[cluster])
			}
		}
	}
	if names, err := x.Clusters(); err != nil || len(names) != 3 || names[0] != "demo" {
		t.Errorf("Clusters() = %v, %v", names, err)
	}
}

func TestReleasedAddressIsGivenAgain(t *testing.T) {
	x := Index{Path: filepath.Join(t.TempDir(), "addresses.json")}
	for _, cluster := range []string{"a", "b"} {
		if _, err := x.Allocate(cluster, anyFree); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Release("a"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := x.Lookup("a"); ok || err != nil {
		t.Errorf("Lookup of a released cluster = %v, %v", ok, err)
	}
	if got, err := x.Allocate("c", anyFree); err != nil || got != 2 {
		t.Errorf("Allocate after Release = %d, %v; want 2", got, err)
	}
}

func TestAddressInUseIsPassedOver(t *testing.T) {
	x := Index{Path: filepath.Join(t.TempDir(), "addresses.json")}
	got, err := x.Allocate("demo", func(n int) bool { return n > 3 })
	if err != nil || got != 4 {
		t.Errorf("Allocate = %d, %v; want 4", got, err)
	}
	if _, err := x.Allocate("other", func(int) bool { return false }); err == nil {
		t.Error("Allocate without a free address succeeded")
	}
}
